"""Files of the user's that are called as a library is: neither planning nor a job takes them."""

import os
import subprocess
import sys

import pytest
import workflow_copy
from workflow_copy import copy_repository, snakemake_started

# As an example of README that was saved under a library's name: it says that it ran, and fails.
EXAMPLE = 'open("ran", "a").write(__name__ + "\\n")\nraise SystemExit(3)\n'
NAMES = ["statistics", "pandas", "numpy", "pyarrow", "matplotlib", "torch", "tqdm", "yaml", "queue"]


@pytest.fixture
def copy(tmp_path):
    """A copy of the repository with such files beside its Snakefile."""
    copy_repository(tmp_path / "clone")
    shadows(tmp_path / "clone")
    return tmp_path / "clone"


def shadows(folder):
    for name in NAMES:
        (folder / f"{name}.py").write_text(EXAMPLE, encoding="utf-8")


@pytest.mark.workflow
def test_files_beside_the_workflow_are_no_libraries(copy):
    done = snakemake_started(copy, "results/tiny/figures/figure1.png", "data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (copy / "ran").exists()


@pytest.mark.parametrize("stage", ["study.cost", "figures"])  # a module, and a package
def test_files_in_the_folder_are_no_libraries_of_a_stage(tmp_path, stage):
    shadows(tmp_path)
    command = [sys.executable, "-m", f"squareloss.{stage}", "--help"]
    variables = {name: v for name, v in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(
        command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_package_on_the_path_that_is_none_of_ours_is_told_in_a_line(tmp_path, monkeypatch):
    """Broken packages that Snakemake itself imports end it before the workflow is read."""
    copy_repository(tmp_path / "clone")
    other = tmp_path / "other"
    other.mkdir()
    (other / "pandas.py").write_text("VERSION = 1\n", encoding="utf-8")
    found = f"{other}{os.pathsep}{tmp_path / 'clone' / 'src'}"
    monkeypatch.setattr(workflow_copy, "environment", lambda _: os.environ | {"PYTHONPATH": found})
    done = snakemake_started(tmp_path / "clone", "-n")
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("squareloss: error: AttributeError: module 'pandas' has no attribute")
    assert line.endswith(f"in PYTHONPATH={found} not for {sys.executable}? unset PYTHONPATH")
    assert "Traceback" not in done.stderr


def test_a_job_on_a_cluster_takes_no_module_from_the_folder(copy, monkeypatch):
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    # There a job begins as `python -m snakemake`, with what the submitting Snakemake has set.
    (copy / "Snakefile").write_text(
        'include: "workflow/Snakefile"\nimport os\n'
        'print("SET", os.environ["PYTHONSAFEPATH"], os.environ.get("PYTHONOPTIMIZE"))\n',
        encoding="utf-8",
    )
    done = snakemake_started(copy, "-n", "data")
    assert "SET 1 None" in done.stdout, done.stdout + done.stderr
