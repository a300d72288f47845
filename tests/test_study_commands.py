"""Commands that cannot be done as they were typed: one line that says what to type."""

import shutil
import subprocess

import pytest
from workflow_copy import SNAKEMAKE, copy_repository, environment, make, snakemake

from squareloss.study.drawn import drawing


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository in which nothing was run."""
    folder = tmp_path_factory.mktemp("copy") / "squareloss"
    copy_repository(folder)
    return folder


def last_line(done):
    assert done.returncode != 0
    return (done.stdout + done.stderr).strip().splitlines()[-1]


def test_a_mistyped_figure_suggests_names(copy):
    done = snakemake(copy, "-n", "--config", "figures=[figur5]")
    line = last_line(done)
    assert "config: figures: 'figur5' does not exist; did you mean 'figure5'" in line
    assert "figure_numbers" in line  # all that are allowed


@pytest.mark.parametrize(
    ("target", "meant"),
    [("figur5", "figure5"), ("figure_reading", "figure_readings"), ("claim", "claims")],
)
def test_a_mistyped_target_suggests_names(copy, target, meant):
    line = last_line(snakemake(copy, "-n", target))
    assert line.startswith(f"squareloss: error: there is no rule {target!r}; did you mean ")
    assert repr(meant) in line


def test_a_target_that_is_like_no_rule_is_snakemakes_to_answer(copy):
    assert "did you mean" not in last_line(snakemake(copy, "-n", "figure5.png"))


def test_one_figure_needs_no_brackets(copy):
    done = snakemake(copy, "-n", "--quiet", "rules", "--config", "figures=figure3")
    assert done.returncode == 0, done.stderr
    assert "figure3" in done.stdout
    assert "figure5 " not in done.stdout


def test_a_figure_that_the_config_does_not_draw_says_which_does(copy):
    line = last_line(snakemake(copy, "-n", "figure_size"))
    assert line.endswith(
        "config: figures: figure_size is not among them; add it, or take the config that draws it: "
        "--configfile config/paper-one.yaml"
    )
    done = snakemake(copy, "-n", "figure_size", overlays=("config/paper-one.yaml",))
    assert "is not among them" not in done.stdout + done.stderr


def test_a_config_that_cannot_be_read_is_passed_over(tmp_path):
    (tmp_path / "config").mkdir()
    for name, text in {
        "broken": "figures: [", "none": "study: a", "list": "- 1", "empty": "figures:",
        "longer": "figures: figure50", "number": "figures: 5", "single": "figures: figure5",
        "wanted": "figures: [figure5]",
    }.items():  # fmt: skip
        (tmp_path / "config" / f"{name}.yaml").write_text(text, encoding="utf-8")
    wanted = [tmp_path / "config" / name for name in ("single.yaml", "wanted.yaml")]
    assert drawing("figure5", [tmp_path]) == wanted


def test_a_report_before_the_demo_says_to_run_it(copy):
    done = make(copy, "report")
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert told == ["results/demo has no results yet: run make demo first"]


def test_slurm_without_sbatch_is_one_line_before_any_job(copy, tmp_path):
    tools = tmp_path / "tools"  # what a machine has, but for Slurm
    tools.mkdir()
    for name in ("bash", "sh", "env", "git", "uname", "which"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    variables = environment(copy) | {"PATH": str(tools)}
    done = subprocess.run(
        [SNAKEMAKE, "data", "--profile", "profiles/slurm", "--configfile", "tiny.yaml"],
        cwd=copy,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    said = (done.stdout + done.stderr).splitlines()
    assert [line for line in said if "no sbatch on this machine" in line] == [said[-1]], said[-20:]
    assert len(said) < 40
    assert not (copy / "results").exists() or not list((copy / "results").rglob("*.safetensors"))
