"""BED columns against one interval and one allele at a time, and on the real tracks."""

import gzip
import logging
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from making.vcf import bgzipped
from varlm.annotation import intervals as interval_columns
from varlm.annotation.intervals import MAX_INTERVALS, MAX_NAMES, IntervalColumns
from varlm.errors import UserError
from varlm.files import text as text_files
from varlm.genome import bed
from varlm.genome.contig_names import ContigNames

LENGTH = 60
NAMES = ContigNames({"chr1": LENGTH, "chr2": LENGTH, "empty": 10})


def track(folder, text, names=NAMES, name="t", file="t.bed"):
    path = folder / file
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return IntervalColumns(name, path, names, f"annotate.intervals.{name}")


def told(columns, contig, spans):
    """(overlap, names, distance) of each span (start, end)."""
    start, end = np.array(spans, np.int64).reshape(-1, 2).T
    series = columns.series(contig, start, end)
    assert [s.name for s in series] == [column.name for column in columns.columns]
    assert [s.dtype for s in series] == [column.dtype for column in columns.columns]
    assert all(len(s) == len(start) for s in series)
    return list(zip(*(s.to_list() for s in series), strict=True))


def by_hand(intervals, contig, start, end):
    """The same for one span, by looking at every interval (contig, start, end, name, line)."""
    on_contig = sorted((s, e, line, n) for c, s, e, n, line in intervals if c == contig and s < e)
    if not on_contig:
        return False, None, None
    over = [interval for interval in on_contig if interval[0] < end and interval[1] > start]
    gaps = [start - e + 1 if e <= start else s - end + 1 for s, e, _, _ in on_contig]
    if not over:
        return False, None, min(gaps)
    names = list(dict.fromkeys(n for *_, n in over if n not in (None, "", ".")))
    shown = ",".join(names[:MAX_NAMES]) + (",…" if len(names) > MAX_NAMES else "")
    return True, shown or None, 0


INTERVALS = st.lists(
    st.tuples(
        st.sampled_from(["chr1", "chr2"]),
        st.integers(0, LENGTH - 1),
        st.integers(0, LENGTH),
        st.one_of(
            st.sampled_from([None, ".", "", "a", "b", "long name of a peak"]),
            st.integers(0, 40).map(str),
        ),
    ).map(lambda t: (t[0], min(t[1:3]), max(t[1:3]), t[3])),
    max_size=60,
)
SPANS = st.lists(
    st.tuples(st.integers(0, LENGTH - 1), st.integers(1, 12)).map(
        lambda t: (t[0], min(t[0] + t[1], LENGTH))
    ),
    max_size=30,
).map(sorted)


@given(INTERVALS, SPANS, st.sampled_from([2_000_000, 3]), st.booleans())
def test_every_span_is_told_what_a_look_at_each_interval_tells(
    tmp_path_factory, intervals, spans, pairs, in_order
):
    folder = tmp_path_factory.mktemp("bed")
    if in_order:
        intervals = sorted(intervals, key=lambda i: i[:3])
    lines = [
        "\t".join(map(str, (c, s, e) if n is None else (c, s, e, n, 0, "+")))
        for c, s, e, n in [*intervals, ("chr2", 3, 4, "fixed")]
    ]
    numbered = [
        (*interval, line) for line, interval in enumerate([*intervals, ("chr2", 3, 4, "fixed")])
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interval_columns, "_PAIRS", pairs)
        columns = track(folder, "\n".join(lines))
        for contig in ("chr1", "chr2", "empty", "chr1"):
            within = [s for s in spans if contig != "empty" or s[1] <= 10]
            expected = [by_hand(numbered, contig, *span) for span in within]
            assert told(columns, contig, within) == expected


@given(INTERVALS, SPANS, st.integers(1, 30))
def test_the_cut_into_pieces_changes_nothing(tmp_path_factory, intervals, spans, size):
    lines = [f"{c}\t{s}\t{e}\t{n}" for c, s, e, n in [*intervals, ("chr1", 3, 4, "fixed")]]
    columns = track(tmp_path_factory.mktemp("bed"), "\n".join(lines))
    whole = told(columns, "chr1", spans)
    parts = [told(columns, "chr1", spans[i : i + size]) for i in range(0, len(spans), size)]
    assert whole == [row for part in parts for row in part]


def test_an_insertion_is_its_anchor_base(tmp_path):
    columns = track(tmp_path, "chr1\t10\t20\tx\n")
    # pos 10 A>AT lies before the interval's first base (pos 11), pos 20 is its last base.
    assert told(columns, "chr1", [(9, 10), (10, 11), (19, 20), (20, 21), (25, 26)]) == [
        (False, None, 1),
        (True, "x", 0),
        (True, "x", 0),
        (False, None, 1),
        (False, None, 6),
    ]
    # A deletion's span has its anchor and the deleted bases.
    assert told(columns, "chr1", [(7, 10), (7, 11), (19, 24)]) == [
        (False, None, 1),
        (True, "x", 0),
        (True, "x", 0),
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bgzipped], ids=["plain", "gzip", "bgzip"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_every_dialect_of_bed(tmp_path, pack, end, last):
    lines = [
        "browser position chr1:1-50",
        'track name="x y" description="chr1\t1\t2"',
        "# a comment\t1\t2",
        "#chr1\t0\t60\tcommented",
        "",
        "1\t5\t7",
        "chr1\t10\t12\tfour",
        "chr2 20 22 blanks 0 +",
        "  chr2   30\t32   mixed",
        "chr2\t40\t42\twith blank in it\t0\t+\t40\t42\t0\t1\t2,\t0,",
        "track",
        "chrUn\t1\t2\tother",
        "chr2\t50\t52\tlast",
    ]
    text = end.join(lines) + (end if last else "")
    columns = track(tmp_path, pack(text.encode()))
    assert told(columns, "chr1", [(5, 6), (10, 11)]) == [(True, None, 0), (True, "four", 0)]
    assert told(columns, "chr2", [(20, 21), (31, 32), (41, 42), (51, 52)]) == [
        (True, "blanks", 0),
        (True, "mixed", 0),
        (True, "with blank in it", 0),
        (True, "last", 0),
    ]


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_lines_are_whole_and_numbered_wherever_the_file_is_cut(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(bed, "_CHUNK", chunk)
    text = "".join(f"chr1\t{i}\t{i + 1}\tname {i}\n" for i in range(40))
    for pack in (bytes, gzip.compress):
        columns = track(tmp_path, pack(text.encode()))
        spans = [(i, i + 1) for i in range(40)]
        expected = [(True, f"name {i}", 0) for i in range(40)]
        assert told(columns, "chr1", spans) == expected
        with pytest.raises(UserError, match=r"t\.bed, line 41: found 'chr1.*expected a BED line"):
            track(tmp_path, pack((text + "chr1\t5\tx\n").encode()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t1\n", "line 1: found 'chr1.t1'; expected a BED line"),
        ("#\n\nchr1\t-1\t3\n", "line 3: found"),
        ("chr1\t1.5\t3\n", "expected a BED line"),
        ("chr1,1,3\n", "expected a BED line"),
        ("chr1\t3\t1\n", "region 3-1"),
        ("chr1\t1\t2\nchr1\t1\t61\n", "line 2: region 1-61, but contig 'chr1' is 0-60"),
        ("chr1\t1\t99999999999999999999\n", "expected a BED line"),
        ("other\t1\t2\n", "no region on a contig of the reference .regions on 'other'; reference"),
        ("", "so that annotate.intervals.t would tell nothing"),
        ("chr1\t5\t5\n", "no region on a contig"),
        (b"\x1f\x8b\x08\0broken", "damaged|truncated"),
        (bgzipped("chr1\t1\t2\n" * 9000)[:-40], "truncated"),
    ],
)
def test_what_is_no_bed_is_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as error:
        track(tmp_path, text)
    assert "t.bed" in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        UserError, match=r"none.bed: cannot be read .*annotate.intervals.t must name"
    ):
        IntervalColumns("t", tmp_path / "none.bed", NAMES, "annotate.intervals.t")


def test_what_is_passed_over_is_said(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        columns = track(tmp_path, "chr1\t5\t5\nchr1\t9\t9\nchr9\t1\t2\nchr1\t7\t8\tn\n")
    assert "2 intervals of no base (start = end) are passed over" in caplog.text
    assert "contig 'chr9': not in the reference; passed over" in caplog.text
    assert "1 intervals on 1 contigs, 1 of them named" in caplog.text
    assert told(columns, "chr1", [(5, 6)]) == [(False, None, 2)]


HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "a,b",
    "100%",
    '"quoted"',
    "bell\x07 escape\x1b[31m",
    "line\u2028separator",
    "vertical\x0btab",
    "\ufeff",
    "ünïcode",
]


def test_hostile_names_stay_text_in_one_row_and_one_entry(tmp_path):
    text = "".join(f"chr1\t{i}\t{i + 1}\t{name}\n" for i, name in enumerate(HOSTILE))
    columns = track(tmp_path, text)
    names = [
        name for _, name, _ in told(columns, "chr1", [(i, i + 1) for i in range(len(HOSTILE))])
    ]
    assert names[:2] == HOSTILE[:2]
    assert names[2:] == [
        "a%2Cb",
        "100%",
        '"quoted"',
        "bell%07 escape%1B[31m",
        "line%E2%80%A8separator",
        "vertical%0Btab",
        "\ufeff",
        "ünïcode",
    ]
    together = told(columns, "chr1", [(0, len(HOSTILE))])[0][1]
    assert together.split(",") == names
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", together)


def test_bytes_that_are_no_utf8_are_replaced(tmp_path):
    assert told(track(tmp_path, b"chr1\t1\t2\tx\xff\n"), "chr1", [(1, 2)])[0][1] == "x\ufffd"


def test_many_names_are_cut(tmp_path):
    names = [f"n{i}" for i in range(MAX_NAMES)]
    text = "".join(f"chr1\t1\t9\t{name}\n" for name in names * 3)
    assert told(track(tmp_path, text), "chr1", [(1, 2)])[0][1] == ",".join(names)
    text += "chr1\t1\t9\tone more\n"
    assert told(track(tmp_path, text), "chr1", [(1, 2)])[0][1] == ",".join(names) + ",…"


def test_names_are_in_the_order_of_start_end_and_line(tmp_path):
    rows = [(5, 9, "d"), (5, 8, "b"), (2, 30, "a"), (5, 8, "c"), (6, 7, "e")]
    text = "".join(f"chr1\t{s}\t{e}\t{n}\n" for s, e, n in rows)
    assert told(track(tmp_path, text), "chr1", [(6, 7)]) == [(True, "a,b,c,d,e", 0)]


def test_nested_intervals(tmp_path):
    text = "chr1\t0\t50\ta\nchr1\t1\t20\tb\nchr1\t2\t10\tc\n"
    spans = [(9, 10), (10, 11), (12, 13), (19, 20), (20, 21), (30, 31)]
    names = [name for _, name, _ in told(track(tmp_path, text), "chr1", spans)]
    assert names == ["a,b,c", "a,b", "a,b", "a,b", "a", "a"]


@pytest.mark.parametrize("nested", [True, False])
def test_a_pile_of_intervals_is_cut(tmp_path, nested):
    size = 2 * (MAX_INTERVALS + 60)
    names = ContigNames({"c": size})
    depth = MAX_INTERVALS + 50
    rows = [(i, size - i, "x" if i < MAX_INTERVALS else "y") for i in range(depth)]
    if not nested:
        rows = [(i, size // 2 + i, name) for i, _, name in rows]
    text = "".join(f"c\t{s}\t{e}\t{n}\n" for s, e, n in rows)
    at = size // 2 - 1
    assert told(track(tmp_path, text, names), "c", [(at, at + 1), (900, 901)]) == [
        (True, "x,…", 0),
        (True, "x", 0),
    ]
    # Unnamed ones do not count.
    text = "".join(f"c\t{s}\t{e}\t{'.' if n == 'x' else n}\n" for s, e, n in rows)
    assert told(track(tmp_path, text, names), "c", [(at, at + 1)]) == [(True, "y", 0)]


def test_a_line_without_end_is_refused_before_it_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(bed, "LONGEST", 1 << 20)
    monkeypatch.setattr(bed, "_CHUNK", 1 << 18)
    seen = []
    inflated = text_files.inflate.inflate
    monkeypatch.setattr(
        text_files.inflate, "inflate", lambda *a: (seen.append(len(p)) or p for p in inflated(*a))
    )
    bomb = gzip.compress(b"chr1\t1\t2\t" + b"A" * (64 << 20))
    with pytest.raises(UserError, match=r"t\.bed, line 1: longer than 1048576 bytes"):
        track(tmp_path, bomb)
    assert sum(seen) < 16 << 20


def test_a_contig_wide_interval_costs_one_look_an_allele(tmp_path, monkeypatch):
    """The lookup must not visit all the intervals that start before an allele."""
    count = 20_000
    start = np.arange(count) * 10
    rows = pl.DataFrame({"c": "c", "s": start, "e": start + 5, "n": "x"})
    wide = pl.DataFrame({"c": "c", "s": [0], "e": [10 * count], "n": "wide"})
    pl.concat([wide, rows]).write_csv(tmp_path / "t.bed", separator="\t", include_header=False)
    columns = IntervalColumns("t", tmp_path / "t.bed", ContigNames({"c": 10 * count}), "k")
    looked_at = []
    pairs = interval_columns._Named.pairs

    def counted(*arguments):
        rows, indices = pairs(*arguments)
        looked_at.append(len(rows))
        return rows, indices

    monkeypatch.setattr(interval_columns._Named, "pairs", counted)
    at = start[-5000:].astype(np.int64)
    _, names, _ = columns.series("c", at, at + 1)
    assert names.unique().to_list() == ["wide,x"]
    assert sum(looked_at) == 2 * len(at)


def test_pairs_are_made_in_pieces(tmp_path, monkeypatch):
    """Memory holds the pairs of one piece, however many intervals lie on each other."""
    monkeypatch.setattr(interval_columns, "_PAIRS", 100)
    text = "".join(f"c\t{i}\t{i + 300}\tn{i % 3}\n" for i in range(300))
    columns = track(tmp_path, text, ContigNames({"c": 1000}))
    looked_at = []
    pairs = interval_columns._Named.pairs

    def counted(*arguments):
        rows, indices = pairs(*arguments)
        looked_at.append(len(rows))
        return rows, indices

    monkeypatch.setattr(interval_columns._Named, "pairs", counted)
    spans = [(at, at + 1) for at in range(0, 600, 7)]
    assert {name for _, name, _ in told(columns, "c", spans[5:-5])} == {
        "n0,n1,n2",
        "n1,n2,n0",
        "n2,n0,n1",
    }
    assert len(looked_at) > 50
    assert max(looked_at) <= 300  # one span's, where that is more than a piece


@pytest.mark.real_data
@pytest.mark.parametrize("file", ["nucleosomes.bed.gz", "mask_rossi.bed.gz"])
def test_the_yeast_tracks(shared_data, file):
    yeast = shared_data / "yeast"
    fai = (yeast / "genome.fa.gz.fai").read_text().splitlines()
    lengths = {line.split("\t")[0]: int(line.split("\t")[1]) for line in fai}
    columns = IntervalColumns("t", yeast / "tracks" / file, ContigNames(lengths), "k")
    with gzip.open(yeast / "tracks" / file, "rt") as lines:
        fields = [line.rstrip("\n").split("\t") for line in lines]
    rows = [
        (c, int(s), int(e), name[0] if name else None, line)
        for line, (c, s, e, *name) in enumerate(fields)
    ]
    rng = np.random.default_rng(0)
    for contig in ("I", "IV"):
        start = np.sort(rng.integers(0, lengths[contig] - 50, 150))
        spans = list(zip(start.tolist(), (start + rng.integers(1, 40, 150)).tolist(), strict=True))
        on_contig = [row for row in rows if row[0] == contig]
        assert told(columns, contig, spans) == [by_hand(on_contig, contig, *span) for span in spans]
