rule prepare_split:
    """Draw one split from its image source: indices, labels before and after noise, statistics."""
    input:
        raw=lambda wildcards: raw_files(data_spec(wildcards)),
    output:
        f"{RESULTS}/data/{{split}}.safetensors",
    log:
        f"{RESULTS}/logs/data/{{split}}.log",
    # Clones may share prepared data: SNAKEMAKE_OUTPUT_CACHE=<folder> snakemake --cache prepare_split.
    # That compares command, params and inputs and no wildcards: `spec` holds all that these mean.
    cache: True
    params:
        code=lambda wildcards: code("data.prepare", f"data.sources.{data_spec(wildcards).source}"),
        spec=lambda wildcards: canonical_json(data_spec(wildcards)),
    shell:
        "python -m squareloss.data.prepare --spec {params.spec:q} --output {output:q} > {log:q} 2>&1"


rule data:
    """Every prepared split of the study."""
    input:
        [f"{RESULTS}/data/{path}" for path in SPLITS],
