"""`python` for the jobs of a workflow, in processes that need not import the libraries first.

Snakemake's jobs are commands of a shell. In a folder of its own there is a command `python` that
hands its words, folder, variables and streams to a process with the libraries of tests/forked.py,
which forks one that runs the job. What it exits with, `python` does too. A signal to `python` does
not reach the job: what is about signals needs a Python that is started.
"""

import json
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path

import forked

COMMAND = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as jobs:
    jobs.connect({address!r})
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(jobs, [len(request).to_bytes(8, "big")], [0, 1, 2])
    jobs.sendall(request)
    code = jobs.recv(1)
sys.exit(code[0] if code else 1)
"""


@cache
def jobs_python() -> Path:
    """The command; the process behind it lives as long as this one."""
    folder = tempfile.TemporaryDirectory(prefix="jobs-")
    # Named as the Python of an environment is, in whose folder Snakemake looks for commands.
    command = Path(folder.name, "python")
    process = forked.server.Process(target=_serve, args=(command,), daemon=True)
    process.start()
    jobs_python.kept = folder, process
    while not command.exists():
        assert process.is_alive()
        time.sleep(0.01)
    return command


def _serve(command: Path) -> None:
    """Run jobs side by side, for as long as the tests run."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a job
    address = str(command.with_name("socket"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        temporary = command.with_name("new")
        temporary.write_text(
            COMMAND.format(python=sys.executable, address=address), encoding="utf-8"
        )
        temporary.chmod(0o755)
        temporary.rename(command)
        listening.settimeout(5)
        tests = multiprocessing.parent_process()
        while tests.is_alive():  # however they end
            with suppress(TimeoutError):
                _start(listening)


def _start(listening: socket.socket) -> None:
    """Take the next job, and have a process of its own run it."""
    connection, _ = listening.accept()
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listening.close()
        _run(connection)
    connection.close()


def _run(connection: socket.socket) -> None:
    """Run one job, tell what it exits with, and end."""
    size, streams, *_ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as file:
        words, cwd, environment = json.loads(file.read(int.from_bytes(size, "big")))
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    code: object = 1
    try:
        forked.become(words, cwd, environment)
        code = 0
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(bytes([int(code)]))
        os._exit(0)
