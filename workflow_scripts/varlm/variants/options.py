"""The options of normalise, and the reasons for which it rejects an allele."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# Reason → meaning. An allele has the first that applies, in this order.
REASONS = {
    "missing_alt": "ALT is '.': the record has no alternate allele",
    "spanning_deletion": "ALT is '*': the base is deleted by another record's allele",
    "breakend": "ALT is a breakend ('A[chr2:5[', 'A.', '.A'): no small variant",
    "symbolic": "ALT is symbolic ('<DEL>', '<*>', '<NON_REF>'): its bases are not given",
    "ref_not_acgt": "REF has a letter other than A, C, G, T (upper or lower case)",
    "alt_not_acgt": "ALT has a letter other than A, C, G, T (upper or lower case)",
    "alt_equals_ref": "ALT is REF: nothing varies",
    "filtered": "FILTER is neither PASS nor '.', and normalise.filter is pass",
    "contig_unknown": "CHROM is not in the reference, by name, alias file or convention",
    "out_of_bounds": "POS is 0 (telomere), or REF reaches past the end of the contig",
    "reference_n": "the reference has N there (masked, or a gap): REF cannot be compared",
    "reference_ambiguous": "the reference has an IUPAC letter there (R, Y, …) that REF agrees with",
    "ref_mismatch": "REF is not what the reference has there",
    "too_long": "longer than normalise.max_allele_length, without the bases REF and ALT share",
    "indels_skipped": "no single-base substitution, and scoring.indels is skip",
    "indels_undefined": "no single-base substitution, and the kind of score of no model is defined "
    "for it",
    "af_missing": "no readable AF or AC/AN, and normalise.min_af or max_af is set",
    "af_out_of_range": "allele frequency below normalise.min_af or above normalise.max_af",
    "outside_regions": "no base of the normalised REF is in normalise.regions",
}


@dataclass(frozen=True)
class NormaliseOptions:
    """Which alleles are accepted; the keys of the config's `normalise`, and `scoring.indels`.

    Attributes
    ----------
    filter : str
        `pass`: only records whose FILTER is PASS or '.'; `all`: any.
    min_af, max_af : float or None
        Limits of the allele frequency, inclusive; with one set, alleles without a frequency are
        rejected (`af_missing`), for they cannot be shown to be within.
    regions : Path or None
        BED file; the normalised REF must share a base with a region.
    max_allele_length : int
        bp, of the longer of REF and ALT without the bases they share.
    on_ref_mismatch : str
        `reject` the allele, or `error`: stop.
    max_ref_mismatch : float
        Stop when a larger share of the cohort's alleles has a wrong REF, and at least
        `varlm.variants.assembly.MIN_REF_MISMATCHES` have: the cohort was called against another
        assembly, or REF and ALT are swapped, or of the other strand.
    indels : str
        `score` them, or `skip`: reject all but single-base substitutions; `undefined`: likewise,
        since the run has no kind of score that is defined for others.
    aliases : Path or None
        TSV of contig aliases, or NCBI assembly report.
    """

    filter: Literal["all", "pass"] = "all"
    min_af: float | None = None
    max_af: float | None = None
    regions: Path | None = None
    max_allele_length: int = 50
    on_ref_mismatch: Literal["reject", "error"] = "reject"
    max_ref_mismatch: float = 0.1
    indels: Literal["score", "skip", "undefined"] = "score"
    aliases: Path | None = None
