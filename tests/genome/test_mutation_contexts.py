"""Mutation contexts against letters put together by hand."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.genome.circular import CircularContigs
from varlm.genome.mutation_contexts import context_names, contexts, windows_around
from varlm.genome.reference import Genome

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def by_hand(window, alt):
    """The name of an SNV's context; None: it has none."""
    middle = len(window) // 2
    if window[middle] in "AG":
        window, alt = window.translate(COMPLEMENT)[::-1], alt.translate(COMPLEMENT)
    if set(window) - set("ACGT") or alt == window[middle]:
        return None
    return f"{window[:middle]}[{window[middle]}>{alt}]{window[middle + 1 :]}"


def numbers(windows, alts):
    letters = np.array([[*window] for window in windows], "S1").view(np.uint8)
    return contexts(letters, np.frombuffer("".join(alts).encode(), np.uint8))


@pytest.mark.parametrize(("flank", "count"), [(1, 96), (2, 1536)])
def test_there_are_as_many_as_catalogues_have(flank, count):
    names = context_names(flank)
    assert len(set(names)) == len(names) == count


@given(st.data())
def test_contexts_are_those_of_the_pyrimidines_strand(data):
    width = data.draw(st.sampled_from([3, 5]))
    text = st.text("ACGT" * 5 + "N", min_size=width, max_size=width)
    windows = data.draw(st.lists(text, min_size=1, max_size=20))
    alts = data.draw(
        st.lists(st.sampled_from("ACGT"), min_size=len(windows), max_size=len(windows))
    )
    names = context_names(width // 2)
    assert [names[n] if n >= 0 else None for n in numbers(windows, alts)] == [
        *map(by_hand, windows, alts)
    ]
    turned = [window.translate(COMPLEMENT)[::-1] for window in windows]
    assert (
        numbers(turned, [alt.translate(COMPLEMENT) for alt in alts]) == numbers(windows, alts)
    ).all()


def test_windows_end_with_a_contig_unless_it_is_circular(make_reference):
    folder = make_reference({"line": "ACGTACC", "circle": "GATTACA"})
    CircularContigs(contigs={"circle": "the test"}).write(folder / "circular.json")
    genome = Genome.open(folder)
    contigs = pl.Series(["line", "line", "circle", "circle", "line"])
    windows = windows_around(genome, contigs, np.array([0, 6, 0, 6, 2]), 2)
    assert [bytes(window).decode() for window in windows] == [
        *("NNACG", "ACCNN", "CAGAT", "ACAGA", "ACGTA")
    ]
