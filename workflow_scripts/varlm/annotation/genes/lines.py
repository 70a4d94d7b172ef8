"""Lines of GFF3 or GTF → nine typed columns; malformed lines that nothing needs are passed over."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from varlm.errors import UserError

log = logging.getLogger(__name__)

# Lines of a whole contig, which may call it circular or an organelle.
WHOLE_TYPES = (
    *("region", "chromosome", "contig", "supercontig", "scaffold", "sequence", "source"),
    *("plasmid", "replicon", "organelle_sequence", "mitochondrial_chromosome"),
    *("chloroplast_chromosome", "databank_entry", "circular_chromosome"),
)
EXON_TYPES = ("exon", "noncoding_exon", "pseudogenic_exon", "coding_exon")
CDS_TYPES = ("CDS",)
UTR_TYPES = (
    *("five_prime_UTR", "three_prime_UTR", "UTR", "5UTR", "3UTR"),
    *("five_prime_utr", "three_prime_utr", "5'-UTR", "3'-UTR", "five_prime_UTR_noncoding_exon"),
)
INTRON_TYPES = ("intron", "five_prime_UTR_intron", "three_prime_UTR_intron")
PROTEIN_TYPES = ("protein", "polypeptide")
CUT_CDS = "CDS beyond the contig's end"  # ours: what is left of a coding piece that passes an end
# Codons read as selenocysteine: of GTF, and of GFF3 (GENCODE).
SELENO_TYPES = ("Selenocysteine", "stop_codon_redefined_as_selenocysteine")
PART_TYPES = (
    *(*EXON_TYPES, *CDS_TYPES, *UTR_TYPES, *INTRON_TYPES, *SELENO_TYPES),
    *("stop_codon", CUT_CDS),
)

GENE = r"(?i)gene$"
TRANSCRIPT = r"(?i)(?:rna|transcript|_segment|ribozyme|scRNA)$"

_COLUMNS = ["contig", "source", "type", "start", "end", "score", "strand", "phase", "attributes"]
_BROWSER = r"^(?:track|browser)\s"  # lines for the UCSC browser, which some GTF files keep


@dataclass
class Malformed:
    """Malformed lines that are passed over: how many, and what the first is."""

    count: int = 0
    first: str = ""

    def __str__(self) -> str:
        return f" ({self.count} malformed lines, {self.first})" if self.count else ""

    def warn(self, path: Path) -> None:
        """Log them, if there are any."""
        if self.count:
            log.warning(
                "%s: %d malformed lines of types that are no gene, transcript or part of one are "
                "passed over (%s)",
                path,
                self.count,
                self.first,
            )


def is_used(kind: pl.Expr) -> pl.Expr:
    """Tell the types of features that make gene models; null where the line has no type."""
    return kind.is_in(PART_TYPES) | kind.str.contains(GENE) | kind.str.contains(TRANSCRIPT)


def columns(lines: pl.DataFrame, path: Path, malformed: Malformed) -> pl.DataFrame:
    """Split lines into the nine columns, checked.

    Parameters
    ----------
    lines : polars.DataFrame
        `line` (1-based) and `text`; no comments, no empty lines.
    path : Path
        For messages.
    malformed : Malformed
        Lines that are passed over are added to it.

    Returns
    -------
    polars.DataFrame
        `line`, and the columns of the format but the score; `start` 0-based, `end` half-open.

    Raises
    ------
    UserError
        Naming the first malformed line of a type that makes gene models, or without a type.
    """
    fields = pl.col("text").str.split_exact("\t", 8)
    table = (
        lines.select("line", fields.struct.rename_fields(_COLUMNS).alias("fields"), "text")
        .unnest("fields")
        .with_columns(
            pl.col("start", "end").cast(pl.Int64, strict=False),
            pl.col("source").cast(pl.Categorical),
        )
    )
    for expected, right in _checks().items():
        wrong = table.filter(~right.fill_null(False))
        if wrong.height:
            _pass_over(wrong, path, expected, malformed)
            table = table.filter(right.fill_null(False))
    return table.with_columns(
        pl.col("start") - 1,
        pl.when(pl.col("strand").is_in(["+", "-"])).then("strand").alias("strand"),
        pl.col("phase").cast(pl.Int8, strict=False),
    ).drop("score", "text")


def _checks() -> dict[str, pl.Expr]:
    """Return what is expected of a line → whether it is so."""
    start, end = pl.col("start"), pl.col("end")
    nine = pl.col("attributes").is_not_null() & (pl.col("text").str.count_matches("\t") == 8)
    positions = start.is_not_null() & end.is_not_null() & (start >= 1) & (start <= end)
    return {
        "expected nine columns, separated by tabs": nine,
        "expected a start and an end, 1-based, start ≤ end": positions,
        "expected the strand +, -, . or ?": pl.col("strand").is_in(["+", "-", ".", "?"]),
        "expected the phase 0, 1, 2 or .": pl.col("phase").is_in(["0", "1", "2", "."]),
    }


def _pass_over(wrong: pl.DataFrame, path: Path, expected: str, malformed: Malformed) -> None:
    """Count lines that nothing needs; raise for the first that is needed or has no type."""
    unneeded = ~is_used(pl.col("type")) | pl.col("text").str.contains(_BROWSER)
    needed = wrong.filter(~unneeded.fill_null(False))
    if needed.height:
        raise UserError(
            f"{path}, {_shown(needed, expected)}; correct the line, or get the file again"
        )
    if not malformed.count:
        malformed.first = _shown(wrong, expected)
    malformed.count += wrong.height


def _shown(wrong: pl.DataFrame, expected: str) -> str:
    return f"line {wrong['line'][0]}: found {wrong['text'][0][:80]!r}; {expected} (GFF3 or GTF)"
