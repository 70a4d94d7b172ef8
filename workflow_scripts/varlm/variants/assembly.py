"""What many wrong REFs are a sign of: another assembly, swapped alleles, or the other strand.

PLINK exports the rarer allele as ALT, whatever the reference has, and genotyping arrays name
alleles on either strand.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from varlm.errors import UserError
from varlm.variants.ref_check import CohortContig

log = logging.getLogger(__name__)

# Fewer wrong REFs than this are reported, but are no sign of another assembly.
MIN_REF_MISMATCHES = 10

PROVISIONAL = b"##INFO=<ID=PR,"  # PLINK 2: the REF of the record may not be the reference's
_SWAPPED = (
    "REF and ALT are swapped, as PLINK swaps them, which makes the rarer allele ALT unless it is "
    "told the reference{flag}. Mend it with 'plink2 --ref-from-fa force --fasta FASTA …' or "
    "'bcftools norm --check-ref s --fasta-ref FASTA'"
)
_FLIPPED = (
    "these alleles are named on the other strand, as genotyping arrays name them (TOP/BOT). Mend "
    "it with 'bcftools +fixref', or make the VCF anew with the alleles of the forward strand"
)
_FLAG = " (INFO/PR, 'provisional reference allele', says so)"
_ASSEMBLY = "The cohort was called against another assembly: give that reference"


def check_assembly(
    cohort: str,
    contigs: Sequence[tuple[str, CohortContig]],
    limit: float,
    *,
    provisional: bool,
) -> None:
    """Say what most of a cohort's wrong REFs are; raise where there are too many.

    Parameters
    ----------
    cohort : str
    contigs : sequence of (str, CohortContig)
        CHROM and what was counted on it.
    limit : float
        The share of wrong REFs that is allowed (`normalise.max_ref_mismatch`).
    provisional : bool
        Whether a header declares INFO/PR, as PLINK 2 does where it does not know REF.

    Raises
    ------
    UserError
        That says what most of the wrong REFs are: swapped, of the other strand, or of another
        assembly.
    """
    wrong, checked, swapped, flipped = (
        sum(getattr(entry, count) for _, entry in contigs)
        for count in ("mismatches", "checked", "swapped", "flipped")
    )
    if wrong < MIN_REF_MISMATCHES:
        return
    cause = _cause(wrong, swapped, flipped, provisional=provisional)
    if wrong > limit * checked:
        raise UserError(
            f"cohort {cohort!r}: {wrong} of {checked} alleles ({100 * wrong / checked:.1f} %) "
            f"have a REF that the reference does not have there; at most {100 * limit:g} % are "
            f"allowed. {cause or _ASSEMBLY}, or raise normalise.max_ref_mismatch"
        )
    if cause:
        log.warning("cohort %r: %s", cohort, cause)


def _cause(wrong: int, swapped: int, flipped: int, *, provisional: bool) -> str:
    """Say what explains most of the wrong REFs, and how many; nothing, if nothing does.

    Of alleles on another assembly, a third have the reference's base as ALT by chance, and a
    third its complement as REF.
    """
    if 2 * max(swapped, flipped) <= wrong:
        return ""
    if swapped >= flipped:
        remedy = _SWAPPED.format(flag=_FLAG if provisional else "")
        return f"In {swapped} of {wrong} mismatches ALT is the reference's base: {remedy}"
    return (
        f"In {flipped} of {wrong} mismatches REF is the complement of the reference's base: "
        f"{_FLIPPED}"
    )
