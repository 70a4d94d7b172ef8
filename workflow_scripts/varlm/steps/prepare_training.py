"""Read the genomes to train on, class their bases, lay windows and weigh them."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from varlm.errors import UserError
from varlm.files.whole import atomic_path, sha256
from varlm.tables.parquet import write_table
from varlm.tables.schemas import WINDOWS
from varlm.training.corpus import REGION_SHIFT, REGIONS, SETS
from varlm.training.genomes import Contig, Source, read_genome, sets_of
from varlm.training.windows import Layout, lay_windows

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument(
        "--genome", action="append", required=True, metavar="NAME=FASTA", help="repeat"
    )
    parser.add_argument(
        "--annotation", action="append", default=[], metavar="NAME=GFF", help="GFF3 or GTF; repeat"
    )
    parser.add_argument(
        "--held-out", action="append", default=[], metavar="CONTIG", help="for evaluation; repeat"
    )
    parser.add_argument(
        "--validation", action="append", default=[], metavar="CONTIG", help="for the loss; repeat"
    )
    parser.add_argument("--window", type=int, required=True, help="bp")
    parser.add_argument("--stride", type=int, required=True, help="bp between windows' starts")
    parser.add_argument("--promoter", type=int, required=True, help="bp before a transcript")
    parser.add_argument(
        "--genic-share", type=float, help="share of draws for exons with promoters; else as it is"
    )
    parser.add_argument("--keep-copies", action="store_true", help="weigh every window alike")
    parser.add_argument(
        "--keep-similar", action="store_true", help="train on copies of what is held out, too"
    )
    parser.add_argument("--out", type=Path, required=True, help="output folder")


def run(args: argparse.Namespace) -> None:
    """Write `bases.npy`, `windows.parquet` and `corpus.json`."""
    sources = _sources(args.genome, args.annotation)
    contigs = [contig for source in sources for contig in read_genome(source, args.promoter)]
    sets = sets_of(
        {s.name: [c.name for c in contigs if c.genome == s.name] for s in sources},
        args.held_out,
        args.validation,
    )
    which = [sets[contig.genome, contig.name] for contig in contigs]
    lengths = [contig.codes.size for contig in contigs]
    starts = [0, *np.cumsum(lengths).tolist()]
    layout = Layout(
        window=args.window,
        stride=args.stride,
        genic_share=args.genic_share,
        deduplicate=not args.keep_copies,
        exclude_similar=not args.keep_similar,
    )
    windows = lay_windows(contigs, which, starts, layout)
    _check(windows, contigs, which, args.window)

    args.out.mkdir(parents=True, exist_ok=True)
    bases = np.concatenate([contig.codes for contig in contigs])
    with atomic_path(args.out / "bases.npy") as temporary, temporary.open("wb") as file:
        np.save(file, bases)
    write_table(windows, args.out / "windows.parquet", WINDOWS)
    digest = hashlib.sha256(bases.data)
    digest.update(sha256(args.out / "windows.parquet").encode())
    description = {
        "digest": digest.hexdigest(),
        "bases": int(bases.size),
        **vars(layout),
        "promoter": args.promoter,
        "held_out": args.held_out,
        "validation": args.validation,
        "genomes": [
            {
                "name": source.name,
                "fasta": source.fasta.name,
                "annotation": source.annotation and source.annotation.name,
                "contigs": sum(c.genome == source.name for c in contigs),
                "bases": sum(c.codes.size for c in contigs if c.genome == source.name),
            }
            for source in sources
        ],
        "sets": {name: _counts(windows, contigs, which, name) for name in SETS},
    }
    with atomic_path(args.out / "corpus.json") as temporary:
        temporary.write_text(json.dumps(description, indent=2) + "\n")
    _report(description)


def _sources(genomes: Sequence[str], annotations: Sequence[str]) -> list[Source]:
    files = dict(pair.partition("=")[::2] for pair in annotations)
    named = [pair.partition("=")[::2] for pair in genomes]
    return [
        Source(name, Path(fasta), Path(files[name]) if name in files else None)
        for name, fasta in named
    ]


def _check(
    windows: pl.DataFrame, contigs: Sequence[Contig], sets: Sequence[str], window: int
) -> None:
    """Raise `UserError` if there is nothing to train on."""
    if windows.filter((pl.col("set") == "train") & (pl.col("weight") > 0)).height:
        return
    longest = max(
        (c.codes.size for c, which in zip(contigs, sets, strict=True) if which == "train"),
        default=0,
    )
    if longest < window:
        raise UserError(
            f"no contig to train on is as long as a window of {window} bp, the longest has "
            f"{longest} bp; lower train.<name>.windows.length or give longer contigs"
        )
    reasons = dict(
        windows.filter(pl.col("set") == "train").group_by("left_out").len().sort("len").iter_rows()
    )
    listed = ", ".join(f"{count} for {reason}" for reason, count in reasons.items())
    raise UserError(
        f"no window is left to train on ({listed}); are the contigs all N, or copies of those held "
        "out?"
    )


def _counts(
    windows: pl.DataFrame, contigs: Sequence[Contig], sets: Sequence[str], name: str
) -> dict[str, object]:
    of_set = windows.filter(pl.col("set") == name)
    members = [c for c, which in zip(contigs, sets, strict=True) if which == name]
    regions = np.zeros(len(REGIONS), np.int64)
    for contig in members:
        regions += np.bincount(contig.codes >> REGION_SHIFT, minlength=len(REGIONS))
    drawn = of_set.filter(pl.col("weight") > 0)
    return {
        "contigs": len(members),
        "bases": dict(zip(REGIONS, regions.tolist(), strict=True)),
        "windows": of_set.height,
        "drawn": drawn.height,
        "genic": drawn.filter("genic").height,
        "weight": drawn["weight"].sum(),
        "left_out": dict(
            of_set.drop_nulls("left_out").group_by("left_out").len().sort("left_out").iter_rows()
        ),
    }


def _report(description: dict[str, object]) -> None:
    for name, counts in description["sets"].items():  # type: ignore[attr-defined]
        log.info(
            "%s: %d contigs, %d windows, %d of them to draw from (%.0f without copies)%s",
            name,
            counts["contigs"],
            counts["windows"],
            counts["drawn"],
            counts["weight"],
            "".join(f"; {n} left out: {reason}" for reason, n in counts["left_out"].items()),
        )
