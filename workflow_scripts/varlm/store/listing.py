"""What a score store holds: models, contigs, how much of each is known, and at what size."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from varlm.errors import UserError
from varlm.genome.circular import circular_digest
from varlm.store.identity import names
from varlm.store.layout import KINDS, Kind, Part
from varlm.store.packed import Run
from varlm.store.store import Store
from varlm.store.verification import sound_commits

log = logging.getLogger("varlm")

_SETTINGS = (
    *("model_type", "family", "score", "window", "strands", "precision", "scoring_version"),
    "options",
)


@dataclass
class Files:
    """Some of a model's parts, counted.

    A row that two parts hold, which happens only where a file system has no locks, counts twice.
    """

    sites: int = 0
    alleles: int = 0
    background: int = 0
    parts: int = 0
    bytes: int = 0

    def add(self, part: Part) -> None:
        """Count one part."""
        setattr(self, part.kind, getattr(self, part.kind) + part.rows)
        self.parts += 1
        self.bytes += part.bytes


@dataclass
class ContigFiles(Files):
    """The parts of one contig; of packed parts its rows, and as large a share of their bytes.

    Attributes
    ----------
    contig : str
        Its digest.
    names : list of str
        What the reference calls it; two names where two contigs are one sequence. Empty without a
        reference, and for a contig of another one. "(circular)" follows the name of a contig that
        was scored as a circular one.
    share : float or None
        Site rows over the contig's A, C, G, T positions, 0 to 1.
    """

    contig: str = ""
    names: list[str] = field(default_factory=list)
    share: float | None = None


@dataclass
class Model:
    """What the store holds of one model.

    Attributes
    ----------
    key : str
    names : list of str
        What runs called it.
    settings : dict
        window, strands, precision, model_type, scoring_version, and of other than masked scores
        family, score and options, where the commits tell.
    sources : list of dict
        path and revision, of each checkpoint that runs took it from.
    contigs : list of ContigFiles
        The largest first.
    backgrounds : dict
        Background's digest → its parts.
    total : Files
    share : float or None
        Of the reference's A, C, G, T positions, those with a site row, 0 to 1.
    commits : int
    damaged : list of str
        Names of the files set aside.
    """

    key: str
    names: list[str]
    settings: dict[str, Any]
    sources: list[dict[str, Any]]
    contigs: list[ContigFiles]
    backgrounds: dict[str, Files]
    total: Files
    share: float | None
    commits: int
    damaged: list[str]


def describe(store: Store, key: str, reference: pl.DataFrame | None = None) -> Model:
    """Return what the store holds of one model; only commit files and packed parts are read.

    Parameters
    ----------
    store : Store
    key : str
        Model key.
    reference : polars.DataFrame, optional
        `varlm.tables.schemas.CONTIGS` of a reference, for the contigs' names and the shares.
    """
    models = [commit.model for commit in sound_commits(store, key)]
    total = Files()
    contigs: dict[str, ContigFiles] = {}
    backgrounds: dict[str, Files] = {}
    for part in store.parts(key):
        total.add(part)
        if part.kind == "background":
            backgrounds.setdefault(part.contig, Files()).add(part)
        elif not part.packed:
            contigs.setdefault(part.contig, ContigFiles(contig=part.contig)).add(part)
    for kind in KINDS.values():
        for contig, runs in _packed_runs(store, key, kind).items():
            files = contigs.setdefault(contig, ContigFiles(contig=contig))
            for run in runs:
                size = round(run.part.bytes * run.count / run.part.rows)
                files.add(replace(run.part, rows=run.count, bytes=size))
    return Model(
        key,
        names(models),
        {name: model[name] for model in models for name in _SETTINGS if name in model},
        _sources(models),
        sorted(contigs.values(), key=lambda contig: (-contig.bytes, contig.contig)),
        backgrounds,
        total,
        _add_shares(contigs, reference) if reference is not None else None,
        len(models),
        sorted(path.name for path in (store.root / key / "damaged").glob("*")),
    )


def _packed_runs(store: Store, key: str, kind: Kind) -> Mapping[str, list[Run]]:
    try:
        return store.packed_runs(key, kind)
    except UserError as error:
        log.warning("%s; the contigs of packed parts are not listed", error)
        return {}


def _sources(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    checkpoints = Counter((model.get("path"), model.get("revision")) for model in models)
    del checkpoints[None, None]
    order = sorted(checkpoints, key=lambda pair: tuple(map(str, pair)))
    return [{"path": path, "revision": revision} for path, revision in order]


def _add_shares(contigs: dict[str, ContigFiles], reference: pl.DataFrame) -> float | None:
    """Give the contigs the reference's names and their shares; return the share of all of it."""
    known = bases = 0
    for (digest,), rows in reference.group_by("digest", maintain_order=True):
        acgt = int(rows["acgt"][0])
        bases += acgt
        most = 0
        stored_as = {str(digest): "", circular_digest(str(digest)): " (circular)"}
        for contig in filter(None, map(contigs.get, stored_as)):
            contig.names = [name + stored_as[contig.contig] for name in rows["contig"]]
            contig.share = min(contig.sites / acgt, 1.0) if acgt else None
            most = max(most, contig.sites)
        known += most
    return min(known / bases, 1.0) if bases else None
