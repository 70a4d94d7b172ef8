"""Scoring speed on a CPU against `python -m gpn.ss.run_vep`, in one run on one machine.

    python benchmarks/score.py [--shapes 66M 0.5M] [--rounds 2] [--threads 2] [--alone]

Both score the same random sites of a random genome with the same random checkpoint, W = 512,
both strands, in float32 (varlm at `precision: auto` as well), each as a process of its own, in
turns. Milliseconds a site of steady scoring, by the clock (`wall`) and of processor time (`cpu`,
which other load on the machine disturbs less; meant for --threads 1, as waiting threads spin): the
peer's `Trainer.predict`, and the batches of the step `score`, which its run.json tells. `whole` is
the process from start to end. The peer runs at its default batch size, 8, and at 32; the better one
counts. The best of the rounds counts. Results go to `benchmarks/results/score.json`. Needs a Python
with gpn's inference extra (CONTRIBUTING.md); with --alone varlm runs without it, and there are no
ratios.
"""

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow_scripts"), str(ROOT / "tests")]

from making.parity_cases import FOLDER, peer_python
from making.toy_models import LEGACY_66M, make_checkpoint
from varlm.genome.encoding import index_reference
from varlm.models import preparing
from varlm.tables.parquet import write_table
from varlm.tables.schemas import SHARD

WINDOW = 512
SMALL = {
    "model_type": "GPN",
    "encoder": "convnet",
    "num_hidden_layers": 9,
    "hidden_size": 64,
    "intermediate_size": 256,
    "dilation_cycle": 6,
}
PATHS = {"PYTHONPATH": str(ROOT / "workflow_scripts")}
# The step `score`; the last line of its output is the seconds of its batches: by the clock as
# run.json has them, and the processor time of the calls that compute logits.
TIMED = """
import json, sys, time
from pathlib import Path
from varlm import cli
from varlm.scoring.commit_record import ShardRun
from varlm.scoring.scorer import Scorer
cpu = 0.0
inner = Scorer.sites
def timed(*args):
    global cpu
    start = time.process_time()
    logits = inner(*args)
    cpu += time.process_time() - start
    return logits
Scorer.sites = timed
status = cli.main(sys.argv[1:])
run = ShardRun.read(Path(sys.argv[sys.argv.index("--run") + 1]))
print(json.dumps({"wall": run.seconds, "cpu": cpu}))
sys.exit(status)
"""
# Shape → config, sites for varlm, sites for the peer.
SHAPES = {"66M": (LEGACY_66M, 64, 16), "0.5M": (SMALL, 1200, 600)}
PEERS = ("run_vep, batch 8", "run_vep, batch 32", "run_vep, three SNVs a site")


class Bench:
    """One checkpoint, one genome; `varlm` and `peer` return milliseconds a site."""

    def __init__(self, folder: Path, config: dict, threads: int):
        self.folder, self.threads = folder, threads
        self.model = make_checkpoint(folder / "model", config)
        rng = np.random.default_rng(0)
        self.text = "".join(rng.choice(list("ACGT"), 200_000))
        (folder / "genome.fa").write_text(f">chr1\n{self.text}\n")
        index_reference(folder / "genome.fa", folder / "reference")
        self.positions = np.sort(rng.choice(np.arange(1000, 199_000), 10_000, replace=False))

    def sites(self, count: int) -> list[int]:
        return self.positions[:: len(self.positions) // count][:count].tolist()

    def varlm(self, count: int, precision: str) -> dict[str, float]:
        model = preparing.prepare(
            self.model,
            name="bench",
            path=str(self.model),
            revision=None,
            window=WINDOW,
            strands="both",
            precision=precision,
        )
        model.write(self.folder / "model.json")
        rows = [("chr1", position, None, None) for position in self.sites(count)]
        shard = pl.DataFrame(rows, schema=SHARD.schema, orient="row")
        write_table(shard, self.folder / "shard.parquet", SHARD)
        argv = [sys.executable, "-c", TIMED, "score"]
        argv += ["--shard", self.folder / "shard.parquet"]
        argv += ["--reference", self.folder / "reference"]
        argv += ["--model", self.folder / "model.json"]
        argv += ["--sites", self.folder / "sites.parquet"]
        argv += ["--alleles", self.folder / "alleles.parquet", "--run", self.folder / "run.json"]
        argv += ["--threads", str(self.threads), "--device", "cpu"]
        return self.run(argv, count)

    def run(self, argv: list, count: int) -> dict[str, float]:
        """Run a process that ends with one JSON line of seconds; return milliseconds a site."""
        environment = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(self.threads)}
        start = time.perf_counter()
        done = subprocess.run(
            argv, capture_output=True, text=True, env=os.environ | PATHS | environment
        )
        whole = time.perf_counter() - start
        if done.returncode:
            sys.exit(done.stderr)
        for line in done.stderr.splitlines():
            if "computing in" in line:
                print("   ", line.split("INFO")[-1].strip(), flush=True)
        seconds = json.loads(done.stdout.splitlines()[-1]) | {"whole": whole}
        return {name: 1e3 * value / count for name, value in seconds.items()}

    def peer(self, count: int, snvs: int, batch: int) -> dict[str, float]:
        rows = [
            f"chr1\t{position}\t{self.text[position - 1]}\t{alt}"
            for position in self.sites(count)
            for alt in [base for base in "ACGT" if base != self.text[position - 1]][:snvs]
        ]
        table = self.folder / "variants.tsv"
        table.write_text("\n".join(["chrom\tpos\tref\talt", *rows]) + "\n")
        argv = [table, self.folder / "genome.fa", WINDOW, self.model, self.folder / "peer.parquet"]
        argv += ["--is_file", "--per_device_batch_size", batch]
        (self.folder / "runs.json").write_text(json.dumps([[str(word) for word in argv]]))
        script = FOLDER / "run_vep_cpu.py"
        argv = [peer_python(), script, self.folder / "runs.json", str(self.threads)]
        return self.run(argv, count)


def measure(shape: str, rounds: int, threads: int, alone: bool, share: float) -> dict:
    config, *sites = SHAPES[shape]
    ours, theirs = (max(int(count * share), 6) for count in sites)
    runs: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), config, threads)
        todo = {
            "run_vep, batch 8": lambda: bench.peer(theirs, 1, 8),
            "varlm float32": lambda: bench.varlm(ours, "float32"),
            "varlm auto": lambda: bench.varlm(ours, "auto"),
            "run_vep, batch 32": lambda: bench.peer(theirs, 1, 32),
            "run_vep, three SNVs a site": lambda: bench.peer(theirs // 3, 3, 8),
        }
        if alone:
            todo = {name: run for name, run in todo.items() if name not in PEERS}
        for number in range(rounds):
            for name, run in todo.items():
                found = run()
                runs.setdefault(name, []).append(found)
                text = ", ".join(f"{key} {value:.2f}" for key, value in found.items())
                print(f"{shape} round {number + 1}: {name:28} ms a site: {text}", flush=True)
    best = {
        name: {key: round(min(one[key] for one in found), 3) for key in found[0]}
        for name, found in runs.items()
    }

    def ratios(key: str) -> dict[str, float]:
        one = min(best[f"run_vep, batch {size}"][key] for size in (8, 32))
        three = best["run_vep, three SNVs a site"][key]
        return {
            f"{precision}, {label}": round(peer / best[f"varlm {precision}"][key], 2)
            for precision in ("float32", "auto")
            for label, peer in (("one SNV a site", one), ("three SNVs a site", three))
        }

    if alone:
        return {"sites": {"varlm": ours}, "ms_a_site": best}
    return {
        "sites": {"varlm": ours, "run_vep": theirs},
        "ms_a_site": best,
        "times_run_vep": {key: ratios(key) for key in ("wall", "cpu")},
    }


def machine() -> str:
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())
        name = found[1] if found else name
    return f"{name}, {os.cpu_count()} cores, no GPU"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--share", type=float, default=1, help="of the sites, to try it out")
    parser.add_argument("--alone", action="store_true", help="without the peer")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/score.json")
    args = parser.parse_args()
    if not args.alone and peer_python() is None:
        sys.exit("no Python with gpn[inference] found; set VARLM_PEER_PYTHON, or use --alone")
    results = json.loads(args.out.read_text()) if args.out.exists() else {}
    for shape in args.shapes:
        name = f"{shape}, threads: {args.threads}"
        results[name] = {
            "machine": machine(),
            "date": datetime.date.today().isoformat(),
            "load": round(os.getloadavg()[0], 1),  # before: others on the same machine
            "rounds": args.rounds,
        } | measure(shape, args.rounds, args.threads, args.alone, args.share)
        args.out.write_text(json.dumps(results, indent=2) + "\n")
        print(json.dumps(results[name], indent=2))


if __name__ == "__main__":
    main()
