"""The page of a study names the commit of its code, also in a clone of another user."""

import os
import subprocess

import pytest

from squareloss.pages.study_readme import origin

GIT = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "file").write_text("1", encoding="utf-8")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "first"]):
        subprocess.run([*GIT, *command], cwd=folder, check=True)
    return folder


def commit(folder):
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=folder, text=True).strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_clone_of_another_user_is_read_all_the_same(repository):
    known = commit(repository)
    for path in [repository, *repository.rglob("*")]:
        os.chown(path, 4321, 4321)
    refused = subprocess.run(
        ["git", "status"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert "dubious ownership" in refused.stderr  # what git says without more
    assert origin(repository / "file").endswith(f"commit `{known}`.")
    (repository / "file").write_text("2", encoding="utf-8")
    assert "not committed" in origin(repository / "file")


def test_the_repository_is_that_of_the_code_whatever_the_environment_says(
    repository, tmp_path, monkeypatch
):
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=other, check=True)
    known = commit(repository)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert origin(repository / "file").endswith(f"commit `{known}`.")


def test_where_there_is_no_commit_the_reason_stands(repository, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    assert "of no known commit (fatal: not a git repository" in origin(file)
    (repository / "installed").touch()
    assert "of no known commit (error: pathspec 'installed'" in origin(repository / "installed")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "of no known commit (No such file or directory: git)" in origin(repository / "file")
