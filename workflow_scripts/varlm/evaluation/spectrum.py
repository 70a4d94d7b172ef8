"""Rare and common alleles, seen from the minor or from the derived one.

The protocol of the GPN paper (Benegas, Batra and Song, PNAS 2023, 10.1073/pnas.2311219120): rare
alleles have the count 1, common ones a minor-allele frequency of 5 % or more. What is compared is
the allele that is rarer: where the alternate's frequency is above one half, frequency and
log-likelihood ratio are turned to the reference's. Where the ancestral allele is known (INFO/AA),
it decides instead: the derived allele is looked at, be it REF or ALT.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

COMMON = 0.05  # lowest frequency of the minor allele
RARE = 0.01  # highest, where no count is known and the smallest frequency is no singleton's
_SINGLETON_SHARE = (
    0.01  # of the alleles: fewer at the smallest frequency are no class of singletons
)
_SAME = 1e-3  # relative; frequencies of one count and one sample differ by less (float32, rounding)

ANCESTRAL, COUNT, NUMBER = "info_AA", "info_AC", "info_AN"

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Spectrum:
    """The alleles by frequency; arrays have the shape (alleles,).

    Attributes
    ----------
    frequency : numpy.ndarray
        Of the minor or the derived allele; NaN where it is left out.
    turned : numpy.ndarray
        Where that allele is REF, so that a log-likelihood ratio changes its sign.
    rare, common : numpy.ndarray
    left_out : dict
        Reason → alleles.
    polarity, rare_is, common_is : str
        What was done, for the output.
    """

    frequency: NDArray[np.float64]
    turned: Flags
    rare: Flags
    common: Flags
    left_out: dict[str, int]
    polarity: str
    rare_is: str
    common_is: str


def spectrum(alleles: pl.DataFrame) -> Spectrum | None:
    """Return rare and common alleles; None where no allele has a frequency.

    Parameters
    ----------
    alleles : polars.DataFrame
        `ref`, `alt`, `af`; `info_AC`, `info_AN` and `info_AA` are used where they are there.
    """
    af = alleles["af"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    if np.isnan(af).all():
        return None
    seen = (af > 0) & (af < 1)
    left_out = {
        "no frequency": int(np.isnan(af).sum()),
        "frequency 0 or 1": int((~seen & ~np.isnan(af)).sum()),
    }
    if ANCESTRAL in alleles.columns:
        ancestral = _ancestral(alleles[ANCESTRAL])
        turned = ancestral == alleles["alt"].str.to_uppercase().to_numpy()
        known = turned | (ancestral == alleles["ref"].str.to_uppercase().to_numpy())
        left_out["ancestral allele unknown, or neither REF nor ALT"] = int((seen & ~known).sum())
        seen &= known
        polarity = "derived allele, by INFO/AA"
    else:
        turned = seen & (af > 0.5)
        polarity = "minor allele: turned where the alternate's frequency is above 0.5"
    turned &= seen
    frequency = np.where(seen, np.where(turned, 1 - af, af), np.nan)
    rare, rare_is = _rare(alleles, af, frequency, turned)
    with np.errstate(invalid="ignore"):
        common = (np.minimum(frequency, 1 - frequency) >= COMMON) & ~rare
    common_is = f"minor allele's frequency {COMMON:.0%} or more, and not rare"
    return Spectrum(frequency, turned, rare, common, left_out, polarity, rare_is, common_is)


def _ancestral(values: pl.Series) -> NDArray[np.object_]:
    """Return ancestral alleles, upper case; the 1000 Genomes' `a|||` is A. "" where missing."""
    if isinstance(values.dtype, pl.List):
        values = values.list.first()
    text = values.cast(pl.String).str.split("|").list.first().str.to_uppercase()
    return np.asarray(text.fill_null("").to_numpy(), dtype=object)


def _rare(
    alleles: pl.DataFrame,
    af: NDArray[np.float64],
    frequency: NDArray[np.float64],
    turned: Flags,
) -> tuple[Flags, str]:
    """Return which alleles are rare, and by what rule."""
    seen = ~np.isnan(frequency)
    if COUNT in alleles.columns:
        count = _number(alleles[COUNT])
        if NUMBER in alleles.columns:
            number, how = _number(alleles[NUMBER]), "INFO/AC and INFO/AN"
        else:
            with np.errstate(invalid="ignore", divide="ignore"):
                number, how = np.round(count / af), "INFO/AC, and the frequency"
        return seen & (np.where(turned, number - count, count) == 1), f"allele count 1, by {how}"
    smallest = float(np.nanmin(frequency)) if seen.any() else 0.0
    with np.errstate(invalid="ignore"):
        singletons = frequency <= smallest * (1 + _SAME)
    if singletons.sum() >= _SINGLETON_SHARE * max(int(seen.sum()), 1):
        return singletons, (
            f"the smallest frequency, {smallest:.4g}, taken for the allele count 1: no allele "
            "counts (annotate.info: [AC, AN])"
        )
    with np.errstate(invalid="ignore"):
        low = frequency <= RARE
    return low, (
        f"frequency {RARE:.0%} or less: no allele counts (annotate.info: [AC, AN]), and the "
        "smallest frequency is no singletons'"
    )


def _number(values: pl.Series) -> NDArray[np.float64]:
    """Return an INFO field as numbers, NaN where missing; of a list the only entry."""
    if isinstance(values.dtype, pl.List):
        values = values.list.get(0, null_on_oob=True)
    return values.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy().astype(np.float64)
