"""A UCSC track hub in one file, hub.txt.

Hub track database definition v2, with `useOneFile on`. The logo is a `container multiWig` with
`logo on`, as in the hubs of songlab's GPN.
"""

from __future__ import annotations

from collections.abc import Sequence

from varlm.genome.bases import BASES
from varlm.tracks.model_tracks import COLOURS, ENTROPY_COLOUR, SCORE_COLOUR, ModelTracks, track_id
from varlm.tracks.sites import ENTROPY

_SHORT = 17  # characters that UCSC shows of a short label
# What a short label says of the kind of score, where its column is no good.
_LABELS = {"llr": "LLR", "probability": "prob.", "inner_product": "product"}


def ucsc_hub(models: Sequence[ModelTracks], genome: str) -> str:
    """Return a UCSC track hub in one file: for each model, scores, entropy and logo."""
    stanzas: list[dict[str, str]] = [
        {
            "hub": "varlm",
            "shortLabel": "varlm",
            "longLabel": "varlm: variant effects from DNA language models",
            "useOneFile": "on",
            "email": "you@example.org",
        },
        {"genome": genome},
    ]
    for model in models:
        stanzas += _ucsc_stanzas(model)
    texts = ("".join(f"{key} {value}\n" for key, value in stanza.items()) for stanza in stanzas)
    return "\n".join(texts)


def _ucsc_stanzas(model: ModelTracks) -> list[dict[str, str]]:
    def stanza(kind: str, label: str, text: str, **settings: str) -> dict[str, str]:
        short = f"{model.name[: _SHORT - len(label) - 1]} {label}".strip()
        return {
            "track": track_id(kind, model.name),
            "shortLabel": short,
            "longLabel": f"{model.name}: {text}",
            **settings,
        }

    def bigwig(track: str, low: float, high: float, colour: tuple[int, ...]) -> dict[str, str]:
        return {
            "type": f"bigWig {low:g} {high:g}",
            "bigDataUrl": model.file(track),
            "color": ",".join(map(str, colour)),
        }

    low, high = model.limits
    unit = f", {model.kind.unit}" if model.kind.unit else ""
    group, logo = track_id("model", model.name), track_id("logo", model.name)
    view = {"visibility": "full", "maxHeightPixels": "128:50:16", "autoScale": "off"}
    score = [
        stanza("model", "", "what it says of each site", superTrack="on show"),
        stanza(
            model.score_id,
            _LABELS.get(model.kind.column, model.kind.column),
            f"{model.score_name} of the three SNVs{unit}",
            parent=group,
            **bigwig(model.worst, low, high, SCORE_COLOUR),
            **view,
            viewLimits=f"{low:g}:{high:g}",
            windowingFunction="maximum" if model.kind.worst_first else "minimum",
        ),
    ]
    if not model.kind.distribution:
        return score
    return [
        *score,
        stanza(
            "entropy",
            "entropy",
            "entropy of A, C, G, T, nats",
            parent=group,
            **bigwig(ENTROPY, 0, 1.4, ENTROPY_COLOUR),
            **view,
            viewLimits="0:1.4",
            windowingFunction="mean",
        ),
        stanza(
            "logo",
            "logo",
            "sequence logo, bits",
            parent=group,
            container="multiWig",
            noInherit="on",
            type="bigWig 0 2",
            aggregate="stacked",
            logo="on",
            **view,
            viewLimits="0:2",
        ),
        *(
            stanza(
                f"logo{base}",
                f"logo {base}",
                f"height of {base}, bits",
                parent=logo,
                **bigwig(f"logo_{base}", 0, 2, COLOURS[base]),
                priority=str(number),
            )
            for number, base in enumerate(BASES, 1)
        ),
    ]
