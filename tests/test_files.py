"""Outputs appear whole or not at all, and what a killed process leaves harms nobody."""

import ast
import errno
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import threading

import pandas as pd
import pytest
from workflow_copy import ROOT

from squareloss import files
from squareloss.errors import UserError
from squareloss.files import discard_partial, lock, whole

PART = "metrics/margins/recipe=cnn6/wd=0.001/block={}.parquet"
KILLED = """
import os, signal, sys
from squareloss.files import whole
with whole(sys.argv[1]) as path:
    path.write_bytes(b"half of a table")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def hidden(folder):
    return [path for path in folder.rglob(".*")]


def killed_while_writing(path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_file_is_there_when_it_is_whole(tmp_path):
    path = tmp_path / PART.format(0)
    with whole(path) as temporary:
        temporary.write_text("a", encoding="utf-8")
        assert not path.exists()
        assert not hidden(tmp_path / "metrics" / "margins")
    assert path.read_text(encoding="utf-8") == "a"
    assert not hidden(tmp_path)


def test_an_earlier_file_stays_if_the_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("earlier", encoding="utf-8")

    def write() -> None:
        with whole(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert path.read_text(encoding="utf-8") == "earlier"
    assert not hidden(tmp_path)


def test_a_table_is_read_beside_what_a_killed_process_left(tmp_path):
    """Readers take every file below the folder of a table, whatever its name."""
    first, second = (tmp_path / PART.format(block) for block in (0, 1))
    with whole(first) as temporary:
        pd.DataFrame({"margin": [1.0]}).to_parquet(temporary)
    killed_while_writing(second)
    below = [path for path in (tmp_path / "metrics/margins").rglob("*") if path.is_file()]
    assert below == [first]
    assert len(hidden(tmp_path)) == 1
    # It goes when the next file is written, or when its own path is asked for.
    with whole(first) as temporary:
        pd.DataFrame({"margin": [2.0]}).to_parquet(temporary)
    assert not hidden(tmp_path)
    killed_while_writing(second)
    discard_partial(first)
    assert len(hidden(tmp_path)) == 1
    discard_partial(second)
    assert not hidden(tmp_path)


def test_what_a_living_process_writes_is_left_alone(tmp_path):
    one, other = (tmp_path / PART.format(block) for block in (0, 1))
    with whole(one) as a:
        a.write_text("one", encoding="utf-8")
        with whole(other) as b:
            b.write_text("other", encoding="utf-8")
        assert a.exists()
    assert one.read_text(encoding="utf-8") == "one"
    assert not hidden(tmp_path)


@pytest.mark.parametrize("other", ["elsewhere", "here.too"])  # or a name that begins with this one
def test_what_another_machine_writes_is_left_alone(other, tmp_path, monkeypatch):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / "metrics" / files.STAGING / f"{other}.{dead.pid}.0123"
    left.mkdir(parents=True)
    monkeypatch.setattr(files, "_owner", lambda: "here")
    with whole(tmp_path / PART.format(0)) as temporary:
        temporary.write_text("a", encoding="utf-8")
    assert left.exists()


def test_beside_another_file_system_the_folder_itself_is_used(tmp_path, monkeypatch):
    path = tmp_path / PART.format(0)
    path.parent.mkdir(parents=True)
    real = os.stat
    home = tmp_path / "metrics"

    def stat(where, *args, **kwargs):
        found = real(where, *args, **kwargs)
        if os.fspath(where) == os.fspath(home):
            found = os.stat_result([*found[:2], found.st_dev + 1, *found[3:]])
        return found

    monkeypatch.setattr(files.os, "stat", stat)
    with whole(path) as temporary:
        assert temporary.is_relative_to(path.parent)
        temporary.write_text("a", encoding="utf-8")
    assert path.exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=r"b\.txt could not be written: File exists"):
        whole(tmp_path / "file" / "b.txt").__enter__()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_lock_is_a_safeguard(tmp_path, monkeypatch, capsys, number):
    def none(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    with (tmp_path / "x.lock").open("w", encoding="utf-8") as file:
        lock(file, wait=False)
    [line] = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / 'x.lock'} cannot be locked ({os.strerror(number)})" in line


def test_a_lock_is_held_by_one(tmp_path):
    path = tmp_path / "x.lock"
    with path.open("w", encoding="utf-8") as one, path.open("w", encoding="utf-8") as other:
        lock(one, wait=False)
        with pytest.raises(BlockingIOError):
            lock(other, wait=False)


WRITER = """
import sys
import threading
from pathlib import Path
from squareloss.files import whole
for i in range(300):
    with whole(Path(sys.argv[1], f"{sys.argv[2]}.{i % 3}.txt")) as path:
        path.write_text("x")
"""


def test_jobs_that_write_at_once_do_not_remove_each_others_folder(tmp_path):
    """They share the staging folder, which goes whenever it is empty."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "study" / "aggregate")]
    jobs = [subprocess.Popen([*command, str(n)], stderr=subprocess.PIPE) for n in range(6)]
    errors = [job.communicate()[1].decode() for job in jobs]
    assert errors == [""] * 6
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == sorted(
        f"{n}.{i}.txt" for n in range(6) for i in range(3)
    )


def test_a_lock_is_waited_for(tmp_path):
    path = tmp_path / "x.lock"
    got, errors = threading.Event(), []
    with path.open("w", encoding="utf-8") as one, path.open("w", encoding="utf-8") as other:

        def wait():
            try:
                lock(other, wait=True)
                got.set()
            except OSError as error:
                errors.append(error)

        lock(one, wait=False)
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.3)
        assert errors == []
        assert waiting.is_alive()
        one.close()
        assert got.wait(20)
        waiting.join()


def test_a_checksum_is_of_all_bytes(tmp_path):
    path = tmp_path / "large"
    content = bytes(range(256)) * 5000
    path.write_bytes(content)
    assert files.checksum(path) == hashlib.sha256(content).hexdigest()


def test_text_files_of_the_package_are_utf8_whatever_the_locale():
    # Ruff's PLW1514 sees only the paths whose type it can tell.
    found = 0
    for path in (ROOT / "src").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if getattr(getattr(call.func, "value", None), "id", "") == "tarfile":
                continue  # archives hold bytes
            words = [value.value for value in call.args if isinstance(value, ast.Constant)]
            binary = any(isinstance(word, str) and "b" in word for word in words)
            if name in ("read_text", "write_text") or (name == "open" and words and not binary):
                found += 1
                keywords = [keyword.arg for keyword in call.keywords]
                assert "encoding" in keywords, f"{path}:{call.lineno}"
    assert found > 5
