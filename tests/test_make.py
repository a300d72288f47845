"""The Makefile: installation from an index of the site's own, and what it refuses."""

import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")

spec = spec_from_file_location("uv_as_pip", ROOT / "envs" / "uv_as_pip.py")
uv_as_pip = module_from_spec(spec)
spec.loader.exec_module(uv_as_pip)


# pip's settings, for uv


def test_settings_of_pip_are_found_by_their_precedence():
    listing = (
        "global.index-url='https://one/simple'\n"
        "global.extra-index-url='https://a/simple\\nhttps://b/simple'\n"
        "global.cert='/etc/ca.pem'\n"
        "install.index-url='https://two/simple'\n"
        "list.format='json'\n"
        ":env:.index-url='https://three/simple'\n"
        ":env:.default-timeout='60'\n"
    )
    pip = uv_as_pip.options(listing)
    assert uv_as_pip.variables(pip, {}) == {
        "UV_DEFAULT_INDEX": "https://three/simple",
        "UV_INDEX": "https://a/simple https://b/simple",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "UV_HTTP_TIMEOUT": "60",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


@given(
    pip=st.dictionaries(st.sampled_from(sorted(uv_as_pip.VARIABLES)), st.text("ab /:\n")),
    environment=st.dictionaries(
        st.sampled_from([*(v for v, _ in uv_as_pip.VARIABLES.values()), "REQUESTS_CA_BUNDLE"]),
        st.text("cd"),
    ),
)
def test_what_the_user_set_for_uv_stays(pip, environment):
    given_to_uv = uv_as_pip.variables(pip, environment)
    assert not given_to_uv.keys() & environment.keys()
    assert all(value for value in given_to_uv.values())
    assert not any("\n" in value for value in given_to_uv.values())


def test_pip_itself_lists_what_is_read(tmp_path):
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://one/%%20\n", encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_CERT": "/a b.pem"}
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("this Python has no pip")
    found = uv_as_pip.options(listing.stdout)
    assert found["index-url"].startswith("https://one/")
    assert found["cert"] == "/a b.pem"


# A whole installation, of tiny packages


def wheel(name, files):
    """A wheel of version 1, as bytes."""
    info = f"{name}-1.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (stat.S_IFREG | 0o755) << 16
            archive.writestr(entry, text)
    return buffer.getvalue()


BACKEND = """
import pathlib, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    files = {
        "ours.pth": str(pathlib.Path.cwd() / "src"),
        "ours-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: ours\\nVersion: 1\\n",
        "ours-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nTag: py3-none-any\\n",
    }
    files["ours-1.dist-info/RECORD"] = "".join(f"{f},,\\n" for f in files)
    with zipfile.ZipFile(pathlib.Path(folder) / "ours-1-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return "ours-1-py3-none-any.whl"
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "ours"
version = "1"
"""


@pytest.fixture
def clone(tmp_path):
    """A folder with the Makefile, what installs, and a package "ours"."""
    folder = tmp_path / "clone"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "ours.py").touch()
    shutil.copy2(ROOT / "Makefile", folder)
    (folder / "envs").mkdir()
    for name in ("install", "uv_as_pip.py"):
        shutil.copy2(ROOT / "envs" / name, folder / "envs")
    for lock in ("installer.txt", "lock.txt"):
        (folder / "envs" / lock).touch()
    (folder / "backend.py").write_text(BACKEND, encoding="utf-8")
    (folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    return folder


class Index:
    """A package index on this machine; `asked` holds (program, path) of every request."""

    def __init__(self, folder):
        asked = self.asked = []

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(folder))

            def log_message(self, *arguments):
                asked.append((self.headers["User-Agent"].partition("/")[0], self.path))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"


@pytest.fixture
def index(clone, tmp_path):
    """An index of what the lock files name: a tiny package, and a uv that calls the real one."""
    if not UV.exists():
        pytest.skip("uv is not installed beside this Python")
    script = f'#!/bin/sh\necho "$@" >> "$UV_CALLS"\nexec {UV} "$@"\n'
    wheels = {
        "uv": wheel("uv", {"uv-1.data/scripts/uv": script}),
        "tiny": wheel("tiny", {"tiny.py": ""}),
    }
    for lock, name in [("installer.txt", "uv"), ("lock.txt", "tiny")]:
        digest = hashlib.sha256(wheels[name]).hexdigest()
        (clone / "envs" / lock).write_text(f"{name}==1 --hash=sha256:{digest}\n", encoding="utf-8")
        folder, file = tmp_path / "index" / "simple" / name, f"{name}-1-py3-none-any.whl"
        folder.mkdir(parents=True)
        (folder / file).write_bytes(wheels[name])
        (folder / "index.html").write_text(f'<a href="{file}">{file}</a>', encoding="utf-8")
    index = Index(tmp_path / "index")
    yield index
    index.server.shutdown()


def environment(folder, **changes):
    """The user's environment, without what it says about package indexes."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_", "MAKE"))}
    kept |= {"PIP_CONFIG_FILE": os.devnull, "UV_CALLS": str(folder / "calls"), "UV_NO_CONFIG": "1"}
    return kept | {"no_proxy": "127.0.0.1", "CORES": "2"} | changes


def make(folder, *arguments, **changes):
    command = ["make", *arguments, f"PYTHON={changes.pop('PYTHON', sys.executable)}"]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, **changes),
        capture_output=True,
        text=True,
        check=False,
    )


def test_everything_comes_from_the_index_that_pip_is_told(clone, index):
    done = make(clone, ".venv/installed", PIP_INDEX_URL=index.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("pip", "/simple/uv/") in index.asked
    assert ("uv", "/simple/tiny/") in index.asked
    found = [str(clone / ".venv/bin/python"), "-c", "import tiny, ours; print(ours.__file__)"]
    assert subprocess.check_output(found, text=True).strip() == str(clone / "src" / "ours.py")
    # Jobs may run: an edit takes nothing from under them. Another lock file does.
    calls = (clone / "calls").read_text(encoding="utf-8")
    (clone / "pyproject.toml").touch()
    (clone / "src" / "ours.py").touch()
    assert make(clone, ".venv/installed").returncode == 0
    assert (clone / "calls").read_text(encoding="utf-8") == calls
    (clone / "envs" / "lock.txt").touch()
    assert make(clone, "-q", ".venv/installed").returncode == 1


def test_lock_files_of_the_future_are_installed_once(clone, index):
    """As a clock that was set back leaves them, or an archive from a machine that is ahead."""
    future = time.time() + 1e6
    os.utime(clone / "envs" / "installer.txt", (future + 5, future + 5))
    os.utime(clone / "envs" / "lock.txt", (future, future))
    assert make(clone, ".venv/installed", PIP_INDEX_URL=index.url).returncode == 0
    assert make(clone, "-q", ".venv/installed").returncode == 0
    subprocess.run([clone / "envs" / "install"], env=environment(clone), check=True)
    assert len((clone / "calls").read_text(encoding="utf-8").splitlines()) == 2  # lock, package


def test_two_at_once_install_once(clone, index):
    command = ["make", ".venv/installed", f"PYTHON={sys.executable}"]
    env = environment(clone, PIP_INDEX_URL=index.url)
    both = [
        subprocess.Popen(command, cwd=clone, env=env, stdout=subprocess.DEVNULL) for _ in range(2)
    ]
    assert [process.wait() for process in both] == [0, 0]
    assert len((clone / "calls").read_text(encoding="utf-8").splitlines()) == 2  # lock, package


def test_what_failed_half_way_is_one_line_and_begins_anew(clone, index):
    nowhere = "http://127.0.0.1:9/simple"
    done = make(clone, ".venv/installed", PIP_INDEX_URL=nowhere, PIP_RETRIES="0")
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if line.startswith("make: not installed")]
    assert "PIP_INDEX_URL" in line
    assert not (clone / ".venv" / "installed").exists()
    done = make(clone, ".venv/installed", PIP_INDEX_URL=index.url)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_image_has_the_environment_and_a_clone_the_code(clone, index, tmp_path):
    image = tmp_path / "image"
    shutil.copytree(clone / "envs", image / "envs")  # nothing else: envs/Dockerfile
    env = environment(clone, PIP_INDEX_URL=index.url, PYTHON=sys.executable)
    subprocess.run([image / "envs" / "install"], env=env, check=True)
    python = image / ".venv" / "bin" / "python"
    subprocess.run([python, "-c", "import tiny"], check=True)
    inside = {"SQUARELOSS_VENV": str(image / ".venv")}
    done = make(clone, ".venv/installed", **inside)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{python}: " in make(clone, "merge", **inside).stderr  # has no squareloss to run
    assert not (clone / ".venv").exists()
    (clone / "envs" / "lock.txt").write_text("tiny==2\n", encoding="utf-8")
    done = make(clone, ".venv/installed", **inside)
    assert done.returncode != 0
    assert "the image was made from another envs/lock.txt" in done.stderr


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (None, "there is no such command"),
        ('case "$2" in *version_info*) exit 1;; esac', "Python 3.11, 3.12 or 3.13 is needed"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "apt-get install python3-venv"),
    ],
)
def test_a_python_that_does_not_do_is_one_line(clone, script, words):
    python = clone / "fake-python"
    if script is not None:
        python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        python.chmod(0o755)
    done = make(clone, ".venv/installed", PYTHON=str(python))
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (clone / ".venv").exists()


# What make refuses


@pytest.mark.parametrize("cores", ["0", "abc", "", "-1", "2.5", "2; touch x"])
def test_a_number_of_cores_that_is_none_is_one_line(clone, cores):
    done = make(clone, "demo", f"CORES={cores}")
    assert done.returncode != 0
    assert f"CORES={cores}: must be a number of cores" in done.stderr
    assert not (clone / ".venv").exists()
    assert not (clone / "x").exists()


@pytest.mark.parametrize("cores", ["1", "16", "all"])
def test_a_number_of_cores_is_taken(clone, cores):
    assert make(clone, "cores", f"CORES={cores}").returncode == 0


@pytest.mark.parametrize(
    "study", ["", "..", ".", "../../x", "a/b", "reference", "a b", "-r", "none", "';rm -r *;'"]
)
def test_reference_touches_nothing_outside_its_folder(clone, study):
    for place in (
        "results/a/b/figures",
        "results/reference/figures",
        "x/figures",
        "results/figures",
    ):
        (clone / place).mkdir(parents=True)
    before = sorted(clone.rglob("*"))
    done = make(clone, "reference", f"STUDY={study}")
    assert done.returncode != 0
    assert "not the name of a study" in done.stderr
    assert sorted(clone.rglob("*")) == before


def test_reference_keeps_a_study(clone):
    for name in ("figures/a.png", "claims/c.md", "runs/r"):
        (clone / "results/long" / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / "results/long" / name).touch()
    old = clone / "results/reference/long/figures/old.png"
    old.parent.mkdir(parents=True)
    old.touch()
    assert make(clone, "reference", "STUDY=long").returncode == 0
    kept = [p for p in (clone / "results/reference/long").rglob("*") if p.is_file()]
    assert sorted(path.name for path in kept) == ["a.png", "c.md"]
