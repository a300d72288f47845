rule claims:
    """The verdict on every statement of the paper, from the tables of all experiments."""
    input:
        tables=[f"{RESULTS}/aggregate/{name}.parquet" for name in EXPERIMENTS],
        small=rules.small.output,
        layers=[f"{RESULTS}/aggregate/layers/{name}.parquet" for name in EXPERIMENTS],
    output:
        parquet=f"{RESULTS}/claims/claims.parquet",
        md=f"{RESULTS}/claims/claims.md",
        html=report(
            f"{RESULTS}/claims/claims.html",
            caption="../report/claims.rst",
            category="Claims",
            labels={"figure": "claims", "shows": "verdicts"},
        ),
        txt=f"{RESULTS}/claims/claims.txt",
    log:
        f"{RESULTS}/logs/claims.log",
    params:
        code=code("claims.report", *SECTIONS),
        output=subpath(output.md, strip_suffix=".md"),
        made_from=lambda wildcards: as_json(sweep.size(STUDY)),
    shell:
        "python -m squareloss.claims.report --tables {input.tables:q} {input.small:q}"
        " --layers {input.layers:q}"
        " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"
