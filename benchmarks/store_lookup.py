"""Planning against a large store, beside a plain DuckDB and a plain Polars join on its files.

    python benchmarks/store_lookup.py --folder SCRATCH --out benchmarks/results/store_lookup.json \
        [--rows 100000000] [--sites 1000000] [--rounds 3] [--duckdb-python PYTHON]

A synthetic store of `--rows` site rows on 24 contigs of human size (random logits of the spread
that GPN has), and a cohort of `--sites` random SNVs. `varlm plan` runs as the workflow runs it: a
process of its own, every part's SHA-256 verified, the shards written. The peers, in processes of
their own, only count the sites that are missing: an anti-join on contig and position. DuckDB is
no dependency of varlm: give a Python that has it. SCRATCH needs about 35 bytes a row.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow_scripts"))

from varlm.files.whole import write_digest
from varlm.models.prepared import SCORING_VERSION, PreparedModel
from varlm.scoring.plan_record import Plan
from varlm.store import KINDS, Store
from varlm.store.part_file import write_part
from varlm.tables.parquet import write_table
from varlm.tables.schemas import CONTIGS, LOGIT_COLUMNS, VARIANTS

MEGABASES = [248, 242, 198, 190, 181, 170, 159, 145, 138, 133, 135, 133]
MEGABASES += [114, 107, 101, 90, 83, 80, 58, 64, 46, 50, 156, 57]
KEY = "0" * 32
PIECE = 4_000_000

DUCKDB = """
import duckdb, sys
store, variants, threads = sys.argv[1:]
c = duckdb.connect()
c.execute(f"set threads={threads}")
c.execute("set enable_progress_bar=false")
print(c.execute(f'''
    select count(*) from (
        select distinct contig, pos from read_parquet('{variants}')
    ) q anti join (
        select regexp_extract(filename, '(SQ[.][0-9]+)/', 1) as contig, pos
        from read_parquet('{store}/SQ.*/*.parquet', filename=true)
    ) s using (contig, pos)''').fetchone()[0])
"""
POLARS = """
import polars as pl, sys
from pathlib import Path
store, variants, _ = sys.argv[1:]
wanted, missing = pl.scan_parquet(variants).select("contig", "pos").unique(), 0
for folder in sorted(Path(store).glob("SQ.*")):
    known = pl.scan_parquet(folder / "*.parquet").select("pos")
    here = wanted.filter(pl.col("contig") == folder.name)
    missing += here.join(known, on="pos", how="anti").select(pl.len()).collect().item()
print(missing)
"""


def make(folder: Path, rows: int, sites: int) -> None:
    """Write the store, the cohort and a reference whose sequence nobody reads."""
    rng = np.random.default_rng(0)
    genome = sum(MEGABASES) * 1_000_000
    store, parts = Store(folder / "store"), []
    logits = (3 * rng.standard_normal((PIECE + 1000, 8))).astype(np.float32)
    wanted = []
    for number, megabases in enumerate(MEGABASES):
        length = megabases * 1_000_000
        name = f"SQ.{number:02d}"
        here = np.flatnonzero(rng.random(length) < rows / genome).astype(np.uint32) + 1
        for start in range(0, len(here), PIECE):
            pos = here[start : start + PIECE]
            shift = int(rng.integers(1000))
            values = logits[shift : shift + len(pos)]
            frame = pl.DataFrame(
                {"pos": pos, **{c: values[:, i] for i, c in enumerate(LOGIT_COLUMNS)}}
            )
            parts.append(write_part(store.root, KEY, KINDS["sites"], name, frame))
        count = round(sites * length / genome)
        pos = np.sort(rng.choice(length, count, replace=False)).astype(np.uint32) + 1
        wanted.append(pl.DataFrame({"contig": [name] * count, "pos": pos}))
        print(f"contig {number + 1} of {len(MEGABASES)}", file=sys.stderr)
    with store.committing(KEY, {"precision": "float32"}) as commit:
        commit.add_listing(parts)

    variants = pl.concat(wanted).with_columns(
        chrom="contig",
        ref=pl.lit("A"),
        alt=pl.lit("C"),
        kind=pl.lit("snv"),
        record=pl.int_range(pl.len(), dtype=pl.UInt32),
    )
    rest = [pl.lit(None, dtype=t).alias(n) for n, t in VARIANTS.schema.items()]
    variants = variants.with_columns(
        c for c in rest if c.meta.output_name() not in variants.columns
    )
    write_table(variants.select(VARIANTS.names), folder / "variants.parquet", VARIANTS)
    write_digest(folder / "variants.parquet")

    reference = folder / "reference"
    reference.mkdir(exist_ok=True)
    lengths = [m * 1_000_000 for m in MEGABASES]
    names = [f"SQ.{n:02d}" for n in range(len(lengths))]
    offsets = np.cumsum([0, *lengths[:-1]])
    contigs = pl.DataFrame(
        {"contig": names, "length": lengths, "offset": offsets, "digest": names, "acgt": lengths},
        schema=CONTIGS.schema,
    )
    write_table(contigs, reference / "contigs.parquet", CONTIGS)
    with (reference / "genome.fa").open("wb") as file:
        file.truncate(sum(lengths) + 1)  # sparse
    model = PreparedModel(
        name="m",
        path="none",
        revision=None,
        folder=folder,
        model_type="GPN",
        files={},
        window=512,
        strands="both",
        precision="float32",
        scoring_version=SCORING_VERSION,
        key=KEY,
    )
    model.write(folder / "model.json")


def measure(command: list[str]) -> tuple[float, float, str]:
    """Run a command; return its seconds, peak MB and output."""
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"failed ({child.returncode}): {command}")
    return time.monotonic() - started, usage.ru_maxrss / 1000, output.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--sites", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duckdb-python", default=sys.executable)
    parser.add_argument(
        "--alone", action="store_true", help="without duckdb, which is no need of varlm"
    )
    args = parser.parse_args()
    folder = args.folder.resolve()
    if not (folder / "model.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        make(folder, args.rows, args.sites)
    threads = str(len(os.sched_getaffinity(0)))
    plan = [sys.executable, str(ROOT / "workflow_scripts"), "plan"]
    for flag, value in {
        "model": folder / "model.json",
        "reference": folder / "reference",
        "store": folder / "store",
        "cohort": "synthetic",
        "variants": folder / "variants.parquet",
        "sites-per-shard": 100_000,
        "plan": folder / "plan",
    }.items():
        plan += [f"--{flag}", str(value)]
    peer_arguments = [str(folder / "store" / KEY), str(folder / "variants.parquet"), threads]
    commands = {
        "varlm": plan,
        **({} if args.alone else {"duckdb": [args.duckdb_python, "-c", DUCKDB, *peer_arguments]}),
        "polars": [sys.executable, "-c", POLARS, *peer_arguments],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    memory = dict.fromkeys(commands, 0.0)
    missing = {}
    for turn in range(args.rounds + 1):
        for name, command in commands.items():
            wall, peak, output = measure(command)
            if turn:  # the first round fills the page cache
                seconds[name].append(wall)
                memory[name] = max(memory[name], peak)
            missing[name] = output
    planned = Plan.read(folder / "plan/plan.json").total
    peers = [name for name in commands if name != "varlm"]
    assert {missing[name] for name in peers} == {str(planned.sites_scored)}, missing
    parts = Store(folder / "store").parts(KEY)
    rows, size = sum(p.rows for p in parts), sum(p.bytes for p in parts)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    result = {
        "machine": f"{platform.machine()}, {threads} cores, {datetime.date.today()}",
        "rows": rows,
        "sites": planned.sites,
        "missing": planned.sites_scored,
        "bytes_per_row": round(size / rows, 2),
        "float_bytes_per_row": 4 * len(LOGIT_COLUMNS),
        "seconds": {name: [round(s, 2) for s in found] for name, found in seconds.items()},
        "median_seconds": {name: round(s, 2) for name, s in medians.items()},
        "peak_mb": {name: round(peak) for name, peak in memory.items()},
        "varlm_rate_over": {name: round(medians[name] / medians["varlm"], 2) for name in peers},
    }
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
