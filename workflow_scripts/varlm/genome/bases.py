"""A, C, G and T: their order, their codes and their complements, as tables of a letter or a code.

A base is an ASCII byte, upper case, in sequences and windows, and a code in models and corpora:
0 to 3 for A, C, G, T, and `UNKNOWN` for anything else. To look up arrays, index the tables.
"""

from __future__ import annotations

import numpy as np

BASES = "ACGT"
IUPAC = b"ACGTNRYSWKMBDHV"  # every letter of a nucleotide sequence but U
UNKNOWN = 4

CODES = np.full(256, UNKNOWN, dtype=np.uint8)
"""Letter → code."""
CODES[list(BASES.encode())] = range(4)

LETTERS = np.frombuffer(BASES.encode() + b"N", np.uint8)
"""Code → letter, N for `UNKNOWN`."""

IS_ACGT = CODES < UNKNOWN
"""Letter → whether it is A, C, G or T."""

CODE_COMPLEMENT = np.array([3, 2, 1, 0, UNKNOWN], dtype=np.uint8)
"""Code → code of the complement."""

COMPLEMENT = np.arange(256, dtype=np.uint8)
"""Letter → its complement, IUPAC's codes too (R, purine, is Y, pyrimidine)."""
COMPLEMENT[list(IUPAC)] = list(b"TGCANYRSWMKVHDB")

AMBIGUITY = np.zeros(256, dtype=np.uint8)
"""Letter → the bases that it stands for, a bit each (A 1, C 2, G 4, T 8); N is all four."""
AMBIGUITY[list(IUPAC)] = [1, 2, 4, 8, 15, 5, 10, 6, 9, 12, 3, 14, 13, 11, 7]

for _table in (CODES, IS_ACGT, CODE_COMPLEMENT, COMPLEMENT, AMBIGUITY):
    _table.setflags(write=False)
