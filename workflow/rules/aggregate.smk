rule aggregate:
    """All scalars of an experiment in one table: what its figures read."""
    input:
        history=lambda wildcards: parts("history", wildcards.experiment),
        collapse=lambda wildcards: parts("collapse", wildcards.experiment),
        layers=lambda wildcards: parts("layers", wildcards.experiment),
        bounds=lambda wildcards: parts("bounds", wildcards.experiment),
    output:
        f"{RESULTS}/aggregate/{{experiment}}.parquet",
    log:
        f"{RESULTS}/logs/aggregate/{{experiment}}.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("aggregate"),
    shell:
        "python -m squareloss.aggregate --history {input.history:q} --collapse {input.collapse:q}"
        " --layers {input.layers:q} --bounds {input.bounds:q} --output {output:q} > {log:q} 2>&1"
