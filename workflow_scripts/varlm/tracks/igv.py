"""A session of IGV desktop, igv_session.xml.

Version 8 (`org.broad.igv.session.IGVSessionReader`), which looks for relative paths beside the
session.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from varlm.genome.bases import BASES
from varlm.tracks.model_tracks import COLOURS, ENTROPY_COLOUR, LLR_COLOUR, ModelTracks, track_id
from varlm.tracks.sites import ENTROPY, WORST_LLR


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
        for track in (WORST_LLR, ENTROPY, *(f"logo_{base}" for base in BASES)):
            ET.SubElement(resources, "Resource", path=model.file(track), type="bw")
        _igv_track(panel, model, WORST_LLR, f"{model.name} lowest LLR", LLR_COLOUR)
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
        windowFunction="min" if track == WORST_LLR else "mean",
    )
    limits = {WORST_LLR: model.llr_limits, ENTROPY: (0, 1.4)}
    _igv_range(element, *limits.get(track, (0, 2)))


def _igv_range(track: ET.Element, low: float, high: float) -> None:
    ET.SubElement(
        track, "DataRange", minimum=f"{low:g}", baseline="0", maximum=f"{high:g}", type="LINEAR"
    )
