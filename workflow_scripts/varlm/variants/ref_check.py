"""REF held against the reference: right, wrong, or where the reference has no base to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from varlm.errors import UserError
from varlm.genome.bases import AMBIGUITY, COMPLEMENT
from varlm.genome.contig_names import Match
from varlm.genome.reference import Genome

MASKED, AMBIGUOUS, WRONG = "reference_n", "reference_ambiguous", "ref_mismatch"
SHOWN = 60  # characters of an allele that a table or a message shows
_N = ord("N")
_BASE = pl.Series([chr(code) for code in range(128)], dtype=pl.String)


@dataclass
class CohortContig:
    """What one CHROM of the cohort was matched to, and what was counted on it.

    Attributes
    ----------
    match : Match
    code : int
        Index of the contig in the reference; −1: unknown.
    records : int
    checked : int
        Alleles whose REF was compared with the reference, which has A, C, G or T there.
    mismatches : int
        Those of them whose REF is not the reference's.
    swapped : int
        Mismatches in whose record an ALT is the reference's.
    flipped : int
        Mismatches whose REF, reversed and complemented, is the reference's.
    """

    match: Match
    code: int
    records: int = 0
    checked: int = 0
    mismatches: int = 0
    swapped: int = 0
    flipped: int = 0


def problem_of(ref: bytes, bases: bytes) -> str:
    """Return the reason for which a REF is rejected that is not the reference's.

    VCF 4.3, section 1.6.1: where the reference has an ambiguity code, REF has the first of the
    code's bases. Any of them is taken for such a REF here, and any base where the reference has N.

    Parameters
    ----------
    ref : bytes
        A, C, G and T.
    bases : bytes
        The reference there, as many: another text than `ref`.
    """
    pairs = [(r, b) for r, b in zip(ref, bases, strict=True) if r != b]
    if not all(AMBIGUITY[r] & AMBIGUITY[b] for r, b in pairs):
        return WRONG
    return MASKED if any(b == _N for _, b in pairs) else AMBIGUOUS


def problems_of_bases(refs: np.ndarray, bases: np.ndarray) -> pl.Series:
    """Return `problem_of` for single bases, null where REF is right.

    Parameters
    ----------
    refs, bases : numpy.ndarray
        uint8 ASCII, shape (alleles,).
    """
    names = pl.Series([WRONG, AMBIGUOUS, MASKED], dtype=pl.String)
    agrees = (AMBIGUITY[refs] & AMBIGUITY[bases]) != 0
    number = np.where(agrees, np.where(bases == _N, 2, 1), 0)
    return names.gather(number).set(pl.Series(refs == bases), None)


def rows_by_contig(alleles: pl.DataFrame, names: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Return (contig of the reference, row numbers) of the contigs present.

    Parameters
    ----------
    alleles : polars.DataFrame
        `code`: index of the contig in `names`.
    names : sequence of str
        The reference's contigs, in its order.
    """
    codes = alleles["code"].to_numpy()
    order = np.argsort(codes, kind="stable")
    present, first = np.unique(codes[order], return_index=True)
    last = [*first[1:], len(order)]
    spans = zip(present, first, last, strict=False)  # of no alleles, no contig is present
    return [(names[code], order[start:end]) for code, start, end in spans]


def check_bases(alleles: pl.DataFrame, records: pl.DataFrame, genome: Genome) -> pl.DataFrame:
    """Hold the REF of single-base alleles against the reference.

    Parameters
    ----------
    alleles : polars.DataFrame
        `position` (1-based, on the contig), `code`, `REF`, `ALT` (upper case), `record`.
    records : polars.DataFrame
        The records that they come from: `record`, `alt` as given.
    genome : Genome

    Returns
    -------
    polars.DataFrame
        The alleles; unless each REF is right, with `found` (the reference there), `problem` (why
        REF is wrong, null where it is right), `swapped` (an ALT of the record is the reference's)
        and `flipped` (REF's complement is).
    """
    if alleles.is_empty():
        return alleles
    start = alleles["position"].to_numpy() - 1
    bases = np.empty(alleles.height, np.uint8)
    for contig, rows in rows_by_contig(alleles, genome.names):
        bases[rows] = genome.sequence(contig)[start[rows]]
    found = _BASE.gather(bases).alias("found")
    if (alleles["REF"] == found).all():
        return alleles
    refs = np.frombuffer("".join(alleles["REF"]).encode(), np.uint8)
    alts = pl.col("alts").str.to_uppercase().str.split(",")
    return (
        alleles.with_columns(
            found,
            problems_of_bases(refs, bases).alias("problem"),
            pl.Series("flipped", COMPLEMENT[refs] == bases),
        )
        .join(
            records.select("record", alts="alt"),
            on="record",
            how="left",
            maintain_order="left",
        )
        .with_columns(swapped=alts.list.contains(pl.col("found")))
        .drop("alts")
    )


def check_texts(alleles: pl.DataFrame, records: pl.DataFrame, genome: Genome) -> pl.DataFrame:
    """Hold the REF of alleles of any length against the reference, as `check_bases` does.

    `found` is the first characters of what the reference has at a wrong REF, or empty.
    """
    starts, refs = (alleles["position"] - 1).to_list(), alleles["REF"].to_list()
    wrong: dict[int, _WrongText] = {}
    alts_of: dict[int, list[str]] = {}
    for contig, rows in rows_by_contig(alleles, genome.names):
        sequence = genome.sequence(contig).view(np.ndarray)
        for row in rows.tolist():
            ref, start = refs[row].encode(), starts[row]
            bases = sequence[start : start + len(ref)].tobytes()
            if bases == ref:
                continue
            alts_of = alts_of or _alts_of(records)
            wrong[row] = _WrongText(
                bases[:SHOWN].decode("ascii"),
                problem_of(ref, bases),
                any(
                    sequence[start : start + len(alt)].tobytes() == alt.encode()
                    for alt in alts_of[alleles["record"][row]]
                ),
                COMPLEMENT[np.frombuffer(ref, np.uint8)][::-1].tobytes() == bases,
            )
    if not wrong:
        return alleles
    texts = [wrong.get(row, _RIGHT) for row in range(alleles.height)]
    schema = {"found": pl.String, "problem": pl.String}
    columns = pl.DataFrame(
        texts, {**schema, "swapped": pl.Boolean, "flipped": pl.Boolean}, orient="row"
    )
    return alleles.with_columns(*columns)


class _WrongText(NamedTuple):
    """What the columns of `check_bases` say of an allele."""

    found: str
    problem: str | None
    swapped: bool
    flipped: bool


_RIGHT = _WrongText("", None, False, False)


def _alts_of(records: pl.DataFrame) -> dict[int, list[str]]:
    """Return record → its ALTs, upper case."""
    alts = records.select("record", pl.col("alt").str.to_uppercase().str.split(","))
    return dict(alts.iter_rows())


def has(alleles: pl.DataFrame, problem: str) -> pl.Series:
    """Return which of some checked alleles have this problem."""
    if "problem" not in alleles.columns:
        return pl.repeat(False, alleles.height, dtype=pl.Boolean(), eager=True)
    return (alleles["problem"] == problem).fill_null(False)


def count_checks(alleles: pl.DataFrame, contigs: Mapping[str, CohortContig]) -> None:
    """Count checked alleles on their CHROM (`contigs`), and those whose REF is wrong."""
    for name, checked in alleles.group_by("chrom").len().iter_rows():
        contigs[name].checked += checked
    wrong = alleles.filter(has(alleles, WRONG))
    if wrong.is_empty():
        return
    counts = wrong.group_by("chrom").agg(pl.len(), pl.col("swapped").sum(), pl.col("flipped").sum())
    for name, mismatches, swapped, flipped in counts.iter_rows():
        contig = contigs[name]
        contig.mismatches += mismatches
        contig.swapped += swapped
        contig.flipped += flipped


def wrong_ref(row: Mapping[str, Any], where: str, contig: str | None) -> UserError:
    """Return the error about the wrong REF of an allele, a row of a checked table."""
    ending = (
        ", which has the ALT: REF and ALT are swapped; make the VCF with the reference's REF"
        if row["found"] == row["ALT"]
        else "; give the reference that the cohort was called against"
    )
    return UserError(
        f"{where}: REF {row['ref'][:SHOWN]!r} at {row['chrom']}:{row['pos']} is not in the "
        f"reference {contig!r} there{ending}, or set normalise.on_ref_mismatch: reject"
    )
