# What every stage needs: the checked config, the table of runs, and who depends on what.
import gc
import importlib
import json
import os
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

from snakemake.resources import Resource
from snakemake.rules import RuleProxy
from snakemake.utils import Paramspace

# Snakemake looks for modules beside Snakefiles first. A file `pandas.py` there, perhaps an example
# that somebody tried, is none of the libraries.
SEARCHED = list(sys.path)
BESIDE = {
    str(Path(source.get_path_or_uri(secret_free=True)).parent) for source in workflow.included
}
sys.path[:] = [folder for folder in SEARCHED if folder not in {*BESIDE, str(Path.cwd()), ""}]
try:
    import squareloss
except ImportError:
    sys.exit(
        f"squareloss: error: {sys.executable} has no package squareloss; in a clone of it, "
        f"{shlex.quote(sys.executable)} -m pip install ."
    )
try:
    from squareloss.source import catalog
    from squareloss.study.checks import check_folder
    from squareloss.claims import SECTIONS
    from squareloss.source.code import code
    from squareloss.errors import UserError
    from squareloss.spec import canonical_json
    from squareloss.pages import study_readme
    from squareloss.study import cost, drawn, plan, sweep
    from squareloss.tables import paths
    from squareloss.study.load import load
    from squareloss.study.files import refuse_duplicates
except Exception as error:  # a library of another Python's fails in ways of its own
    if not (theirs := os.environ.get("PYTHONPATH")):
        raise
    sys.exit(
        f"squareloss: error: {type(error).__name__}: {str(error).partition(chr(10))[0]}: are packages "
        f"in PYTHONPATH={theirs} not for {sys.executable}? unset PYTHONPATH"
    )

# Jobs call `python`. This makes it the one that runs Snakemake, also where no environment is activated.
# It is no `shell.prefix`: there is one of it for all rules, and an importing workflow may have its own.
PYTHON = str(Path(sys.executable).parent)
if os.environ.get("PATH", "").split(os.pathsep)[0] != PYTHON:
    os.environ.update(PATH=os.pathsep.join([PYTHON, os.environ.get("PATH", os.defpath)]))
# On a cluster a job is `python -m snakemake` first, which would take modules from this folder. Rules of
# an importing workflow may want theirs; our own jobs never do, see squareloss/__init__.py.
if workflow.modifier.is_main_snakefile():
    os.environ.update(PYTHONSAFEPATH="1")
    os.environ.pop("PYTHONOPTIMIZE", None)  # some libraries read docstrings when they are imported


# A plan of thousands of jobs is millions of small objects that stay. Looking for garbage among them
# rarely saves a sixth of the planning time, docs/choices.md.
gc.set_threshold(100_000, 50, 100)


report: "../report/workflow.rst"


wildcard_constraints:
    block=r"\d+",


REPORTED = "_report"  # a key of the config, below


def checked(raw):
    """The study that a config asks for; a mistake in it ends Snakemake with its one line."""
    try:
        for path in workflow.configfiles:
            refuse_duplicates(path)
        # A module's Snakefile is read once for each `use rule`, with the same config.
        study = load({key: value for key, value in raw.items() if key != REPORTED})
        if workflow.modifier.is_main_snakefile():  # a module's `prefix` moves the results
            check_folder(f"{study.results}/{study.study}")
        return study
    except UserError as error:
        hint = ""
        # Snakemake passes over it if there is another. A module's config has all of it.
        if workflow.modifier.is_main_snakefile() and not Path("config.yaml").exists():
            folder = Path(workflow.basedir)  # of the Snakefile: the clone, or its `workflow/`
            folder = folder if (folder / "config.yaml").exists() else folder.parent
            hint = (
                f"; no config.yaml was read, since {Path.cwd()} has none: name it first, "
                f"--configfile {shlex.quote(str(folder / 'config.yaml'))} ..."
            )
        sys.exit(f"squareloss: error: {error}{hint}")


STUDY = checked(config)
RESULTS = f"{STUDY.results}/{STUDY.study}"
if workflow.is_main_process and (line := plan.notice(STUDY, Path())):
    print(line, file=sys.stderr)
VERDICTS = Path(RESULTS, "claims/claims.txt")
# The texts of the report are given the config, and of a rule the params, which the report prints. So
# this is one more key of the config, and no setting.
config[REPORTED] = {
    "verdicts": (
        study_readme.counted(VERDICTS.read_text(encoding="utf-8")) if VERDICTS.exists() else ""
    ),
    "figures": {name: (about.title, about.caption) for name, about in catalog.figures().items()},
}
STOP_SECONDS = 120  # before a time limit: enough for the step under way and a checkpoint
RUNS = sweep.runs_table(STUDY)
# The whole point is one wildcard: recipe=cnn6/wd=0.001/init=0.9/noise=0/n=10000/batch=128/lr=0.03
POINTS = Paramspace(RUNS[list(paths.POINT_KEYS)], param_sep="=", single_wildcard="point")
RUNS.index = list(POINTS.instance_patterns)
POINT_AT = dict(zip(RUNS.index, RUNS["point"]))  # quicker than pandas, asked often
SPLITS = sweep.data_specs(STUDY)
EXPERIMENTS = sorted({name for names in RUNS["experiments"] for name in names})
if not workflow.modifier.is_main_snakefile():
    sys.path[:] = SEARCHED  # the importing workflow may have modules beside it


def point(wildcards):
    """The `Point` that a path names."""
    if wildcards.point not in POINT_AT:
        sys.exit(f"squareloss: error: {wildcards.point} is no run of study {STUDY.study}")
    return POINT_AT[wildcards.point]


def recipe(wildcards):
    """The recipe of the run that a path names."""
    return STUDY.recipes[point(wildcards).recipe_name]


def limits(job):
    """Memory and time limits on a cluster, from a function of `study.cost`; retries get more."""

    @cache
    def needs(path):
        return job(STUDY, POINT_AT[path])

    return {
        "mem_mb": lambda wildcards, attempt: cost.memory_mb(needs(wildcards.point), attempt),
        "runtime": lambda wildcards, attempt: cost.runtime_minutes(needs(wildcards.point), attempt),
    }


def add_slurm_extra(name, words):
    """Have sbatch take `words` for a rule, and after them what the site asks for by `slurm_extra`.

    Snakemake would take one for the other. Of an option that is given twice, sbatch takes the last.
    """
    name = workflow.modifier.modify_rulename(name)
    if not workflow.is_rule(name):  # of a module, only some rules may have been asked for
        return
    resources = workflow.get_rule(name).resources
    site = resources.get("slurm_extra")  # its value is None if there is none

    def joined(wildcards, input, attempt, threads, rulename, async_run):
        given = site.evaluate(
            wildcards, input=input, attempt=attempt, threads=threads, rulename=rulename,
            async_run=async_run,
        )  # fmt: skip
        return f"{words} {given.value}" if given.value else words

    resources["slurm_extra"] = Resource("slurm_extra", joined)


def run_spec(wildcards):
    """What the training job must do, as canonical JSON."""
    return canonical_json(sweep.run_spec(STUDY, point(wildcards), int(wildcards.block)))


def checkpoint(run):
    """Where training saves its state, from the path of its run.json.

    Not an output: Snakemake deletes outputs before a retry, which must resume from this file. A
    module's `prefix` moves the run, and the checkpoint with it.
    """
    results, _, block = str(Path(run).parent).rpartition("/runs/")
    return f"{results}/checkpoints/{block}.safetensors"


def as_json(value):
    """JSON for a command line: plain ASCII, since it holds no other letters in every locale.

    Snakemake's report has the commands within a script of its own, which "</script>" would end.
    """
    return json.dumps(value, sort_keys=True).replace("<", "\\u003c")


def shown_config():
    """The config as its page shows it: without what would be too long for a command line."""
    config = STUDY.model_dump(exclude_unset=True)
    if len(json.dumps(config)) > 50_000:
        config["experiments"] = "thousands of points: see the config itself"
    return as_json(config)


def data_spec(wildcards):
    """How to prepare the split that a path names."""
    path = f"{wildcards.split}.safetensors"
    if path not in SPLITS:
        sys.exit(f"squareloss: error: {path} is no split of study {STUDY.study}")
    return SPLITS[path]


def raw_files(spec):
    """The user's files that a split is drawn from; none for a source that brings its own.

    They are where `root` says, whatever a module's `prefix` does to the results.
    """
    source = importlib.import_module(f"squareloss.data.sources.{spec.source}")
    return [local(path) for path in source.files(spec.root)]


def split(wildcards):
    """The prepared split that a run reads."""
    path = sweep.split_path(STUDY, point(wildcards), int(wildcards.block))
    return f"{RESULTS}/data/{path}"


def parts(table, experiment, blocks=None):
    """Every part of a metric table that an experiment is made of; all blocks unless told which."""
    runs = RUNS[RUNS["experiments"].map(lambda names: experiment in names)]
    return [
        f"{RESULTS}/metrics/{table}/{path}/block={block}.parquet"
        for path in runs.index
        for block in (sweep.blocks(STUDY) if blocks is None else blocks)
    ]


def every(*tables):
    """Every part of these metric tables, of all runs."""
    return [
        f"{RESULTS}/metrics/{table}/{path}/block={block}.parquet"
        for table in tables
        for path in RUNS.index
        for block in sweep.blocks(STUDY)
    ]


def wanted(figure):
    """The name of a figure, and of its experiment; it must be one of the study's figures."""
    if figure.name not in STUDY.figures:
        folders = {Path.cwd(), Path(workflow.basedir), Path(workflow.basedir).parent}
        sys.exit(f"squareloss: error: {drawn.not_drawn(figure.name, sorted(folders))}")
    return figure.name


def made_from(figure):
    """The line at the foot of a figure, as JSON: data, networks, N, epochs, replicates."""
    return as_json(sweep.made_from(STUDY, figure.name) if figure.needs_runs else "")


def reads(figure, table):
    """The input function of a figure's rule: the files of `table`, none if it does not read it."""

    def of_figure(wildcards):
        if table not in figure.reads:
            return []
        name, where = wanted(figure), catalog.TABLES[table]
        if where.parts:
            return parts(where.parts, name, blocks=[0] if where.first_block else None)
        return [f"{RESULTS}/{where.path.format(figure=name)}"]

    return of_figure


def arcs(name):
    """The parts of the table `landscape` that a figure is drawn from, which no other job asks for."""
    figure = catalog.figures()[name]
    return reads(figure, "landscape")(None)


def reported(figure, path):
    """`path` as a part of the report, below the figure's title and caption."""
    # The report sorts these as text, in which 10 would come before 9. A figure space is as wide as a
    # digit and comes before them all.
    number = figure.place.removeprefix("Figure ").rjust(2, "\N{FIGURE SPACE}")
    labels = {"figure": number, "shows": figure.shows}
    category = "Tables" if path.endswith(".csv") else figure.category
    return report(path, caption="../report/figure.rst", category=category, labels=labels)


def tables(figure):
    """The files of a figure's table, by suffix; none if it has no table."""
    prefix = f"{RESULTS}/tables/{figure.name}"
    if not figure.tabulates:
        return {}
    return {
        "csv": reported(figure, f"{prefix}.csv"),
        "md": f"{prefix}.md",
        "tex": f"{prefix}.tex",
    }
