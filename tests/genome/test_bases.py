"""The tables of A, C, G and T."""

import subprocess
import sys

import numpy as np

from varlm.genome.bases import (
    AMBIGUITY,
    BASES,
    CODE_COMPLEMENT,
    CODES,
    COMPLEMENT,
    IS_ACGT,
    IUPAC,
    LETTERS,
    UNKNOWN,
)

# IUPAC-IUB 1984: what each letter stands for.
MEANS = dict(
    zip("ACGT", "ACGT", strict=True),
    R="AG", Y="CT", S="CG", W="AT", K="GT", M="AC", B="CGT", D="AGT", H="ACT", V="ACG", N="ACGT",
)  # fmt: skip


def test_codes_and_letters_are_each_other_s_inverse():
    assert CODES[LETTERS].tolist() == [0, 1, 2, 3, UNKNOWN]
    assert LETTERS.tobytes().decode() == BASES + "N"
    assert {chr(letter) for letter in np.flatnonzero(IS_ACGT)} == set(BASES)
    assert (CODES[~IS_ACGT] == UNKNOWN).all()


def test_a_letter_has_the_bits_of_the_bases_that_it_stands_for():
    for letter, bases in MEANS.items():
        assert AMBIGUITY[ord(letter)] == sum(AMBIGUITY[ord(base)] for base in bases)
    assert sorted(AMBIGUITY[list(b"ACGT")]) == [1, 2, 4, 8]
    assert np.count_nonzero(AMBIGUITY) == len(MEANS)


def test_complements_pair_the_bases_that_a_letter_stands_for():
    assert set(MEANS) == set(IUPAC.decode())
    pairs = dict(zip("ACGT", "TGCA", strict=True))
    for letter, bases in MEANS.items():
        complement = chr(COMPLEMENT[ord(letter)])
        assert set(MEANS[complement]) == {pairs[base] for base in bases}
    assert LETTERS[CODE_COMPLEMENT].tolist() == COMPLEMENT[LETTERS].tolist()


def test_the_tables_cannot_be_changed_and_cost_no_import(root):
    assert not any(
        t.flags.writeable for t in (CODES, IS_ACGT, CODE_COMPLEMENT, COMPLEMENT, LETTERS)
    )
    code = "import sys, varlm.genome.bases; sys.exit(bool({'polars', 'torch'} & set(sys.modules)))"
    folder = root / "workflow_scripts"
    assert subprocess.run([sys.executable, "-c", code], cwd=folder).returncode == 0
