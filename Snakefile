# The paper as a workflow. config.yaml says what to compute; workflow/rules/ says how, stage by stage.
from snakemake.utils import min_version

min_version("9.10")


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/small.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"


# Minutes in all, where Snakemake runs: on a cluster the host that has a way to the internet for the
# data, and no place in a queue for seconds of drawing.
localrules:
    all,
    data,
    runs,
    metrics,
    prepare_split,
    aggregate,
    claims,


rule all:
    """Every figure, table, metric and claim of the study (the default)."""
    default_target: True
    input:
        [f"{RESULTS}/figures/{figure}.png" for figure in STUDY.figures],
        [f"{RESULTS}/aggregate/{name}.parquet" for name in EXPERIMENTS],
        every("margins"),  # the aggregates are made of the other tables
        rules.claims.output,
