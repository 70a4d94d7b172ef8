"""A background that lies beside a checkpoint: taken into the store, it is not scored again.

A first run's background is most of its work, and the same for everyone who scores one genome with
one model. `varlm store export --background` writes the archive.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.models.prepared import PreparedModel
from varlm.scoring.background import PREFIX, Background, choose
from varlm.store import Store
from varlm.store.importing import Archived, import_archive, list_archive
from varlm.store.layout import PACKED

log = logging.getLogger("varlm")

FILE = "background.varlm.tar"  # in a checkpoint folder; no file of the checkpoint's own

# What may differ between two keys of one checkpoint, as prepared models have it, and what it is
# where they do not say.
_SETTINGS: Mapping[str, Any] = {
    **dict.fromkeys(("window", "strands", "precision", "scoring_version")),
    "score": "masked",
    "options": {},
}


def bring_background(model: PreparedModel, genome: Genome, store: Store, count: int) -> None:
    """Add a background that lies in the checkpoint's folder to a store that lacks it.

    It must be one of the same model key, genome, number of sites and seed. Else it is left alone,
    as it is where the store cannot be written: then its sites are scored, or the plan says why not.

    Parameters
    ----------
    model : PreparedModel
    genome : Genome
    store : Store
    count : int
        `scoring.background_sites`; 0: no background.
    """
    archive = model.folder / FILE
    if not count or not archive.is_file():
        return
    chosen = choose(genome, count, model.strands)
    is_kept = store.read_background(model.key, chosen.digest) is not None
    if is_kept or not store.writable(model.key):
        return
    try:
        _bring(model, chosen, store, archive)
    except UserError as error:
        log.warning("model %s: %s; the sites of the background are scored", model.name, error)


def _bring(model: PreparedModel, chosen: Background, store: Store, archive: Path) -> None:
    listed = list_archive(archive)
    if model.key not in listed:
        _leave(model, archive, _other_model(model, listed))
        return
    rows = listed[model.key].rows
    # The sites of `transcript` are those of `both`, from which its scores are made.
    both = choose(chosen.genome, chosen.count, "both").digest
    digest = next((name for name in (chosen.digest, both) if name in rows), None)
    if digest is None:
        _leave(model, archive, _other_background(chosen, rows))
        return
    import_archive(store, archive, [model.key], {digest, PACKED, *chosen.genome.stored_as})
    snvs = f"{rows[digest]:,}"
    log.info(
        "model %s: background of %s SNVs taken from %s (%s)",
        model.name,
        snvs,
        archive,
        model.kind.name,
    )


def _leave(model: PreparedModel, archive: Path, reason: str) -> None:
    log.info("model %s: %s is of no use here: %s", model.name, archive, reason)


def _other_model(model: PreparedModel, listed: Mapping[str, Archived]) -> str:
    """Say how the models of an archive differ from one; of several, the most similar."""
    mine = _settings(model.to_json())
    differences = [
        [(name, theirs, mine[name]) for name, theirs in settings.items() if theirs != mine[name]]
        for settings in (_settings(archived.model) for archived in listed.values())
    ]
    least = min(differences, key=len)
    if not least:
        return "it is of a checkpoint with other files"
    return ", ".join(f"it is of {name} {theirs}, not {own}" for name, theirs, own in least)


def _settings(model: Mapping[str, Any]) -> dict[str, Any]:
    return {name: model.get(name) or unsaid for name, unsaid in _SETTINGS.items()}


def _other_background(chosen: Background, rows: Mapping[str, int]) -> str:
    """Say how the backgrounds of an archive differ from one."""
    if not {PACKED, *chosen.genome.stored_as} & rows.keys():
        return "it is of another genome"
    counts = sorted({snvs // 3 for name, snvs in rows.items() if name.startswith(PREFIX)})
    if chosen.count not in counts:
        return (
            f"it is of {' or '.join(f'{count:,}' for count in counts)} sites, not "
            f"{chosen.count:,} (scoring.background_sites)"
        )
    return "it is of other contigs, or of others that are circular"
