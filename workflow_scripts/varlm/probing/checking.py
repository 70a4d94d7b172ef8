"""Sequences, intervals and variants of a probe's table: what of them is embedded, if it is sound.

Each function leaves rows out of a sieve, or refuses them, and adds what is embedded: `contig`,
`start`, `end` (0-based, half-open) and `strand`, null for sequences of their own.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError, first_few
from varlm.genome.bases import BASES, IUPAC
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.genome.windows import strip_shared
from varlm.probing.columns import FOLD, ROW, STRAND
from varlm.probing.sieve import Sieve
from varlm.probing.specification import ProbeSpec

log = logging.getLogger(__name__)

VARIANT_LENGTH = 128  # bp around a variant, where the config does not say

_SHOWN = 50  # contigs named in a warning
_LETTERS = f"^[{IUPAC.decode()}]+$"


def check_sequences(sieve: Sieve, spec: ProbeSpec, genome: Genome, names: ContigNames) -> None:
    """Take sequences, upper case, T for U; of longer ones than `spec.length` the middle."""
    del genome, names  # sequences are of none
    text = pl.col("sequence").fill_null("").str.strip_chars().str.to_uppercase()
    sieve.rows = sieve.rows.with_columns(text.str.replace_all("U", "T"))
    sieve.refuse(
        ~sieve.rows["sequence"].str.contains(_LETTERS),
        lambda row: (
            f"the sequence is {row['sequence'][:40]!r}; expected A, C, G, T, N or another IUPAC "
            "code of nucleotides"
        ),
    )
    if spec.length is not None:
        sieve.drop(_sizes(sieve) < spec.length, "too_short")
        first = pl.Series(_sizes(sieve) // 2 - spec.length // 2)
        middle = sieve.rows["sequence"].str.slice(first, spec.length)
        sieve.rows = sieve.rows.with_columns(middle)
    place = pl.lit(None, pl.Int64)
    sieve.rows = sieve.rows.with_columns(
        contig=pl.lit(None, pl.String), start=place, end=place, strand=pl.lit(None, pl.String)
    )
    _one_length(sieve, spec, _sizes(sieve))


def check_intervals(sieve: Sieve, spec: ProbeSpec, genome: Genome, names: ContigNames) -> None:
    """Take intervals, whole or `spec.length` around their middle, on their own strand."""
    _match_contigs(sieve, names)
    _parse(sieve, ("start", "end"), "0-based, as in BED")
    start, end, lengths = _array(sieve, "start"), _array(sieve, "end"), _lengths(sieve, genome)
    sieve.refuse(
        (start < 0) | (start >= end) | (end > lengths),
        lambda row: (
            f"found {row['start']}-{row['end']}, but contig {row['contig']!r} is "
            f"0-{genome[row['contig']].length}; expected start < end within it (another assembly?)"
        ),
    )
    _take_strand(sieve)
    if spec.length is not None:
        _take_middle(sieve, spec.length)
        _keep_within(sieve, genome, _array(sieve, "start"), _array(sieve, "end"))
    _one_length(sieve, spec, _array(sieve, "end") - _array(sieve, "start"))


def _take_strand(sieve: Sieve) -> None:
    """Take the strand on which rows are read: the forward one where nothing is said."""
    strand = pl.col(STRAND) if STRAND in sieve.rows.columns else pl.lit("+")
    forward = strand.fill_null("+").replace({".": "+", "": "+"}).alias(STRAND)
    sieve.rows = sieve.rows.with_columns(forward)
    sieve.refuse(
        ~sieve.rows[STRAND].is_in(["+", "-"]),
        lambda row: f"the strand is {row[STRAND]!r}; expected +, - or .",
    )


def _take_middle(sieve: Sieve, length: int) -> None:
    """Take `length` bp of intervals: the base at size // 2 on their strand is at length // 2."""
    size = pl.col("end") - pl.col("start")
    before = size // 2 - length // 2
    first = pl.when(pl.col(STRAND) == "-").then(pl.col("end") - before - length)
    sieve.rows = sieve.rows.with_columns(
        first.otherwise(pl.col("start") + before).alias("start")
    ).with_columns((pl.col("start") + length).alias("end"))


def check_variants(sieve: Sieve, spec: ProbeSpec, genome: Genome, names: ContigNames) -> None:
    """Take variants, with `spec.length` bp around them, on their own strand.

    `pos`, `ref` and `alt` stay on the forward one, whatever the strand.
    """
    length = spec.length or VARIANT_LENGTH
    _match_contigs(sieve, names)
    _parse(sieve, ("pos",), "1-based, as in VCF")
    alleles = pl.col("ref", "alt").fill_null("").str.strip_chars().str.to_uppercase()
    sieve.rows = sieve.rows.with_columns(alleles)
    both = sieve.rows["ref"] + "/" + sieve.rows["alt"]
    sieve.drop(~both.str.contains(f"^[{BASES}]+/[{BASES}]+$"), "not_acgt")
    first = _array(sieve, "pos") - 1
    size = sieve.rows["ref"].str.len_bytes().to_numpy().astype(np.int64)
    sieve.refuse(
        (first < 0) | (first + size > _lengths(sieve, genome)),
        lambda row: (
            f"position {row['pos']} (REF {row['ref']}) is not on contig {row['contig']!r} of "
            f"{genome[row['contig']].length} bp; is the table of another assembly?"
        ),
    )
    _check_ref(sieve, spec, genome)
    _take_strand(sieve)
    sites, sizes = _changed(sieve.rows)
    behind = (sieve.rows[STRAND] == "-").to_numpy()
    # A window begins before the first base that changes, on the strand that is read.
    start = np.where(behind, sites + sizes[:, 0] + length // 2 - length, sites - length // 2)
    sieve.rows = sieve.rows.with_columns(
        pl.Series("start", start), pl.Series("end", start + length)
    )
    # ALT's window goes on behind a deletion for as many bases as that takes.
    lost = np.maximum(sizes[:, 0] - sizes[:, 1], 0)
    first, end = np.where(behind, start - lost, start), start + length + np.where(behind, 0, lost)
    kept = sieve.drop(sizes.max(1, initial=0) > length - length // 2, "too_long")
    _keep_within(sieve, genome, first[kept], end[kept])


def _changed(rows: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what of REF is replaced: its first base, 0-based, and (rows, 2) bp of REF and ALT.

    Bases that both share are taken off as the strand is read: at its right end first.
    """
    sites, sizes = [], []
    for pos, ref, alt, strand in rows.select("pos", "ref", "alt", STRAND).iter_rows():
        if strand == "-":
            before, some_ref, some_alt = strip_shared(0, ref[::-1], alt[::-1])
            site = pos - 1 + len(ref) - before - len(some_ref)
        else:
            site, some_ref, some_alt = strip_shared(pos - 1, ref, alt)
        sites.append(site)
        sizes.append((len(some_ref), len(some_alt)))
    return np.array(sites, np.int64), np.array(sizes, np.int64).reshape(-1, 2)


def _check_ref(sieve: Sieve, spec: ProbeSpec, genome: Genome) -> None:
    """Leave out variants whose REF is not the reference's; refuse more than a share of them."""

    def held(contig: str, pos: int, ref: str) -> str:
        return genome.sequence(contig)[pos - 1 : pos - 1 + len(ref)].tobytes().decode("ascii")

    rows = sieve.rows.select("contig", "pos", "ref").iter_rows()
    wrong = np.array([held(contig, pos, ref) != ref for contig, pos, ref in rows], bool)
    count, total = int(wrong.sum()), len(wrong)
    if count > spec.max_ref_mismatch * total:
        sieve.refuse(
            wrong,
            lambda row: (
                f"REF is {row['ref']!r}, but the reference holds "
                f"{held(row['contig'], row['pos'], row['ref'])!r} at {row['contig']}:{row['pos']}; "
                f"{count} of {total} REFs are wrong, more than normalise.max_ref_mismatch "
                f"({spec.max_ref_mismatch:g}): is the table of another assembly?"
            ),
        )
    sieve.drop(wrong, "ref_mismatch")


def _match_contigs(sieve: Sieve, names: ContigNames) -> None:
    """Add `contig`, as the reference names it; leave out rows on others.

    Folds that are contigs are named so, too.
    """
    chroms = sieve.rows["chrom"].cast(pl.String).fill_null("").str.strip_chars()
    declared: dict[str, int | None] = dict.fromkeys(chroms.unique(maintain_order=True))
    matches = {name: names.match(name, declared).contig for name in declared}
    unknown = [name for name, contig in matches.items() if contig is None]
    if unknown and len(unknown) == len(matches):
        raise UserError(
            f"{sieve.columns.path}: no row is on a contig of the reference (rows on "
            f"{first_few(map(repr, unknown))}; reference: {first_few(map(repr, names.lengths))}); "
            f"give the rows of this assembly, or {names.remedy}"
        )
    if unknown:
        listed = first_few(map(repr, unknown), _SHOWN)
        log.warning("%s: the reference has no contig %s", sieve.columns.path, listed)
    contig = chroms.replace_strict(matches, default=None, return_dtype=pl.String)
    fold = sieve.rows[FOLD]
    named = pl.when(fold == chroms).then(contig).otherwise(fold)
    sieve.rows = sieve.rows.with_columns(contig.alias("contig"), named.alias(FOLD))
    sieve.drop(sieve.rows["contig"].is_null(), "contig_unknown")


def _parse(sieve: Sieve, columns: tuple[str, ...], meaning: str) -> None:
    """Make whole numbers of columns."""
    for name in columns:
        values = sieve.rows[name].cast(pl.Int64, strict=False)

        def say(row: dict[str, Any], name: str = name) -> str:
            return f"{name} is {row[name]!r}; expected a number, {meaning}"

        sieve.refuse(values.is_null(), say)
        sieve.rows = sieve.rows.with_columns(values)


def _array(sieve: Sieve, column: str) -> NDArray[np.int64]:
    return sieve.rows[column].to_numpy().astype(np.int64)


def _sizes(sieve: Sieve) -> NDArray[np.int64]:
    """Return the length of each sequence."""
    return sieve.rows["sequence"].str.len_bytes().to_numpy().astype(np.int64)


def _lengths(sieve: Sieve, genome: Genome) -> NDArray[np.int64]:
    """Return the length of each row's contig."""
    lengths = sieve.rows["contig"].replace_strict(genome.lengths, return_dtype=pl.Int64)
    return lengths.to_numpy().astype(np.int64)


def _keep_within(
    sieve: Sieve, genome: Genome, start: NDArray[np.int64], end: NDArray[np.int64]
) -> None:
    """Leave out rows of which some is past an end of their contig; on a circle, past one turn.

    `start` and `end` are those of what is read of each, which may be more than it has in its
    columns.
    """
    circular = sieve.rows["contig"].is_in(list(genome.circular)).to_numpy()
    lengths = _lengths(sieve, genome)
    past = (start < 0) | (end > lengths)
    sieve.drop(np.where(circular, end - start > lengths, past), "past_contig_end")


def _one_length(sieve: Sieve, spec: ProbeSpec, sizes: NDArray[np.int64]) -> None:
    """Refuse rows of different lengths where all positions are asked for."""
    if spec.positions != "all" or not len(sizes):
        return
    wrong = sizes != sizes[0]
    first = sieve.columns.place(sieve.rows[ROW][0])
    sieve.refuse(
        wrong,
        lambda _: (
            f"{sizes[wrong][0]} bp, but {first}: {sizes[0]} bp; where all positions are stored, "
            f"rows have one length: set {spec.where}.length, or {spec.where}.positions: mean"
        ),
    )
