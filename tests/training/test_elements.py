"""Elements of a BED file in their windows: where they are, which are left out, the controls."""

import logging
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from making.training import bases, write_genome
from varlm.errors import UserError
from varlm.genome.bed import read_bed
from varlm.genome.contig_names import ContigNames
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.training.elements import lay_elements, with_controls

A, B = bases(300, 1), bases(200, 2)
CONTIGS = {"chrIV": A[:150] + "N" + A[151:], "chrV": B, "chrS": bases(30, 3)}


@pytest.fixture
def genome(tmp_path):
    index_reference(write_genome(tmp_path / "g.fa", CONTIGS), tmp_path / "reference")
    return Genome.open(tmp_path / "reference")


def lay(folder, genome, lines, contigs=("chrIV", "chrS"), length=40):
    path = folder / "elements.bed"
    path.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))
    bed = read_bed(path, ContigNames(genome.lengths), "elements.bed")
    return lay_elements(bed, genome, contigs, length)


def test_each_element_is_in_the_middle_of_its_window(tmp_path, genome):
    lines = [("IV", 100, 120), ("chrIV", 101, 122), ("4", 3, 9), ("IV", 290, 300)]
    elements = lay(tmp_path, genome, lines)
    assert elements.contig == ["chrIV"] * 4
    assert elements.window.tolist() == [90, 91, 0, 260]
    assert elements.start.tolist() == [10, 10, 3, 30]
    assert elements.stop.tolist() == [30, 31, 9, 40]
    assert (elements.cut, elements.left_out) == (0, {})


def test_what_is_left_out_or_cut_is_counted_and_said(tmp_path, genome, caplog):
    lines = [("V", 50, 70), ("IV", 60, 60), ("S", 5, 9), ("IV", 140, 160), ("IV", 20, 101)]
    elements = lay(tmp_path, genome, [*lines, ("V", 1, 3)])
    assert elements.left_out == {
        "on other contigs": 2,
        "without a base": 1,
        "on a contig shorter than a window of 40 bp": 1,
        "with an unknown base": 1,
    }
    assert elements.window.tolist() == [40]  # 20 to 101 has its middle at 60
    assert (elements.start.tolist(), elements.stop.tolist(), elements.cut) == ([0], [40], 1)
    with caplog.at_level(logging.INFO):
        elements.report()
    assert "elements: 1; 2 left out: on other contigs; 1 left out: without a base" in caplog.text
    assert "1 elements are longer than a window of 40 bp: their middle is measured" in caplog.text


def test_controls_differ_in_the_element_alone(tmp_path, genome):
    lines = [("IV", start, start + 18) for start in range(0, 130, 10)]
    elements = lay(tmp_path, genome, lines)
    contrasts = with_controls(elements, genome, 0)
    for row, start in enumerate(elements.window.tolist()):
        real, control = (
            windows[row].tobytes().decode() for windows in (contrasts.real, contrasts.control)
        )
        low, high = int(contrasts.start[row]), int(contrasts.stop[row])
        assert real == CONTIGS["chrIV"][start : start + 40]
        assert real[low:high] == CONTIGS["chrIV"][lines[row][1] : lines[row][2]]
        assert (real[:low], real[high:]) == (control[:low], control[high:])
        assert Counter(pairwise(real)) == Counter(pairwise(control))
    assert (contrasts.real != contrasts.control).any(1).sum() >= 12


def test_some_are_drawn_and_the_seed_decides(tmp_path, genome):
    elements = lay(tmp_path, genome, [("IV", start, start + 9) for start in range(0, 130, 2)])
    first, again, other = (elements.chosen(10, seed) for seed in (1, 1, 2))
    assert len(first) == 10
    assert first.window.tolist() == again.window.tolist() != other.window.tolist()
    assert len(set(first.window + first.start)) == 10
    assert len(elements.chosen(1000, 1)) == len(elements) == 65
    drawn = [with_controls(first, genome, seed).control.tobytes() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_without_any_element_it_says_why(tmp_path, genome):
    with pytest.raises(UserError, match=r"no element to measure \(1 on other contigs\)"):
        with_controls(lay(tmp_path, genome, [("V", 1, 9)]), genome, 0)
    with pytest.raises(UserError, match=r"no element to measure \(the file has none\)"):
        with_controls(lay(tmp_path, genome, []), genome, 0)


def test_elements_of_unknown_contigs_are_none(tmp_path, genome):
    assert len(lay(tmp_path, genome, [("chrXX", 1, 9)])) == 0


def test_windows_hold_what_numpy_would_cut(tmp_path, genome):
    elements = lay(tmp_path, genome, [("V", 0, 200)], contigs=["chrV"], length=200)
    assert np.array_equal(
        with_controls(elements, genome, 0).real[0], np.frombuffer(B.encode(), np.uint8)
    )
