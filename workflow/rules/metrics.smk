rule extract:
    """Every metric table of one block, from its snapshots."""
    input:
        run=rules.train.output.run,
        snapshots=rules.train.output.snapshots,
        data=split,
    output:
        margins=f"{RESULTS}/metrics/margins/{{point}}/block={{block}}.parquet",
        collapse=f"{RESULTS}/metrics/collapse/{{point}}/block={{block}}.parquet",
        layers=f"{RESULTS}/metrics/layers/{{point}}/block={{block}}.parquet",
        bounds=f"{RESULTS}/metrics/bounds/{{point}}/block={{block}}.parquet",
    log:
        f"{RESULTS}/logs/extract/{{point}}/block={{block}}.log",
    threads: STUDY.threads
    resources:
        **limits(cost.reading_job),
    params:
        code=lambda wildcards: code("extract", *recipe(wildcards).modules()),
        delta=STUDY.delta,
        checkpoint=lambda wildcards, input: checkpoint(input.run),
    # The run is complete; remove its checkpoint.
    shell:
        "python -m squareloss.extract --delta {params.delta} --run {input.run:q} --snapshots {input.snapshots:q}"
        " --data {input.data:q} --margins {output.margins:q} --collapse {output.collapse:q}"
        " --layers {output.layers:q} --bounds {output.bounds:q} 2> {log:q}"
        " && rm -f {params.checkpoint:q} {params.checkpoint:q}.lock"


rule landscape:
    """The loss along the arc between two replicates of a block, for Figure 2."""
    input:
        run=rules.train.output.run,
        snapshots=rules.train.output.snapshots,
        data=split,
    output:
        f"{RESULTS}/metrics/landscape/{{point}}/block={{block}}.parquet",
    log:
        f"{RESULTS}/logs/landscape/{{point}}/block={{block}}.log",
    threads: STUDY.threads
    resources:
        **limits(cost.reading_job),
    params:
        code=lambda wildcards: code("landscape", *recipe(wildcards).modules()),
    shell:
        "python -m squareloss.landscape --run {input.run:q} --snapshots {input.snapshots:q}"
        " --data {input.data:q} --output {output:q} 2> {log:q}"


rule metrics:
    """Every metric table of every run of the study."""
    input:
        every("history", "margins", "collapse", "layers", "bounds"),
