"""Read the genomes to train on, class their bases, lay windows and weigh them."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from varlm.errors import UserError
from varlm.files.whole import atomic_path, sha256
from varlm.run.genome_groups import group_error
from varlm.tables.parquet import write_table
from varlm.tables.schemas import WINDOWS
from varlm.training.genomes import Source
from varlm.training.preparing import Contents, describe, prepare, report
from varlm.training.windows import Layout


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
        "--families", action="store_true", help="coding sequence counts by its proteins' families"
    )
    parser.add_argument(
        "--keep-similar", action="store_true", help="train on copies of what is held out, too"
    )
    parser.add_argument(
        "--group", action="append", default=[], metavar="NAME=GROUP", help="of a genome; repeat"
    )
    parser.add_argument(
        "--share",
        action="append",
        default=[],
        metavar="GROUP=SHARE",
        help="of the draws that the genomes of a group get; repeat",
    )
    parser.add_argument("--out", type=Path, required=True, help="output folder")


def run(args: argparse.Namespace) -> None:
    """Write `bases.npy`, `windows.parquet` and `corpus.json`."""
    layout = Layout(
        window=args.window,
        stride=args.stride,
        genic_share=args.genic_share,
        deduplicate=not args.keep_copies,
        exclude_similar=not args.keep_similar,
        families=args.families,
        shares={group: float(share) for group, share in _pairs(args.share).items()} or None,
    )
    annotations, groups = _pairs(args.annotation), _pairs(args.group)
    sources = [
        Source(
            name,
            Path(fasta),
            Path(annotations[name]) if name in annotations else None,
            groups.get(name),
        )
        for name, fasta in _pairs(args.genome).items()
    ]
    error = group_error({source.name: source.group for source in sources}, layout.shares)
    if error is not None:
        raise UserError(f"--group and --share: {error}")
    contents = Contents(sources, layout, args.promoter, args.held_out, args.validation)
    prepared = prepare(contents)
    bases = prepared.bases
    with atomic_path(args.out / "bases.npy") as temporary, temporary.open("wb") as file:
        np.save(file, bases)
    write_table(prepared.windows, args.out / "windows.parquet", WINDOWS)
    digest = hashlib.sha256(bases.data)
    digest.update(sha256(args.out / "windows.parquet").encode())
    description = describe(prepared, contents, digest.hexdigest())
    description.write(args.out / "corpus.json")
    report(description)


def _pairs(options: Sequence[str]) -> dict[str, str]:
    """Return NAME=VALUE options as a mapping."""
    return dict(option.partition("=")[::2] for option in options)
