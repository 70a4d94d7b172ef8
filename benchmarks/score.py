"""Scoring speed on a CPU against `python -m gpn.ss.run_vep`, in one run on one machine.

    python benchmarks/score.py [--shapes 66M 0.5M] [--rounds 2] [--threads 2]

Both score the same random sites of a random genome with the same random checkpoint, W = 512,
both strands, in float32 (varlm at `precision: auto` as well), each as a process of its own, in
turns. `steady` is the time of scoring alone: `Trainer.predict` of the peer, the last progress
line of varlm's log. `whole` is the process from start to end. The peer runs at its default batch
size, 8, and at 32; the better one counts. The best of the rounds counts. Results go to
`benchmarks/results/score.json`. Needs a Python with gpn's inference extra (CONTRIBUTING.md).
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

from parity_cases import FOLDER, peer_python  # noqa: E402
from toy_models import LEGACY_66M, make_checkpoint  # noqa: E402
from varlm.models import checkpoint  # noqa: E402
from varlm.reference import index_reference  # noqa: E402
from varlm.schemas import SHARD, write_table  # noqa: E402

WINDOW = 512
SMALL = {
    "model_type": "GPN",
    "encoder": "convnet",
    "num_hidden_layers": 9,
    "hidden_size": 64,
    "intermediate_size": 256,
    "dilation_cycle": 6,
}
# Shape → config, sites for varlm, sites for the peer.
SHAPES = {"66M": (LEGACY_66M, 64, 16), "0.5M": (SMALL, 1200, 600)}


class Bench:
    """One checkpoint, one genome; each method returns seconds a site: (steady, whole run)."""

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

    def varlm(self, count: int, precision: str) -> tuple[float, float]:
        files = checkpoint.describe(self.model)
        settings = {
            "name": "bench",
            "folder": str(self.model),
            "files": files.files,
            "model_type": files.model_type,
            "window": WINDOW,
            "strands": "both",
            "precision": precision,
        }
        (self.folder / "model.json").write_text(json.dumps(settings))
        rows = [("chr1", position, None, None) for position in self.sites(count)]
        shard = pl.DataFrame(rows, schema=SHARD.schema, orient="row")
        write_table(shard, self.folder / "shard.parquet", SHARD)
        argv = [sys.executable, ROOT / "workflow_scripts", "score"]
        argv += ["--shard", self.folder / "shard.parquet"]
        argv += ["--reference", self.folder / "reference"]
        argv += ["--model", self.folder / "model.json"]
        argv += ["--sites", self.folder / "sites.parquet"]
        argv += ["--alleles", self.folder / "alleles.parquet"]
        argv += ["--threads", str(self.threads), "--device", "cpu"]
        start = time.perf_counter()
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        whole = time.perf_counter() - start
        for line in done.stderr.splitlines():
            if "computing in" in line:
                print("   ", line.split("INFO")[-1].strip(), flush=True)
        found = re.search(rf"{count} of {count} sites \(100 %\), (\S+) a second", done.stderr)
        assert found, done.stderr
        return 1 / float(found[1]), whole / count

    def peer(self, count: int, snvs: int, batch: int) -> tuple[float, float]:
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
        start = time.perf_counter()
        done = subprocess.run(
            [
                peer_python(),
                FOLDER / "run_vep_cpu.py",
                self.folder / "runs.json",
                str(self.threads),
            ],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(self.threads)},
        )
        whole = time.perf_counter() - start
        steady = json.loads(done.stdout.splitlines()[-1])["predict_s"]
        return steady / count, whole / count


def measure(shape: str, rounds: int, threads: int) -> dict:
    config, ours, theirs = SHAPES[shape]
    runs: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), config, threads)
        todo = {
            "run_vep, batch 8": lambda: bench.peer(theirs, 1, 8),
            "varlm float32": lambda: bench.varlm(ours, "float32"),
            "varlm auto": lambda: bench.varlm(ours, "auto"),
            "run_vep, batch 32": lambda: bench.peer(theirs, 1, 32),
            "run_vep, three SNVs a site": lambda: bench.peer(theirs // 3, 3, 8),
        }
        for number in range(rounds):
            for name, run in todo.items():
                steady, whole = run()
                runs.setdefault(name, []).append((steady, whole))
                print(
                    f"{shape} round {number + 1}: {name:28} {1e3 * steady:9.2f} ms a site steady,"
                    f" {1e3 * whole:9.2f} ms a site in all",
                    flush=True,
                )
    steady = {name: min(one for one, _ in found) for name, found in runs.items()}
    whole = {name: min(one for _, one in found) for name, found in runs.items()}
    one = min(steady["run_vep, batch 8"], steady["run_vep, batch 32"])
    three = steady["run_vep, three SNVs a site"]
    return {
        "sites": {"varlm": ours, "run_vep": theirs},
        "ms_a_site_steady": {name: round(1e3 * value, 3) for name, value in steady.items()},
        "ms_a_site_whole_run": {name: round(1e3 * value, 3) for name, value in whole.items()},
        "times_run_vep_steady": {
            f"{precision}, {label}": round(peer / steady[f"varlm {precision}"], 2)
            for precision in ("float32", "auto")
            for label, peer in (("one SNV a site", one), ("three SNVs a site", three))
        },
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
    args = parser.parse_args()
    if peer_python() is None:
        sys.exit("no Python with gpn[inference] found; set VARLM_PEER_PYTHON")
    path = ROOT / "benchmarks" / "results" / "score.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for shape in args.shapes:
        results[shape] = {
            "machine": machine(),
            "date": datetime.date.today().isoformat(),
            "threads": args.threads,
            "rounds": args.rounds,
        } | measure(shape, args.rounds, args.threads)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(results, indent=2) + "\n")
        print(json.dumps(results[shape]["times_run_vep_steady"], indent=2))


if __name__ == "__main__":
    main()
