"""Commands of Python in processes of their own that need not import the libraries first.

Most of what `python -m squareloss.train` takes on a few images is the import of PyTorch. Here one
process imports the libraries, nothing of squareloss, and every command is forked from it: a process
with its own number, signals, files and exit code, as `subprocess` has them. What depends on how an
interpreter starts (the locale, the seed of hashes, settings that libraries read when they are
imported, the memory that it takes) needs `subprocess`.
"""

import io
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess

LIBRARIES = [
    "matplotlib.figure", "pandas", "pyarrow.parquet", "pydantic", "pytest", "safetensors.torch",
    "scipy.stats", "seaborn", "snakemake.cli", "torch", "torch._dynamo", "tqdm", "yaml",
]  # fmt: skip
# torch._dynamo: what torch.optim imports, half a second and more, when the first optimiser is made.
server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(LIBRARIES)


class Process:
    """A command that runs: `words` are those of a command line after `python`, -m or -c first.

    `executable` is the Python that it finds itself run by, and starts others with.
    """

    def __init__(
        self,
        words: Sequence[str | Path],
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        executable: str | Path = sys.executable,
    ):
        self._folder = tempfile.TemporaryDirectory(prefix="forked-")  # removed with this object
        self._streams = [Path(self._folder.name, name) for name in ("stdout", "stderr")]
        for stream in self._streams:
            stream.touch()
        self.words = [str(word) for word in words]
        environment = dict(os.environ if env is None else env)
        place = str(cwd or Path.cwd())
        arguments = (self.words, self._streams, place, environment, str(executable))
        self._process = server.Process(target=_run, args=arguments)
        self._process.start()
        self.pid = self._process.pid
        # Not to wait, when the tests end, for one that a failed test has left behind or stopped.
        weakref.finalize(self, _end, self._process)

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.exitcode

    def wait(self) -> int:
        """The exit code, when it has ended; that of a signal is negative."""
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is the case, or the process has ended."""
        while self.poll() is None and not condition():
            time.sleep(0.01)

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._streams[0].read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        """What it has printed as errors so far."""
        return self._streams[1].read_text(encoding="utf-8")


def run(words: Sequence[str | Path], **keywords) -> CompletedProcess:
    """As `subprocess.run(["python", *words], capture_output=True, text=True)` would."""
    process = Process(words, **keywords)
    return CompletedProcess(process.words, process.wait(), process.stdout, process.stderr)


def _end(process: multiprocessing.process.BaseProcess) -> None:
    """Kill a process that still runs."""
    if process.exitcode is None:
        process.kill()
        process.join()


def _run(
    words: list[str], streams: list[Path], cwd: str, environment: dict[str, str], executable: str
) -> None:
    """Be `python *words` with these files as streams, in this folder and with these variables."""
    for number, path in enumerate(streams, 1):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.executable = executable
    become(words, cwd, environment)


def become(words: list[str], cwd: str, environment: dict[str, str]) -> None:
    """Be `python *words` from here on, its streams those of descriptors 1 and 2."""
    assert "squareloss" not in sys.modules, "a copy's package is what the words may mean"
    for number, name in enumerate(("stdout", "stderr"), 1):
        setattr(sys, name, io.TextIOWrapper(io.FileIO(number, "w"), "utf-8", line_buffering=True))
    multiprocessing.set_start_method(None, force=True)  # as in a Python that was started itself
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    first = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [*first, *sys.path]
    kind, program, *arguments = words
    sys.argv = [kind, *arguments]
    if kind == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        assert kind == "-c"
        exec(program, {"__name__": "__main__"})
