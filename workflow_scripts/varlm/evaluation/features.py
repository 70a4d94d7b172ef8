"""What is known of an allele without a model: sequence context, place and frequency.

These are what a score may follow in place of an effect, so they are what alleles are matched by,
and the strata that they are compared within.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.bases import BASES, CODE_COMPLEMENT, CODES, UNKNOWN
from varlm.genome.reference import Genome

# Columns of the annotated table that `features` and `contexts` read.
READ = ("chrom", "pos", "ref", "alt", "kind", "af", "consequence", "tss_distance")

_CHANGES = ("C>A", "C>G", "C>T", "T>A", "T>C", "T>G")
_FLANK = 2  # bases on each side in a pentamer

# As in COSMIC's signatures: the strand on which the reference has a pyrimidine.
TRINUCLEOTIDES = pl.Enum(
    [f"{left}[{change}]{right}" for change, left, right in product(_CHANGES, BASES, BASES)]
)
PENTAMERS = pl.Enum(
    [
        f"{a}{b}[{change}]{c}{d}"
        for change, a, b, c, d in product(_CHANGES, BASES, BASES, BASES, BASES)
    ]
)

_CONTEXTS = {"trinucleotide": TRINUCLEOTIDES, "pentamer": PENTAMERS}
_CPG = [name for name in TRINUCLEOTIDES.categories if name[2] == "C" and name[-1] == "G"]


def features(alleles: pl.DataFrame, contigs: Mapping[str, str], genome: Genome) -> pl.DataFrame:
    """Return what a row of the annotated table is compared by, in its order.

    Parameters
    ----------
    alleles : polars.DataFrame
        The columns `READ` of the annotated table; those that it lacks are null.
    contigs : mapping
        CHROM of the cohort → contig of the reference.
    genome : Genome

    Returns
    -------
    polars.DataFrame
        `trinucleotide` and `pentamer` (of `TRINUCLEOTIDES` and `PENTAMERS`), `cpg` (Boolean: the
        reference's base is of a CpG, on either strand); null of what is no SNV, of one beside a
        base that is none of A, C, G and T, and of one too near to a contig's end. `kind` (snv,
        mnv, ins, del or delins), `consequence`, `tss_distance` (Int32, bp to the nearest
        transcription start, negative upstream), `af` and `maf` (Float64: of the alternate, and of
        the rarer allele).
    """
    kinds = {
        "kind": pl.String,
        "consequence": pl.Categorical,
        "tss_distance": pl.Int32,
        "af": pl.Float64,
    }
    known = pl.DataFrame(
        {
            name: alleles[name].cast(kind)
            if name in alleles.columns
            else pl.Series([None] * alleles.height, dtype=kind)
            for name, kind in kinds.items()
        }
    ).with_columns(pl.min_horizontal("af", 1 - pl.col("af")).alias("maf"))
    return contexts(alleles, contigs, genome).hstack(known)


def contexts(alleles: pl.DataFrame, contigs: Mapping[str, str], genome: Genome) -> pl.DataFrame:
    """Return the columns `trinucleotide`, `pentamer` and `cpg` of `features`."""
    bases = np.full((2 * _FLANK + 1, alleles.height), UNKNOWN, np.uint8)
    for chrom, rows in _by_chrom(alleles["chrom"]):
        contig = contigs.get(chrom, chrom)
        if contig in genome:
            positions = alleles["pos"].gather(rows).to_numpy().astype(np.int64)
            bases[:, rows] = _around(genome, contig, positions - 1)
    ref, alt = _base(alleles["ref"]), _base(alleles["alt"])
    turned = (bases[_FLANK] == 0) | (bases[_FLANK] == 2)  # purines
    strand = np.where(turned, CODE_COMPLEMENT[bases[::-1]], bases)
    change = _change(strand[_FLANK], np.where(turned, CODE_COMPLEMENT[alt], alt))
    change[(ref != bases[_FLANK]) | (change < 0)] = -1
    three = _numbered(change, strand[1], strand[3])
    return pl.DataFrame(
        {
            "trinucleotide": _named(three, TRINUCLEOTIDES),
            "pentamer": _named(_numbered(change, *np.delete(strand, _FLANK, 0)), PENTAMERS),
            "cpg": pl.Series((change < 3) & (strand[3] == 2)).set(pl.Series(three < 0), None),
        }
    )


def turned(known: pl.DataFrame, flags: NDArray[np.bool_]) -> pl.DataFrame:
    """Return the features of a mutation from ALT to REF, where `flags` say so.

    The neighbours stay; what mutates is ALT, insertions are deletions. Frequencies are still the
    table's.

    Parameters
    ----------
    known : polars.DataFrame
        From `features`.
    flags : numpy.ndarray
        bool, shape (alleles,).
    """
    back = known.with_columns(
        *(pl.col(name).replace(_backwards(names)) for name, names in _CONTEXTS.items()),
        pl.col("kind").replace({"ins": "del", "del": "ins"}),
    ).with_columns(pl.col("trinucleotide").is_in(_CPG).alias("cpg"))
    where = pl.Series(flags)
    return known.with_columns(
        back[name].zip_with(where, known[name]) for name in (*_CONTEXTS, "cpg", "kind")
    )


def _backwards(names: pl.Enum) -> dict[str, str]:
    """Return a context → that of the mutation back."""
    complement = str.maketrans("ACGT", "TGCA")
    back = {}
    for name in names.categories:
        flank = name.index("[")
        left, ref, alt, right = name[:flank], name[flank + 1], name[flank + 3], name[flank + 5 :]
        if alt in "AG":
            left, right = (side.translate(complement)[::-1] for side in (right, left))
            ref, alt = (base.translate(complement) for base in (ref, alt))
        back[name] = f"{left}[{alt}>{ref}]{right}"
    return back


def _by_chrom(chroms: pl.Series) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield each CHROM and its rows."""
    codes = chroms.rank("dense").to_numpy()
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=0))
    for rows in np.split(order, starts)[1:]:
        yield str(chroms[int(rows[0])]), rows


def _around(genome: Genome, contig: str, start: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the codes of bases around 0-based positions, shape (5, positions).

    Beyond an end a base is unknown, or that at the other end where the contig is circular.
    """
    sequence = genome.sequence(contig)
    at = start + np.arange(-_FLANK, _FLANK + 1)[:, None]
    if genome[contig].circular:
        at = at % sequence.size
    inside = (at >= 0) & (at < sequence.size)
    codes: NDArray[np.uint8] = CODES[sequence[np.where(inside, at, 0)]]
    codes[~inside] = UNKNOWN
    return codes


def _base(alleles: pl.Series) -> NDArray[np.uint8]:
    """Return the code of alleles that are one base, `UNKNOWN` for others, shape (alleles,)."""
    codes = {base: int(CODES[ord(base)]) for base in BASES}
    text = alleles.cast(pl.String)
    return text.replace_strict(codes, default=UNKNOWN, return_dtype=pl.UInt8).to_numpy()


def _change(ref: NDArray[np.uint8], alt: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the number of a change in `_CHANGES`, −1 where it is none, shape (alleles,)."""
    numbers = np.full((UNKNOWN + 1, UNKNOWN + 1), -1, np.int16)
    for number, change in enumerate(_CHANGES):
        numbers[BASES.index(change[0]), BASES.index(change[-1])] = number
    return numbers[ref, alt]


def _numbered(change: NDArray[np.int16], *flanks: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the number of a change with its flanks, from the left; −1 where one is unknown."""
    number, known = change, change >= 0
    for flank in flanks:
        number = number * np.int16(len(BASES)) + flank
        known = known & (flank < UNKNOWN)
    return np.where(known, number, np.int16(-1))


def _named(numbers: NDArray[np.int16], names: pl.Enum) -> pl.Series:
    """Return what numbers stand for, null for −1."""
    index = pl.Series(numbers).set(pl.Series(numbers < 0), None)
    return pl.Series(names.categories, dtype=names).gather(index)
