"""The folder of tracks, ready for genome browsers: UCSC, IGV and JBrowse 2.

Each file is text that points to the bigWigs by relative paths, so that the results can be moved
or put on a web server as they are. Formats:

- `hub.txt`: a UCSC track hub in one file (hub track database definition v2, `useOneFile on`); the
  logo is a `container multiWig` with `logo on`, as in the hubs of songlab's GPN.
- `igv_session.xml`: a session of IGV desktop (`org.broad.igv.session.IGVSessionReader`, version 8),
  which looks for relative paths beside the session.
- `config.json`: JBrowse 2. Locations are objects with `uri`: only those are taken as relative to
  the file, unlike a plain `bigWigs` list (GMOD/jbrowse-components issue 3430).
"""

from __future__ import annotations

import json
import math
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from varlm.errors import UserError
from varlm.tables.schemas import BASES
from varlm.tracks.sites import ENTROPY, WORST_LLR

MODEL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
GENOME_NAME = re.compile(r"[A-Za-z0-9_.-]+")
UNNAMED = "ASSEMBLY"  # in hub.txt, until the user says which assembly it is

# The colours of a sequence logo, as in UCSC's and songlab's.
COLOURS = {"A": (0, 128, 0), "C": (0, 0, 255), "G": (255, 166, 0), "T": (255, 0, 0)}
_LLR_COLOUR, _ENTROPY_COLOUR = (158, 54, 38), (70, 90, 120)
_SHORT = 17  # characters that UCSC shows of a short label


@dataclass(frozen=True)
class ModelTracks:
    """The tracks of one model, as its `tracks.json` tells: name, limits, where they begin.

    Attributes
    ----------
    name : str
        Of the model, and of the folder with its bigWigs.
    llr_limits : tuple of float
        What the display of the lowest LLR shows, nats.
    first : dict
        `contig`, `start`, `end` (0-based, half-open) of the first sites.
    """

    name: str
    llr_limits: tuple[float, float]
    first: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, name: str) -> ModelTracks | None:
        """Return the tracks in `folder/name`; None where there is no site.

        Raises
        ------
        UserError
            If the name is no model's name, or a file is missing.
        """
        if not MODEL_NAME.fullmatch(name):
            raise UserError(
                f"model {name!r}: a name of letters, digits and _ is expected, a letter first; "
                "rename it in the config"
            )
        path = folder / name / "tracks.json"
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path}: not found; run the step draw_tracks first") from None
        if not described["sites"]:
            return None
        for track in described["tracks"].values():
            if not (folder / name / track["file"]).exists():
                raise UserError(
                    f"{folder / name / track['file']}: not found, but tracks.json beside it names "
                    "it; delete the folder and run the workflow again"
                )
        llr = described["tracks"][WORST_LLR]
        return cls(name, display_limits(llr["low"], llr["max"]), described["first"])

    def file(self, track: str) -> str:
        """Return the path of a track's bigWig, relative to the folder of all tracks."""
        return f"{self.name}/{track}.bw"

    @property
    def locus(self) -> str:
        """Return where the first sites are, 1-based: contig:start-end."""
        return f"{self.first['contig']}:{self.first['start'] + 1}-{self.first['end']}"


def display_limits(low: float, highest: float) -> tuple[float, float]:
    """Return limits that keep zero in view, and a few far values from making all others flat."""
    below = min(0.0, math.floor(low * 10) / 10)
    above = max(0.0, math.ceil(min(highest, max(-low, 1.0)) * 10) / 10)
    return (below, above) if below < above else (-1.0, 0.0)


def hub_files(
    models: Sequence[ModelTracks], reference: str, genome: str | None = None
) -> dict[str, str]:
    """Return the files of the folder of tracks: name → text.

    Parameters
    ----------
    models : sequence of ModelTracks
        Those that have tracks.
    reference : str
        Path of the reference folder, relative to the folder of tracks.
    genome : str, optional
        UCSC's name of the assembly, such as hg38.

    Raises
    ------
    UserError
        If `genome` is no name that UCSC would take.
    """
    if genome is not None and not GENOME_NAME.fullmatch(genome):
        raise UserError(
            f"genome {genome!r}: expected the name of an assembly at UCSC, such as hg38, sacCer3 "
            "or GCF_000146045.2"
        )
    return {
        "hub.txt": ucsc_hub(models, genome or UNNAMED),
        "igv_session.xml": igv_session(models, f"{reference}/genome.fa"),
        "config.json": jbrowse_config(models, f"{reference}/genome.fa", genome or "genome"),
        "README.txt": _readme(models, reference, genome),
    }


def build_hub(
    tracks: Path, names: Sequence[str], reference: Path, genome: str | None = None
) -> dict[str, str]:
    """Return the files that make a folder of drawn tracks ready for browsers: name → text.

    Parameters
    ----------
    tracks : Path
        The folder, with one folder of bigWigs for each model.
    names : sequence of str
        The models' names.
    reference : Path
        The reference folder.
    genome : str, optional
        As in `hub_files`; errors as there and in `ModelTracks.read`.
    """
    models = [found for name in names if (found := ModelTracks.read(tracks, name))]
    relative = os.path.relpath(reference.resolve(), tracks.resolve())
    return hub_files(models, relative, genome)


# UCSC


def ucsc_hub(models: Sequence[ModelTracks], genome: str) -> str:
    """Return a UCSC track hub in one file: for each model, LLR, entropy and logo."""
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


def track_id(kind: str, model: str) -> str:
    """Return a track's unique name; `kind` has no underscore, so that no two can be the same."""
    return f"{kind}_{model}"


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

    low, high = model.llr_limits
    group, logo = track_id("model", model.name), track_id("logo", model.name)
    view = {"visibility": "full", "maxHeightPixels": "128:50:16", "autoScale": "off"}
    return [
        stanza("model", "", "what it says of each site", superTrack="on show"),
        stanza(
            "llr",
            "LLR",
            "lowest LLR of the three SNVs, nats",
            parent=group,
            **bigwig(WORST_LLR, low, high, _LLR_COLOUR),
            **view,
            viewLimits=f"{low:g}:{high:g}",
            windowingFunction="minimum",
        ),
        stanza(
            "entropy",
            "entropy",
            "entropy of A, C, G, T, nats",
            parent=group,
            **bigwig(ENTROPY, 0, 1.4, _ENTROPY_COLOUR),
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


# IGV


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
        _igv_track(panel, model, WORST_LLR, f"{model.name} lowest LLR", _LLR_COLOUR)
        _igv_track(panel, model, ENTROPY, f"{model.name} entropy", _ENTROPY_COLOUR)
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


# JBrowse


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
        low, high = model.llr_limits
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
                model,
                "llr",
                "lowest LLR (nats)",
                bigwig(model, WORST_LLR),
                minScore=low,
                maxScore=high,
            ),
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


_README = """\
Tracks of varlm
===============

One folder a model, with bigWig files of one value a site:

  worst_llr.bw   lowest log-likelihood ratio (alternate less reference, natural logarithm, mean of
                 the strands) of the site's three SNVs; negative: every SNV there, or the worst of
                 them, is less likely to the model than the reference's base
  entropy.bw     entropy of A, C, G, T at the site, nats: 0 (sure) to 1.386 (no idea)
  logo_A.bw, logo_C.bw, logo_G.bw, logo_T.bw
                 heights of the letters of a sequence logo, bits: p x (2 - entropy in bits)
  tracks.json    model, number of sites by contig, lowest and highest value of each track

Models: {models}
Contigs are named as in the reference FASTA. Sites without a score have no value.

IGV (desktop)
-------------
File > Open Session… and choose igv_session.xml in this folder. It loads the reference from
{reference}/genome.fa and all tracks. The four letters are bars on one another.

UCSC Genome Browser
-------------------
1. {genome}
   The contigs must have that assembly's names, or names that UCSC knows as their aliases.
2. Put this folder on a web server that UCSC can reach and that answers byte-range requests, and
   set email in hub.txt.
3. My Data > Track Hubs > Connected Hubs: paste the address of hub.txt. Zoomed in, the logo is
   drawn as letters.
A genome that UCSC does not have needs a 2bit file (UCSC's faToTwoBit makes it of genome.fa) and
these lines below the line of the genome in hub.txt:
   twoBitPath genome.2bit
   organism NAME
   scientificName NAME
   defaultPos {locus}

JBrowse 2 (web)
---------------
Serve the folder that holds this one and {reference}/, with JBrowse 2 in it (npx @jbrowse/cli
create jbrowse), and open, with the name of this folder for tracks:
   jbrowse/?config=../tracks/config.json&assembly={assembly}&loc={quoted}{tracks}
"""


def _readme(models: Sequence[ModelTracks], reference: str, genome: str | None) -> str:
    if not models:
        return (
            "No tracks: none of the cohorts has an SNV, and a bigWig cannot be empty. The other\n"
            "files of this folder name no tracks either.\n"
        )
    said = (
        f"hub.txt says that the assembly is {genome}, as the config did."
        if genome
        else f"In hub.txt, replace {UNNAMED} by UCSC's name of the assembly: hg38, sacCer3, or\n"
        "   the accession of a GenArk genome such as GCF_000146045.2."
    )
    shown = ",".join(track_id(kind, models[0].name) for kind in ("llr", "entropy", "logo"))
    return _README.format(
        models=", ".join(model.name for model in models),
        reference=reference,
        genome=said,
        assembly=genome or "genome",
        locus=models[0].locus,
        quoted=quote(models[0].locus),
        tracks=f"&tracks={shown}",
    )
