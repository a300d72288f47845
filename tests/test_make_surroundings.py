"""The Makefile and envs/install among hostile variables: typed, inherited, and of installers."""

import importlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from test_make import clone, environment, index, make, uv_as_pip  # noqa: F401

# A command of the environment that only says how it was called.
SHOW = f"""#!{sys.executable}
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))
"""


@pytest.fixture
def installed(clone):  # noqa: F811
    """A clone whose environment's commands print their arguments and variables."""
    (clone / ".venv/bin").mkdir(parents=True)
    for name in ("python", "snakemake", "pytest", "ruff", "mypy", "snakefmt", "sphinx-build"):
        script(clone / ".venv/bin" / name, SHOW)
    (clone / ".venv/installed").touch()
    return clone


def script(path, text):
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def called(done):
    """(arguments, variables) of every command that a target ran."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    return [tuple(json.loads(line)) for line in lines]


# What is typed

HOSTILE = [
    'a"; touch P; echo "b',
    "a; touch P",
    "a\ntouch P",
    "`touch P`",
    "$$(touch P)",
    "$(touch P)",
    "$(shell touch P)",
    "${shell touch P}",
    "$(eval x:=$(shell touch P))",
    "../a$b",
    "../a$$b",
    "with a  space",
    "it's",
    "* ?",
    "back\\slash",
    "a#b",
]
TAKEN = {
    "doctor": ["CONFIG"],
    "merge": ["FROM"],
    "archive": ["CONFIG", "TO"],
    "fetch-results": ["CONFIG", "FROM"],
    "prune": ["CONFIG"],
}


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(("target", "names"), TAKEN.items())
def test_what_is_typed_arrives_as_it_was_typed_and_runs_nothing(installed, target, names, value):
    done = make(installed, target, *(f"{name}={value}" for name in names))
    assert done.returncode == 0, done.stderr
    [(arguments, _)] = called(done)
    words = [word.removeprefix("--source=").removeprefix("--target=") for word in arguments]
    assert words.count(value) == len(names)
    assert not list(installed.rglob("P"))


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("CORES", "cores"),
        ("STUDY", "reference"),
        ("WEIGHTS", "archive"),
        ("YES", "prune"),
        ("PYTHON", ".venv/installed"),
    ],
)
def test_what_is_typed_wrong_is_refused_and_runs_nothing(installed, name, target, value):
    if name == "PYTHON":
        (installed / ".venv/installed").unlink()
        done = make(installed, target, PYTHON=value)
    else:
        done = make(installed, target, f"{name}={value}")
    assert done.returncode != 0
    assert not called(done)
    assert name + "=" in done.stderr
    assert not list(installed.rglob("P"))


@pytest.mark.parametrize("typed", ["", "yes", "no"])
def test_weights_are_left_out_only_if_that_is_said(installed, typed):
    [(arguments, _)] = called(make(installed, "archive", f"WEIGHTS={typed}"))
    assert ("--weights=no" in arguments) == (typed == "no")


@pytest.mark.parametrize(("typed", "said"), [("", False), ("1", True)])
def test_pruning_is_agreed_to_only_by_one_word(installed, typed, said):
    [(arguments, _)] = called(make(installed, "prune", f"YES={typed}"))
    assert ("--yes" in arguments) == said


@pytest.mark.parametrize(
    ("target", "begins", "words"),
    [
        ("doctor", "machine.doctor.read", ["CONFIG=a"]),
        ("merge", "share.merge.merge", ["FROM=a"]),
        ("archive", "share.archive.read", ["CONFIG=a", "TO=b", "WEIGHTS=no"]),
        ("fetch-results", "share.fetch.read", ["CONFIG=a", "FROM=b"]),
        ("prune", "share.prune.read", ["CONFIG=a", "YES=1"]),
    ],
)
def test_commands_take_what_make_gives_them(installed, monkeypatch, target, begins, words):
    [([_, module, *arguments], _)] = called(make(installed, target, *words))
    function = f"squareloss.{begins}"
    assert function.rpartition(".")[0] == module

    def begin(*_):
        raise SystemExit("took its arguments")

    monkeypatch.setattr(function, begin)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(SystemExit, match="took its arguments"):
        importlib.import_module(module).main()


@pytest.mark.parametrize(("terminal", "logger"), [(True, "rich"), (False, "squareloss")])
def test_the_demo_has_bars_in_a_terminal_and_lines_elsewhere(installed, terminal, logger):
    ours, theirs = pty.openpty()
    command = ["make", "demo", f"PYTHON={sys.executable}"]
    done = subprocess.run(
        command,
        cwd=installed,
        env=environment(installed),
        stdout=subprocess.PIPE,
        stderr=theirs if terminal else subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(theirs)
    os.close(ours)
    [(arguments, _), *_] = called(done)
    assert arguments[arguments.index("--logger") + 1] == logger


def test_cores_of_twenty_digits_are_refused(installed):
    done = make(installed, "demo", "CORES=" + "9" * 20)
    assert "1 to 9999" in done.stderr
    assert not called(done)


# What is inherited


def test_variables_of_other_programs_are_no_arguments(installed):
    others = dict.fromkeys(("CONFIG", "FROM", "TO", "STUDY"), "Release") | {
        "WEIGHTS": "no",
        "YES": "1",
    }
    for target, words in {
        "doctor": ["-m", "squareloss.machine.doctor", "--config", "config.yaml"],
        "merge": ["-m", "squareloss.share.merge", "--source="],
        "archive": ["-m", "squareloss.share.archive", "--config", "config.yaml"],
        "fetch-results": ["-m", "squareloss.share.fetch", "--config", "config.yaml", "--source="],
        "prune": ["-m", "squareloss.share.prune", "--config", "config.yaml"],
    }.items():
        [(arguments, _)] = called(make(installed, target, **others))
        assert arguments == words
    (installed / "results/Release/figures").mkdir(parents=True)
    assert make(installed, "reference", **others).returncode != 0


@pytest.mark.parametrize(
    "target", ["demo", "report", "test", "bench", "doctor", "merge", "lint", "site"]
)
def test_pythons_of_a_target_are_those_of_the_environment(installed, target):
    (installed / "results/demo/claims").mkdir(parents=True)
    (installed / "results/demo/claims/claims.txt").touch()
    others = {
        "PYTHONPATH": "/elsewhere",
        "PYTHONHOME": "/elsewhere",
        "PYTHONOPTIMIZE": "2",
        "PYTHONINSPECT": "1",
        "PYTHONWARNINGS": "error",
        "CDPATH": "/elsewhere",
        "GLOBIGNORE": "*",
        "BASH_ENV": "/elsewhere",
    }
    done = make(installed, target, **others)
    assert done.returncode == 0, done.stderr
    for _, variables in called(done):
        assert variables["PYTHONPATH"] == str(installed / "src")
        assert variables["PYTHONSAFEPATH"] == "1"
        assert not others.keys() & variables.keys() - {"PYTHONPATH"}


def test_a_dollar_in_the_path_of_commands_is_a_letter(installed):
    [(_, variables)] = called(make(installed, "doctor", PATH=f"/a$(shell touch P)b:{os.defpath}"))
    assert variables["PATH"] == f"{installed}/.venv/bin:/a$(shell touch P)b:{os.defpath}"
    assert not (installed / "P").exists()


CLEARS = """#!/bin/sh
case "$*" in *"venv --clear"*) rm -rf .venv/*; echo "$PWD" > "$PLACE"; exit 1;; esac
"""


@pytest.mark.parametrize("through_make", [True, False])
def test_no_folder_of_cdpath_is_emptied(clone, tmp_path, through_make):  # noqa: F811
    other = tmp_path / "other"
    (other / ".venv").mkdir(parents=True)
    (other / ".venv/mine").touch()
    (other / "envs").mkdir()
    script(tmp_path / "python", CLEARS)
    changes = {"CDPATH": str(other), "PLACE": str(tmp_path / "place")}
    if through_make:
        make(clone, ".venv/installed", PYTHON=str(tmp_path / "python"), **changes)
    else:
        changes |= {"PYTHON": str(tmp_path / "python")}
        subprocess.run(["envs/install"], cwd=clone, env=environment(clone, **changes), check=False)
    assert (tmp_path / "place").read_text(encoding="utf-8").strip() == str(clone)
    assert (other / ".venv/mine").exists()


INHERITED = [
    {},
    {"CDPATH": "CLONE/elsewhere"},
    {"QUOTING_STYLE": "shell-always"},
    {"GLOBIGNORE": "*"},
    {"IFS": "e"},
    {"POSIXLY_CORRECT": "1"},
    {"MAKEFLAGS": "i"},
]


@pytest.fixture
def study(installed):
    """A clone with a finished study, an older reference of it, and a folder for CDPATH."""
    for place in ("results/long", "elsewhere/results/long"):
        (installed / place / "figures").mkdir(parents=True)
    (installed / "results/long/figures/new").touch()
    (installed / "results/reference/long/figures").mkdir(parents=True)
    (installed / "results/reference/long/figures/old").touch()
    return installed


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("inherited", INHERITED)
def test_a_study_is_kept_whatever_is_inherited(study, inherited):
    inherited = {name: value.replace("CLONE", str(study)) for name, value in inherited.items()}
    done = make(study, "reference", "STUDY=long", **inherited)
    assert done.returncode == 0, done.stderr
    assert files(study / "results/reference") == ["long/figures/new"]


@pytest.mark.parametrize("inherited", INHERITED)
@pytest.mark.parametrize("typed", ["../../elsewhere", "..", ""])
def test_what_is_no_study_is_kept_whatever_is_inherited(study, inherited, typed):
    before = files(study)
    make(study, "reference", f"STUDY={typed}", **inherited)
    assert files(study) == before


@pytest.mark.parametrize("inherited", [{}, {"MAKEFLAGS": "i"}])
def test_a_copy_that_fails_keeps_the_older_one(study, inherited):
    script(study / ".venv/bin/cp", "#!/bin/sh\nexit 1\n")
    make(study, "reference", "STUDY=long", **inherited)
    assert files(study / "results/reference") == ["long/figures/old"]


# What installers are told

ELSEWHERE = {
    "user": "1",
    "target": "/t",
    "prefix": "/p",
    "root": "/r",
    "dry-run": "1",
    "no-deps": "1",
    "python": "/py",
    "constraint": "/c",
    "no-binary": ":all:",
    "require-hashes": "0",
    "platform": "any",
    "report": "/report",
}
INDEX = {"index-url": "https://i", "cert": "/c", "proxy": "http://p", "retries": "1"}


def test_options_that_lead_elsewhere_reach_no_installer():
    variables = {f"PIP_{name.upper().replace('-', '_')}": v for name, v in ELSEWHERE.items()}
    kept = {"PIP_INDEX_URL": "https://i", "PIP_CONFIG_FILE": "/f", "UV_INDEX": "u", "HOME": "/h"}
    leads = {name: "1" for name in uv_as_pip.ELSEWHERE}
    assert uv_as_pip.reaching(variables | kept | leads) == kept
    of_both = uv_as_pip.for_both(ELSEWHERE | INDEX, kept)
    pips = {name: value for name, value in of_both.items() if name.startswith("PIP_")}
    assert pips == {
        "PIP_INDEX_URL": "https://i",
        "PIP_CERT": "/c",
        "PIP_PROXY": "http://p",
        "PIP_RETRIES": "1",
        "PIP_CONFIG_FILE": os.devnull,
    }
    assert of_both["UV_DEFAULT_INDEX"] == "https://i"
    assert of_both["UV_INDEX"] == "u"


@pytest.mark.parametrize("place", ["variables", "pip.conf"])
def test_a_user_who_installs_elsewhere_gets_an_environment(clone, index, tmp_path, place):  # noqa: F811
    told = {"user": "yes", "target": str(tmp_path / "t"), "prefix": str(tmp_path / "p"),
            "dry-run": "yes", "no-deps": "yes", "python": "/none"}  # fmt: skip
    if place == "variables":
        changes = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in told.items()}
        changes |= {"PIP_INDEX_URL": index.url, "UV_SYSTEM_PYTHON": "1", "UV_NO_EDITABLE": "1"}
        changes |= {"PYTHONPATH": str(tmp_path / "broken"), "PYTHONOPTIMIZE": "2"}
        (tmp_path / "broken").mkdir()
        for name in ("ssl", "zipfile"):
            (tmp_path / "broken" / f"{name}.py").write_text("1 / 0", encoding="utf-8")
    else:
        del told["python"]  # pip itself takes it from the environment alone
        lines = [f"{name} = {value}\n" for name, value in told.items()]
        text = f"[global]\nindex-url = {index.url}\n[install]\n{''.join(lines)}"
        (tmp_path / "pip.conf").write_text(text, encoding="utf-8")
        changes = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    done = make(clone, ".venv/installed", **changes)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [str(clone / ".venv/bin/python"), "-c", "import tiny, ours; print(ours.__file__)"]
    assert subprocess.check_output(found, text=True).strip() == str(clone / "src" / "ours.py")
    assert not (tmp_path / "t").exists()
    assert not (tmp_path / "p").exists()


FAILS = """#!/bin/sh
# A Python whose virtual environment has an installer that fails.
case "$*" in *"venv --clear"*)
    mkdir -p .venv/bin
    printf '#!/bin/sh\\necho "%s" >&2\\nexit 1\\n' "$SAYS" > .venv/bin/python
    chmod +x .venv/bin/python;;
esac
"""


@pytest.mark.parametrize(
    ("says", "network"),
    [
        ("WARNING: Retrying after connection broken by NewConnectionError", True),
        ("ERROR: Could not find a version that satisfies the requirement uv==1", True),
        ("error: Failed to fetch: https://index.invalid/uv/", True),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", True),
        ("ERROR: Can not perform a '--user' install. User site-packages are not visible", False),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left", False),
        ("error: Failed to fetch: Permission denied (os error 13)", False),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", False),
    ],
)
def test_the_index_is_blamed_for_the_network_alone(clone, tmp_path, says, network):  # noqa: F811
    script(tmp_path / "python", FAILS)
    done = make(clone, ".venv/installed", PYTHON=str(tmp_path / "python"), SAYS=says)
    assert done.returncode != 0
    said, last = done.stderr.splitlines()[:2]
    assert said == says
    assert ("is there a way to a package index?" in last) == network
    assert not (Path(clone) / ".venv/installed").exists()


# Cores


@pytest.mark.parametrize(
    ("target", "option", "more"), [("demo", "--cores", 0), ("test", "--numprocesses", 1)]
)
@pytest.mark.parametrize(("typed", "cores"), [("3", 3), ("all", 5)])
def test_all_cores_are_those_that_this_process_may_have(
    installed, target, option, more, typed, cores
):
    (installed / "results/demo/claims").mkdir(parents=True)
    (installed / "results/demo/claims/claims.txt").touch()
    script(
        installed / ".venv/bin/python",
        '#!/bin/sh\ntest "$*" = "-m squareloss.machine.allowance" && echo 5',
    )
    commands = [arguments for arguments, _ in called(make(installed, target, f"CORES={typed}"))]
    [given] = [words[words.index(option) + 1] for words in commands if option in words]
    assert int(given) == cores + more
