"""A plan of dense scores: whole tiles, each site once, however the rows come in."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from making.store import site_rows
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.genome.tiles import Tiles
from varlm.scoring.whole_tiles import WholeTiles
from varlm.store import Store
from varlm.tables.schemas import SHARD

TILES = Tiles(8, 4)
SEQUENCES = {"one": "ACGTNACG" * 4 + "AC", "two": "GATTACA" * 3, "three": "GGGG"}


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    text = "".join(f">{name}\n{bases}\n" for name, bases in SEQUENCES.items())
    (folder / "g.fa").write_text(text)
    index_reference(folder / "g.fa", folder / "reference")
    return Genome.open(folder / "reference")


def shard_rows(*rows):
    return pl.DataFrame(rows, schema=SHARD.schema, orient="row")


def tile_sites(contig, tile):
    start = tile * TILES.size
    bases = SEQUENCES[contig][start : start + TILES.size]
    return [(contig, start + n + 1, None, None) for n, base in enumerate(bases) if base != "N"]


def test_sites_ask_for_their_tiles_and_alleles_for_themselves(tmp_path, genome):
    whole = WholeTiles(TILES, genome, Store(tmp_path / "store"), "key")
    pieces = [
        shard_rows(("one", 2, None, None), ("one", 3, "G", "GA"), ("one", 33, None, None)),
        shard_rows(("two", 21, None, None), ("three", 1, "G", "GT")),
    ]
    first, second = whole.of(iter(pieces))
    sites = tile_sites("one", 0)
    assert first.rows() == [*sites[:3], ("one", 3, "G", "GA"), *sites[3:], *tile_sites("one", 4)]
    assert second.rows() == [*tile_sites("two", 2), ("three", 1, "G", "GT")]
    assert first.schema == pl.Schema(SHARD.schema)
    assert whole.beyond == 7 + 2 + 5 - 3


def test_what_the_store_holds_of_a_tile_is_not_asked_for_again(tmp_path, genome):
    store = Store(tmp_path / "store")
    for contig, known in (("one", [1, 3]), ("two", [2])):
        store.commit("key", {}, [(genome[contig].stored_as, site_rows(known))], [])
    whole = WholeTiles(TILES, genome, store, "key")
    (rows,) = whole.of(iter([shard_rows(("one", 2, None, None), ("two", 1, None, None))]))
    expected = [row for row in tile_sites("one", 0) if row[1] not in (1, 3)]
    assert rows.rows() == expected + [row for row in tile_sites("two", 0) if row[1] != 2]
    (alone,) = whole.of(iter([shard_rows(("one", 2, None, None))]))
    assert alone.rows() == expected


def test_alleles_alone_ask_for_no_tile(tmp_path, genome):
    whole = WholeTiles(TILES, genome, Store(tmp_path / "store"), "key")
    rows = shard_rows(("one", 3, "G", "GA"), ("two", 3, "T", "TT"))
    assert pl.concat(whole.of(iter([rows]))).equals(rows)
    assert whole.beyond == 0


ALL = [
    (name, pos + 1, None, None)
    for name, bases in SEQUENCES.items()
    for pos, base in enumerate(bases)
    if base != "N"
]


@given(data=st.data())
@settings(max_examples=30)
def test_pieces_cut_anywhere_ask_for_the_same(tmp_path_factory, genome, data):
    store = Store(tmp_path_factory.getbasetemp() / "nothing")
    wanted = sorted(data.draw(st.sets(st.integers(0, len(ALL) - 1), min_size=1)))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(wanted)))))
    rows = shard_rows(*(ALL[n] for n in wanted))
    pieces = [rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(wanted)], strict=True) if a < b]
    whole = WholeTiles(TILES, genome, store, "key")
    in_pieces = pl.concat(whole.of(iter(pieces)))
    at_once = pl.concat(WholeTiles(TILES, genome, store, "key").of(iter([rows])))
    assert in_pieces.equals(at_once)
    assert in_pieces.is_unique().all()
    assert whole.beyond == in_pieces.height - len(wanted)
    tiles = {(contig, (pos - 1) // TILES.size) for contig, pos, _, _ in rows.rows()}
    assert in_pieces.height == sum(len(tile_sites(*tile)) for tile in tiles)
    assert np.all([row in in_pieces.rows() for row in rows.rows()])
