# One rule a figure, and its table with it. What a figure is, its module says: squareloss.source.catalog.
# Each rule depends on its own module, so an edit to one figure redraws that figure alone.
DRAWN = {}  # the files of each figure, by its name

for figure in catalog.figures().values():

    rule:
        name:
            figure.name
        input:
            **{table: reads(figure, table) for table in catalog.TABLES},
        output:
            **tables(figure),
            png=reported(figure, f"{RESULTS}/figures/{figure.name}.png"),
            pdf=f"{RESULTS}/figures/{figure.name}.pdf",
        log:
            f"{RESULTS}/logs/figures/{figure.name}.log",
        localrule: True
        params:
            figure=figure.name,
            code=code("figures", f"figures.{figure.name}"),
            made_from=lambda wildcards, figure=figure: made_from(figure),
            results=subpath(output.png, ancestor=2),
        shell:
            "python -m squareloss.figures {params.figure}"
            + "".join(f" --{table} {{input.{table}:q}}" for table in catalog.TABLES)
            + " --made-from {params.made_from:q} --results {params.results:q} > {log:q} 2>&1"

    # A rule in a loop has no place for a docstring, which `snakemake --list-rules` shows. And its
    # `name` would stay under `use rule ... as ...`, which gives another.
    made = workflow.get_rule(workflow.modifier.modify_rulename(figure.name))
    made.docstring, made.ruleinfo.name = figure.title, None
    # What other rules take is the files alone. With the marks for the report, which the outputs have,
    # the report takes `all` for the rule that makes them, and has no title and no caption.
    DRAWN[figure.name] = RuleProxy(made).output
