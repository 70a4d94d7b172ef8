"""Packed parts and those of one contig, in one store, beside a plain dictionary."""

from contextlib import ExitStack
from unittest.mock import patch

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from making.packed import ROWS, assert_holds, commit
from making.store import KEY, MODEL, files
from varlm.store import KINDS, Store
from varlm.store.archive import export
from varlm.store.compaction import compact
from varlm.store.importing import import_archive
from varlm.store.repair import repair
from varlm.store.verification import verify

CONTIGS = [f"SQ.{letter}" for letter in "abcdefgh"]
POSITIONS = st.dictionaries(
    st.sampled_from(CONTIGS), st.sets(st.integers(1, 14), min_size=1, max_size=9), min_size=1
)
DEEDS = st.one_of(
    st.tuples(st.just("commit"), POSITIONS),
    st.tuples(st.just("old commit"), POSITIONS),
    st.tuples(st.just("compact"), st.none()),
    st.tuples(st.just("damage"), st.integers(0, 100)),
    st.tuples(st.just("lose commits"), st.none()),
    st.tuples(st.just("carry"), st.none()),
)


class Oracle:
    """A store beside a plain dictionary: (kind, contig) → positions."""

    def __init__(self, folder):
        self.folder = folder
        self.expected = {(kind, contig): set() for kind in ROWS for contig in CONTIGS}

    def commit(self, positions):
        commit(self.folder, positions)
        self._add(positions)

    def old_commit(self, positions):
        """Parts of one contig each, as an older varlm wrote them, and unseen by others."""
        with Store(self.folder).committing(KEY, MODEL) as builder:
            for kind, make in ROWS.items():
                for contig, wanted in positions.items():
                    builder.write(contig, KINDS[kind], make(wanted))
        self._add(positions)

    def compact(self, _):
        compact(Store(self.folder), KEY)
        before = files(self.folder)
        compact(Store(self.folder), KEY)
        assert files(self.folder) == before, "it is done at once"

    def damage(self, number):
        store = Store(self.folder)
        parts = store.parts(KEY)
        if parts:
            gone = parts.pop(number % len(parts))
            path = gone.path(self.folder / KEY)
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1])
            repair(Store(self.folder), KEY, MODEL, CONTIGS)
            self._read_from(parts)

    def lose_commits(self, _):
        for path in (self.folder / KEY / "commits").glob("*"):
            path.unlink()
        repair(Store(self.folder), KEY, MODEL, CONTIGS)

    def carry(self, _):
        """Export, and import into another store, which takes its place."""
        if Store(self.folder).parts(KEY):
            other = self.folder.with_name(f"{self.folder.name}+")
            export(Store(self.folder), other.with_suffix(".tar"), [KEY])
            import_archive(Store(other), other.with_suffix(".tar"))
            self.folder = other

    def _add(self, positions):
        for kind in ROWS:
            for contig, wanted in positions.items():
                self.expected[kind, contig] |= wanted

    def _read_from(self, parts):
        """What is left is what the files of the other parts say, read without the store."""
        self.expected = {name: set() for name in self.expected}
        for part in parts:
            rows = pl.read_parquet(part.path(self.folder / KEY))
            names = rows["contig"] if part.packed else [part.contig] * rows.height
            for contig, pos in zip(names, rows["pos"], strict=True):
                self.expected[part.kind, contig].add(pos)


@settings(max_examples=10)
@given(deeds=st.lists(DEEDS, min_size=1, max_size=6))
def test_a_store_holds_what_a_dictionary_does(tmp_path_factory, deeds):
    oracle = Oracle(tmp_path_factory.mktemp("oracle") / "store")
    small = {"SMALL": 6, "FEW": 2, "PART_ROWS": 14, "PACKED_ROWS": 13}
    with ExitStack() as stack:
        for name, value in small.items():
            for module in ("layout", "writing"):
                stack.enter_context(patch(f"varlm.store.{module}.{name}", value))
        for module in ("packed", "part_file"):
            stack.enter_context(patch(f"varlm.store.{module}.ROW_GROUP", 3))
        for name, argument in deeds:
            getattr(oracle, name.replace(" ", "_"))(argument)
            assert_holds(oracle.folder, oracle.expected)
            assert verify(oracle.folder, KEY) == []
