"""The folder of tracks, ready for genome browsers: UCSC, IGV and JBrowse 2.

Each file is text that points to the bigWigs by relative paths, so that the results can be moved
or put on a web server as they are; the modules `ucsc`, `igv` and `jbrowse` write one format each.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from varlm.errors import UserError
from varlm.tables.score_kinds import ScoreKind
from varlm.tracks.igv import igv_session
from varlm.tracks.jbrowse import jbrowse_config
from varlm.tracks.model_tracks import ModelTracks, track_id
from varlm.tracks.sites import worst_name
from varlm.tracks.ucsc import ucsc_hub

GENOME_NAME = re.compile(r"[A-Za-z0-9_.-]+")
UNNAMED = "ASSEMBLY"  # in hub.txt, until the user says which assembly it is


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
    models = [model for name in names if (model := ModelTracks.read(tracks, name))]
    relative = os.path.relpath(reference.resolve(), tracks.resolve())
    return hub_files(models, relative, genome)


_README = """\
Tracks of varlm
===============

One folder a model, with bigWig files of one value a site:

{files}  tracks.json    model, number of sites by contig, lowest and highest value of each track

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


_WORST_LLR = """\
  worst_llr.bw   lowest log-likelihood ratio (alternate less reference, natural logarithm, mean of
                 the strands) of the site's three SNVs; negative: every SNV there, or the worst of
                 them, is less likely to the model than the reference's base
"""
_DISTRIBUTION = """\
  entropy.bw     entropy of A, C, G, T at the site, nats: 0 (sure) to 1.386 (no idea)
  logo_A.bw, logo_C.bw, logo_G.bw, logo_T.bw
                 heights of the letters of a sequence logo, bits: p x (2 - entropy in bits)
"""


def _files(models: Sequence[ModelTracks]) -> str:
    """Return the lines on the bigWigs that the models have."""
    by_column = {model.kind.column: model.kind for model in models}
    lines = [_WORST_LLR if kind.is_llr else _worst_lines(kind) for kind in by_column.values()]
    with_logo = [model.name for model in models if model.kind.distribution]
    if with_logo:
        lines.append(_DISTRIBUTION)
    if 0 < len(with_logo) < len(models):
        lines.append(f"                 Of {', '.join(with_logo)} alone.\n")
    return "".join(lines)


def _worst_lines(kind: ScoreKind) -> str:
    end = "highest" if kind.worst_first else "lowest"
    text = (
        f"{end} score (mean of the strands that are scored) of the site's three SNVs: "
        f"{kind.meaning}; {kind.harmful}: harmful"
    )
    name = f"  {worst_name(kind)}.bw"
    lines = textwrap.wrap(text, width=83)
    return "\n".join([name, *(" " * 17 + line for line in lines), ""])


def _readme(models: Sequence[ModelTracks], reference: str, genome: str | None) -> str:
    if not models:
        return (
            "No tracks: none of the cohorts has an SNV, and a bigWig cannot be empty. The other\n"
            "files of this folder name no tracks either.\n"
        )
    assembly = (
        f"hub.txt says that the assembly is {genome}, as the config did."
        if genome
        else f"In hub.txt, replace {UNNAMED} by UCSC's name of the assembly: hg38, sacCer3, or\n"
        "   the accession of a GenArk genome such as GCF_000146045.2."
    )
    first = models[0]
    kinds = [first.score_id, *(("entropy", "logo") if first.kind.distribution else ())]
    shown = ",".join(track_id(kind, first.name) for kind in kinds)
    return _README.format(
        files=_files(models),
        models=", ".join(model.name for model in models),
        reference=reference,
        genome=assembly,
        assembly=genome or "genome",
        locus=models[0].locus,
        quoted=quote(models[0].locus),
        tracks=f"&tracks={shown}",
    )
