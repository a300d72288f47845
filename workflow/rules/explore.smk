rule explore:
    """One page to look around in all runs: axes, colours and filters of one's own choice."""
    input:
        tables=[f"{RESULTS}/aggregate/{name}.parquet" for name in EXPERIMENTS],
        margins=every("margins"),
    output:
        report(
            f"{RESULTS}/explore.html",
            caption="../report/explore.rst",
            category="Explore",
            labels={"figure": "explore", "shows": "every run"},
        ),
    log:
        f"{RESULTS}/logs/explore.log",
    params:
        code=code("pages.explore"),
        margins=lambda wildcards, output: f"{Path(output[0]).parent}/metrics/margins",
        made_from=lambda wildcards: as_json(sweep.size(STUDY)),
    shell:
        "python -m squareloss.pages.explore --tables {input.tables:q} --margins {params.margins:q}"
        " --made-from {params.made_from:q} --output {output:q} > {log:q} 2>&1"
