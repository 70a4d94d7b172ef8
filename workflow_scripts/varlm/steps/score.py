"""Score a shard: the logits of its sites, the log-likelihood ratios of its indels and MNVs."""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.progress import Progress
from varlm.reference import Genome
from varlm.schemas import ALLELES, LOGIT_COLUMNS, SHARD, SITES, read_table, write_table
from varlm.windows import AlleleWindows, Bytes, allele_windows, chunks, site_windows

if TYPE_CHECKING:
    from varlm.inference import Scorer

log = logging.getLogger("varlm")

_SAMPLE = 64  # sites on which a faster mode has to agree with float32
_FEW = 64  # with fewer rows, modes are not worth measuring
_KEYS = {"name", "folder", "files", "window", "strands", "precision"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    parser.add_argument("--shard", type=Path, required=True, help="the rows to score (Parquet)")
    parser.add_argument("--reference", type=Path, required=True, help="index_reference's folder")
    parser.add_argument("--model", type=Path, required=True, help="prepare_model's JSON file")
    parser.add_argument("--sites", type=Path, required=True, help="output: site logits")
    parser.add_argument("--alleles", type=Path, required=True, help="output: allele scores")
    parser.add_argument("--threads", type=int, default=1, help="processor cores to use")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--batch-size", default="auto", help="windows a forward pass, or auto")


def run(args: argparse.Namespace) -> None:
    """Write one row of logits per site row of the shard, and one ratio per allele row."""
    batch_size = _batch_size(args.batch_size)
    settings = _settings(args.model)
    shard = read_table(args.shard, SHARD)
    genome = Genome.open(args.reference)
    _check_shard(shard, genome, args.shard)
    sites = shard.filter(pl.col("ref").is_null())
    alleles = shard.filter(pl.col("ref").is_not_null())
    if shard.is_empty():
        write_table(_sites_table(sites, np.empty((0, 2, 4), np.float32)), args.sites, SITES)
        write_table(_alleles_table(alleles, np.empty((0, 2))), args.alleles, ALLELES)
        return
    from varlm import inference  # torch, seconds: only once the inputs are known to be good

    scorer = _scorer(args, settings, batch_size, genome, shard)
    scorer.progress = Progress(sites.height, "sites")
    logits = _score_sites(scorer, genome, sites, settings["window"])
    scorer.progress = Progress(alleles.height, "alleles")
    if settings["precision"] == "auto" and alleles.height:
        picked = np.unique(np.linspace(0, alleles.height - 1, _SAMPLE // 8).astype(int))
        sample = _allele_windows(genome, alleles[picked], settings["window"])
        inference.confirm_for_alleles(scorer, sample)
    ratios = _score_alleles(scorer, genome, alleles, settings["window"])
    write_table(_sites_table(sites, logits), args.sites, SITES)
    write_table(_alleles_table(alleles, ratios), args.alleles, ALLELES)


def _scorer(
    args: argparse.Namespace,
    settings: dict[str, Any],
    batch_size: int | None,
    genome: Genome,
    shard: pl.DataFrame,
) -> Scorer:
    """Load the model, once, and choose the mode and the batch size."""
    import torch

    from varlm import inference
    from varlm.models import load_model

    torch.set_num_threads(args.threads)
    device = inference.choose_device(args.device)
    started = time.monotonic()
    model = load_model(Path(settings["folder"]), settings["files"], device)
    log.info(
        "model %s (%s) loaded on %s in %.1f s; %d rows to score",
        settings["name"],
        model.describe(),
        device,
        time.monotonic() - started,
        shard.height,
    )
    precision = settings["precision"]
    if shard.height < _FEW:  # trying out takes longer than scoring
        precision = "float32" if precision == "auto" else precision
    # Spread over the shard; a share of it, as the sample is computed in float32 as well.
    size = min(_SAMPLE, max(8, shard.height // 32), shard.height)
    picked = np.unique(np.linspace(0, shard.height - 1, size).astype(int))
    windows = _site_windows(genome, shard[picked], settings["window"])
    batch_size = batch_size or inference.default_batch(model, settings["window"])
    choice = inference.tune(model, windows, settings["strands"], precision, batch_size)
    log.info("%s; %d windows a batch", choice.summary(len(windows)), batch_size)
    return inference.Scorer(model, settings["strands"], batch_size)


def _score_sites(
    scorer: Scorer, genome: Genome, sites: pl.DataFrame, window: int
) -> NDArray[np.float32]:
    """Logits (n, 2, 4) of the rows of `sites`, in their order."""
    out = np.empty((sites.height, 2, 4), dtype=np.float32)
    for start, stop in chunks(sites.height, scorer.batch_size):
        rows = sites[start:stop]
        out[start:stop] = scorer.sites(_site_windows(genome, rows, window), _locator(rows))
    return out


def _score_alleles(
    scorer: Scorer, genome: Genome, alleles: pl.DataFrame, window: int
) -> NDArray[np.float64]:
    """Log-likelihood ratios (n, 2) of the rows of `alleles`, in their order."""
    out = np.empty((alleles.height, 2))
    for start, stop in chunks(alleles.height, scorer.batch_size):
        rows = alleles[start:stop]
        out[start:stop] = scorer.alleles(_allele_windows(genome, rows, window), _locator(rows))
    return out


def _allele_windows(genome: Genome, rows: pl.DataFrame, window: int) -> AlleleWindows:
    """Windows of the rows' alleles, in their order; several contigs at once."""
    parts = []
    for contig, part in _by_contig(rows):
        positions = part["pos"].to_numpy().astype(np.int64) - 1
        refs, alts = part["ref"].to_list(), part["alt"].to_list()
        try:
            parts.append(allele_windows(genome.sequence(contig), positions, refs, alts, window))
        except UserError as error:
            raise UserError(f"contig {contig}: {error}") from error
    return AlleleWindows.concatenate(parts)


def _site_windows(genome: Genome, rows: pl.DataFrame, window: int) -> Bytes:
    """Forward-strand windows of the rows' positions, in their order; several contigs at once."""
    return np.concatenate(
        [
            site_windows(
                genome.sequence(contig), part["pos"].to_numpy().astype(np.int64) - 1, window
            )
            for contig, part in _by_contig(rows)
        ]
    )


def _by_contig(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Stretches of neighbouring rows on one contig, in order."""
    runs = rows["contig"].rle()
    start = 0
    for run in runs:
        yield run["value"], rows[start : start + run["len"]]
        start += run["len"]


def _locator(rows: pl.DataFrame) -> Callable[[int], str]:
    return lambda row: f"{rows['contig'][row]}:{rows['pos'][row]}"


def _sites_table(sites: pl.DataFrame, logits: NDArray[np.float32]) -> pl.DataFrame:
    flat = logits.reshape(-1, 8)
    columns = [pl.Series(name, flat[:, i]) for i, name in enumerate(LOGIT_COLUMNS)]
    return sites.select("contig", "pos").with_columns(column.fill_nan(None) for column in columns)


def _alleles_table(alleles: pl.DataFrame, ratios: NDArray[np.float64]) -> pl.DataFrame:
    return alleles.with_columns(
        pl.Series(name, ratios[:, i], dtype=pl.Float32).fill_nan(None)
        for i, name in enumerate(("llr_fwd", "llr_rev"))
    )


def _check_shard(shard: pl.DataFrame, genome: Genome, path: Path) -> None:
    """Raise `UserError` unless every row lies on the reference and REF and ALT come together."""
    bounds = shard.join(
        genome.contigs.select("contig", "length"), on="contig", how="left", maintain_order="left"
    )
    bad = bounds.with_row_index("row").filter(
        pl.col("length").is_null()
        | (pl.col("pos") < 1)
        | (pl.col("pos") > pl.col("length"))
        | (pl.col("ref").is_null() != pl.col("alt").is_null())
    )
    if bad.height:
        first = bad.row(0, named=True)
        length = "no such contig" if first["length"] is None else f"{first['length']} bp"
        raise UserError(
            f"{path}, row {first['row']}: {first['contig']}:{first['pos']} (REF {first['ref']}, "
            f"ALT {first['alt']}) is not on the reference {genome.folder} ({length}); the shard "
            "was planned with another reference: delete the plan and run again"
        )


def _settings(path: Path) -> dict[str, Any]:
    """Return what `prepare_model` wrote."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        missing = _KEYS - settings.keys()
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; run the step prepare_model first") from error
    except (ValueError, AttributeError) as error:
        raise UserError(
            f"{path}: not readable as a JSON object; delete it and run again"
        ) from error
    if missing:
        raise UserError(f"{path}: lacks {', '.join(sorted(missing))}; delete it and run again")
    return dict(settings)


def _batch_size(text: str) -> int | None:
    """Return the number, or None for auto."""
    if text == "auto":
        return None
    if not text.isdigit() or int(text) < 1:
        raise UserError(f"scoring.batch_size: {text!r}; expected auto or a positive number")
    return int(text)
