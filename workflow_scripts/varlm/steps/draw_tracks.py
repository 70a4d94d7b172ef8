"""Write bigWig tracks of a model's scores at all SNV sites of some cohorts."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from varlm import __version__
from varlm.files.whole import check_digest
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring.dense_scale import constants
from varlm.scoring.lost_rows import lost_rows_told
from varlm.steps.options import add_dense_option
from varlm.store import Store
from varlm.tracks.model_tracks import DrawnTracks
from varlm.tracks.sites import draw_tracks

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--model", type=Path, required=True, help="models/{model}.json")
    parser.add_argument("--reference", type=Path, required=True, help="the reference folder")
    parser.add_argument("--store", type=Path, required=True, help="folder of the score store")
    parser.add_argument(
        "--variants", type=Path, action="append", required=True, help="variants.parquet; repeat"
    )
    add_dense_option(parser)
    parser.add_argument("--threads", type=int, default=1, help="files written at a time")
    parser.add_argument("--tracks", type=Path, required=True, help="output folder")


def run(args: argparse.Namespace) -> None:
    """Write the bigWigs, and `tracks.json` that says what they hold, after them."""
    model = PreparedModel.read(args.model)
    for path in args.variants:
        check_digest(path)
    genome, store = Genome.open(args.reference), Store(args.store)
    with lost_rows_told(f"{args.store}: model {model.name}"):
        drawn = draw_tracks(
            args.variants,
            genome,
            store,
            model,
            args.tracks,
            args.threads,
            constants([model], args.dense)[model.name],
        )
    described = {"varlm": __version__, "model": model.name, **model.provenance(), **drawn}
    path = args.tracks / "tracks.json"
    DrawnTracks.from_json(described, path).write(path)
    if drawn["sites"]:
        log.info("%s: %d sites, model %s", args.tracks, drawn["sites"], model.name)
    else:
        log.warning(
            "%s: there is no SNV, and a bigWig cannot be empty: only tracks.json is written",
            args.tracks,
        )
