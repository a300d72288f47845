rule aggregate:
    """All measurements of an experiment in two tables: what figures and claims read."""
    input:
        history=lambda wildcards: parts("history", wildcards.experiment),
        collapse=lambda wildcards: parts("collapse", wildcards.experiment),
        layers=lambda wildcards: parts("layers", wildcards.experiment),
        bounds=lambda wildcards: parts("bounds", wildcards.experiment),
    output:
        table=f"{RESULTS}/aggregate/{{experiment}}.parquet",
        layers=f"{RESULTS}/aggregate/layers/{{experiment}}.parquet",
    log:
        f"{RESULTS}/logs/aggregate/{{experiment}}.log",
    wildcard_constraints:
        experiment="|".join(EXPERIMENTS),
    params:
        code=code("aggregate"),
        recipes=lambda wildcards: sweep.recipes_json(STUDY, wildcards.experiment),
    shell:
        "python -m squareloss.aggregate --recipes {params.recipes:q} --history {input.history:q}"
        " --collapse {input.collapse:q} --layers {input.layers:q} --bounds {input.bounds:q}"
        " --output {output.table:q} --output-layers {output.layers:q} > {log:q} 2>&1"
