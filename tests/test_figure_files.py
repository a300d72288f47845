"""The job that draws a figure: what it writes, and what it refuses."""

import json
import os
import subprocess
import sys

import forked
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_runs import margins_of, run, runs
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

from squareloss.errors import run_stage
from squareloss.figures import __main__ as job
from squareloss.figures import style
from squareloss.tables.margins import MARGINS


def command(monkeypatch, *arguments):
    """What `python -m squareloss.figures ...` does."""
    monkeypatch.setattr(sys, "argv", ["squareloss.figures", *map(str, arguments)])
    run_stage(job.main)


def test_redraw_is_byte_identical(monkeypatch, tmp_path):
    table, part = tmp_path / "a.parquet", tmp_path / "m.parquet"
    run(0).to_parquet(table)
    margins = margins_of(0).assign(label=0, true_label=0)
    pq.write_table(pa.Table.from_pandas(margins, MARGINS.schema()), part)
    written = []
    for name in ("one", "two"):
        arguments = [
            "--table",
            table,
            "--margins",
            part,
            part,
            "--made-from",
            json.dumps("costs $5 or $6"),
        ]
        command(monkeypatch, "figure10", *arguments, "--results", tmp_path / name)
        paths = [tmp_path / name / "figures" / f"figure10.{suffix}" for suffix in ("png", "pdf")]
        assert sorted((tmp_path / name).rglob("*.*")) == sorted(paths)
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]
    assert b"/FontFile2" in written[0][1]  # embedded TrueType


RC = """
text.usetex: True
savefig.bbox: tight
savefig.facecolor: red
axes.grid: True
axes.prop_cycle: cycler(color=["k"])
font.size: 20
"""


def test_no_setting_of_the_user_reaches_a_figure(tmp_path):
    """Neither the backend of a notebook nor a matplotlibrc, whose LaTeX may not be installed."""
    table = tmp_path / "a.parquet"
    run(0).to_parquet(table)
    (tmp_path / "rc" / "matplotlib").mkdir(parents=True)
    (tmp_path / "rc" / "matplotlib" / "matplotlibrc").write_text(RC)
    settings = {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "XDG_CONFIG_HOME": str(tmp_path / "rc"),
    }
    drawn = []
    for name, changed in (("plain", {}), ("changed", settings)):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MPL")} | changed
        words = ["-m", "squareloss.figures", "figure9", "--table", str(table)]
        words += ["--results", str(tmp_path / name)]
        if changed:  # these are read when a Python starts
            done = subprocess.run(
                [sys.executable, *words],
                env=environment,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
        else:
            done = forked.run(words, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        files = sorted((tmp_path / name / "figures").iterdir())
        drawn.append([path.read_bytes() for path in files])
    assert len(drawn[0]) == 2
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(("name", "decays"), [("figure3", [0.0, 1e-3]), ("figure9", [5e-4])])
def test_the_rounding_of_the_layout_solver_reaches_no_file(monkeypatch, tmp_path, name, decays):
    """Its answers differ in the tenth digit between processes: here between two drawings."""
    solve = ConstrainedLayoutEngine.execute

    def shaken(engine, figure):
        solve(engine, figure)
        for part in figure.subfigs:
            part.bbox_relative.set_points(part.bbox_relative.get_points() + 1e-11)
        for ax in figure.axes:
            ax._set_position(Bbox(ax.get_position(original=True).get_points() + 1e-10))

    table = tmp_path / "a.parquet"
    runs(decay=decays, init=[0.9]).to_parquet(table)
    command(monkeypatch, name, "--table", table, "--results", tmp_path / "one")
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", shaken)
    command(monkeypatch, name, "--table", table, "--results", tmp_path / "two")
    for suffix in ("png", "pdf"):
        one, two = (tmp_path / k / "figures" / f"{name}.{suffix}" for k in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_commands_write_their_tables(monkeypatch, tmp_path):
    for name, table in (
        ("figure5", runs(init=[0.9, 1.3])),
        ("figure7", runs(init=[0.1, 0.9], n=[250, 1000]).astype({"n_train": int})),
    ):
        path = tmp_path / "a.parquet"
        table.to_parquet(path)
        command(monkeypatch, name, "--table", path, "--results", tmp_path)
        made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob(f"{name}.*")}
        pictures = {f"figures/{name}.{suffix}" for suffix in ("png", "pdf")}
        assert made == pictures | {f"tables/{name}.{suffix}" for suffix in ("csv", "md", "tex")}


def test_unreadable_table_is_one_line(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match="squareloss: error"):
        command(monkeypatch, "figure3", "--table", tmp_path / "no.parquet", "--results", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["figure11", "--results", "r"], "invalid choice: 'figure11'"),
        (["figure8", "--table", "t", "--results", "r"], "figure8 needs --margins"),
        (["figure3", "--table", "t"], "required: --results"),
    ],
)
def test_wrong_arguments_are_one_line(monkeypatch, capsys, arguments, wanted):
    with pytest.raises(SystemExit):
        command(monkeypatch, *arguments)
    assert wanted in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_table_of_something_else_is_one_line(monkeypatch, tmp_path):
    pd.DataFrame({"complexity": [1.0]}).to_parquet(tmp_path / "tree.parquet")
    with pytest.raises(SystemExit, match=r"tree\.parquet: no table of runs, since it lacks batch"):
        command(monkeypatch, "figure5", "--table", tmp_path / "tree.parquet", "--results", tmp_path)


def test_text_of_a_user_is_text_in_every_form_of_a_table(tmp_path):
    names = [r"a_b & 5% {x} #1 $2 ^~ \input{x}", "a | b"]
    text = pd.DataFrame({r"$\lambda$": names})
    style.save_table(style.Tabulation(text, text), str(tmp_path / "t"))
    assert pd.read_csv(tmp_path / "t.csv").iloc[:, 0].tolist() == names
    assert r"| a \| b |" in (tmp_path / "t.md").read_text()
    tex = (tmp_path / "t.tex").read_text()
    assert r"a\_b \& 5\% \{x\} \#1 \$2 \textasciicircum{}\textasciitilde{} \textbackslash" in tex
    assert r"$\lambda$ \\" in tex
