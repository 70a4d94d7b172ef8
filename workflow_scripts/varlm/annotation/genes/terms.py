"""Sequence Ontology terms: one bit each, the most severe in the lowest bit.

A set of terms is one uint32, so that the terms of millions of (allele, transcript) pairs are
joined and compared without strings. `severity` has their order and impact.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from varlm.tables.consequence_terms import IMPACTS as IMPACTS

Terms = NDArray[np.uint32]

NAMES = tuple(IMPACTS)
BIT = {name: 1 << rank for rank, name in enumerate(NAMES)}

# What bcftools csq writes → the Sequence Ontology's term (csq.c, csq_strings).
_CSQ = {
    "synonymous": "synonymous_variant",
    "missense": "missense_variant",
    "stop_lost": "stop_lost",
    "stop_gained": "stop_gained",
    "inframe_deletion": "inframe_deletion",
    "inframe_insertion": "inframe_insertion",
    "frameshift": "frameshift_variant",
    "splice_acceptor": "splice_acceptor_variant",
    "splice_donor": "splice_donor_variant",
    "start_lost": "start_lost",
    "splice_region": "splice_region_variant",
    "stop_retained": "stop_retained_variant",
    "start_retained": "start_retained_variant",
    "5_prime_utr": "5_prime_UTR_variant",
    "3_prime_utr": "3_prime_UTR_variant",
    "non_coding": "non_coding_transcript_exon_variant",
    "intron": "intron_variant",
    "inframe_altering": "protein_altering_variant",
    "coding_sequence": "coding_sequence_variant",
    "feature_elongation": "feature_elongation",
    "feature_truncation": "feature_truncation",
    "NMD_transcript": "NMD_transcript_variant",
}
_SHAPE = BIT["feature_elongation"] | BIT["feature_truncation"]


def bits(names: Iterable[str]) -> int:
    """Return the set of these terms."""
    union = 0
    for name in names:
        union |= BIT[name]
    return union


def from_csq(text: str, changes_protein: bool) -> int:
    """Return the terms of one entry of `bcftools csq`, such as `splice_region&synonymous`.

    Parameters
    ----------
    text : str
        The entry's first field. A leading `*` (behind a stop of the same haplotype) is no term.
    changes_protein : bool
        Whether the entry gives a change of amino acids. For an in-frame delins csq gives one and
        calls it `feature_truncation` or `feature_elongation` only, its inframe term removed
        (csq.c, csq_push): that is a protein_altering_variant.

    Raises
    ------
    ValueError
        If csq wrote a term that this table does not have, or a reference to another record
        (`@pos`), which `csq -l` never does.
    """
    entry_terms = 0
    for word in text.removeprefix("*").split("&"):
        term = _CSQ.get(word)
        if term is None:
            raise ValueError(f"bcftools csq wrote the consequence {text!r}, unknown to varlm")
        entry_terms |= BIT[term]
    if changes_protein and entry_terms & _SHAPE and entry_terms & ~_SHAPE == 0:
        entry_terms |= BIT["protein_altering_variant"]
    return entry_terms


def rank(sets: Terms) -> NDArray[np.uint8]:
    """Return the index in `NAMES` of each set's most severe term; no set may be empty."""
    lowest = sets & (~sets + np.uint32(1))
    return np.log2(lowest.astype(np.float64)).astype(np.uint8)


def joined(terms: int) -> str:
    """Return a set's terms, the most severe first, `&` between them."""
    return "&".join(name for name, bit in BIT.items() if terms & bit)
