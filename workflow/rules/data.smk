rule prepare_split:
    """Draw one split from its image source: indices, labels before and after noise, statistics."""
    input:
        code=lambda wildcards: code("data.prepare", f"data.sources.{data_spec(wildcards).source}"),
    output:
        f"{RESULTS}/data/{{split}}.safetensors",
    log:
        f"{RESULTS}/logs/data/{{split}}.log",
    conda:
        "../../envs/conda.yaml"
    params:
        spec=lambda wildcards: canonical_json(data_spec(wildcards)),
    shell:
        "python -m squareloss.data.prepare --spec {params.spec:q} --output {output:q} > {log:q} 2>&1"


rule data:
    """Every prepared split of the study."""
    input:
        [f"{RESULTS}/data/{path}" for path in SPLITS],
