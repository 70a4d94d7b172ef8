"""What a model card says of regulatory elements and of motifs."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from varlm.training.card_text import interval, markdown_table

_SEEN = 0.05  # false discovery rate of motifs that are called seen


def measured_elements(elements: pl.DataFrame | None, motifs: pl.DataFrame | None) -> Iterable[str]:
    """Yield a paragraph and a table of elements and of motifs, where these were measured.

    Parameters
    ----------
    elements, motifs : polars.DataFrame or None
        `ELEMENTS`, `MOTIFS`.
    """
    if elements is not None and elements.height:
        yield (
            "Regulatory elements beside the same with their dinucleotides shuffled, each in its "
            "own window: the share of which the real one is the likelier (ties half), with 95 % "
            "intervals; 0.5 is a guess:\n"
        )
        yield markdown_table(
            ("model", "likelihood", "elements", "share", "nats a base", "p"),
            [
                (
                    row["model"],
                    row["likelihood"],
                    f"{row['pairs']:,}",
                    interval(row, "share"),
                    f"{row['difference']:+.4f}",
                    f"{row['p']:.2g}",
                )
                for row in elements.iter_rows(named=True)
            ],
        )
    if motifs is not None and motifs.height:
        yield (
            f"Motifs in neutral sequence beside their bases in another order: those that are "
            f"likelier at a false discovery rate of {_SEEN:.0%}, of all:\n"
        )
        yield markdown_table(
            ("model", "likelihood", "motifs", "mean share"), map(_of_motifs, _parts(motifs))
        )


def _parts(motifs: pl.DataFrame) -> list[pl.DataFrame]:
    return motifs.partition_by("model", "likelihood", maintain_order=True)


def _of_motifs(part: pl.DataFrame) -> tuple[str, str, str, str]:
    first = part.row(0, named=True)
    seen = int((part["q"] <= _SEEN).sum())
    share = float(part["share"].to_numpy().mean())
    return first["model"], first["likelihood"], f"{seen:,} of {part.height:,}", f"{share:.3f}"
