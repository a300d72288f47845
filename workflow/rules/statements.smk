# Figures of what the paper states and does not plot: each is drawn from one experiment's table.

STATEMENTS = {
    "figure_unit": "one penalty for every start",
    "figure_multiclass": "neural collapse, ten classes",
    "figure_randomlabels": "neural collapse, random labels",
    "figure_lowrank": "rank of the layers",
    "figure_sgdnoise": "noise of SGD",
    "figure_normalization": "normalisations",
    "figure_loss": "square loss and cross-entropy",
    "figure_optimizer": "SGD and gradient descent",
}

for name, shows in STATEMENTS.items():

    rule:
        name:
            name
        input:
            table=lambda wildcards, name=name: aggregated(name),
        output:
            png=report(
                f"{RESULTS}/figures/{name}.png",
                caption=f"../report/{name}.rst",
                category="Statements",
                labels={"figure": name.removeprefix("figure_"), "shows": shows},
            ),
            pdf=f"{RESULTS}/figures/{name}.pdf",
        log:
            f"{RESULTS}/logs/figures/{name}.log",
        localrule: True
        conda:
            "../../envs/conda.yaml"
        params:
            code=code(f"figures.{name}"),
            module=name,
            output=subpath(output.png, strip_suffix=".png"),
            made_from=lambda wildcards, name=name: made_from(name),
        shell:
            "python -m squareloss.figures.{params.module} --table {input.table:q}"
            " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"


rule small:
    """Statements measured on small problems: gradient flow, single samples, binary trees."""
    output:
        flow=f"{RESULTS}/aggregate/gradientflow.parquet",
        minibatch=f"{RESULTS}/aggregate/minibatch.parquet",
        tree=f"{RESULTS}/aggregate/tree.parquet",
    log:
        f"{RESULTS}/logs/small.log",
    conda:
        "../../envs/conda.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("small"),
        replicates=STUDY.replicates,
    shell:
        "python -m squareloss.small --replicates {params.replicates} --flow {output.flow:q}"
        " --minibatch {output.minibatch:q} --tree {output.tree:q} 2> {log:q}"


rule figure_gradientflow:
    """Section 3.4: gradient flow, gradient descent, and rho_dot against Eq. 6."""
    input:
        table=rules.small.output.flow,
    output:
        png=report(
            f"{RESULTS}/figures/figure_gradientflow.png",
            caption="../report/figure_gradientflow.rst",
            category="Statements",
            labels={"figure": "gradientflow", "shows": "flow and descent"},
        ),
        pdf=f"{RESULTS}/figures/figure_gradientflow.pdf",
    log:
        f"{RESULTS}/logs/figures/figure_gradientflow.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure_gradientflow"),
        output=subpath(output.png, strip_suffix=".png"),
    shell:
        "python -m squareloss.figures.figure_gradientflow --table {input.table:q}"
        " --output {params.output:q} > {log:q} 2>&1"


rule figure_bounds:
    """Section 4: every bound, the paper's and the literature's, on the same networks."""
    input:
        table=lambda wildcards: aggregated("figure_bounds"),
    output:
        png=report(
            f"{RESULTS}/figures/figure_bounds.png",
            caption="../report/figure_bounds.rst",
            category="Statements",
            labels={"figure": "bounds", "shows": "how far from vacuous"},
        ),
        pdf=f"{RESULTS}/figures/figure_bounds.pdf",
        csv=report(
            f"{RESULTS}/tables/figure_bounds.csv",
            caption="../report/figure_bounds.rst",
            category="Tables",
            labels={"figure": "bounds", "shows": "how far from vacuous"},
        ),
        md=f"{RESULTS}/tables/figure_bounds.md",
        tex=f"{RESULTS}/tables/figure_bounds.tex",
    log:
        f"{RESULTS}/logs/figures/figure_bounds.log",
    conda:
        "../../envs/conda.yaml"
    params:
        code=code("figures.figure_bounds"),
        output=subpath(output.png, strip_suffix=".png"),
        tables=subpath(output.csv, strip_suffix=".csv"),
        made_from=lambda wildcards: made_from("figure_bounds"),
    shell:
        "python -m squareloss.figures.figure_bounds --table {input.table:q}"
        " --tables {params.tables:q}"
        " --made-from {params.made_from:q} --output {params.output:q} > {log:q} 2>&1"
