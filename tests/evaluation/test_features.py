"""An allele's sequence context, place and frequency, against what is read letter by letter."""

import json

import numpy as np
import polars as pl
import pytest

from varlm.evaluation.features import PENTAMERS, TRINUCLEOTIDES, features, turned
from varlm.genome.circular import FILE
from varlm.genome.reference import Genome

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def alleles(*rows, **columns):
    schema = {"chrom": pl.String, "pos": pl.UInt32, "ref": pl.String, "alt": pl.String}
    return pl.DataFrame(rows, schema, orient="row").with_columns(
        **{name: pl.Series(values) for name, values in columns.items()}
    )


def slow_context(sequence, pos, ref, alt, flank):
    """A context by the definition, or None."""
    start = pos - 1 - flank
    around = sequence[max(start, 0) : pos + flank]
    if start < 0 or len(around) < 2 * flank + 1 or {*around, ref, alt} - {*"ACGT"}:
        return None
    if ref in "AG":
        around, ref, alt = (text.translate(COMPLEMENT)[::-1] for text in (around, ref, alt))
    return f"{around[:flank]}[{ref}>{alt}]{around[flank + 1 :]}"


def test_every_context_is_that_of_the_definition(make_reference, monkeypatch):
    rng = np.random.default_rng(3)
    sequences = {name: "".join(rng.choice([*"ACGTACGTN"], 300)) for name in ("one", "two")}
    genome = Genome.open(make_reference(sequences))
    rows = [
        (chrom, pos, ref, alt)
        for chrom, contig in (("1", "one"), ("two", "two"))
        for pos, ref in enumerate(sequences[contig], 1)
        for alt in "ACGT"
        if alt != ref
    ]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    contigs = {"1": "one", "two": "two"}
    table = features(alleles(*rows), contigs, genome)
    for column, flank in (("trinucleotide", 1), ("pentamer", 2)):
        expected = [slow_context(sequences[contigs[c]], p, r, a, flank) for c, p, r, a in rows]
        assert table[column].cast(pl.String).to_list() == expected
    assert table["trinucleotide"].n_unique() == 97  # all of them, and null
    cpg = [three and three[2] == "C" and three[-1] == "G" for three in table["trinucleotide"]]
    assert table["cpg"].to_list() == cpg
    same = features(
        alleles(*rows).with_columns(pl.col(pl.String).cast(pl.Categorical)), contigs, genome
    )
    assert same.equals(table)
    monkeypatch.setattr("varlm.evaluation.features._ROWS", 7)
    assert features(alleles(*rows), contigs, genome).equals(table)


def test_a_context_and_its_complement_are_one(make_reference):
    genome = Genome.open(make_reference({"one": "GACGTT", "other": "AACGTC"}))
    table = features(alleles(("one", 3, "C", "T"), ("other", 4, "G", "A")), {}, genome)
    assert table["trinucleotide"].to_list() == ["A[C>T]G"] * 2
    assert table["pentamer"].to_list() == ["GA[C>T]GT"] * 2
    assert table["cpg"].to_list() == [True, True]
    assert len(TRINUCLEOTIDES.categories) == 96
    assert len(PENTAMERS.categories) == 6 * 4**4


def test_only_snvs_of_the_reference_have_a_context(make_reference):
    genome = Genome.open(make_reference({"one": "GACGTT"}))
    rows = [
        ("one", 3, "C", "CT"),
        ("one", 3, "CG", "C"),
        ("one", 3, "CG", "TT"),
        ("one", 3, "A", "T"),  # the reference has C
        ("elsewhere", 3, "C", "T"),
        ("one", 1, "G", "T"),  # nothing before it
        ("one", 6, "T", "A"),
    ]
    table = features(alleles(*rows), {}, genome)
    assert table.select("trinucleotide", "pentamer", "cpg").null_count().row(0) == (7, 7, 7)


def test_a_circular_contig_goes_on_over_its_origin(make_reference):
    folder = make_reference({"one": "GACGTT"})
    (folder / FILE).write_text(json.dumps({"contigs": {"one": "told"}}))
    genome = Genome.open(folder)
    table = features(alleles(("one", 1, "G", "T"), ("one", 6, "T", "A")), {}, genome)
    assert table["pentamer"].to_list() == ["GT[C>A]AA", "GT[T>A]GA"]


def test_place_and_frequency_are_the_tables(make_reference):
    genome = Genome.open(make_reference({"one": "GACGTT"}))
    rows = alleles(
        ("one", 3, "C", "T"),
        ("one", 4, "G", "A"),
        kind=["snv", "snv"],
        af=[0.75, None],
        tss_distance=[-3, None],
    )
    table = features(rows, {}, genome)
    assert table.select("kind", "tss_distance", "af", "maf").rows() == [
        ("snv", -3, 0.75, pytest.approx(0.25)),
        ("snv", None, None, None),
    ]
    without = features(rows.select("chrom", "pos", "ref", "alt"), {}, genome)
    assert without.select("kind", "tss_distance", "af", "maf").null_count().row(0) == (2,) * 4
    assert features(rows.clear(), {}, genome).height == 0


def test_a_turned_mutation_is_the_one_back(make_reference):
    """As if the reference had the alternate's base: the definition, letter by letter."""
    rng = np.random.default_rng(4)
    sequence = "".join(rng.choice([*"ACGTN"], 400, p=[0.24] * 4 + [0.04]))
    genome = Genome.open(make_reference({"one": sequence}))
    rows = [
        ("one", pos, ref, alt)
        for pos, ref in enumerate(sequence, 1)
        for alt in "ACGT"
        if ref not in (alt, "N")
    ]
    kinds = ["snv"] * (len(rows) - 2) + ["ins", "del"]
    known = features(alleles(*rows, kind=kinds), {}, genome)
    flags = rng.random(len(rows)) < 0.5
    back = turned(known, flags)
    for column, flank in (("trinucleotide", 1), ("pentamer", 2)):
        expected = [
            slow_context(sequence[: p - 1] + a + sequence[p:], p, a, r, flank)
            if flag
            else slow_context(sequence, p, r, a, flank)
            for (_, p, r, a), flag in zip(rows, flags, strict=True)
        ]
        assert back[column].cast(pl.String).to_list() == expected
    cpg = [three and three[2] == "C" and three[-1] == "G" for three in back["trinucleotide"]]
    assert back["cpg"].to_list() == cpg
    assert back.schema == known.schema
    assert turned(known, ~flags | flags)["kind"].to_list()[-2:] == ["del", "ins"]
    assert turned(known, flags & ~flags).equals(known)
