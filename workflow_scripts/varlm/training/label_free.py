"""Which models find regulatory elements and motifs likelier than their controls: two tables."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from varlm.tables.model_schemas import ELEMENTS, MOTIFS
from varlm.training.contrasts import Contrasts, differences, summary
from varlm.training.meme import Motif

if TYPE_CHECKING:
    from varlm.models.language_model import LanguageModel

log = logging.getLogger(__name__)


def element_rows(
    name: str, model: LanguageModel, contrasts: Contrasts, batch_size: int, masked: int
) -> pl.DataFrame:
    """Return how often a model finds elements likelier than the same shuffled.

    Parameters
    ----------
    name : str
        Of the model, for the table.
    model : LanguageModel
    contrasts : Contrasts
    batch_size : int
        Windows a forward pass.
    masked : int
        See `differences`.

    Returns
    -------
    polars.DataFrame
        `ELEMENTS`.
    """
    started = time.monotonic()
    rows = _rows(model, contrasts, batch_size, masked)
    for row in rows:
        log.info(
            "%s (%s): %.3f of %d elements are likelier than shuffled, p = %.2g",
            *(name, row["likelihood"], row["share"], row["pairs"], row["p"]),
        )
    log.info("%s: elements took %.0f s", name, time.monotonic() - started)
    return pl.DataFrame([{"model": name, **row} for row in rows], schema=ELEMENTS.schema)


def motif_rows(
    name: str,
    model: LanguageModel,
    footprints: Iterable[tuple[Motif, Contrasts]],
    batch_size: int,
    masked: int,
) -> pl.DataFrame:
    """Return how often a model finds each motif likelier than its bases in another order.

    Parameters
    ----------
    footprints : iterable of (Motif, Contrasts)
        From `varlm.training.footprints.with_motifs`.
    name, model, batch_size, masked
        As in `element_rows`.

    Returns
    -------
    polars.DataFrame
        `MOTIFS`.
    """
    from scipy.stats import false_discovery_control  # type: ignore[import-untyped]

    started = time.monotonic()
    rows = [
        {
            "model": name,
            "motif": motif.name,
            "other_name": motif.other_name,
            "consensus": motif.consensus,
            **row,
        }
        for motif, contrasts in footprints
        for row in _rows(model, contrasts, batch_size, masked)
    ]
    log.info("%s: %d rows of motifs took %.0f s", name, len(rows), time.monotonic() - started)
    table = pl.DataFrame(rows, schema={**MOTIFS.schema, "q": pl.Float64()})
    # Benjamini & Hochberg 1995 (doi:10.1111/j.2517-6161.1995.tb02031.x).
    q = pl.col("p").map_batches(
        lambda p: pl.Series(false_discovery_control(p.to_numpy())), return_dtype=pl.Float64()
    )
    return table.with_columns(q=q.over("likelihood"))


def _rows(
    model: LanguageModel, contrasts: Contrasts, batch_size: int, masked: int
) -> list[dict[str, object]]:
    """Return what the tables say of one set of pairs, by kind of likelihood."""
    by_kind = differences(model, contrasts, batch_size, masked)
    return [
        {
            "likelihood": kind,
            "pairs": difference.size,
            **summary(difference, (contrasts.stop - contrasts.start)[: difference.size]),
        }
        for kind, difference in by_kind.items()
    ]
