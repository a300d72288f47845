# One rule a figure; a figure's table is made with it. Each depends on its own module, so an edit to
# one redraws one.


rule figure1:
    """Figure 1: the two parametrisations of a deep network, as a diagram."""
    output:
        png=report(
            f"{RESULTS}/figures/figure1.png",
            caption="../report/figure1.rst",
            category="Figures",
            labels={"figure": "1", "shows": "parametrisations"},
        ),
        pdf=f"{RESULTS}/figures/figure1.pdf",
    log:
        f"{RESULTS}/logs/figures/figure1.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure1"),
        output=subpath(output.png, strip_suffix=".png"),
    shell:
        "python -m squareloss.figures.figure1 --output {params.output:q} > {log:q} 2>&1"


rule figure2:
    """Figure 2: the loss over rho and the angle between two trained solutions, measured."""
    input:
        landscape=lambda wildcards: parts("landscape", experiment("figure2"), blocks=[0]),
    output:
        png=report(
            f"{RESULTS}/figures/figure2.png",
            caption="../report/figure2.rst",
            category="Figures",
            labels={"figure": "2", "shows": "loss surface"},
        ),
        pdf=f"{RESULTS}/figures/figure2.pdf",
    log:
        f"{RESULTS}/logs/figures/figure2.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure2"),
        output=subpath(output.png, strip_suffix=".png"),
        made_from=lambda wildcards: made_from("figure2"),
    shell:
        "python -m squareloss.figures.figure2 --landscape {input.landscape:q}"
        " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"


rule figure3:
    """Figure 3: dynamics of rho, training loss and test error."""
    input:
        table=lambda wildcards: aggregated("figure3"),
    output:
        png=report(
            f"{RESULTS}/figures/figure3.png",
            caption="../report/figure3.rst",
            category="Figures",
            labels={"figure": "3", "shows": "dynamics"},
        ),
        pdf=f"{RESULTS}/figures/figure3.pdf",
    log:
        f"{RESULTS}/logs/figures/figure3.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure3"),
        output=subpath(output.png, strip_suffix=".png"),
        made_from=lambda wildcards: made_from("figure3"),
    shell:
        "python -m squareloss.figures.figure3 --table {input.table:q}"
        " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"


rule figure4:
    """Figure 4: 1/rho and test error against the share of random labels."""
    input:
        table=lambda wildcards: aggregated("figure4"),
    output:
        png=report(
            f"{RESULTS}/figures/figure4.png",
            caption="../report/figure4.rst",
            category="Figures",
            labels={"figure": "4", "shows": "random labels"},
        ),
        pdf=f"{RESULTS}/figures/figure4.pdf",
    log:
        f"{RESULTS}/logs/figures/figure4.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure4"),
        output=subpath(output.png, strip_suffix=".png"),
        made_from=lambda wildcards: made_from("figure4"),
    shell:
        "python -m squareloss.figures.figure4 --table {input.table:q}"
        " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"


rule figure5:
    """Figure 5: 1/rho against test accuracy per initialisation, with regressions."""
    input:
        table=lambda wildcards: aggregated("figure5"),
    output:
        png=report(
            f"{RESULTS}/figures/figure5.png",
            caption="../report/figure5.rst",
            category="Figures",
            labels={"figure": "5", "shows": "margin and accuracy"},
        ),
        pdf=f"{RESULTS}/figures/figure5.pdf",
        csv=report(
            f"{RESULTS}/tables/figure5.csv",
            caption="../report/table5.rst",
            category="Tables",
            labels={"figure": "5", "shows": "margin and accuracy"},
        ),
        md=f"{RESULTS}/tables/figure5.md",
        tex=f"{RESULTS}/tables/figure5.tex",
    log:
        f"{RESULTS}/logs/figures/figure5.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure5"),
        output=subpath(output.png, strip_suffix=".png"),
        tables=subpath(output.csv, strip_suffix=".csv"),
        made_from=lambda wildcards: made_from("figure5"),
    shell:
        "python -m squareloss.figures.figure5 --table {input.table:q}"
        " --tables {params.tables:q}"
        " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"


rule figure6:
    """Figure 6: cnn6 over N: rho, errors, generalisation gap and the bound of Eq. 16."""
    input:
        table=lambda wildcards: aggregated("figure6"),
    output:
        png=report(
            f"{RESULTS}/figures/figure6.png",
            caption="../report/figure6.rst",
            category="Figures",
            labels={"figure": "6", "shows": "bounds, cnn6"},
        ),
        pdf=f"{RESULTS}/figures/figure6.pdf",
        csv=report(
            f"{RESULTS}/tables/figure6.csv",
            caption="../report/table6.rst",
            category="Tables",
            labels={"figure": "6", "shows": "bounds, cnn6"},
        ),
        md=f"{RESULTS}/tables/figure6.md",
        tex=f"{RESULTS}/tables/figure6.tex",
    log:
        f"{RESULTS}/logs/figures/figure6.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure6"),
        output=subpath(output.png, strip_suffix=".png"),
        tables=subpath(output.csv, strip_suffix=".csv"),
        made_from=lambda wildcards: made_from("figure6"),
    shell:
        "python -m squareloss.figures.figure6 --table {input.table:q}"
        " --tables {params.tables:q}"
        " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"


rule figure7:
    """Figure 7: cnn3 over N: rho, errors, generalisation gap and the bound of Eq. 16."""
    input:
        table=lambda wildcards: aggregated("figure7"),
    output:
        png=report(
            f"{RESULTS}/figures/figure7.png",
            caption="../report/figure7.rst",
            category="Figures",
            labels={"figure": "7", "shows": "bounds, cnn3"},
        ),
        pdf=f"{RESULTS}/figures/figure7.pdf",
        csv=report(
            f"{RESULTS}/tables/figure7.csv",
            caption="../report/table7.rst",
            category="Tables",
            labels={"figure": "7", "shows": "bounds, cnn3"},
        ),
        md=f"{RESULTS}/tables/figure7.md",
        tex=f"{RESULTS}/tables/figure7.tex",
    log:
        f"{RESULTS}/logs/figures/figure7.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure7"),
        output=subpath(output.png, strip_suffix=".png"),
        tables=subpath(output.csv, strip_suffix=".csv"),
        made_from=lambda wildcards: made_from("figure7"),
    shell:
        "python -m squareloss.figures.figure7 --table {input.table:q}"
        " --tables {params.tables:q}"
        " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"


rule figure8:
    """Figure 8: histograms of the margins over the epochs, and the course of rho."""
    input:
        table=lambda wildcards: aggregated("figure8"),
        margins=lambda wildcards: parts("margins", experiment("figure8")),
    output:
        png=report(
            f"{RESULTS}/figures/figure8.png",
            caption="../report/figure8.rst",
            category="Figures",
            labels={"figure": "8", "shows": "margins over epochs"},
        ),
        pdf=f"{RESULTS}/figures/figure8.pdf",
    log:
        f"{RESULTS}/logs/figures/figure8.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure8"),
        output=subpath(output.png, strip_suffix=".png"),
        made_from=lambda wildcards: made_from("figure8"),
    shell:
        "python -m squareloss.figures.figure8 --table {input.table:q}"
        " --margins {input.margins:q}"
        " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"


rule figure9:
    """Figure 9: Neural Collapse: NC1 to NC4 over the epochs."""
    input:
        table=lambda wildcards: aggregated("figure9"),
    output:
        png=report(
            f"{RESULTS}/figures/figure9.png",
            caption="../report/figure9.rst",
            category="Figures",
            labels={"figure": "9", "shows": "neural collapse"},
        ),
        pdf=f"{RESULTS}/figures/figure9.pdf",
    log:
        f"{RESULTS}/logs/figures/figure9.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure9"),
        output=subpath(output.png, strip_suffix=".png"),
        made_from=lambda wildcards: made_from("figure9"),
    shell:
        "python -m squareloss.figures.figure9 --table {input.table:q}"
        " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"


rule figure10:
    """Figure 10: final margins per initialisation, with and without weight decay."""
    input:
        table=lambda wildcards: aggregated("figure10"),
        margins=lambda wildcards: parts("margins", experiment("figure10")),
    output:
        png=report(
            f"{RESULTS}/figures/figure10.png",
            caption="../report/figure10.rst",
            category="Figures",
            labels={"figure": "10", "shows": "final margins"},
        ),
        pdf=f"{RESULTS}/figures/figure10.pdf",
    log:
        f"{RESULTS}/logs/figures/figure10.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure10"),
        output=subpath(output.png, strip_suffix=".png"),
        made_from=lambda wildcards: made_from("figure10"),
    shell:
        "python -m squareloss.figures.figure10 --table {input.table:q}"
        " --margins {input.margins:q}"
        " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"
