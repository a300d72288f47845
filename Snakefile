# The paper as a workflow. config.yaml says what to compute; workflow/rules/ says how, stage by stage.
from snakemake.utils import min_version

min_version("9.10")


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/paper.smk"


rule all:
    """Every figure, table and metric of the study (the default)."""
    default_target: True
    input:
        [f"{RESULTS}/figures/{figure}.png" for figure in STUDY.figures],
        [f"{RESULTS}/aggregate/{name}.parquet" for name in EXPERIMENTS],
        rules.metrics.input,
