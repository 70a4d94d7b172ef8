"""Archives of backgrounds: the random SNVs that percentiles rank among, without scoring them again.

Such an archive has the backgrounds of models, and what the store has of their sites, from which
another kind of background, a sample of them, or an evaluation reads. It is imported as any other.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import polars as pl

from varlm.errors import UserError
from varlm.store.archive import Exported, made_part, write_archive
from varlm.store.layout import FEW, KINDS, PACKED, Part
from varlm.store.store import Store

log = logging.getLogger("varlm")

_SITES, _BACKGROUND = KINDS["sites"], KINDS["background"]


def digests_of(store: Store, key: str, contigs: Collection[str] | None = None) -> list[str]:
    """Return the digests of a model's backgrounds, sorted.

    Parameters
    ----------
    store : Store
    key : str
        Model key.
    contigs : collection of str, optional
        Digests of a genome's contigs: only backgrounds of no other contigs than these.
    """
    digests = sorted({part.contig for part in store.parts(key) if part.kind == _BACKGROUND.name})
    if contigs is None:
        return digests
    return [digest for digest in digests if _contigs(store, key, digest) <= set(contigs)]


def _contigs(store: Store, key: str, digest: str) -> set[str]:
    return set(store.read(key, _BACKGROUND, digest, 0)["contig"].unique())


def export_backgrounds(
    store: Store, archive: Path, keys: Iterable[str], digests: Collection[str] | None = None
) -> Exported:
    """Write an archive of backgrounds and of the rows of their sites, each verified before.

    Equal rows give equal bytes, however the store's parts hold them.

    Parameters
    ----------
    store : Store
    archive : Path
        Written whole or not at all.
    keys : iterable of str
        Model keys; those without a background are left out.
    digests : collection of str, optional
        Digests of the backgrounds to export; all by default.

    Raises
    ------
    UserError
        If a part is damaged or lost, or there is no background to export.
    """
    parts: dict[str, list[Part]] = {}
    cut: dict[str, bytes] = {}
    for key in sorted(keys):
        chosen = [d for d in digests_of(store, key) if digests is None or d in digests]
        for part, content in _parts(store, key, chosen):
            parts.setdefault(key, []).append(part)
            cut[part.sha256] = content
    if not parts:
        raise UserError(
            f"{store.root}: no background to export; a run with scoring.background_sites above 0 "
            "stores one for each model and genome (varlm store ls lists them)"
        )
    return write_archive(store, archive, parts, cut)


def _parts(store: Store, key: str, digests: list[str]) -> Iterator[tuple[Part, bytes]]:
    """Yield parts, with their content, of a model's backgrounds and of the rows of their sites."""
    sites = [pl.DataFrame(schema={"contig": pl.String(), "pos": pl.UInt32()})]
    for digest in digests:
        rows = store.read(key, _BACKGROUND, digest, 0).sort(_BACKGROUND.key)
        sites.append(rows.select("contig", "pos"))
        yield made_part(key, _BACKGROUND, digest, rows)
    wanted = pl.concat(sites).unique()
    rows = store.rows_of(key, _SITES, wanted).sort(_SITES.packed.key)
    if lacking := wanted.height - rows.height:
        log.warning(
            "%s, model %s: %d of the %d sites of its backgrounds have no row in the store: the "
            "archive lacks them too",
            store.root,
            key,
            lacking,
            wanted.height,
        )
    if rows["contig"].n_unique() > FEW:
        yield made_part(key, _SITES, PACKED, rows)
        return
    for of_contig in rows.partition_by("contig", maintain_order=True):
        yield made_part(key, _SITES, of_contig["contig"][0], of_contig.drop("contig"))
