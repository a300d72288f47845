# The study of what the paper leaves open: config/readings.yaml.


rule figure_readings:
    """What the paper leaves open: each reading beside the paper's printed numbers."""
    input:
        table=lambda wildcards: aggregated("figure_readings"),
    output:
        png=report(
            f"{RESULTS}/figures/figure_readings.png",
            caption="../report/figure_readings.rst",
            category="Statements",
            labels={"figure": "readings", "shows": "what the paper leaves open"},
        ),
        pdf=f"{RESULTS}/figures/figure_readings.pdf",
        csv=report(
            f"{RESULTS}/tables/figure_readings.csv",
            caption="../report/figure_readings.rst",
            category="Tables",
            labels={"figure": "readings", "shows": "what the paper leaves open"},
        ),
        md=f"{RESULTS}/tables/figure_readings.md",
        tex=f"{RESULTS}/tables/figure_readings.tex",
    log:
        f"{RESULTS}/logs/figures/figure_readings.log",
    localrule: True
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure_readings"),
        output=subpath(output.png, strip_suffix=".png"),
        tables=subpath(output.csv, strip_suffix=".csv"),
        made_from=lambda wildcards: made_from("figure_readings"),
    shell:
        "python -m squareloss.figures.figure_readings --table {input.table:q}"
        " --tables {params.tables:q}"
        " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"
