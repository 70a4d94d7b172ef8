"""The class of a site: coding, UTR, … by the annotation."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from varlm.annotation.genes.annotation import Annotation
from varlm.annotation.genes.tables import CDS, EXONS, RECODED, TRANSCRIPTS
from varlm.annotation.site_classes import CLASSES, site_classes
from varlm.genome.reference import Genome


def annotation(transcripts, exons, cds, circular=()):
    """Transcripts: contig, start, end, strand, coding or not; exons and CDS: index, start, end."""
    rows = [
        {
            "index": number,
            "contig": contig,
            "start": start,
            "end": end,
            "strand": strand,
            "tss": end - 1 if strand == "-" else start,
            "coding_start": start if coding else None,
        }
        for number, (contig, start, end, strand, coding) in enumerate(transcripts)
    ]
    return Annotation(
        Path(),
        pl.DataFrame(rows, TRANSCRIPTS.schema),
        pl.DataFrame(exons, EXONS.schema, orient="row"),
        pl.DataFrame([(*row, 0) for row in cds], CDS.schema, orient="row"),
        RECODED.empty(),
        circular,
    )


@pytest.fixture
def genome(make_reference):
    return Genome.open(make_reference({"one": "ACGT" * 25, "ring": "ACGT" * 10}))


def runs(names):
    """Names as (name, how often in a row)."""
    return [(row["value"], row["len"]) for row in pl.Series(names).rle().struct.unnest().to_dicts()]


def every_site(genome):
    return {n: np.arange(1, genome[n].length + 1, dtype=np.uint32) for n in genome.names}


def test_the_first_class_that_holds_of_any_transcript(genome):
    # 20-60: UTR 20-25, coding 25-30, intron 30-40, coding 40-55, UTR 55-60; an RNA gene in the
    # intron, 34-36, and one on the reverse strand, 70-80.
    of = annotation(
        [("one", 20, 60, "+", True), ("one", 34, 36, "+", False), ("one", 70, 80, "-", False)],
        [(0, 20, 30), (0, 40, 60), (1, 34, 36), (2, 70, 80)],
        [(0, 25, 30), (0, 40, 55)],
    )
    sites = {name: pos for name, pos in every_site(genome).items() if name == "one"}
    assert runs(site_classes(sites, of, genome, 7)) == [
        ("intergenic", 13),
        ("upstream", 7),
        ("UTR", 5),
        ("coding", 5),
        ("intron", 4),
        ("non-coding exon", 2),
        ("intron", 4),
        ("coding", 15),
        ("UTR", 5),
        ("intergenic", 10),
        ("non-coding exon", 10),
        ("upstream", 7),
        ("intergenic", 13),
    ]
    assert set(CLASSES) >= set(site_classes(sites, of, genome, 0))


def test_what_goes_over_the_origin_is_on_both_sides_of_it(genome):
    of = annotation([("ring", 35, 45, "+", True)], [(0, 35, 45)], [(0, 35, 45)], ("ring",))
    sites = {name: pos for name, pos in every_site(genome).items() if name == "ring"}
    assert runs(site_classes(sites, of, genome, 3)) == [
        ("coding", 5),
        ("intergenic", 27),
        ("upstream", 3),
        ("coding", 5),
    ]


def test_contig_after_contig(genome):
    of = annotation([("ring", 0, 40, "+", True)], [(0, 0, 40)], [(0, 0, 40)])
    sites = {"one": np.array([5, 6], np.uint32), "ring": np.array([1], np.uint32)}
    assert site_classes(sites, of, genome, 5).tolist() == ["intergenic", "intergenic", "coding"]
    nothing = {"one": np.empty(0, np.uint32)}
    assert site_classes(nothing, of, genome, 5).tolist() == []
