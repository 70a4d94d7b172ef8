"""bigWigs are what they were made of, whatever the library swallows."""

import numpy as np
import pybigtools
import pyBigWig
import pytest

from varlm.tracks import bigwig
from varlm.tracks.bigwig import Spool, write_bigwigs


def read(path):
    """Contig → {position, 1-based: value}, as pyBigWig reads the file."""
    with pyBigWig.open(str(path)) as file:
        return {
            contig: {end: np.float32(value) for _, end, value in file.intervals(contig)}
            for contig in file.chroms()
        }


def spooled(folder, values=(1.0, 2.0, 3.0), contigs=("a", "b")):
    folder.mkdir()
    with Spool(folder, ["t"]) as spool:
        for contig in contigs:
            positions = np.arange(2, 2 + len(values), dtype=np.uint32)
            spool.add(contig, 1000, positions, {"t": np.array(values, np.float32)})
    return spool


def overwrite(folder, lengths, entries):
    pybigtools.open(str(folder / "t.bw"), "w").write(lengths, iter(entries))
    return bigwig.fault(str(folder), "t", str(folder / "t.bw"))


GOOD = [(contig, pos, pos + 1, float(pos)) for contig in "ab" for pos in (1, 2, 3)]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (GOOD, None),
        (GOOD[:-1], "values near b:2"),
        (GOOD[1:], "values near a:2"),
        (GOOD[:3], "cannot be read"),
        ([*GOOD, ("b", 9, 10, 1.0)], "more values on contig 'b'"),
        ([*GOOD[:3], ("a", 9, 10, 1.0), *GOOD[3:]], "more values on contig 'a'"),
        ([*GOOD[:5], ("b", 3, 4, 9.0)], "values near b:2"),
        ([*GOOD[:5], ("b", 3, 5, 3.0)], "values near b:2"),
        ([("a", 1, 2, 1.0), ("a", 9, 10, 2.0), ("a", 2, 3, 2.0)], "cannot be opened"),
        ([("zz", 1, 2, 1.0)], "cannot be opened"),
        ([("a", 999, 1001, 1.0)], "cannot be opened"),
    ],
)
def test_the_reader_tells_what_the_writer_swallows(tmp_path, entries, said):
    # pybigtools 0.3.0 returns from each of these as if all were well.
    spooled(tmp_path / "spool")
    message = overwrite(tmp_path / "spool", {"a": 1000, "b": 1000}, entries)
    assert message is None if said is None else said in message


def test_neighbours_of_the_same_value_stay_apart_and_odd_values_survive(tmp_path):
    values = [1.0, 1.0, -0.0, 0.1, np.finfo("f4").max, np.finfo("f4").tiny, -1e-30]
    spool = spooled(tmp_path / "spool", values)
    by_contig = read(write_bigwigs(spool)["t"])
    assert list(by_contig["a"].values()) == [np.float32(value) for value in values]


def test_sparse_values_over_a_long_contig(tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    positions = np.unique(np.random.default_rng(2).integers(1, 200_000_000, 5000)).astype("u4")
    values = np.arange(len(positions), dtype=np.float32)
    with Spool(folder, ["t"]) as spool:
        spool.add("long", 200_000_001, positions, {"t": values})
    value_of = read(write_bigwigs(spool)["t"])["long"]
    assert list(value_of) == positions.tolist()
    assert list(value_of.values()) == values.tolist()


def test_nothing_to_write_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one value"):
        write_bigwigs(spooled(tmp_path / "spool", contigs=()))


@pytest.mark.parametrize("size", [1, 7, 100, 1000, 5000])
@pytest.mark.parametrize("block", [3, 64, 10_000])
def test_a_sample_is_evenly_spaced_whatever_the_blocks(tmp_path, monkeypatch, size, block):
    monkeypatch.setattr(bigwig, "BLOCK", block)
    values = np.arange(1000, dtype=np.float32)
    spool = spooled(tmp_path / "spool", values, contigs=("a",))
    sample = spool.sample("t", size)
    assert sample.tolist() == values[:: -(-1000 // size)].tolist()
    assert len(sample) <= size
