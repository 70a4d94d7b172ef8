"""A Slurm of a few nodes on loopback, for tests: munged, slurmctld and slurmd of our own.

The daemons are children of the test and end with it. Their configuration, keys and state lie in one
temporary folder; nothing is written elsewhere, so that a Slurm of the machine's own is left alone.
There are no cgroups and no accounting: `squeue` tells how jobs are, a job above its memory is
killed by the job's own accounting, and GPUs are plain files that are counted and handed out.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = (
    "sbatch",
    "srun",
    "squeue",
    "scancel",
    "scontrol",
    "sinfo",
    "sacct",
    "sacctmgr",
    "sshare",
)
# What a node says it has: more than this machine, so that jobs of the profile's sizes fit.
PARTITIONS = {"main": ("a", "b"), "frail": ("c", "d"), "rest": ("e",)}
NODES = [node for nodes in PARTITIONS.values() for node in nodes]
CPUS, MEMORY_MB = 16, 64_000
GPUS = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 4}
GPU = "1g.10gb"  # their type, named like a slice of an A100 (MIG)
KILL_WAIT = 10  # seconds between SIGTERM and SIGKILL
REQUEUE_WAIT = 15  # seconds until a job that lost its node may start again; Slurm's default: 120
_MARK = "SLURM_MAKING_NODE"  # in the environment of a node's slurmd: which node it is
# slurmctld looks for jobs above their time limit every 30 s.


def missing():
    """Return why no Slurm can be started here, or None."""
    absent = [
        name for name in (*DAEMONS, *CLIENTS) if shutil.which(name, path=_system_path()) is None
    ]
    if absent:
        return f"{', '.join(absent)} not found (Debian: slurmctld slurmd slurm-client munge)"
    if os.geteuid() != 0:
        return "slurmd starts jobs for other users: only root can run it"
    return None


def _system_path():
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def _free_ports(count):
    """Ports that nobody listens on at the moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(condition, seconds, what):
    """Wait until `condition` returns something true, and return that; fail after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}")


@dataclass
class Job:
    """A job as `scontrol show job` tells of it."""

    fields: dict

    @property
    def id(self):
        return self.fields["JobId"]

    @property
    def state(self):
        return self.fields["JobState"]

    @property
    def node(self):
        return self.fields.get("NodeList", "")

    @property
    def rule(self):
        """Rule that Snakemake submitted it for, or a group and the names of its rules."""
        return re.match(r"rule_(\w+?)(?:_wildcards_.*)?$", self.fields["Comment"].strip())[1]

    @property
    def gpus(self):
        """GPUs that Slurm counted as this job's."""
        found = re.match(r"gpu:(?:[\w.]+:)?(\d+)", self.fields["JOB_GRES"])
        return int(found[1]) if found else 0

    @property
    def memory_mb(self):
        found = re.search(r"mem=(\d+)([MG])", self.fields["TRES"])
        return int(found[1]) * {"M": 1, "G": 1024}[found[2]]

    @property
    def cpus(self):
        return int(self.fields["NumCPUs"])

    @property
    def minutes(self):
        """Time limit."""
        days, _, clock = self.fields["TimeLimit"].rpartition("-")
        hours, minutes, _ = map(int, clock.split(":"))
        return (int(days or 0) * 24 + hours) * 60 + minutes


@dataclass
class Cluster:
    """A running Slurm.

    Attributes
    ----------
    home : Path
        Its configuration, logs and state.
    environment : dict
        In which sbatch, squeue and the others are those of this cluster.
    """

    home: Path
    environment: dict
    daemons: list = field(default_factory=list)

    def run(self, *command):
        """Run a command of Slurm; return what it printed."""
        result = subprocess.run(
            [str(part) for part in command],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
        return result.stdout

    def jobs(self, folder=None):
        """All jobs so far, in order; those of Snakemake runs in `folder`, if given."""
        text = self.run("scontrol", "show", "job", "--oneliner", "--details")
        jobs = [
            Job(dict(re.findall(r"(\S+?)=(.*?)(?= [A-Z][\w/:]*=|$)", line.strip())))
            for line in text.splitlines()
            if line.startswith("JobId=")
        ]
        jobs.sort(key=lambda job: int(job.id))
        return [job for job in jobs if folder is None or job.fields["WorkDir"] == str(folder)]

    def log(self):
        """The daemons' logs, for a test that fails."""
        return "\n".join(path.read_text() for path in sorted(self.home.glob("*.log")))

    def start(self, *command, node=""):
        """Start a daemon in the foreground; it gets SIGTERM when the test's process dies."""
        with (self.home / f"{Path(command[0]).name}.out").open("ab") as output:
            self.daemons.append(
                subprocess.Popen(
                    ["setpriv", "--pdeathsig", "TERM", *map(str, command)],
                    env={**self.environment, _MARK: node},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.home,
                )
            )

    def lose(self, node):
        """Take the power from a node: its slurmd and all that it runs are gone at once."""
        daemons, tasks = [], []
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                environment = process.environ()
                if environment.get(_MARK) == node:
                    daemons.append(process)
                elif environment.get("SLURMD_NODENAME") == node:
                    tasks.append(process)
                    daemons += [each for each in process.parents() if each.name() == "slurmstepd"]
        for process in daemons + tasks:  # the daemons first, or they would tell of the tasks' end
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        # slurmctld finds that out by itself after SlurmdTimeout, five minutes.
        self.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=lost")

    def _processes(self):
        """The processes of the cluster: daemons, and jobs with all that they started."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if f"{self.home}/bin:" in process.environ().get("PATH", ""):
                    yield process

    def stop(self):
        """End the jobs, then the daemons, the last started first; leave no process."""
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):  # it may be dead
            self.run("scancel", "--full", "--signal=KILL", "--user", "root")
            self.run("scancel", "--user", "root")
            wait_for(lambda: not self.run("squeue", "--noheader"), 30, "the jobs' end")
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                process.kill()


def _write_wrappers(home):
    """Write sbatch, srun, …, that find this cluster: the executor removes SLURM_CONF from jobs."""
    wrappers = home / "bin"
    wrappers.mkdir()
    for name in CLIENTS:
        path = wrappers / name
        program = shutil.which(name, path=_system_path())
        path.write_text(f'#!/bin/sh\nSLURM_CONF="{home}/slurm.conf" exec {program} "$@"\n')
        path.chmod(0o755)
    return wrappers


def _write_configuration(home, ports):
    host = socket.gethostname().split(".")[0]
    devices = home / "dev"
    devices.mkdir()
    nodes, gres = [], ["AutoDetect=off"]
    for node, port in zip(NODES, ports[1:], strict=True):
        nodes.append(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} "
            f"RealMemory={MEMORY_MB} Gres=gpu:{GPU}:{GPUS[node]} State=UNKNOWN"
        )
        for number in range(GPUS[node]):
            (devices / f"{node}{number}").touch()
        files = f"{devices}/{node}[0-{GPUS[node] - 1}]" if GPUS[node] > 1 else f"{devices}/{node}0"
        gres.append(f"NodeName={node} Name=gpu Type={GPU} File={files}")
        (home / f"spool.{node}").mkdir()
    lines = [
        "ClusterName=test",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={ports[0]}",
        "AuthType=auth/munge",
        f"AuthInfo=socket={home}/munge/socket,cred_expire={REQUEUE_WAIT - 1}",
        "SlurmUser=root",
        f"StateSaveLocation={home}/state",
        f"SlurmctldPidFile={home}/slurmctld.pid",
        f"SlurmctldLogFile={home}/slurmctld.log",
        f"SlurmdPidFile={home}/slurmd.%n.pid",
        f"SlurmdLogFile={home}/slurmd.%n.log",
        f"SlurmdSpoolDir={home}/spool.%n",
        "SlurmdParameters=config_overrides",  # a node is what NodeName says
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "JobAcctGatherType=jobacct_gather/linux",
        "JobAcctGatherFrequency=task=1",
        "JobAcctGatherParams=OverMemoryKill",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        "GresTypes=gpu",
        "ReturnToService=0",  # a node that was set DOWN stays so
        "MpiDefault=none",
        "AccountingStorageType=accounting_storage/none",
        "JobCompType=jobcomp/none",
        "MinJobAge=3600",
        f"KillWait={KILL_WAIT}",
        "SchedulerParameters=sched_interval=1,batch_sched_delay=0",
        *nodes,
        *(
            f"PartitionName={name} Nodes={','.join(members)} MaxTime=INFINITE State=UP "
            f"Default={'YES' if name == 'main' else 'NO'}"
            for name, members in PARTITIONS.items()
        ),
    ]
    (home / "state").mkdir()
    (home / "slurm.conf").write_text("\n".join(lines) + "\n")
    (home / "gres.conf").write_text("\n".join(gres) + "\n")


@contextlib.contextmanager
def running_slurm(home):
    """Start a cluster in the folder `home`, and end it and its jobs in any case.

    Yields
    ------
    Cluster
        With both nodes idle.

    Raises
    ------
    AssertionError
        With the daemons' logs, if it does not come up.
    """
    home = Path(home)
    _write_configuration(home, _free_ports(1 + len(NODES)))
    munge = home / "munge"
    munge.mkdir(mode=0o700)
    (munge / "key").write_bytes(os.urandom(1024))
    (munge / "key").chmod(0o400)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    path = os.pathsep.join([str(_write_wrappers(home)), _system_path()])
    cluster = Cluster(home, {**clean, "PATH": path})
    try:
        # --force: the temporary folder is not as strictly owned as munged wants it.
        cluster.start(
            *["munged", "--foreground", "--force", f"--key-file={munge}/key"],
            *[f"--socket={munge}/socket", f"--pid-file={home}/munged.pid"],
            *[f"--log-file={home}/munged.log", f"--seed-file={munge}/seed"],
        )
        wait_for((munge / "socket").exists, 20, f"munged\n{cluster.log()}")
        cluster.start("slurmctld", "-D", "-f", home / "slurm.conf")
        for node in NODES:
            cluster.start("slurmd", "-D", "-N", node, "-f", home / "slurm.conf", node=node)
        _wait_until_idle(cluster)
        yield cluster
    finally:
        cluster.stop()


def _wait_until_idle(cluster):
    """Wait until each node takes jobs."""

    def idle():
        result = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format=%N %T"],
            env=cluster.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return result.stdout.split() == [word for node in NODES for word in (node, "idle")]

    try:
        wait_for(idle, 60, "idle nodes")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{cluster.log()}") from None
