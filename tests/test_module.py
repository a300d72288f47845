"""The workflow imported into another one by `module`, as the catalogue of workflows has it."""

import subprocess

import forked
import pytest
import yaml
from jobs_python import jobs_python
from workflow_copy import SNAKEMAKE, blocks, copy_repository, environment

from squareloss.study.files import merged

TALL = """
use rule squareloss_figure3 as tall_figure3 with:
    output: png="tall/figures/figure3.png", pdf="tall/figures/figure3.pdf"
"""


@pytest.mark.workflow
def test_another_workflow_draws_a_figure_with_its_own_config(finished, tmp_path):
    [lines] = blocks("docs/compare.md", "snakemake")
    lines = lines.replace("../squareloss/workflow", f"{finished}/workflow")
    lines = lines.replace("results/paper", "results/tiny")
    (tmp_path / "Snakefile").write_text(lines + TALL, encoding="utf-8")
    base, overlay = (
        yaml.safe_load((finished / name).read_text(encoding="utf-8"))
        for name in ("config.yaml", "tiny.yaml")
    )
    config = yaml.safe_dump({"squareloss": merged(base, overlay)})
    (tmp_path / "mine.yaml").write_text(config, encoding="utf-8")
    for targets in ((), ("tall_figure3",)):
        done = forked.run(
            ["-m", "snakemake", "--cores", "2", *targets],
            cwd=tmp_path,
            env=environment(finished),
            executable=jobs_python(),
        )
        assert done.returncode == 0, done.stdout + done.stderr
    expected = (finished / "results/tiny/figures/figure3.pdf").read_bytes()
    assert (tmp_path / "squareloss/results/tiny/figures/figure3.pdf").read_bytes() == expected
    assert (tmp_path / "tall/figures/figure3.pdf").read_bytes() == expected
    # Everything that is written, checkpoints and logs too, lies below the prefix.
    assert not (tmp_path / "results").exists()
    checkpoints = tmp_path / "squareloss/results/tiny/checkpoints"
    assert not list(checkpoints.rglob("*.safetensors"))  # removed when the runs were complete
    assert list((tmp_path / "squareloss/results/tiny/logs/train").rglob("*.log"))


LICENSED = """
shell.prefix("export LICENSE=mine; ")

rule licensed:
    output: "licensed"
    shell: 'echo "$LICENSE" > {output}'
"""


@pytest.mark.workflow
@pytest.mark.parametrize("first", ["module", "prefix"])
def test_both_workflows_keep_the_shell_that_they_have_set(tmp_path, first):
    clone = tmp_path / "clone"
    copy_repository(clone)
    [lines] = blocks("docs/compare.md", "snakemake")
    configfile, module = lines.split("module squareloss:")
    module = "module squareloss:" + module.partition("rule mine")[0]
    module = module.replace("../squareloss/workflow", "clone/workflow")
    parts = [module, LICENSED] if first == "module" else [LICENSED, module]
    (tmp_path / "Snakefile").write_text(configfile + "\n".join(parts), encoding="utf-8")
    base, overlay = (
        yaml.safe_load((clone / name).read_text(encoding="utf-8"))
        for name in ("config.yaml", "tiny.yaml")
    )
    config = yaml.safe_dump({"squareloss": merged(base, overlay)})
    (tmp_path / "mine.yaml").write_text(config, encoding="utf-8")
    # A library's name, of a module that the importing workflow has beside it: ours is not it.
    (tmp_path / "pandas.py").write_text("1 / 0", encoding="utf-8")
    done = subprocess.run(
        [SNAKEMAKE, "--cores", "2", "licensed", "squareloss/results/tiny/figures/figure1.png"],
        cwd=tmp_path,
        env=environment(clone),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "licensed").read_text(encoding="utf-8") == "mine\n"
