"""The workflow imported into another one by `module`, as the catalogue of workflows has it."""

import subprocess

import pytest
import yaml
from workflow_copy import SNAKEMAKE, environment

from squareloss.configfiles import merged

IMPORTS = """
configfile: "mine.yaml"

module squareloss:
    snakefile: "{source}/workflow/Snakefile"
    config: config["squareloss"]
    prefix: "sub"

use rule * from squareloss as squareloss_*

use rule squareloss_figure3 as tall_figure3 with:
    output: png="tall/figures/figure3.png", pdf="tall/figures/figure3.pdf"

rule mine:
    default_target: True
    input: "sub/results/tiny/figures/figure3.png", rules.tall_figure3.output
"""


@pytest.mark.workflow
def test_another_workflow_draws_a_figure_with_its_own_config(finished, tmp_path):
    (tmp_path / "Snakefile").write_text(IMPORTS.format(source=finished), encoding="utf-8")
    base, overlay = (
        yaml.safe_load((finished / name).read_text(encoding="utf-8"))
        for name in ("config.yaml", "tiny.yaml")
    )
    config = yaml.safe_dump({"squareloss": merged(base, overlay)})
    (tmp_path / "mine.yaml").write_text(config, encoding="utf-8")
    done = subprocess.run(
        [SNAKEMAKE, "--cores", "2"],
        cwd=tmp_path,
        env=environment(finished),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    expected = (finished / "results/tiny/figures/figure3.pdf").read_bytes()
    assert (tmp_path / "sub/results/tiny/figures/figure3.pdf").read_bytes() == expected
    assert (tmp_path / "tall/figures/figure3.pdf").read_bytes() == expected
    # Everything that is written, checkpoints and logs too, lies below the prefix.
    assert not (tmp_path / "results").exists()
    checkpoints = tmp_path / "sub/results/tiny/checkpoints"
    assert not list(checkpoints.rglob("*.safetensors"))  # removed when the runs were complete
    assert list((tmp_path / "sub/results/tiny/logs/train").rglob("*.log"))
