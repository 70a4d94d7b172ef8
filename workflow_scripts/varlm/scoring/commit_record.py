"""What a commit says: commits/{model}.json, and in it how each shard was scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from varlm.files.json_record import JsonRecord, may_be_missing
from varlm.files.whole import atomic_path

_NO_ROWS = b"{}"  # what run.json holds where nothing was to be scored


@dataclass(frozen=True, kw_only=True)
class ShardRun(JsonRecord):
    """How a shard was scored: its run.json.

    Attributes
    ----------
    sites, alleles : int
    resumed : int
        Rows that a job before had scored; 0 where the run is of before jobs could resume.
    device : str
        As torch names it: cpu, cuda:0.
    arithmetic : str
        The mode: float32, bfloat16 …
    seconds : float
        Of all jobs that worked on the shard, without loading the model.
    """

    MADE_BY = "score"
    INDENT = None

    sites: int
    alleles: int
    resumed: int = may_be_missing(0)
    device: str
    arithmetic: str
    seconds: float


def read_run(path: Path) -> ShardRun | None:
    """Return how a shard was scored, by its run.json; None of a shard without rows.

    Raises
    ------
    UserError
        As `JsonRecord.read`.
    """
    if path.is_file() and path.read_bytes().strip() == _NO_ROWS:
        return None
    return ShardRun.read(path)


def write_run(run: ShardRun | None, path: Path) -> None:
    """Write a shard's run.json; None of a shard without rows."""
    if run is not None:
        run.write(path)
        return
    with atomic_path(path) as temporary:
        temporary.write_bytes(_NO_ROWS + b"\n")


@dataclass(frozen=True, kw_only=True)
class CommitRecord(JsonRecord):
    """What went into the store for a model.

    Attributes
    ----------
    model : str
        The model's name.
    key : str
        The model's key in the store.
    sites, alleles : int
        Rows of the shards.
    parts : int
        Files written to the store.
    known : int
        Rows that another run had stored meanwhile.
    runs : tuple of ShardRun or None
        In the order of the shards; None of a shard without rows, which the file has as {}.
    """

    MADE_BY = "commit"

    model: str
    key: str
    sites: int
    alleles: int
    parts: int
    known: int
    runs: tuple[ShardRun | None, ...] = may_be_missing(())

    @classmethod
    def from_json(cls, document: object, path: Path) -> Self:
        """Return what JSON values say; errors as in `JsonRecord.read`."""
        if isinstance(document, dict) and isinstance(document.get("runs"), list):
            document = {**document, "runs": [run or None for run in document["runs"]]}
        return super().from_json(document, path)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values, keys in the file's order."""
        return {**super().to_json(), "runs": [run.to_json() if run else {} for run in self.runs]}
