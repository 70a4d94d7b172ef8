"""Zoom levels: what another reader makes of them is what the values say."""

from itertools import pairwise

import numpy as np
import pybigtools
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.tracks import bigwig, zoom_levels
from varlm.tracks.bigwig import write_spooled
from varlm.tracks.read_back import fault
from varlm.tracks.spool import Spool
from varlm.tracks.zoom_levels import replace_summaries, summarise


def blocks(contigs, size):
    """(number, positions, values) of {number: {position: value}}, in blocks."""
    for number, value_of in contigs.items():
        positions = np.array(sorted(value_of), dtype=np.uint32)
        values = np.array([value_of[p] for p in sorted(value_of)], dtype=np.float32)
        for start in range(0, len(positions), size):
            yield number, positions[start : start + size], values[start : start + size]


def slow_level(contigs, size):
    """The records of one level, from the definition."""
    records = []
    for number, value_of in contigs.items():
        bins = {}
        for position in sorted(value_of):
            bins.setdefault((position - 1) // size, []).append(position)
        for positions in bins.values():
            values = [float(np.float32(value_of[p])) for p in positions]
            extent = (number, positions[0] - 1, positions[-1], len(positions))
            sums = (sum(values), sum(value * value for value in values))
            records.append((*extent, min(values), max(values), *sums))
    return records


CONTIG = st.dictionaries(st.integers(1, 600), st.floats(-8, 8, width=16), min_size=1, max_size=60)


@given(st.lists(CONTIG, min_size=1, max_size=4), st.integers(1, 70), st.sampled_from([9, 10**6]))
def test_levels_are_the_definition(found, block, most):
    contigs = dict(enumerate(found))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoom_levels, "MOST", most)
        patch.setattr(zoom_levels, "_GAIN", 1)
        patch.setattr(zoom_levels, "_FEW", 1)
        levels = summarise(blocks(contigs, block))
    sizes = [size for size, _ in levels]
    assert sizes == sorted(set(sizes))
    assert most == 9 or sizes[0] == 16
    for size, records in levels:
        expected = slow_level(contigs, size)
        assert len(records) == len(expected)
        for record, wanted in zip(records.tolist(), expected, strict=True):
            assert record[:4] == wanted[:4]
            assert record[4:] == pytest.approx(wanted[4:], rel=1e-6, abs=1e-6)
    for (_, fine), (_, coarse) in pairwise(levels):
        assert len(coarse) <= len(fine) / 2


def write(folder, contigs):
    """The bigWig of {contig: (length, positions, values)}."""
    folder.mkdir()
    with Spool(folder, ["t"]) as spool:
        for contig, (length, positions, values) in contigs.items():
            spool.add(contig, length, positions.astype("u4"), {"t": values.astype("f4")})
    write_spooled(str(folder), "t", str(folder / "t.bw"))
    assert fault(str(folder), "t", str(folder / "t.bw")) is None
    return folder / "t.bw"


def gapped(seed, length, count):
    rng = np.random.default_rng(seed)
    positions = np.unique(rng.integers(1, length + 1, count))
    positions = np.union1d(positions, np.arange(length // 3, length // 3 + length // 9))
    return length, positions, rng.normal(size=len(positions))


@pytest.mark.parametrize(("slot", "fan"), [(512, 256), (2, 3), (1, 2)])
def test_another_reader_sees_the_values_at_every_zoom(tmp_path, monkeypatch, slot, fan):
    # Small sections and nodes make deep trees, as a whole genome's are.
    monkeypatch.setattr(zoom_levels, "SLOT", slot)
    monkeypatch.setattr(zoom_levels, "FAN", fan)
    monkeypatch.setattr(zoom_levels, "_FEW", 4)
    length = 2**18
    contigs = {name: gapped(seed, length, 9000) for seed, name in enumerate(("b", "a", "c"))}
    path = write(tmp_path / "spool", contigs)
    with pyBigWig.open(str(path)) as file:
        assert file.header()["nLevels"] == len(pybigtools.open(str(path)).zooms()) > 4
        for contig, (_, positions, values) in contigs.items():
            values = values.astype("f4").astype(float)
            for bins in (2, 16, 128, 1024):
                # Bins of the reader that are bins of ours: nothing is cut at their borders.
                group = (positions - 1) // (length // bins)
                each = [values[group == number] for number in range(bins)]
                for kind, of in (
                    ("mean", np.mean),
                    ("min", np.min),
                    ("max", np.max),
                    ("coverage", lambda found, bins=bins: len(found) / (length // bins)),
                ):
                    found = file.stats(contig, 0, length, type=kind, nBins=bins)
                    expected = [of(one) if len(one) else None for one in each]
                    if kind == "coverage":
                        found = [value or 0 for value in found]
                        expected = [value or 0 for value in expected]
                    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6), (kind, bins)


def test_a_whole_file_without_gaps_agrees_with_the_library(tmp_path, monkeypatch):
    positions = np.arange(1, 50_001)
    values = np.random.default_rng(4).normal(size=50_000)
    whole = {"c": (50_000, positions, values)}
    ours = pybigtools.open(str(write(tmp_path / "ours", whole)))
    monkeypatch.setattr(bigwig, "replace_summaries", lambda *_: None)
    theirs = pybigtools.open(str(write(tmp_path / "theirs", whole)))
    for file in (ours, theirs):
        assert file.info()["summary"] == theirs.info()["summary"]
        for size in file.zooms():
            for start, end, found in file.zoom_records(size, "c"):
                part = values[start:end].astype("f4").astype(float)
                assert found["bases_covered"] == len(part)
                assert found["min_val"] == pytest.approx(part.min())
                assert found["max_val"] == pytest.approx(part.max())
                assert found["sum"] == pytest.approx(part.sum(), abs=1e-3)
                assert found["sum_squares"] == pytest.approx((part**2).sum(), rel=1e-4)


def test_the_librarys_own_summaries_are_wrong_at_gaps(tmp_path, monkeypatch):
    # When this fails, pybigtools has mended it, and bigwig_summaries can go.
    sparse = {"c": (100_000, np.arange(1, 100_000, 50), np.ones(2000))}
    monkeypatch.setattr(bigwig, "replace_summaries", lambda *_: None)
    with pytest.raises(AssertionError, match="zoom level"):
        write(tmp_path / "theirs", sparse)


def test_few_values_need_no_level(tmp_path):
    path = write(tmp_path / "spool", {"c": (100, np.array([3, 50]), np.array([1.0, 2.0]))})
    with pyBigWig.open(str(path)) as file:
        assert file.header()["nLevels"] == 0
        assert file.stats("c", 0, 100, type="max") == [2.0]


@pytest.mark.parametrize("at", [0, 3, 14, 22, 30])  # the magic number, and three offsets
def test_another_layout_is_refused(tmp_path, at):
    path = write(tmp_path / "spool", {"c": (100, np.array([3, 50]), np.array([1.0, 2.0]))})
    text = bytearray(path.read_bytes())
    text[at] ^= 0x55
    path.write_bytes(text)
    with pytest.raises(ValueError, match="not a bigWig as pybigtools lays it out"):
        replace_summaries(path, [])
    assert path.read_bytes() == text
