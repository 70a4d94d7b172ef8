"""The face of the score store; `varlm.store` describes its layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.store import locking, writing
from varlm.store.layout import KINDS, LAST, Commit, Kind, Part
from varlm.store.manifest import Manifest
from varlm.store.packed import Run
from varlm.store.reading import Reader
from varlm.store.writing import CommitBuilder, Committed


class Store:
    """All scores under one folder; see the module's text for the layout.

    Parameters
    ----------
    root : Path
        Need not exist: an absent store is an empty one.

    Attributes
    ----------
    manifest : Manifest
        Which parts exist, and whether they are whole; for the store's tools.
    """

    def __init__(self, root: Path):
        self.root = root
        self.manifest = Manifest(root)
        self._reader = Reader(self.manifest)

    # Reading

    def read_sites(self, key: str, contig: str, start: int = 1, end: int = LAST) -> pl.DataFrame:
        """Return the site rows of a contig, sorted by `pos`, each position once.

        Parameters
        ----------
        key : str
            Model key.
        contig : str
            Contig digest.
        start, end : int
            First and last position to return, 1-based, both included.

        Returns
        -------
        polars.DataFrame
            `pos` and the eight logits of `varlm.tables.schemas.LOGIT_COLUMNS`.

        Raises
        ------
        UserError
            If a part is damaged or lost (`repair` sets such parts aside), or two parts hold
            different values for one row.
        """
        return self.read(key, KINDS["sites"], contig, start, end)

    def read_alleles(self, key: str, contig: str, start: int = 1, end: int = LAST) -> pl.DataFrame:
        """Return the allele rows of a contig: `pos`, `ref`, `alt`, `llr_fwd`, `llr_rev`.

        Sorted by pos, ref, alt, each allele once; arguments and errors as in `read_sites`.
        """
        return self.read(key, KINDS["alleles"], contig, start, end)

    def read_background(self, key: str, background: str) -> pl.DataFrame | None:
        """Return the scores of a background (`varlm.scoring.background`), or None."""
        rows = self.read(key, KINDS["background"], background, 0)
        return None if rows.is_empty() else rows

    def read(
        self, key: str, kind: Kind, contig: str, start: int = 1, end: int = LAST
    ) -> pl.DataFrame:
        """Return the rows of any kind; arguments, order and errors as in `read_sites`."""
        return self._reader.read(key, kind, contig, start, end)

    def sites_at(self, key: str, contig: str, positions: NDArray[np.uint32]) -> pl.DataFrame:
        """Return the site rows at these positions (1-based, sorted), those that are known."""
        keys = pl.DataFrame({"pos": positions}, schema={"pos": pl.UInt32()})
        return self._reader.rows_at(key, KINDS["sites"], contig, keys)

    def has_sites(self, key: str, contig: str, positions: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Return which positions (1-based, sorted) have a row, in memory bounded by one part."""
        return self._reader.has_sites(key, contig, positions)

    def has_alleles(self, key: str, contig: str, alleles: pl.DataFrame) -> NDArray[np.bool_]:
        """Return which alleles (`pos`, `ref`, `alt`, sorted by pos) have a row; memory likewise."""
        return self._reader.has_alleles(key, contig, alleles)

    def rows_of(self, key: str, kind: Kind, keys: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of many contigs at once, those of them that are known.

        Parameters
        ----------
        key : str
            Model key.
        kind : Kind
        keys : polars.DataFrame
            `contig` (digest) and the kind's key, each row once, in any order.

        Returns
        -------
        polars.DataFrame
            `contig` and the columns of `read`, in any order.
        """
        return self._reader.rows_of(key, kind, keys)

    def has(self, key: str, kind: Kind, keys: pl.DataFrame) -> NDArray[np.bool_]:
        """Return which rows of many contigs are known: bool, shape (rows of `keys`,)."""
        return self._reader.has(key, kind, keys)

    def read_packed(self, key: str, kind: Kind, contigs: Iterable[str]) -> pl.DataFrame:
        """Return the rows that packed parts have of contigs, each once: `contig` and the kind's."""
        return self._reader.read_packed(key, kind, contigs)

    # What there is

    def keys(self) -> list[str]:
        """Return the model keys that have commits, sorted."""
        return self.manifest.keys()

    def parts(self, key: str) -> list[Part]:
        """Return the parts that the model's commits list, each once, in a fixed order.

        The commits are read once in the life of this object, and again after its own writes: a
        step sees one state of the store, whatever other runs commit meanwhile.
        """
        return self.manifest.parts(key)

    def commits(self, key: str) -> list[Commit]:
        """Return the model's commit files, in a fixed order; errors as in `Manifest.commits`."""
        return self.manifest.commits(key)

    def packed_runs(self, key: str, kind: Kind) -> Mapping[str, list[Run]]:
        """Return where packed parts have rows of a kind: contig digest → runs, in parts' order."""
        return self._reader.packed_runs(key, kind)

    # Writing

    def writable(self, key: str = "") -> bool:
        """Return whether a commit of a model (any, by default) could be written, by trying to."""
        return locking.writable(self.root, key)

    def committing(
        self, key: str, model: Mapping[str, Any]
    ) -> AbstractContextManager[CommitBuilder]:
        """Return a `with` block's commit: all that the block adds is stored, or nothing.

        The block holds the model's lock and sees the newest state of the store.

        Parameters
        ----------
        key : str
            Model key.
        model : mapping
            What the key stands for; kept in the commit for a human. `precision` says how far
            two values of one row may differ.
        """
        return writing.committing(self._reader, key, model)

    def commit(
        self,
        key: str,
        model: Mapping[str, Any],
        sites: Iterable[tuple[str, pl.DataFrame]] = (),
        alleles: Iterable[tuple[str, pl.DataFrame]] = (),
        background: Iterable[tuple[str, pl.DataFrame]] = (),
    ) -> Committed:
        """Add the rows that are not there yet, atomically.

        Rows that another run stored meanwhile are compared and left as they are, so that a
        value, once stored, never changes.

        Parameters
        ----------
        key, model
            As in `committing`.
        sites, alleles : iterables of (contig digest, polars.DataFrame)
            Rows as `read_sites` and `read_alleles` return them, in any order; a contig may come
            in pieces, and is stored in one part where it comes in consecutive ones.
        background : iterable of (background's digest, polars.DataFrame)
            `varlm.tables.schemas.BACKGROUND`.

        Raises
        ------
        UserError
            If a row is in the store with another score; nothing is added then.
        """
        with self.committing(key, model) as commit:
            pieces_of = {"sites": sites, "alleles": alleles, "background": background}
            for kind in KINDS.values():
                for contig, rows in pieces_of[kind.name]:
                    commit.add(contig, kind, rows)
        return commit.done
