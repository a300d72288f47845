rule about:
    """A page beside the results: the verdicts, made of what, by which code, where what lies."""
    input:
        # What it describes. The commit that it names is read while it is made, so it is made last.
        [f"{RESULTS}/aggregate/{name}.parquet" for name in EXPERIMENTS],
        [f"{RESULTS}/figures/{figure}.png" for figure in STUDY.figures],
        rules.claims.output,
        rules.explore.output,
        claims=rules.claims.output.txt,
    output:
        page=f"{RESULTS}/README.md",
        config=f"{RESULTS}/config.json",
        croissant=f"{RESULTS}/croissant.json",
    log:
        f"{RESULTS}/logs/about.log",
    params:
        code=code("pages.about"),
        config=lambda wildcards: shown_config(),
        made_from=lambda wildcards: as_json(sweep.size(STUDY)),
    shell:
        "python -m squareloss.pages.about --config {params.config:q} --made-from {params.made_from:q}"
        " --claims {input.claims:q} --config-file {output.config:q}"
        " --output {output.page:q} --croissant {output.croissant:q} > {log:q} 2>&1"
