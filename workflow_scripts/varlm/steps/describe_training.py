"""Draw the learning curve and write the model card."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import polars as pl

from varlm.figures.files import write_figures
from varlm.files.whole import atomic_path
from varlm.tables.model_schemas import ELEMENTS, MOTIFS, MUTATED, PERPLEXITY
from varlm.tables.parquet import Table
from varlm.tables.tsv import read_tsv
from varlm.training.card import model_card
from varlm.training.curve import learning_curve
from varlm.training.description import CorpusDescription


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--name", required=True, help="the training's name in the config")
    parser.add_argument("--corpus", type=Path, required=True, help="prepare_training's corpus.json")
    parser.add_argument("--checkpoint", type=Path, required=True, help="train's folder")
    parser.add_argument("--settings", required=True, help="JSON: how it was trained")
    parser.add_argument("--curve", type=Path, required=True, help="train's learning curve")
    parser.add_argument("--perplexity", type=Path, help="measure_perplexity's table")
    parser.add_argument("--mutated", type=Path, help="its table of mutated sequences")
    parser.add_argument("--elements", type=Path, help="measure_elements' table of elements")
    parser.add_argument("--motifs", type=Path, help="its table of motifs")
    parser.add_argument("--start", help="the training or checkpoint that it started from")
    parser.add_argument("--description", help="where the genomes come from")
    parser.add_argument("--licence", help="the terms of use")
    parser.add_argument("--card", type=Path, required=True, help="output: the model card")
    parser.add_argument("--figure", type=Path, required=True, help="output: SVG; PNG beside it")


def run(args: argparse.Namespace) -> None:
    """Write the card (Markdown) and the figure."""
    corpus = CorpusDescription.read(args.corpus)
    config = json.loads((args.checkpoint / "config.json").read_text(encoding="utf-8"))
    curve = pl.read_csv(args.curve, separator="\t")
    card = model_card(
        args.name,
        corpus,
        config,
        json.loads(args.settings),
        curve,
        _read(args.perplexity, PERPLEXITY),
        _read(args.mutated, MUTATED),
        _read(args.elements, ELEMENTS),
        _read(args.motifs, MOTIFS),
        start=args.start,
        description=args.description,
        licence=args.licence,
        size=sum(file.stat().st_size for file in args.checkpoint.iterdir()),
    )
    with atomic_path(args.card) as temporary:
        temporary.write_text(card, encoding="utf-8")
    write_figures({args.figure.stem: learning_curve(curve, corpus)}, args.figure.parent)


def _read(path: Path | None, table: Table) -> pl.DataFrame | None:
    if path is None:
        return None
    return read_tsv(path).cast(table.schema)  # type: ignore[arg-type]
