"""bigWigs are what they were made of, whatever the library swallows."""

import numpy as np
import pybigtools
import pyBigWig
import pytest

from varlm.tracks import bigwig_file, spool, zoom_levels
from varlm.tracks.bigwig import write_bigwigs, write_spooled
from varlm.tracks.read_back import fault
from varlm.tracks.spool import Spool


def read(path):
    """Contig → {position, 1-based: value}, as pyBigWig reads the file."""
    with pyBigWig.open(str(path)) as file:
        return {
            contig: {end: np.float32(value) for _, end, value in file.intervals(contig)}
            for contig in file.chroms()
        }


def spooled(folder, values=(1.0, 2.0, 3.0), contigs=("a", "b")):
    folder.mkdir()
    with Spool(folder, ["t"]) as made:
        for contig in contigs:
            positions = np.arange(2, 2 + len(values), dtype=np.uint32)
            made.add(contig, 1000, positions, {"t": np.array(values, np.float32)})
    return made


def overwrite(folder, lengths, entries):
    pybigtools.open(str(folder / "t.bw"), "w").write(lengths, iter(entries))
    return fault(str(folder), "t", str(folder / "t.bw"))


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
    by_contig = read(write_bigwigs(spooled(tmp_path / "spool", values))["t"])
    assert list(by_contig["a"].values()) == [np.float32(value) for value in values]


def test_sparse_values_over_a_long_contig(tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    positions = np.unique(np.random.default_rng(2).integers(1, 200_000_000, 5000)).astype("u4")
    values = np.arange(len(positions), dtype=np.float32)
    with Spool(folder, ["t"]) as made:
        made.add("long", 200_000_001, positions, {"t": values})
    value_of = read(write_bigwigs(made)["t"])["long"]
    assert list(value_of) == positions.tolist()
    assert list(value_of.values()) == values.tolist()


def test_nothing_to_write_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one value"):
        write_bigwigs(spooled(tmp_path / "spool", contigs=()))


@pytest.mark.parametrize("size", [1, 7, 100, 1000, 5000])
@pytest.mark.parametrize("block", [3, 64, 10_000])
def test_a_sample_is_evenly_spaced_whatever_the_blocks(tmp_path, monkeypatch, size, block):
    monkeypatch.setattr(spool, "BLOCK", block)
    values = np.arange(1000, dtype=np.float32)
    sample = spooled(tmp_path / "spool", values, contigs=("a",)).sample("t", size)
    assert sample.tolist() == values[:: -(-1000 // size)].tolist()
    assert len(sample) <= size


# Many contigs --------------------------------------------------------------------------------


def scaffolds(folder, count, most=5, seed=5):
    """A spool of contigs in genome order with some values each; {contig: {position: value}}."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    value_of = {}
    with Spool(folder, ["t"]) as made:
        for number in range(count):
            positions = np.sort(rng.choice(600, rng.integers(1, most + 1), replace=False) + 1)
            values = rng.normal(size=len(positions)).astype("f4")
            name = f"scaffold_{number + 1}"
            made.add(name, 600 + number, positions.astype("u4"), {"t": values})
            value_of[name] = dict(zip(positions.tolist(), values.tolist(), strict=True))
    return value_of


def written(folder):
    path = folder / "t.bw"
    write_spooled(str(folder), "t", str(path))
    return path


@pytest.mark.parametrize("count", [1, 255, 256, 257, 1500])
def test_our_own_writer_is_read_by_two_others(tmp_path, monkeypatch, count):
    monkeypatch.setattr(bigwig_file, "MANY", 0)
    monkeypatch.setattr(spool, "BLOCK", 100)
    monkeypatch.setattr(zoom_levels, "_GAIN", 1)
    monkeypatch.setattr(pybigtools, "open", None)  # not what writes it
    value_of = scaffolds(tmp_path / "spool", count)
    path = written(tmp_path / "spool")
    monkeypatch.undo()
    assert read(path) == value_of
    with pyBigWig.open(str(path)) as file:
        assert file.chroms() == {f"scaffold_{n + 1}": 600 + n for n in range(count)}
        every = np.array([v for values in value_of.values() for v in values.values()])
        header = file.header()
        assert (header["nBasesCovered"], header["version"]) == (len(every), 4)
    with pybigtools.open(str(path)) as file:
        for name, values in value_of.items():
            records = [(start + 1, value) for start, _, value in file.records(name)]
            assert records == list(values.items())
        summary = file.info()["summary"]
    assert summary["sum"] == pytest.approx(every.sum(), rel=1e-6)
    assert (summary["min"], summary["max"]) == (every.min(), every.max())


def test_both_writers_say_the_same(tmp_path, monkeypatch):
    scaffolds(tmp_path / "spool", 300, most=400)
    theirs = written(tmp_path / "spool").rename(tmp_path / "theirs.bw")
    monkeypatch.setattr(bigwig_file, "MANY", 0)
    ours = written(tmp_path / "spool")
    assert read(ours) == read(theirs)
    with pyBigWig.open(str(ours)) as one, pyBigWig.open(str(theirs)) as other:
        assert one.chroms() == other.chroms()
        for contig, length in one.chroms().items():
            wide = (contig, 0, length)
            for kind in ("mean", "min", "max", "coverage"):
                assert one.stats(*wide, type=kind) == other.stats(*wide, type=kind)
    with pybigtools.open(str(ours)) as one, pybigtools.open(str(theirs)) as other:
        assert one.zooms() == other.zooms()
        assert one.zooms()
        said, expected = one.info()["summary"], other.info()["summary"]
    assert said == pytest.approx(expected)
    # Both readers find both files whole.
    for path in (ours, theirs):
        for many in (0, 10**6):
            monkeypatch.setattr("varlm.tracks.read_back.MANY", many)
            assert fault(str(tmp_path / "spool"), "t", str(path)) is None


def test_more_contigs_than_sixteen_bits_count(tmp_path):
    count = 66_000
    folder = tmp_path / "spool"
    folder.mkdir()
    positions = np.random.default_rng(7).integers(1, 600, count).astype("u4")
    values = np.arange(count, dtype=np.float32)
    with Spool(folder, ["t"]) as made:
        runs = [(f"scaffold_{number + 1}", 600, 1) for number in range(count)]
        made.add_several(runs, positions, {"t": values})
    path = written(folder)
    assert fault(str(folder), "t", str(path)) is None
    with pyBigWig.open(str(path)) as file:
        assert len(file.chroms()) == count
        for number in (0, 9_998, 65_535, 65_536, 65_999):
            end = int(positions[number])
            assert file.intervals(f"scaffold_{number + 1}") == ((end - 1, end, values[number]),)


def test_the_library_is_asked_for_a_bounded_number_of_contigs(tmp_path, monkeypatch):
    scaffolds(tmp_path / "spool", 1500)
    path = written(tmp_path / "spool")
    asked = []

    class Counting:
        def __init__(self, path):
            self.file = pybigtools._rust_open(path)

        def records(self, *place):
            asked.append(place)
            return self.file.records(*place)

        def close(self):
            self.file.close()

    monkeypatch.setattr("varlm.tracks.read_back.pybigtools.open", Counting)
    assert fault(str(tmp_path / "spool"), "t", str(path)) is None
    assert 50 < len(asked) <= 100


def damaged(path, change):
    text = bytearray(path.read_bytes())
    change(text)
    path.write_bytes(text)


@pytest.mark.parametrize("count", [300, 1])
def test_a_damaged_byte_among_many_contigs_is_found(tmp_path, monkeypatch, count):
    monkeypatch.setattr(bigwig_file, "MANY", 0)
    monkeypatch.setattr("varlm.tracks.read_back.MANY", 0)
    folder = tmp_path / "spool"
    scaffolds(folder, count)
    whole = written(folder).read_bytes()
    assert fault(str(folder), "t", str(folder / "t.bw")) is None
    data, names = 344 + 8, int.from_bytes(whole[8:16], "little")
    rng = np.random.default_rng(3)
    places = [0, *rng.integers(data, names, 30).tolist(), *range(names, names + 48)]
    reserved = {*range(names + 4, names + 8), *range(names + 12, names + 32), names + 33}
    for place in places:
        if place in reserved:
            continue
        (folder / "t.bw").write_bytes(
            whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        )
        assert fault(str(folder), "t", str(folder / "t.bw")) is not None, place
    (folder / "t.bw").write_bytes(whole[: len(whole) // 2])
    assert fault(str(folder), "t", str(folder / "t.bw")) is not None


def test_values_of_another_spool_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(bigwig_file, "MANY", 0)
    monkeypatch.setattr("varlm.tracks.read_back.MANY", 0)
    for name, contigs in (("a", "abc"), ("b", "abcd"), ("c", "abd")):
        spooled(tmp_path / name, contigs=contigs)
    spooled(tmp_path / "d", values=(1.0, 2.0, 4.0), contigs="abc")
    spooled(tmp_path / "e", values=(1.0, 2.0), contigs="abc")
    path = written(tmp_path / "a")
    said = {n: fault(str(tmp_path / n), "t", str(path)) for n in "abcde"}
    assert said["a"] is None
    assert said["b"] == said["c"] == "its contigs are not those that were given"
    assert said["d"] == "its values near a:2 are not those that were given"
    assert said["e"] is not None
