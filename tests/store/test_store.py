"""The store: what was committed is read back, once, whatever parts it lies in."""

import hashlib
import json
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from making.store import KEY, MODEL, add_part, add_unseen, allele_rows, background_rows, site_rows
from varlm.errors import UserError
from varlm.store import ALLELE_SCHEMA, KINDS, SITE_SCHEMA, Store
from varlm.store.layout import LAST, METADATA, Part, Tolerance, tolerance
from varlm.store.repair import repair
from varlm.tables.schemas import BACKGROUND, LOGIT_COLUMNS
from varlm.tables.score_kinds import SCORE_KINDS


def commit(folder, sites=(), alleles=(), background=(), model=MODEL):
    """Rows of SQ.a (and of a background BG.a) through a new Store, as a run does."""
    return Store(folder).commit(
        KEY,
        model,
        [("SQ.a", rows) for rows in sites],
        [("SQ.a", rows) for rows in alleles],
        [("BG.a", rows) for rows in background],
    )


def part_rows(folder, kind="sites"):
    return sum(part.rows for part in Store(folder).parts(KEY) if part.kind == kind)


# Reading what was written


def test_an_absent_store_is_empty_and_reading_does_not_create_it(tmp_path):
    store = Store(tmp_path / "none")
    asked = np.array([1, 2], dtype=np.uint32)
    assert store.read_sites(KEY, "SQ.a").schema == pl.Schema(SITE_SCHEMA)
    assert store.read_alleles(KEY, "SQ.a").schema == pl.Schema(ALLELE_SCHEMA)
    assert store.read_background(KEY, "BG.a") is None
    assert store.has_sites(KEY, "SQ.a", asked).tolist() == [False, False]
    assert store.has_alleles(KEY, "SQ.a", allele_rows([1])).tolist() == [False, False]
    assert store.sites_at(KEY, "SQ.a", asked).schema == pl.Schema(SITE_SCHEMA)
    assert store.keys() == store.parts(KEY) == store.commits(KEY) == []
    assert repair(store, KEY, MODEL).damaged == {}
    assert store.writable()
    assert store.writable(KEY)
    assert not (tmp_path / "none").exists()
    assert list(tmp_path.iterdir()) == []


def test_round_trip_and_ranges(tmp_path):
    sites, alleles = site_rows([2, 5, 9]), allele_rows([4, 8])
    done = commit(tmp_path, [sites], [alleles])
    assert [part.kind for part in done.parts] == ["sites", "alleles"]
    assert done.known == 0
    store = Store(tmp_path)
    assert store.keys() == [KEY]
    assert store.read_sites(KEY, "SQ.a").equals(sites)
    assert store.read_alleles(KEY, "SQ.a").equals(alleles)
    assert store.read_sites(KEY, "SQ.a", 3, 5)["pos"].to_list() == [5]
    assert store.read_sites(KEY, "SQ.a", 6, 8).is_empty()
    assert store.read_sites(KEY, "SQ.a", 10).is_empty()
    assert store.read_alleles(KEY, "SQ.a", 5, 100)["pos"].to_list() == [8, 8]
    assert store.read_sites(KEY, "SQ.b").is_empty()
    assert store.read_sites("other key", "SQ.a").is_empty()


def test_rows_come_in_any_order_and_with_wider_types(tmp_path):
    rows = site_rows([9, 2, 5])
    commit(tmp_path, [rows.reverse().with_columns(pl.col("pos").cast(pl.Int64))])
    assert Store(tmp_path).read_sites(KEY, "SQ.a").equals(rows)


def test_a_strand_that_is_not_scored_is_null(tmp_path):
    none = pl.lit(None, dtype=pl.Float32)
    rows = site_rows([1, 2]).with_columns(none.alias(n) for n in LOGIT_COLUMNS if n[0] == "r")
    for _ in range(2):
        done = commit(tmp_path, [rows])
    assert done.known == 2
    assert Store(tmp_path).read_sites(KEY, "SQ.a").equals(rows)


@given(
    pieces=st.lists(st.sets(st.integers(1, 50), min_size=1), min_size=1, max_size=5),
    start=st.integers(1, 50),
    end=st.integers(1, 50),
)
def test_several_commits_read_as_one_sorted_table(tmp_path_factory, pieces, start, end):
    folder = tmp_path_factory.mktemp("store")
    known = 0
    for piece in pieces:
        known += commit(folder, [site_rows(piece)], [allele_rows(piece)]).known
    every = set().union(*pieces)
    store = Store(folder)
    assert store.read_sites(KEY, "SQ.a").equals(site_rows(every))
    assert store.read_alleles(KEY, "SQ.a").equals(allele_rows(every))
    within = {pos for pos in every if start <= pos <= end}
    assert store.read_sites(KEY, "SQ.a", start, end).equals(site_rows(within))
    # Each row was stored once, and told as known each other time.
    assert part_rows(folder) == len(every)
    assert part_rows(folder, "alleles") == 2 * len(every)
    assert known == 3 * (sum(map(len, pieces)) - len(every))


def test_a_background_is_stored_once_as_a_whole(tmp_path):
    rows = background_rows(range(1, 8))
    assert commit(tmp_path, background=[rows]).known == 0
    assert Store(tmp_path).read_background(KEY, "BG.a").equals(rows)
    assert Store(tmp_path).read_background(KEY, "BG.b") is None
    assert commit(tmp_path, background=[rows.head(3)]).known == 3
    assert Store(tmp_path).read_background(KEY, "BG.a").equals(rows)
    assert [(p.kind, p.contig, p.first, p.last) for p in Store(tmp_path).parts(KEY)] == [
        ("background", "BG.a", 0, 0)
    ]


# Writing


def test_the_same_commit_twice_is_one(tmp_path):
    first = commit(tmp_path, [site_rows([1, 2])])
    second = commit(tmp_path, [site_rows([1, 2])])
    assert (len(first.parts), first.known) == (1, 0)
    assert (len(second.parts), second.known) == (0, 2)
    assert len(Store(tmp_path).parts(KEY)) == 1
    assert len(list((tmp_path / KEY / "commits").iterdir())) == 1


def test_nothing_to_commit_lists_nothing(tmp_path):
    done = commit(tmp_path, [site_rows([])])
    assert (done.parts, done.known) == ([], 0)
    assert Store(tmp_path).keys() == []


def test_only_unknown_rows_are_written(tmp_path):
    commit(tmp_path, [site_rows([1, 2, 3])], [allele_rows([2])])
    done = commit(tmp_path, [site_rows([2, 3, 4])], [allele_rows([2, 3])])
    assert done.known == 4
    assert [(part.kind, part.rows) for part in done.parts] == [("sites", 1), ("alleles", 2)]


def test_consecutive_pieces_become_one_part(tmp_path):
    pieces = [(contig, site_rows([pos])) for contig in ("SQ.a", "SQ.b") for pos in (3, 1, 2)]
    Store(tmp_path).commit(KEY, MODEL, pieces)
    parts = Store(tmp_path).parts(KEY)
    assert [(part.contig, part.rows) for part in parts] == [("SQ.a", 3), ("SQ.b", 3)]
    assert Store(tmp_path).read_sites(KEY, "SQ.b").equals(site_rows([1, 2, 3]))


@given(sizes=st.lists(st.integers(0, 12), min_size=1, max_size=6))
def test_parts_are_cut_at_the_most_that_one_may_hold(tmp_path_factory, sizes):
    folder = tmp_path_factory.mktemp("store")
    positions = np.random.default_rng(len(sizes)).permutation(sum(sizes)) + 1
    pieces = [site_rows(piece) for piece in np.split(positions, np.cumsum(sizes)[:-1])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("varlm.store.writing.PART_ROWS", 5)
        done = commit(folder, pieces)
    parts = Store(folder).parts(KEY)
    assert all(part.rows <= 5 for part in parts)
    assert sum(part.rows for part in parts) == sum(sizes)
    for one, other in pairwise(done.parts):
        assert one.rows + other.rows > 5, "they would fit into one"
    assert Store(folder).read_sites(KEY, "SQ.a").equals(site_rows(positions))


def test_a_failed_commit_leaves_the_old_state(tmp_path):
    commit(tmp_path, [site_rows([1])])

    def second_piece_fails():
        yield "SQ.a", site_rows([2])
        yield "SQ.b", site_rows([2])
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Store(tmp_path).commit(KEY, MODEL, second_piece_fails())
    store = Store(tmp_path)
    assert store.read_sites(KEY, "SQ.a").equals(site_rows([1]))
    assert store.read_sites(KEY, "SQ.b").is_empty()
    assert len(list(tmp_path.glob("*/*/*.parquet"))) == 1, "repair would use what is left"


def test_duplicate_rows_in_a_commit_are_a_defect(tmp_path):
    with pytest.raises(AssertionError, match="duplicate sites"):
        commit(tmp_path, [site_rows([3, 3])])


def test_a_row_that_comes_again_in_a_later_piece_is_stored_once(tmp_path):
    pieces = [("SQ.a", site_rows([1, 2])), ("SQ.b", site_rows([1])), ("SQ.a", site_rows([2, 3]))]
    done = Store(tmp_path).commit(KEY, MODEL, pieces)
    assert (part_rows(tmp_path), done.known) == (4, 1)
    pieces = [("SQ.c", site_rows([1])), ("SQ.d", site_rows([1])), ("SQ.c", site_rows([1], 1.0))]
    with pytest.raises(UserError, match="another value"):
        Store(tmp_path).commit(KEY, MODEL, pieces)
    assert part_rows(tmp_path) == 4


# Which rows are known

POSITIONS = st.one_of(
    st.integers(0, 40), st.integers(LAST - 20, LAST), st.integers(1_000, 5_000_000)
)


@given(
    parts=st.lists(st.sets(POSITIONS, min_size=1, max_size=12), max_size=5),
    asked=st.sets(POSITIONS, max_size=20),
)
def test_known_rows_are_those_of_a_plain_look_up(tmp_path_factory, parts, asked):
    store = Store(tmp_path_factory.mktemp("store"))
    for piece in parts:  # overlapping, as runs without locks may leave them
        add_unseen(store, piece)
        add_part(store, KINDS["alleles"], "SQ.a", allele_rows(piece))
    stored = set().union(*parts)
    positions = np.array(sorted(asked), dtype=np.uint32)
    expected = [pos in stored for pos in sorted(asked)]
    assert store.has_sites(KEY, "SQ.a", positions).tolist() == expected
    assert store.sites_at(KEY, "SQ.a", positions).equals(site_rows(asked & stored))
    alleles = allele_rows(asked)
    unheard = alleles.with_columns(alt=pl.lit("AG"))
    both = pl.concat([alleles, unheard]).sort("pos", maintain_order=True)
    known = [pos in stored and alt != "AG" for pos, _, alt, *_ in both.rows()]
    assert store.has_alleles(KEY, "SQ.a", both).tolist() == known
    assert not store.has_sites(KEY, "SQ.b", positions).any()
    every = store.read_sites(KEY, "SQ.a", 0)
    assert every.equals(site_rows(stored))


def test_a_position_that_is_asked_twice_is_known_twice(tmp_path):
    commit(tmp_path, [site_rows([3])])
    asked = np.array([3, 3, 4], dtype=np.uint32)
    assert Store(tmp_path).has_sites(KEY, "SQ.a", asked).tolist() == [True, True, False]


# What the files are


def test_the_statistics_of_parts_are_what_is_in_the_files(tmp_path):
    commit(tmp_path, [site_rows([7, 2, LAST])], [allele_rows([4, 8])], [background_rows([5])])
    commit(tmp_path, [site_rows([3, 5])])
    parts = Store(tmp_path).parts(KEY)
    assert len(parts) == 4
    for part in parts:
        path = part.path(tmp_path / KEY)
        rows = pl.read_parquet(path)
        assert rows.schema == pl.Schema(KINDS[part.kind].schema)
        assert part.rows == rows.height
        assert part.bytes == path.stat().st_size
        assert part.sha256 == path.stem == hashlib.sha256(path.read_bytes()).hexdigest()
        ends = (rows["pos"].min(), rows["pos"].max()) if part.kind != "background" else (0, 0)
        assert (part.first, part.last) == ends
        about = json.loads(pl.read_parquet_metadata(path)[METADATA])
        assert (about["key"], about["kind"], about["contig"]) == (KEY, part.kind, part.contig)
        assert path.stat().st_mode & 0o222 == 0


def test_equal_rows_are_equal_bytes(tmp_path):
    for name in ("one", "two"):
        commit(tmp_path / name, [site_rows(range(1, 100))])
    one, two = (Store(tmp_path / name).parts(KEY) for name in ("one", "two"))
    assert one == two


def test_a_reader_can_skip_row_groups(tmp_path, monkeypatch):
    """Groups of ROW_GROUP rows with lowest and highest `pos`: what is outside is not decoded."""
    monkeypatch.setattr("varlm.store.part_file.ROW_GROUP", 1000)
    commit(tmp_path, [site_rows(range(1, 10_001))])
    part = Store(tmp_path).parts(KEY)[0].path(tmp_path / KEY)
    content = bytearray(part.read_bytes())
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    middle = footer // 2
    content[middle - 100 : middle + 100] = bytes(200)
    part.chmod(0o644)
    part.write_bytes(content)
    rows = pl.scan_parquet(part)
    ends = rows.filter(pl.col("pos").is_between(1, 1000) | (pl.col("pos") > 9000))
    near, far = (rows.filter(pl.col("pos").is_between(*at)) for at in ((1, 900), (9100, 10_000)))
    assert near.collect(engine="in-memory").equals(site_rows(range(1, 901)))
    assert far.collect(engine="in-memory").equals(site_rows(range(9100, 10_001)))
    assert ends.select(pl.len()).collect(engine="in-memory").item() == 2000
    with pytest.raises(pl.exceptions.ComputeError):
        rows.collect(engine="in-memory")


# Older files


def layout_1(folder, positions, shift=0.0):
    """A part and a commit as varlm wrote them before parts had metadata."""
    place = folder / KEY / "SQ.a"
    (folder / KEY / "commits").mkdir(parents=True, exist_ok=True)
    place.mkdir(exist_ok=True)
    rows = site_rows(positions, shift)
    rows.write_parquet(place / "part")
    content = (place / "part").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    (place / "part").rename(place / f"{digest}.parquet")
    entry = {
        "layout": 1,
        "model": MODEL,
        "parts": [
            {
                "kind": "sites",
                "contig": "SQ.a",
                "sha256": digest,
                "bytes": len(content),
                "rows": rows.height,
                "first": min(positions),
                "last": max(positions),
            }
        ],
    }
    text = json.dumps(entry, indent=1, sort_keys=True).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    (folder / KEY / "commits" / name).write_bytes(text)
    return digest


def test_layout_1_is_read_and_added_to(tmp_path):
    old = layout_1(tmp_path, [1, 2, 3])
    assert Store(tmp_path).read_sites(KEY, "SQ.a").equals(site_rows([1, 2, 3]))
    assert [(c.layout, c.replaces) for c in Store(tmp_path).commits(KEY)] == [(1, frozenset())]
    done = commit(tmp_path, [site_rows([2, 3, 4])])
    assert done.known == 2
    assert repair(Store(tmp_path), KEY, MODEL).damaged == {}
    assert Store(tmp_path).read_sites(KEY, "SQ.a").equals(site_rows([1, 2, 3, 4]))
    assert {part.sha256 for part in Store(tmp_path).parts(KEY)} == {old, done.parts[0].sha256}


# Two values of one row


@pytest.mark.parametrize(
    ("precision", "nats"),
    [("float32", 1e-3), ("auto", 0.2), ("tf32", 0.2), ("bfloat16", 0.2), (None, 0.2)],
)
def test_the_precision_setting_says_what_two_values_may_differ_by(tmp_path, precision, nats):
    model = MODEL | {"precision": precision}
    assert tolerance(model) == Tolerance(nats)
    assert tolerance({}) == Tolerance(0.2)
    rows = site_rows(range(1, 6))
    commit(tmp_path, [rows], model=model)
    done = commit(tmp_path, [site_rows([5], 0.9 * nats)], model=model)
    assert (done.parts, done.known) == ([], 1)
    with pytest.raises(UserError, match=r"score of 5 \(fwd_a .* nothing was stored"):
        commit(tmp_path, [site_rows([5, 6], 1.1 * nats)], model=model)
    assert Store(tmp_path).read_sites(KEY, "SQ.a").equals(rows)


@pytest.mark.parametrize("score", [kind.name for kind in SCORE_KINDS.values() if not kind.is_llr])
def test_scores_without_a_natural_size_may_differ_by_a_share_of_it(tmp_path, score):
    model = MODEL | {"precision": "float32", "score": score}
    for shift, most in ((0.0, 1e-3), (700.0, 0.69)):
        folder = tmp_path / str(shift)
        commit(folder, [site_rows([5], shift)], model=model)
        done = commit(folder, [site_rows([5], shift + 0.9 * most)], model=model)
        assert (done.parts, done.known) == ([], 1)
        with pytest.raises(UserError, match=r"score of 5 \(fwd_a .* nothing was stored"):
            commit(folder, [site_rows([5], shift + 1.2 * most)], model=model)


def test_what_is_not_finite_agrees_with_nothing():
    one, other = np.array([np.inf, 1.0, np.nan]), np.array([1.0, -np.inf, np.nan])
    for relative in (False, True):
        assert not Tolerance(0.2, relative).allows(one, other).any()


def test_a_strand_scored_once_and_once_not_is_a_conflict(tmp_path):
    rows = allele_rows([1])
    commit(tmp_path, alleles=[rows])
    both = rows.with_columns(llr_rev=pl.lit(0.0, dtype=pl.Float32))
    with pytest.raises(UserError, match=r"1 A AC \(llr_rev nan and 0\)|llr_rev 0 and nan"):
        commit(tmp_path, alleles=[both])


# How often files are read


def test_a_store_lists_once_and_sees_its_own_commits(tmp_path):
    """A step sees one state, whatever other runs commit meanwhile."""
    store = Store(tmp_path)
    assert store.read_sites(KEY, "SQ.a").is_empty()
    commit(tmp_path, [site_rows([1])])
    assert store.read_sites(KEY, "SQ.a").is_empty()
    store.commit(KEY, MODEL, [("SQ.a", site_rows([1, 2]))])
    assert store.read_sites(KEY, "SQ.a").equals(site_rows([1, 2]))
    assert part_rows(tmp_path) == 2


def test_parts_of_other_contigs_and_ranges_are_not_opened(tmp_path):
    Store(tmp_path).commit(KEY, MODEL, [("SQ.a", site_rows([5])), ("SQ.b", site_rows([50]))])
    commit(tmp_path, [site_rows([100])])
    lost = [part for part in Store(tmp_path).parts(KEY) if part.first > 5]
    for part in lost:
        part.path(tmp_path / KEY).unlink()
    store = Store(tmp_path)
    assert store.read_sites(KEY, "SQ.a", 1, 99).equals(site_rows([5]))
    assert store.has_sites(KEY, "SQ.a", np.array([5, 7], dtype=np.uint32)).tolist() == [True, False]
    for contig in ("SQ.a", "SQ.b"):
        with pytest.raises(UserError, match="lost"):
            store.read_sites(KEY, contig)


def test_a_commit_file_is_plain_json_that_says_what_it_lists(tmp_path):
    done = commit(tmp_path, [site_rows([1, 2])])
    (path,) = (tmp_path / KEY / "commits").iterdir()
    entry = json.loads(path.read_bytes())
    assert entry["model"] == MODEL
    assert [Part(**part) for part in entry["parts"]] == done.parts
    assert BACKGROUND.schema == KINDS["background"].schema
