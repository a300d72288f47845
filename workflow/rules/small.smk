rule small:
    """Statements measured on small problems: gradient flow, single samples, trees, critical points."""
    output:
        gradientflow=f"{RESULTS}/small/gradientflow.parquet",
        minibatch=f"{RESULTS}/small/minibatch.parquet",
        tree=f"{RESULTS}/small/tree.parquet",
        ample=f"{RESULTS}/small/ample.parquet",
        settled=f"{RESULTS}/small/settled.parquet",
    log:
        f"{RESULTS}/logs/small.log",
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("small"),
        seed=STUDY.seed,
        replicates=STUDY.replicates,
    shell:
        "python -m squareloss.small --seed {params.seed} --replicates {params.replicates}"
        " --flow {output.gradientflow:q} --minibatch {output.minibatch:q} --tree {output.tree:q}"
        " --ample {output.ample:q} --settled {output.settled:q}"
        " 2> {log:q}"
