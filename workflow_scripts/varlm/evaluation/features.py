"""What is known of an allele without a model: sequence context, place and frequency.

These are what a score may follow in place of an effect, so they are what alleles are matched by,
and the strata that they are compared within.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.bases import LETTERS, UNKNOWN
from varlm.genome.mutation_contexts import context_names, contexts, windows_around
from varlm.genome.reference import Genome

# Columns of the annotated table that `features` reads.
READ = ("chrom", "pos", "ref", "alt", "kind", "af", "consequence", "tss_distance")

_FLANK = 2  # bases on each side in a pentamer
_ROWS = 500_000  # whose windows are held at a time: of a whole genome's SNVs they are gigabytes

TRINUCLEOTIDES = pl.Enum(context_names(1))
PENTAMERS = pl.Enum(context_names(_FLANK))
KINDS = pl.Enum(("snv", "mnv", "ins", "del", "delins"))

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
        base that is none of A, C, G and T, and of one too near to a contig's end. `kind` (of
        `KINDS`), `consequence`, `tss_distance` (Int32, bp to the nearest
        transcription start, negative upstream), `af` and `maf` (Float64: of the alternate, and of
        the rarer allele).
    """
    types: dict[str, pl.DataType] = {
        "kind": KINDS,
        "consequence": pl.Categorical(),
        "tss_distance": pl.Int32(),
        "af": pl.Float64(),
    }
    known = pl.DataFrame(
        {
            name: alleles[name].cast(dtype)
            if name in alleles.columns
            else pl.Series([None] * alleles.height, dtype=dtype)
            for name, dtype in types.items()
        }
    ).with_columns(pl.min_horizontal("af", 1 - pl.col("af")).alias("maf"))
    starts = range(0, max(alleles.height, 1), _ROWS)
    pieces = [_contexts(alleles.slice(start, _ROWS), contigs, genome) for start in starts]
    return pl.concat(pieces).hstack(known)


def _contexts(alleles: pl.DataFrame, contigs: Mapping[str, str], genome: Genome) -> pl.DataFrame:
    """Return the columns `trinucleotide`, `pentamer` and `cpg` of `features`."""
    contig = alleles["chrom"].cast(pl.String).replace(contigs)
    known = contig.is_in(genome.names)
    positions = alleles["pos"].filter(known).to_numpy().astype(np.int64) - 1
    windows = np.full((alleles.height, 2 * _FLANK + 1), LETTERS[UNKNOWN])
    windows[known.to_numpy()] = windows_around(genome, contig.filter(known), positions, _FLANK)
    ref, alt = _letter(alleles["ref"]), _letter(alleles["alt"])
    windows[ref != windows[:, _FLANK], _FLANK] = LETTERS[UNKNOWN]
    three = contexts(windows[:, _FLANK - 1 : _FLANK + 2], alt)
    named = pl.DataFrame(
        {
            "trinucleotide": _named(three, TRINUCLEOTIDES),
            "pentamer": _named(contexts(windows, alt), PENTAMERS),
        }
    )
    return named.with_columns(pl.col("trinucleotide").is_in(_CPG).alias("cpg"))


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


def _letter(alleles: pl.Series) -> NDArray[np.uint8]:
    """Return the letter of alleles that are A, C, G or T, N for others, shape (alleles,)."""
    letters = {chr(letter): int(letter) for letter in LETTERS[:UNKNOWN]}
    text = alleles.cast(pl.String)
    other = int(LETTERS[UNKNOWN])
    return text.replace_strict(letters, default=other, return_dtype=pl.UInt8).to_numpy()


def _named(numbers: NDArray[np.int64], names: pl.Enum) -> pl.Series:
    """Return what numbers stand for, null for −1."""
    index = pl.Series(numbers).set(pl.Series(numbers < 0), None)
    return pl.Series(names.categories, dtype=names).gather(index)
