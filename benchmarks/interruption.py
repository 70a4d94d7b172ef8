"""What an interruption costs: work repeated after SIGKILL, time to stop, and the price of keeping.

    python benchmarks/interruption.py [--kills 20] [--sites 12000]

One shard, a small model on one core. The job is killed at seeded random moments and started again
until the kills are used up; the work repeated is what was done since the last record kept. The
baseline of the price is the same step without `--partial`, in the same run, in turns.
"""

import argparse
import datetime
import json
import os
import platform
import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow_scripts"), str(ROOT / "tests")]

from making.scoring import CONTIG, Job, child_of, scored_so_far, wait_until
from varlm.genome.encoding import index_reference


def kills(job: Job, count: int) -> list[float]:
    """Return, for each kill, the seconds since the last scores were kept."""
    rng = random.Random(count)
    partial = job.out("killed") / "partial"
    lost = []
    while len(lost) < count:
        before = scored_so_far(job, "killed")
        process = job.start("killed", supervise=False)
        wait_until(
            lambda b=before, p=process: scored_so_far(job, "killed") > b or p.poll() is not None
        )
        time.sleep(rng.uniform(0, 3))
        if not partial.exists():  # done, or nearly: start over
            process.wait()
            for file in job.out("killed").iterdir():
                file.unlink()
            continue
        kept = partial.stat().st_mtime  # the folder's: a file came into it
        process.kill()
        lost.append(time.time() - kept)
        process.wait()
    assert job.start("killed", supervise=False).wait() == 0
    assert job.tables("killed") == job.tables("whole")
    return lost


def seconds_to_stop(job: Job, rounds: int = 5) -> list[float]:
    """Return the seconds from SIGTERM to the end of the job and its child."""
    found = []
    for _ in range(rounds):
        process = job.start("stopped")
        child_of(process)
        kept = scored_so_far(job, "stopped")
        wait_until(lambda k=kept: scored_so_far(job, "stopped") > k)
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait()
        found.append(time.monotonic() - told)
    return found


def price(job: Job, rounds: int = 5) -> dict[str, float]:
    """Return the median seconds of the scoring itself, with and without keeping scores."""
    seconds: dict[str, list[float]] = {"kept": [], "not kept": []}
    for _ in range(rounds):
        for how, found in seconds.items():
            job.out(how).mkdir(exist_ok=True)
            command = job.command(how, supervise=False)
            if how == "not kept":
                at = command.index("--partial")
                del command[at : at + 2]
            assert os.spawnv(os.P_WAIT, command[0], command) == 0
            found.append(json.loads((job.out(how) / "run.json").read_text())["seconds"])
    return {how: round(statistics.median(found), 3) for how, found in seconds.items()}


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--sites", type=int, default=6_000)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/interruption.json")
    args = parser.parse_args()
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "genome.fa").write_text(f">one\n{CONTIG}\n")
        index_reference(folder / "genome.fa", folder / "reference")
        job = Job(folder, folder / "reference", args.sites)
        assert job.start("whole", supervise=False).wait() == 0
        whole = json.loads((job.out("whole") / "run.json").read_text())["seconds"]
        lost = kills(job, args.kills)
        figures = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "date": str(datetime.date.today()),
            "load": load,
            "shard_seconds": whole,
            "kills": args.kills,
            "seconds_repeated": {
                "median": round(statistics.median(lost), 2),
                "largest": round(max(lost), 2),
            },
            "seconds_to_stop": round(max(seconds_to_stop(job)), 2),
            "seconds_of_scoring": price(job),
        }
    args.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
