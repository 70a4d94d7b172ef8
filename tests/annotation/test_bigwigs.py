"""bigWig columns against pyBigWig, one allele at a time, and on the real track."""

import logging
import math
import shutil

import numpy as np
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.annotation import bigwigs
from varlm.annotation.bigwigs import BigWigColumns
from varlm.errors import UserError
from varlm.genome.contig_names import ContigNames

LENGTH = 400
LENGTHS = {"chr1": LENGTH, "chr2": LENGTH, "empty": 100}
NAMES = ContigNames(LENGTHS)


def write(path, runs, lengths=None):
    """Write runs (contig, start, end, value) as a bigWig, with a writer of another kin."""
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list((lengths or {"chr1": LENGTH, "2": LENGTH}).items()))
        for contig, start, end, value in runs:
            file.addEntries([contig], [start], ends=[end], values=[value])
    return path


def opened(path, names=NAMES):
    return BigWigColumns("cons", path, names, "annotate.bigwigs.cons")


def told(columns, contig, spans):
    start, end = np.array(spans, np.int64).reshape(-1, 2).T
    (series,) = columns.series(contig, start, end)
    assert series.name == columns.columns[0].name == "cons"
    assert series.dtype == columns.columns[0].dtype
    assert not series.is_nan().any()
    return series.to_list()


def by_hand(path, contig, spans):
    """The means by pyBigWig's values and exact sums."""
    means = []
    with pyBigWig.open(str(path)) as file:
        for start, end in spans:
            values = file.values(contig, start, end)
            values = [float(np.float32(v)) for v in values if math.isfinite(v)]
            mean = math.fsum(values) / len(values) if values else None
            means.append(mean if mean is None else float(np.float32(mean)))
    return means


@st.composite
def bigwig_runs(draw):
    runs = []
    for contig in ("chr1", "2"):
        at = 0
        for gap, length, value in draw(
            st.lists(
                st.tuples(
                    st.integers(0, 40),
                    st.integers(1, 20),
                    st.one_of(
                        st.floats(-1e6, 1e6, width=32), st.sampled_from([math.nan, math.inf, 0.0])
                    ),
                ),
                max_size=12,
            )
        ):
            if at + gap + length > LENGTH:
                break
            runs.append((contig, at + gap, at + gap + length, value))
            at += gap + length
    return runs or [("chr1", 5, 7, 1.5)]


SPANS = st.lists(
    st.tuples(st.integers(0, LENGTH - 1), st.one_of(st.just(1), st.integers(1, 90))).map(
        lambda t: (t[0], min(t[0] + t[1], LENGTH))
    ),
    max_size=30,
).map(sorted)


@given(
    bigwig_runs(),
    SPANS,
    st.sampled_from([0, 7, 1500]),
    st.sampled_from([1, 50, 1 << 21]),
    st.sampled_from([0, 1000]),
)
def test_every_mean_is_that_of_pybigwig(tmp_path_factory, runs, spans, gap, stretch, many):
    path = write(tmp_path_factory.mktemp("bw") / "t.bw", runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bigwigs, "_GAP", gap)
        patch.setattr(bigwigs, "_STRETCH", stretch)
        patch.setattr(bigwigs, "MANY", many)
        columns = opened(path)
        for contig, chrom in (("chr1", "chr1"), ("chr2", "2"), ("chr1", "chr1")):
            expected = by_hand(path, chrom, spans)
            for mean, value in zip(told(columns, contig, spans), expected, strict=True):
                # The order of a sum in float64 may turn the last digit in float32.
                assert mean == (
                    value if value is None else pytest.approx(value, rel=2e-7, abs=1e-9)
                )
        assert told(columns, "empty", [(0, 1), (5, 99)]) == [None, None]


@given(bigwig_runs(), SPANS, st.integers(1, 30), st.sampled_from([0, 20, 1500]))
def test_the_cut_into_pieces_changes_no_bit(tmp_path_factory, runs, spans, size, gap):
    columns = opened(write(tmp_path_factory.mktemp("bw") / "t.bw", runs))
    whole = told(columns, "chr1", spans)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bigwigs, "_GAP", gap)
        parts = [told(columns, "chr1", spans[i : i + size]) for i in range(0, len(spans), size)]
    assert whole == [value for part in parts for value in part]


def test_a_long_span_is_the_same_wherever_reading_starts(tmp_path, monkeypatch):
    length = 30_000
    values = np.random.default_rng(1).normal(0, 1e4, length).astype("f4")
    path = tmp_path / "t.bw"
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([("c", length)])
        file.addEntries("c", 0, values=values.astype(float), span=1, step=1)
    columns = opened(path, ContigNames({"c": length}))
    span = (15_001, 29_990)
    alone = told(columns, "c", [span])
    for first in (0, 1, 7, 4096, 15_000):
        assert told(columns, "c", [(first, first + 1), span])[1:] == alone
    assert alone == [pytest.approx(float(values[slice(*span)].astype("f8").mean()), rel=1e-7)]


def test_covered_bases_count_alone_and_an_insertion_is_its_anchor(tmp_path):
    path = write(
        tmp_path / "t.bw",
        [("chr1", 10, 12, 2.0), ("chr1", 12, 13, math.nan), ("chr1", 14, 15, 5.0)],
    )
    spans = [(9, 10), (10, 11), (10, 15), (12, 13), (12, 14), (13, 20)]
    assert told(opened(path), "chr1", spans) == [None, 2.0, 3.0, None, None, 5.0]


def test_no_spans(tmp_path):
    path = write(tmp_path / "t.bw", [("chr1", 10, 12, 2.0)])
    assert told(opened(path), "chr1", []) == []


@pytest.mark.parametrize("suffix", ["t.bigwig", "no suffix", "t.bed.gz", "ü ' $(x).bw"])
def test_a_bigwig_is_told_by_its_content(tmp_path, suffix):
    path = write(tmp_path / "t.bw", [("chr1", 10, 12, 2.0)])
    shutil.move(path, tmp_path / suffix)
    assert told(opened(tmp_path / suffix), "chr1", [(10, 11)]) == [2.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a bigWig .it starts with b''"),
        (b"chr1\t1\t2\t0.5\n", "not a bigWig .it starts with b'chr1'"),
        (b"\xeb\xf2\x89\x87" + bytes(100), "starts with a bigBed"),
        (b"\x26\xfc\x8f\x88" + bytes(10), "truncated"),
        (b"\x26\xfc\x8f\x88" + bytes(100) + b"\x26\xfc\x8f\x88", "damaged"),
    ],
)
def test_what_is_no_bigwig_is_named(tmp_path, content, message):
    path = tmp_path / "t.bw"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        opened(path)
    assert "t.bw" in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none.bw: cannot be read .*annotate.bigwigs.cons must"):
        opened(tmp_path / "none.bw")


def test_a_cut_anywhere_is_an_error(tmp_path):
    runs = [("chr1", 3 * i, 3 * i + 2, i / 7) for i in range(130)]
    data = write(tmp_path / "t.bw", runs).read_bytes()
    for size in [*range(0, len(data), max(1, len(data) // 150)), len(data) - 1]:
        path = tmp_path / "cut.bw"
        path.write_bytes(data[:size])
        with pytest.raises(UserError, match=r"cut\.bw: (truncated|not a bigWig|damaged)"):
            opened(path)


def outcome(path, spans, right):
    try:
        return "same" if told(opened(path), "chr1", spans) == right else "other"
    except UserError as error:
        return "refused" if f"{path.name}: damaged" in str(error) else str(error)


def test_damage_inside_is_an_error_or_changes_no_number(tmp_path):
    rng = np.random.default_rng(0)
    runs = [("chr1", 3 * i, 3 * i + 2, i / 7) for i in range(130)]
    data = write(tmp_path / "t.bw", runs).read_bytes()
    spans = [(i, i + 1) for i in range(LENGTH)]
    right = told(opened(tmp_path / "t.bw"), "chr1", spans)
    index = int.from_bytes(data[24:32], "little")
    begin = int.from_bytes(data[16:24], "little")
    outcomes = set()
    for at in rng.integers(begin + 8, index, 60).tolist():
        path = tmp_path / "flipped.bw"
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        outcomes.add(outcome(path, spans, right))
    assert outcomes <= {"refused", "same"}
    assert "refused" in outcomes


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ({"1": 401, "chr2": LENGTH}, r"'1' has 401 bp, but 'chr1' of the reference has 400: anoth"),
        ({"x": LENGTH}, r"no contig of the reference \(it has 'x'; reference: 'chr1'"),
        ({"x": LENGTH}, r"or name the contigs in reference.aliases \(a TSV with the columns"),
        ({f"x{n}": 9 for n in range(7)}, r"'x4', … \(7 in all\); reference"),
        ({"1": LENGTH, "chr1": LENGTH}, r"'(chr)?1' and '(chr)?1' are both 'chr1' of the refer"),
    ],
)
def test_another_assembly_is_refused(tmp_path, lengths, message):
    path = write(tmp_path / "t.bw", [(next(iter(lengths)), 3, 4, 1.0)], lengths)
    with pytest.raises(UserError, match=message):
        opened(path)


def test_another_mitochondrion_and_unknown_contigs_are_passed_over(tmp_path, caplog):
    lengths = {"chr1": LENGTH, "chrM": 16571, "chrUn_1": 9}
    path = write(tmp_path / "t.bw", [("chr1", 3, 4, 1.0), ("chrM", 0, 9, 1.0)], lengths)
    names = ContigNames({"1": LENGTH, "MT": 16569})
    with caplog.at_level(logging.INFO):
        columns = opened(path, names)
    assert "contig 'chrM' has 16571 bp, 'MT' of the reference 16569: another seq" in caplog.text
    assert "not in the reference, passed over: 'chrUn_1'" in caplog.text
    assert told(columns, "1", [(3, 4)]) == [1.0]
    assert told(columns, "MT", [(3, 4)]) == [None]


def test_a_sparse_piece_reads_little_and_a_dense_one_at_once(tmp_path, monkeypatch):
    length = 3_000_000
    names = ContigNames({"c": length})
    path = write(tmp_path / "t.bw", [("c", 0, length, 1.5)], {"c": length})
    columns = opened(path, names)
    asked = []
    call = columns._call
    monkeypatch.setattr(
        columns, "_call", lambda f, *a, **o: (asked.append(a[2] - a[1]), call(f, *a, **o))[1]
    )
    sparse = [(i, i + 1) for i in range(0, length, 100_000)]
    assert set(told(columns, "c", sparse)) == {1.5}
    assert sum(asked) == len(sparse)
    asked.clear()
    dense = [(i, i + 2) for i in range(0, length - 2, 1000)]
    assert set(told(columns, "c", dense)) == {1.5}
    assert len(asked) == 2
    assert max(asked) <= bigwigs._STRETCH + 2


@pytest.mark.real_data
def test_the_yeast_track_is_what_pybigwig_reads(shared_data):
    path = shared_data / "yeast" / "tracks" / "spar_identity.bw"
    with pyBigWig.open(str(path)) as file:
        lengths = file.chroms()
    columns = opened(path, ContigNames(lengths))
    rng = np.random.default_rng(0)
    for contig in ("I", "IV", "Mito"):
        start = np.sort(rng.integers(0, lengths[contig] - 300, 400))
        length = np.where(rng.random(400) < 0.5, 1, rng.integers(1, 300, 400))
        spans = list(zip(start.tolist(), (start + length).tolist(), strict=True))
        means = told(columns, contig, spans)
        expected = by_hand(path, contig, spans)
        assert [v is None for v in means] == [v is None for v in expected]
        assert [v for v in means if v is not None] == pytest.approx(
            [v for v in expected if v is not None], rel=2e-7
        )
    assert sum(v is None for v in told(columns, "IV", [(i, i + 1) for i in range(50_000)])) > 0


# Many contigs --------------------------------------------------------------------------------


def scaffolds_with_values(path, count):
    """A bigWig of contigs whose sections are of each kind; {contig: values, NaN where none}."""
    rng = np.random.default_rng(4)
    names = [f"s{number}" for number in range(count)]
    values_on = {}
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([(name, 300) for name in names])
        for number, name in enumerate(names):
            whole = np.full(300, np.nan)
            values = rng.normal(size=20)
            starts = 5 + 13 * np.arange(20)
            if number % 4 == 0:
                file.addEntries(name, starts.tolist(), values=values.tolist(), span=3)
            elif number % 4 == 1:
                file.addEntries(name, 5, values=values.tolist(), span=3, step=13)
            elif number % 4 == 2:
                ends = (starts + 3).tolist()
                file.addEntries([name] * 20, starts.tolist(), ends=ends, values=values.tolist())
            if number % 4 < 3:
                for offset in range(3):
                    whole[starts + offset] = values.astype("f4")
            values_on[name] = whole
    return values_on


def test_each_kind_of_section_among_many_contigs(tmp_path, monkeypatch):
    values_on = scaffolds_with_values(tmp_path / "t.bw", 1500)
    names = ContigNames(dict.fromkeys([*values_on, "other"], 300))
    columns = opened(tmp_path / "t.bw", names)
    monkeypatch.setattr(columns, "_file", None)  # pybigtools is not asked
    rng = np.random.default_rng(5)
    contigs, spans, expected = [], [], []
    for name in [*list(values_on)[::7], "other"]:
        starts = np.sort(rng.integers(0, 290, 3))
        ends = starts + rng.integers(1, 9, 3)
        contigs.append((name, 3))
        spans += zip(starts.tolist(), ends.tolist(), strict=True)
        for start, end in zip(starts, ends, strict=True):
            part = values_on.get(name, np.full(300, np.nan))[start:end]
            part = part[~np.isnan(part)]
            expected.append(float(np.float32(part.mean())) if len(part) else None)
    start, end = np.array(spans).T
    (series,) = columns.series_of(contigs, start, end)
    for mean, value in zip(series.to_list(), expected, strict=True):
        assert mean == (value if value is None else pytest.approx(value, rel=2e-7))
    assert None in expected
    assert told(columns, "s0", [(0, 300)]) == [
        pytest.approx(float(np.nanmean(values_on["s0"])), rel=2e-7)
    ]


def test_damage_among_many_contigs_is_an_error_or_changes_no_number(tmp_path):
    path = tmp_path / "t.bw"
    values_on = scaffolds_with_values(path, 1200)
    names = ContigNames(dict.fromkeys(values_on, 300))
    whole = path.read_bytes()
    contigs = [(name, 1) for name in values_on]
    start = np.full(len(contigs), 4)
    expected = opened(path, names).series_of(contigs, start, start + 9)[0]
    errors = 0
    for place in np.random.default_rng(6).integers(64, len(whole) - 4, 40).tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            said = opened(path, names).series_of(contigs, start, start + 9)[0]
        except UserError:
            errors += 1
        else:
            # A name or a place in an index may be another one; a value never is.
            assert set(said.drop_nulls()) <= set(expected)
    assert errors > 5
