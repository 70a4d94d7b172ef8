"""A configuration of JBrowse 2, config.json.

Locations are objects with `uri`: only those are taken as relative to the file, unlike a plain
`bigWigs` list (GMOD/jbrowse-components issue 3430).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from varlm.genome.bases import BASES
from varlm.tracks.model_tracks import COLOURS, ModelTracks, track_id
from varlm.tracks.sites import ENTROPY


def jbrowse_config(models: Sequence[ModelTracks], fasta: str, assembly: str) -> str:
    """Return a configuration of JBrowse 2, JSON; `fasta` is relative to it."""

    def location(path: str) -> dict[str, str]:
        return {"uri": quote(path), "locationType": "UriLocation"}

    def bigwig(model: ModelTracks, track: str, **more: str) -> dict[str, Any]:
        return {"type": "BigWigAdapter", "bigWigLocation": location(model.file(track)), **more}

    def entry(
        model: ModelTracks, kind: str, name: str, adapter: dict[str, Any], **display: object
    ) -> dict[str, Any]:
        identity = track_id(kind, model.name)
        several = adapter["type"] == "MultiWiggleAdapter"
        shown = "MultiLinearWiggleDisplay" if several else "LinearWiggleDisplay"
        return {
            "type": "MultiQuantitativeTrack" if several else "QuantitativeTrack",
            "trackId": identity,
            "name": f"{model.name} {name}",
            "category": ["varlm", model.name],
            "assemblyNames": [assembly],
            "adapter": adapter,
            "displays": [{"type": shown, "displayId": f"{identity}-{shown}", **display}],
        }

    tracks = []
    for model in models:
        low, high = model.limits
        unit = f" ({model.kind.unit})" if model.kind.unit else ""
        tracks.append(
            entry(
                model,
                model.score_id,
                f"{model.score_name}{unit}",
                bigwig(model, model.worst),
                minScore=low,
                maxScore=high,
            )
        )
        if not model.kind.distribution:
            continue
        heights = [
            bigwig(
                model,
                f"logo_{base}",
                source=base,
                name=base,
                color="#{:02x}{:02x}{:02x}".format(*COLOURS[base]),
            )
            for base in BASES
        ]
        tracks += [
            entry(
                model, "entropy", "entropy (nats)", bigwig(model, ENTROPY), minScore=0, maxScore=1.4
            ),
            entry(
                model,
                "logo",
                "logo heights (bits)",
                {"type": "MultiWiggleAdapter", "subadapters": heights},
                defaultRendering="multirowxy",
                minScore=0,
                maxScore=2,
            ),
        ]
    sequence = {
        "type": "ReferenceSequenceTrack",
        "trackId": f"{assembly}-ReferenceSequenceTrack",
        "adapter": {
            "type": "IndexedFastaAdapter",
            "fastaLocation": location(fasta),
            "faiLocation": location(f"{fasta}.fai"),
        },
    }
    config = {"assemblies": [{"name": assembly, "sequence": sequence}], "tracks": tracks}
    return json.dumps(config, indent=2) + "\n"
