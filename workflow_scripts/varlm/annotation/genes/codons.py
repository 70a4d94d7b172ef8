"""NCBI's genetic codes, as bcftools csq has them: what codons read, and which start a protein.

The numbers and tables are those of csq.c in bcftools 1.24 (`gencode_tables`), which follow
https://www.ncbi.nlm.nih.gov/Taxonomy/Utils/wprintgc.cgi; 0 is its own: the standard code in which
ATG alone starts a protein.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

Bases = NDArray[np.uint8]  # ASCII

_STANDARD = "KNKNTTTTRSRSIIMIQHQHPPPPRRRRLLLLEDEDAAAAGGGGVVVV*Y*YSSSS*CWCLFLF"  # AAA, AAC, AAG, …
# Number → codons that read otherwise than in the standard code, each with its amino acid; starts.
_CODES = {
    0: ("", "ATG"),
    1: ("", "ATG CTG TTG"),
    2: ("AGA* AGG* ATAM TGAW", "ATA ATC ATG ATT GTG"),
    3: ("ATAM CTAT CTCT CTGT CTTT TGAW", "ATA ATG GTG"),
    4: ("TGAW", "ATA ATC ATG ATT CTG GTG TTA TTG"),
    5: ("AGAS AGGS ATAM TGAW", "ATA ATC ATG ATT GTG TTG"),
    6: ("TAAQ TAGQ", "ATG"),
    9: ("AAAN AGAS AGGS TGAW", "ATG GTG"),
    10: ("TGAC", "ATG"),
    11: ("", "ATA ATC ATG ATT CTG GTG TTG"),
    12: ("CTGS", "ATG CTG"),
    13: ("AGAG AGGG ATAM TGAW", "ATA ATG GTG TTG"),
    14: ("AAAN AGAS AGGS TAAY TGAW", "ATG"),
    15: ("TAGQ", "ATG"),
    16: ("TAGL", "ATG"),
    21: ("AAAN AGAS AGGS ATAM TGAW", "ATG GTG"),
    22: ("TAGL TCA*", "ATG"),
    23: ("TTA*", "ATG ATT GTG"),
    24: ("AGAS AGGK TGAW", "ATG CTG GTG TTG"),
    25: ("TGAG", "ATG GTG TTG"),
    26: ("CTGA", "ATG CTG"),
    27: ("TAAQ TAGQ TGAW", "ATG"),
    28: ("TAAQ TAGQ TGAW", "ATG"),
    29: ("TAAY TAGY", "ATG"),
    30: ("TAAE TAGE", "ATG"),
    31: ("TAAE TAGE TGAW", "ATG"),
    33: ("AGAS AGGK TAAY TGAW", "ATG CTG GTG TTG"),
}
# One base from ATG; AAG and AGG, which start next to nothing, are left to be arginine and lysine.
_NEAR_ATG = frozenset(("ACG", "ATA", "ATC", "ATT", "CTG", "GTG", "TTG"))
_COMPLEMENT = np.arange(256, dtype=np.uint8)
_COMPLEMENT[list(b"ACGTRYKMBVDH")] = list(b"TGCAYRMKVBHD")


@cache
def amino_acids(code: int) -> Mapping[str, str]:
    """Return codon → amino acid (`*`: stop) of a genetic code."""
    codons = (a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT")
    table = dict(zip(codons, _STANDARD, strict=True))
    table.update((entry[:3], entry[3]) for entry in _CODES[code][0].split())
    return table


@cache
def starts(code: int) -> frozenset[str]:
    """Return the codons that start a protein."""
    return frozenset(_CODES[code][1].split())


def may_start(codon: str, code: int) -> bool:
    """Tell whether an annotated protein may start at a codon that is not the code's ATG.

    Eukaryotes' proteins start at codons one base from ATG too, which their code does not list.
    """
    return codon in starts(code) or (code == 0 and codon in _NEAR_ATG)


def kept_start(codon: str, code: int) -> bool:
    """Tell whether a start codon that became this one still starts: NCBI's starts of the code."""
    return codon in starts(code or 1)


def translated(bases: str, code: int) -> str:
    """Return the amino acids of whole codons; X where a base is ambiguous."""
    table = amino_acids(code)
    return "".join(table.get(bases[i : i + 3], "X") for i in range(0, len(bases) - 2, 3))


def complement(bases: Bases) -> Bases:
    """Return the complement of each base, in the same order."""
    return _COMPLEMENT[bases]
