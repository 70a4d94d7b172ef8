"""Tell regulatory elements and motifs from the same shuffled, with trained models."""

from __future__ import annotations

import argparse
import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from varlm.errors import UserError, first_few
from varlm.files.whole import atomic_path
from varlm.genome.bed import read_bed
from varlm.genome.contig_names import ContigNames
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.run.model_settings import answers_bases
from varlm.scoring.hardware import Hardware
from varlm.steps.options import add_hardware_options, hardware
from varlm.tables.model_schemas import ELEMENTS, MOTIFS
from varlm.tables.parquet import Table
from varlm.tables.tsv import write_tsv
from varlm.training.contrasts import Contrasts, bases_left_over
from varlm.training.elements import lay_elements, with_controls
from varlm.training.footprints import neutral_windows, with_motifs
from varlm.training.label_free import element_rows, motif_rows
from varlm.training.meme import Motif, read_motifs

if TYPE_CHECKING:
    import torch

    from varlm.models.language_model import LanguageModel

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument(
        "--checkpoint", action="append", default=[], metavar="NAME=FOLDER", help="repeat"
    )
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="models/{model}.json; repeat"
    )
    genome = parser.add_mutually_exclusive_group(required=True)
    genome.add_argument("--reference", type=Path, help="the reference folder")
    genome.add_argument("--fasta", type=Path, help="another FASTA")
    parser.add_argument("--aliases", type=Path, help="contig aliases")
    parser.add_argument("--contig", action="append", required=True, help="where to measure; repeat")
    parser.add_argument("--bed", type=Path, help="elements")
    parser.add_argument("--motifs", type=Path, help="motifs (MEME)")
    parser.add_argument("--length", type=int, required=True, help="of the windows, bp")
    parser.add_argument("--pairs", type=int, default=1000, help="elements, at most")
    parser.add_argument("--windows", type=int, default=100, help="windows of each motif")
    parser.add_argument(
        "--masked", type=int, default=0, help="of so many, masked models read each base masked"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="output: elements (TSV)")
    parser.add_argument("--motifs-out", type=Path, required=True, help="output: motifs (TSV)")
    add_hardware_options(parser)


def run(args: argparse.Namespace) -> None:
    """Write how often each model finds elements and motifs likelier than their controls."""
    chosen = hardware(args)
    with _genome(args) as genome:
        names = ContigNames.of(genome.lengths, args.aliases)
        contigs = _contigs(args.contig, names)
        elements = None if args.bed is None else _elements(args, genome, names, contigs)
        footprints = None if args.motifs is None else _footprints(args, genome, contigs)
    element_tables, motif_tables = [], []
    for name, model, batch in _models(args, chosen):
        if elements is not None:
            element_tables.append(element_rows(name, model, elements, batch, args.masked))
        if footprints is not None:
            motif_tables.append(motif_rows(name, model, footprints, batch, args.masked))
    _write(element_tables, args.out, ELEMENTS)
    _write(motif_tables, args.motifs_out, MOTIFS)


@contextlib.contextmanager
def _genome(args: argparse.Namespace) -> Iterator[Genome]:
    if args.reference is not None:
        yield Genome.open(args.reference)
        return
    with tempfile.TemporaryDirectory() as folder:
        index_reference(args.fasta, Path(folder), key="elements.fasta")
        yield Genome.open(Path(folder))


def _contigs(spellings: Sequence[str], names: ContigNames) -> list[str]:
    """Return the genome's names of contigs; those that it does not have are passed over."""
    matches = {spelling: names.match(spelling, {}) for spelling in spellings}
    contigs = [match.contig for match in matches.values() if match.contig is not None]
    if not contigs:
        raise UserError(
            f"elements: none of the contigs {', '.join(spellings)} is in the FASTA, which has "
            f"{first_few(names.lengths, 20)}; name its own in elements.contigs"
        )
    for spelling, match in matches.items():
        if match.contig is None:
            log.warning("elements: contig %r: %s; passed over", spelling, match.how)
    return list(dict.fromkeys(contigs))


def _elements(
    args: argparse.Namespace, genome: Genome, names: ContigNames, contigs: Sequence[str]
) -> Contrasts:
    bed = read_bed(args.bed, names, "elements.bed")
    elements = lay_elements(bed, genome, contigs, args.length)
    elements.report()
    return with_controls(elements.chosen(args.pairs, args.seed), genome, args.seed)


def _footprints(
    args: argparse.Namespace, genome: Genome, contigs: Sequence[str]
) -> list[tuple[Motif, Contrasts]]:
    windows = neutral_windows(genome, contigs, args.length, args.windows, args.seed)
    return list(with_motifs(read_motifs(args.motifs), windows, args.seed))


def _models(args: argparse.Namespace, chosen: Hardware) -> Iterator[tuple[str, LanguageModel, int]]:
    """Yield name, model and windows a batch, one model at a time."""
    import torch

    from varlm.scoring.batch_size import default_batch, fitting_batch, take_device

    torch.set_num_threads(chosen.threads)
    device = take_device(chosen.device)
    sources: list[tuple[str, Path | PreparedModel]] = [
        (name, Path(folder))
        for name, _, folder in (pair.partition("=") for pair in args.checkpoint)
    ]
    sources += [(prepared.name, prepared) for prepared in map(PreparedModel.read, args.model)]
    for name, source in sources:
        if isinstance(source, PreparedModel) and not answers_bases(source.known_as):
            raise UserError(
                f"elements.models: {name} is a {source.known_as.title}, which does not answer "
                "every base of a window; leave it out"
            )
        model = _loaded(source, device)
        if (over := bases_left_over(model, args.length)) > 0:
            raise UserError(
                f"elements: tokens of {name} leave {over} of {args.length} bp over; set "
                f"elements.length to {args.length - over}"
            )
        if model.max_window is not None and model.max_window < args.length:
            raise UserError(
                f"elements: {name} reads {model.max_window} bp at most, windows have "
                f"{args.length} bp; lower elements.length"
            )
        batch = chosen.batch_size or default_batch(model, args.length)
        yield name, model, fitting_batch(model, args.length, batch)


def _loaded(source: Path | PreparedModel, device: torch.device) -> LanguageModel:
    from varlm.models.loading import load_model

    if isinstance(source, Path):
        return load_model(source, device=device)
    family = source.known_as.name
    return load_model(source.folder, source.files, device, family, source.options)


def _write(tables: Sequence[pl.DataFrame], path: Path, table: Table) -> None:
    """Write the rows of all models; none where nothing of the kind was asked for."""
    rows = table.check(pl.concat([pl.DataFrame(schema=table.schema), *tables]), path)
    with atomic_path(path) as temporary:
        write_tsv(rows.with_columns(pl.col(pl.Float64).map_batches(_short)), temporary)


def _short(values: pl.Series) -> pl.Series:
    """Return numbers with six digits that count, p-values too."""
    return pl.Series(values.name, [float(f"{value:.6g}") for value in values], pl.Float64)
