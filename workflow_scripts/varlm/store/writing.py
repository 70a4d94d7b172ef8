"""Adding rows to the score store: one commit at a time, under the model's lock."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.store.layout import (
    FEW,
    KINDS,
    METADATA,
    PACKED,
    PACKED_ROWS,
    PART_ROWS,
    SMALL,
    Kind,
    Part,
    layout_of,
    place,
    tolerance,
)
from varlm.store.locking import locked
from varlm.store.new_rows import NewRows, refuse_duplicates
from varlm.store.part_file import place_part, write_part
from varlm.store.reading import Reader


@dataclass
class Committed:
    """What a commit did: the parts that it lists, and the rows that were in the store already."""

    parts: list[Part] = field(default_factory=list)
    known: int = 0


@contextlib.contextmanager
def committing(reader: Reader, key: str, model: Mapping[str, Any]) -> Iterator[CommitBuilder]:
    """Hold the model's lock, and write one commit of what the block adds; nothing if it fails.

    The block sees the newest state of the store. Parts exist for others once the commit file is
    written, at the block's end. After an error none is written, and the parts go: `repair` would
    take them for parts of a lost commit.
    """
    with locked(reader.manifest.root, key):
        reader.manifest.forget(key)
        builder = CommitBuilder(reader, key, model)
        try:
            yield builder
            builder._finish()
        except BaseException:
            builder._discard()
            raise


class CommitBuilder:
    """One commit in the making, from `Store.committing`.

    Attributes
    ----------
    done : Committed
        Complete after the block.
    """

    def __init__(self, reader: Reader, key: str, model: Mapping[str, Any]):
        self.key = key
        self.done = Committed()
        self._manifest = reader.manifest
        self._folder = reader.manifest.root / key
        self._model = model
        self._new = NewRows(reader, key, tolerance(model))
        self._written: list[Part] = []
        self._complete = False
        # Consecutive pieces of one contig and kind, which become one part.
        self._held: list[pl.DataFrame] = []
        self._held_of: tuple[str, Kind] | None = None
        self._backgrounds: set[str] = set()
        self._written_of: set[tuple[str, str]] = set()
        # Rows of small contigs, by kind; they become parts when it is known how many there are.
        self._small: dict[str, list[pl.DataFrame]] = {}

    def add(self, contig: str, kind: Kind, rows: pl.DataFrame) -> None:
        """Add the rows that the store lacks; those that it has are compared and left as they are.

        Consecutive pieces of a contig are stored in one part. A row may come again in a later
        piece, as it does where two contigs are one sequence: it is compared, and known.

        Parameters
        ----------
        contig : str
            Contig digest; a background's, where `kind` is one.
        kind : Kind
        rows : polars.DataFrame
            The kind's columns, in any order of rows, each row once.

        Raises
        ------
        UserError
            If a row is in the store, or came before, with another score. May be raised by a later
            call, or at the end of the block.
        """
        if (contig, kind) != self._held_of:
            self._flush()
            if kind.name == "background":  # which is there as a whole or not
                if contig in self._backgrounds:
                    self.done.known += rows.height
                    self._held_of = None
                    return
                self._backgrounds.add(contig)
            self._held_of = (contig, kind)
        for start in range(0, rows.height, PART_ROWS):
            piece = rows[start : start + PART_ROWS]
            if sum(held.height for held in self._held) + piece.height > PART_ROWS:
                self._write_held()
            self._held.append(piece)

    def add_many(self, kind: Kind, rows: pl.DataFrame, counts: NDArray[np.integer]) -> None:
        """Add rows of many contigs, as `add` does those of one.

        Parameters
        ----------
        kind : Kind
            Not a background.
        rows : polars.DataFrame
            `contig` (digest) and the kind's columns, the rows of a contig together.
        counts : int, shape (contigs,)
            How many rows each contig has. Two contigs of one sequence may have the same rows.
        """
        rows = rows.select(list(kind.packed.schema))
        ends = np.cumsum(counts)
        apart = (counts >= SMALL) | (len(counts) <= FEW)
        apart[[0, -1]] = True  # which may go on in the pieces around
        done = 0
        for end, count in zip(ends[apart].tolist(), counts[apart].tolist(), strict=True):
            start = end - count
            if start > done:
                self._flush()
                self._hold_small(kind, rows[done:start])
            self.add(rows["contig"][start], kind, rows[start:end].drop("contig"))
            done = end

    def add_part(self, part: Part, content: bytes) -> int:
        """Add a part of another store: byte for byte where all its rows are new.

        Parameters
        ----------
        part : Part
        content : bytes
            Its file.

        Returns
        -------
        int
            How many of its rows were new.

        Raises
        ------
        UserError
            If a row is in the store with another score.
        """
        rows, kind = pl.read_parquet(io.BytesIO(content)), KINDS[part.kind]
        if part.packed:
            new = self._new.of_many(kind, rows)
        else:
            new = self._new.of_contig(part.contig, kind, [rows])
        self.done.known += rows.height - new.height
        if new.is_empty():
            return 0
        # A part of layout 1 says nothing of itself, and a lost commit would lose it: written anew.
        as_it_is = METADATA in pl.read_parquet_metadata(io.BytesIO(content))
        if new.height == rows.height and as_it_is:
            place_part(self._folder, part.contig, lambda file: file.write(content))
            self._placed(part)
        else:
            part = self.write(part.contig, kind, new)
        self._preview(part)
        return new.height

    def add_listing(self, parts: Iterable[Part]) -> None:
        """List parts that are there, whole, and in no commit."""
        self.done.parts.extend(parts)

    def write(self, contig: str, kind: Kind, rows: pl.DataFrame) -> Part:
        """Write rows (sorted, unique) as a part, without a look at what the store has."""
        part = write_part(self._manifest.root, self.key, kind, contig, rows)
        self._placed(part)
        return part

    def replace(
        self, model: Mapping[str, Any], parts: Iterable[Part], replaces: Iterable[str]
    ) -> Path:
        """Write the commit file now, in place of what the end of the block would write.

        Parameters
        ----------
        model : mapping
            What the commit says of the model.
        parts : iterable of Part
            All that it lists.
        replaces : iterable of str
            SHA-256 of the parts whose rows are in others now.
        """
        self._complete = True
        return self._write_commit(model, parts, replaces)

    def _flush(self) -> None:
        """Have done with the held pieces: no more of the contig follow."""
        if self._held_of is None or not self._held:
            return
        contig, kind = self._held_of
        few = sum(frame.height for frame in self._held) < SMALL
        # What is left of a contig after a part of its own has one too.
        if few and kind.name != "background" and (contig, kind.name) not in self._written_of:
            frames, self._held = self._held, []
            name = pl.lit(contig).alias("contig")
            for frame in frames:
                refuse_duplicates(contig, kind, frame)
                self._hold_small(kind, frame.select(name, *kind.schema))
        else:
            self._write_held()

    def _write_held(self) -> None:
        """Write the held pieces, less what the store has, as a part."""
        frames, self._held = self._held, []
        if self._held_of is None or not frames:
            return
        contig, kind = self._held_of
        self._written_of.add((contig, kind.name))
        new = self._new.of_contig(contig, kind, frames)
        self.done.known += sum(frame.height for frame in frames) - new.height
        if new.height:
            self._preview(self.write(contig, kind, new))

    def _hold_small(self, kind: Kind, rows: pl.DataFrame) -> None:
        """Hold rows of small contigs, until there is a part of them or the block ends."""
        held = sum(frame.height for frame in self._small.get(kind.name, []))
        if held + rows.height > PACKED_ROWS:
            self._write_small(kind)
        self._small.setdefault(kind.name, []).append(rows)

    def _write_small(self, kind: Kind) -> None:
        """Write the rows of small contigs, less what the store has; packed, unless they are few."""
        frames = self._small.pop(kind.name, [])
        if not frames:
            return
        if len(frames) <= FEW and all(frame["contig"].n_unique() == 1 for frame in frames):
            self._write_few(kind, frames)
            return
        rows = pl.concat(frames)
        new = self._new.of_many(kind, rows)
        self.done.known += rows.height - new.height
        if new["contig"].n_unique() > FEW:
            for start in range(0, new.height, PACKED_ROWS):
                self._preview(self.write(PACKED, kind, new[start : start + PACKED_ROWS]))
        else:
            for of_contig in new.partition_by("contig", maintain_order=True):
                part = self.write(of_contig["contig"][0], kind, of_contig.drop("contig"))
                self._preview(part)

    def _write_few(self, kind: Kind, frames: list[pl.DataFrame]) -> None:
        """Write the rows of a few contigs, each frame those of one: as quick as it was for one."""
        of_contig: dict[str, list[pl.DataFrame]] = {}
        for frame in frames:
            of_contig.setdefault(frame["contig"][0], []).append(frame.drop("contig"))
        for contig, pieces in of_contig.items():
            new = self._new.of_contig(contig, kind, pieces)
            self.done.known += sum(piece.height for piece in pieces) - new.height
            if new.height:
                self._preview(self.write(contig, kind, new))

    def _placed(self, part: Part) -> None:
        self._manifest.distrust(part.sha256)
        self._written.append(part)
        self.done.parts.append(part)

    def _preview(self, part: Part) -> None:
        """Have later pieces compared with this part; a background's pieces are one whole."""
        if part.kind != "background":
            self._manifest.preview(self.key, part)

    def _finish(self) -> None:
        self._flush()
        for name in list(self._small):
            self._write_small(KINDS[name])
        if self.done.parts and not self._complete:
            self._write_commit(self._model, self.done.parts)

    def _write_commit(
        self, model: Mapping[str, Any], parts: Iterable[Part], replaces: Iterable[str] = ()
    ) -> Path:
        parts = list(parts)
        entry = {
            "layout": layout_of(parts),
            "model": dict(model),
            "parts": [asdict(part) for part in parts],
            "replaces": sorted(replaces),
        }
        text = json.dumps(entry, indent=1, sort_keys=True).encode()
        folder = self._folder / "commits"
        digest, _ = place(lambda file: file.write(text), folder, ".json")
        self._manifest.forget(self.key)
        return folder / f"{digest}.json"

    def _discard(self) -> None:
        """Delete the parts that were written and that no commit lists."""
        self._manifest.forget(self.key)
        if not self._written:
            return
        commits = self._manifest.commits(self.key)
        listed = {part.sha256 for commit in commits for part in commit.parts}
        for part in self._written:
            if part.sha256 not in listed:
                part.path(self._folder).unlink(missing_ok=True)
