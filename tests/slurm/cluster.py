"""A Slurm cluster on this machine: one node with two CPUs and two devices that pass for GPUs.

The devices are of two types, the node is in two partitions, one of which has no GPU for a job to
ask for, and a job is put back into the queue only if it asks for that.

It has its own munge, ports and folder. The plugin starts `srun` without the variable that would say
where the configuration is, so a link says it, where Slurm looks if /etc/slurm holds none. It needs
root, and `apt-get install slurm-wlm munge`.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

LINK = Path("/run/slurm/conf")
PORT = 16817
NODE = socket.gethostname().split(".")[0]
# cred_expire is also how long a requeued job waits; SchedulerParameters: no long pauses; MinJobAge:
# how long a finished job is known, which the tests ask about at their end.
CONF = """\
ClusterName=test
SlurmctldHost={node}(127.0.0.1)
SchedulerParameters=sched_interval=2,bf_interval=2
MinJobAge=3600
SlurmctldPort={port}
SlurmdPort=16818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
ReturnToService=0
JobRequeue=0
KillWait=10
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs=2 RealMemory=20000 Gres=gpu:a100:1,gpu:h100:1 State=UNKNOWN
PartitionName=gpu Nodes={node} Default=YES MaxTime=INFINITE State=UP
PartitionName=cpu Nodes={node} MaxTime=INFINITE State=UP
"""
# CUDA_VISIBLE_DEVICES of a job is 0 for the first and 1 for the second.
GRES = """\
NodeName={node} Name=gpu Type=a100 File=/dev/tty0
NodeName={node} Name=gpu Type=h100 File=/dev/tty1
"""


class Cluster:
    """The daemons and what to ask them; a context manager that starts and stops them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self.daemons: list[subprocess.Popen] = []

    def __enter__(self) -> "Cluster":
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir(mode=0o755, parents=True)
        key = self.folder / "munge" / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        (self.folder / "slurm.conf").write_text(
            CONF.format(node=NODE, port=PORT, folder=self.folder)
        )
        (self.folder / "gres.conf").write_text(GRES.format(node=NODE))
        LINK.parent.mkdir(exist_ok=True)
        LINK.unlink(missing_ok=True)
        LINK.symlink_to(self.folder)
        try:
            self._start_all(self.folder / "munge", key)
        except BaseException:
            self._stop_all()
            raise
        return self

    def _start_all(self, munge: Path, key: Path) -> None:
        self._start(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={munge}/socket",
            f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed",
        )  # fmt: skip
        wait_until(lambda: (munge / "socket").exists(), "munge's socket", 30)
        self._start("slurmctld", "-D")
        self._start("slurmd", "-D", "-N", NODE)
        wait_until(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%T"), "an idle node", 60)

    def __exit__(self, *_: object) -> None:
        try:
            self.empty()
        finally:
            self._stop_all()

    def empty(self) -> None:
        """Cancel every job, and wait until none is left."""
        self.ask("scancel", "--user=root")
        wait_until(lambda: not self.jobs(), "an empty queue", 60)

    def _stop_all(self) -> None:
        LINK.unlink()
        for daemon in reversed(self.daemons):
            daemon.terminate()
            daemon.wait(timeout=30)

    def _start(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.out").open("w") as output:
            self.daemons.append(
                subprocess.Popen(command, env=self.env, stdout=output, stderr=subprocess.STDOUT)
            )

    def ask(self, *command: str) -> str:
        """Output of a Slurm command; nothing if it fails."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        return done.stdout

    def jobs(self, state: str = "") -> list[str]:
        """Ids of the jobs in the queue, or of those in one state."""
        words = ["squeue", "-h", "-r", "-o", "%i", *(["-t", state] if state else [])]
        return self.ask(*words).split()

    def job(self, number: str) -> dict[str, str]:
        """What the controller knows of one job."""
        [job] = [job for job in self.all_jobs() if job["JobId"] == number]
        return job

    def entries(self) -> set[str]:
        """Numbers of all entries that the queue has had lately; the tasks of an array are one."""
        return {job.get("ArrayJobId", job["JobId"]) for job in self.all_jobs()}

    def numbers(self) -> set[str]:
        """Numbers of all jobs; each task of an array has its own."""
        return {job["JobId"] for job in self.all_jobs()}

    def all_jobs(self) -> list[dict[str, str]]:
        """What the controller knows of every job of the last minutes, the finished ones too."""
        lines = self.ask("scontrol", "show", "job", "-o").splitlines()
        return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines if "JobId=" in line]


def wait_until(condition: Callable[[], object], what: str, seconds: float) -> None:
    """Wait for a condition. Raises `TimeoutError` that names what was waited for."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {seconds} s")
        time.sleep(0.5)


def missing() -> str:
    """What this machine lacks for a cluster, in words; empty if nothing."""
    if os.geteuid() != 0:
        return "a cluster needs root"
    absent = [name for name in ("munged", "slurmctld", "slurmd") if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not found: apt-get install slurm-wlm munge"
    own = Path("/etc/slurm/slurm.conf")
    if own.exists():
        return f"this machine has a Slurm of its own: {own}"
    with socket.socket() as client:
        taken = client.connect_ex(("127.0.0.1", PORT)) == 0
    return f"another cluster runs on this machine, at port {PORT}" if taken else ""
