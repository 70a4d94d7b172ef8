"""A session of IGV desktop, igv_session.xml.

Version 8 (`org.broad.igv.session.IGVSessionReader`), which looks for relative paths beside the
session.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from varlm.genome.bases import BASES
from varlm.tracks.model_tracks import COLOURS, ENTROPY_COLOUR, SCORE_COLOUR, ModelTracks, track_id
from varlm.tracks.sites import ENTROPY, tracks_of


def igv_session(models: Sequence[ModelTracks], fasta: str) -> str:
    """Return a session of IGV desktop, XML; `fasta` is relative to the session."""
    attributes = {"genome": fasta, "hasGeneTrack": "false", "hasSequenceTrack": "true"}
    # XML has no way to write a control character, and IGV none to look one up.
    if models and models[0].locus.isprintable():
        attributes["locus"] = models[0].locus
    session = ET.Element("Session", attributes, version="8")
    resources = ET.SubElement(session, "Resources")
    panel = ET.SubElement(session, "Panel", name="DataPanel")
    for model in models:
        for track in tracks_of(model.kind):
            ET.SubElement(resources, "Resource", path=model.file(track.name), type="bw")
        worst = f"{model.name} {model.score_name}"
        _igv_track(panel, model, model.worst, worst, SCORE_COLOUR)
        if not model.kind.distribution:
            continue
        _igv_track(panel, model, ENTROPY, f"{model.name} entropy", ENTROPY_COLOUR)
        logo = ET.SubElement(
            panel,
            "Track",
            clazz="org.broad.igv.track.MergedTracks",
            id=track_id("logo", model.name),
            attributeKey=track_id("logo", model.name),
            name=f"{model.name} logo",
            alpha="0.5",
            autoScale="false",
            height="60",
            renderer="BAR_CHART",
            visible="true",
        )
        _igv_range(logo, 0, 2)
        for base in BASES:
            _igv_track(logo, model, f"logo_{base}", f"{model.name} {base}", COLOURS[base])
    ET.indent(session)
    text = ET.tostring(session, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n{text}\n'


def _igv_track(
    parent: ET.Element, model: ModelTracks, track: str, name: str, colour: tuple[int, ...]
) -> None:
    element = ET.SubElement(
        parent,
        "Track",
        clazz="org.broad.igv.track.DataSourceTrack",
        id=model.file(track),
        attributeKey=name,
        name=name,
        color=",".join(map(str, colour)),
        altColor=",".join(map(str, colour)),
        autoScale="false",
        height="60",
        renderer="BAR_CHART",
        visible="true",
        windowFunction=_summary(model) if track == model.worst else "mean",
    )
    limits = {model.worst: model.limits, ENTROPY: (0, 1.4)}
    _igv_range(element, *limits.get(track, (0, 2)))


def _summary(model: ModelTracks) -> str:
    """Return which of many scores a bar shows, zoomed out: the most harmful."""
    return "max" if model.kind.worst_first else "min"


def _igv_range(track: ET.Element, low: float, high: float) -> None:
    base = min(max(low, 0.0), high)  # where bars stand: zero, or what is nearest to it
    ET.SubElement(
        track,
        "DataRange",
        minimum=f"{low:g}",
        baseline=f"{base:g}",
        maximum=f"{high:g}",
        type="LINEAR",
    )
