"""The two recipes of an image: they say the same, and install what the lock files name."""

from pathlib import Path

ENVS = Path(__file__).parents[1] / "envs"
HOME = "/opt/squareloss/envs/"


def dockerfile():
    """(instruction, what follows) of the Dockerfile, long lines joined."""
    text = (ENVS / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def definition():
    """Apptainer's sections by name, each a list of lines; the header is the section ""."""
    sections = {"": (lines := [])}
    for line in (ENVS / "apptainer.def").read_text(encoding="utf-8").splitlines():
        if line.startswith("%"):
            lines = sections[line[1:]] = []
        elif line.strip() and not line.startswith("#"):
            lines.append(line.strip())
    return sections


def of(instruction):
    return [rest for word, rest in dockerfile() if word == instruction]


def test_both_start_from_the_same_image_and_run_the_same_commands():
    [base] = of("FROM")
    assert definition()[""] == ["Bootstrap: docker", "From: " + base.rpartition("/")[2]]
    assert definition()["post"] == of("RUN")


def test_both_copy_the_installer_and_all_that_it_reads():
    [copied] = of("COPY")
    *names, target = copied.split()
    assert target == HOME
    assert definition()["files"] == [f"envs/{name} {HOME}" for name in names]
    assert all((ENVS / name).is_file() for name in names)
    install = (ENVS / "install").read_text(encoding="utf-8")
    assert all(f"envs/{name}" in install for name in names)


def test_every_package_is_installed_by_its_hash():
    install = (ENVS / "install").read_text(encoding="utf-8")
    for lock in ("installer.txt", "lock.txt"):
        assert f"--require-hashes -r envs/{lock}" in install
        text = (ENVS / lock).read_text(encoding="utf-8").replace("\\\n", "")
        packages = [line for line in text.splitlines() if "==" in line and line[0] not in " #"]
        assert packages
        assert all("--hash=sha256:" in line for line in packages)


def test_both_set_the_same_environment():
    [setting] = of("ENV")
    ours = dict(item.split("=", 1) for item in setting.split())
    exported = [line.removeprefix("export ") for line in definition()["environment"]]
    theirs = dict(line.split("=", 1) for line in exported)
    [folder] = of("WORKDIR")
    assert theirs["PYTHONPATH"].replace("$PWD", folder) == ours["PYTHONPATH"]
    for name in ("SQUARELOSS_VENV", "PATH"):
        assert theirs[name] == ours[name]
