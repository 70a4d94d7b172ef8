"""Consequences against bcftools csq by hand, a slow reference, and dialect against dialect."""

import gzip
import logging
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import making.gff as making
from making.gff import GENES, Transcript, called, csq_by_hand, entries, genome, index
from varlm.annotation.genes import annotation, calling, csq, csq_input, pieces, terms
from varlm.annotation.genes import overlaps as noncoding
from varlm.annotation.genes.starts import Starts
from varlm.annotation.genes.tables import EXONS, TRANSCRIPTS
from varlm.errors import UserError
from varlm.run import bcftools


@pytest.fixture
def world(tmp_path, make_reference):
    """A small genome, every SNV and many indels in it."""
    contigs = genome()
    reference = make_reference(contigs)
    variants = tmp_path / "variants.parquet"
    alleles = making.write_variants(
        variants, making.every_snv(contigs) + making.indels(contigs), contigs
    )

    class World:
        pass

    world = World()
    world.contigs, world.reference, world.variants, world.alleles = (
        contigs,
        reference,
        variants,
        alleles,
    )

    def consequences(text, *options, name="a", variants=variants, **distances):
        source = tmp_path / f"{name}.gff"
        source.write_text(text)
        world.summary = index(tmp_path / name, source, reference, *options)
        return called(
            tmp_path / f"{name}.parquet", variants, reference, tmp_path / name, **distances
        )

    world.consequences, world.folder = consequences, tmp_path
    return world


def at(world, table, contig, pos, ref=None, alt=None):
    """The row of an allele, as a dictionary."""
    for row, (c, p, r, a) in enumerate(world.alleles):
        if (c, p) == (contig, pos) and (ref in (None, r)) and (alt in (None, a)):
            return table.row(row, named=True)
    raise LookupError((contig, pos, ref, alt))


@pytest.mark.parametrize("dialect", making.DIALECTS)
def test_fault_22_every_dialect_gives_the_same_consequences(world, dialect):
    expected = world.consequences(making.ensembl_gff3(), name="ensembl")
    said = csq_by_hand(
        world.folder, world.variants, world.reference / "genome.fa", _hand(world.folder)
    )
    mine = entries(expected)
    assert {key: mine[key] for key in said} == said
    assert len({term for term, _ in said.values()}) > 12
    table = world.consequences(making.DIALECTS[dialect](), name="other")
    assert_frame_equal(table, expected)


def _hand(folder):
    path = folder / "hand.gff3"
    path.write_text(making.ensembl_gff3())
    return path


def test_lines_in_any_order_carriage_returns_and_compression_change_nothing(world):
    text = making.ensembl_gff3()
    expected = world.consequences(text)
    lines = text.splitlines()
    shuffled = [lines[i] for i in np.random.default_rng(3).permutation(len(lines))]
    assert_frame_equal(world.consequences("\r\n".join(shuffled) + "\r\n", name="b"), expected)
    source = world.folder / "misnamed.txt"
    source.write_bytes(gzip.compress(text.encode()))
    index(world.folder / "c", source, world.reference)
    table = called(world.folder / "c.parquet", world.variants, world.reference, world.folder / "c")
    assert_frame_equal(table, expected)


def test_the_same_bytes_every_time_and_in_small_batches(world, monkeypatch):
    world.consequences(making.gtf(), name="a")
    monkeypatch.setattr(pieces, "ROWS", 997)
    monkeypatch.setattr(calling, "BATCH", 400)
    world.consequences(making.gtf(), name="b")
    monkeypatch.undo()
    first = sorted((world.folder / "a").iterdir())
    again = sorted((world.folder / "b").iterdir())
    assert [path.name for path in first] == [path.name for path in again]
    for before, after in zip(first, again, strict=True):
        if before.suffix != ".json":
            assert before.read_bytes() == after.read_bytes(), before.name
    table = pl.read_parquet(world.folder / "a.parquet")
    assert_frame_equal(pl.read_parquet(world.folder / "b.parquet"), table)
    world.consequences(making.gtf(), name="a2")
    assert (world.folder / "a2.parquet").read_bytes() == (world.folder / "a.parquet").read_bytes()


def test_repeated_alleles_have_their_rows(world):
    twice = [a for a in world.alleles[::7] for _ in (0, 1)]
    variants = world.folder / "twice.parquet"
    alleles = making.write_variants(variants, twice, world.contigs)
    table = world.consequences(making.ensembl_gff3(), variants=variants)
    assert table.height == len(alleles)
    assert_frame_equal(table[::2], table[1::2])
    once = world.consequences(making.ensembl_gff3(), name="once")
    rows = {allele: row for row, allele in enumerate(world.alleles)}
    assert_frame_equal(table[::2], once[[rows[allele] for allele in alleles[::2]]])


def test_the_columns_of_a_row(world):
    table = world.consequences(making.ensembl_gff3())
    row = at(world, table, "chr1", 160)  # in tA's coding sequence
    assert (row["gene"], row["gene_id"], row["transcript"]) == ("ALPHA", "gA", "tA")
    assert (row["biotype"], row["strand"]) == ("protein_coding", "+")
    assert row["protein_change"].startswith("4")
    assert (row["nearest_gene"], row["tss_distance"]) == ("ALPHA", 59)
    # An intron, upstream (the TSS of tB is at 1019, 0-based, on the reverse strand), intergenic.
    assert at(world, table, "chr1", 250)["consequence"] == "intron_variant"
    row = at(world, table, "chr1", 1030)
    assert (row["consequence"], row["gene"], row["tss_distance"]) == (
        "upstream_gene_variant",
        "BETA",
        -10,
    )
    assert [e["consequence"] for e in row["consequences"]] == ["upstream_gene_variant"] * 2
    row = at(world, table, "chr1", 690)
    assert {e["transcript"]: e["consequence"] for e in row["consequences"]} == {
        "tA": "downstream_gene_variant",
        "tB": "downstream_gene_variant",
        "tD": "upstream_gene_variant",
    }
    row = at(world, table, "chr1", 1450)
    assert row["consequence"] == "intergenic_variant"
    assert row["gene"] is row["transcript"] is row["strand"] is None
    assert row["nearest_gene"] == "GAMMA"
    assert len(row["consequences"]) == 1
    # A contig without genes.
    row = at(world, table, "chr3", 9)
    assert (row["consequence"], row["nearest_gene"], row["tss_distance"]) == (
        "intergenic_variant",
        None,
        None,
    )


def test_the_most_severe_transcript_comes_first_and_makes_the_main_columns(world):
    table = world.consequences(making.ensembl_gff3())
    severity = {name: rank for rank, name in enumerate(terms.NAMES)}
    order = {t.name: (t.coding is None, t.name) for t in GENES}
    overlaps = 0
    for row in table.iter_rows(named=True):
        nested = row["consequences"]
        first = nested[0]
        assert row["consequence"] == first["consequence"].split("&")[0]
        for column in ("impact", "gene", "gene_id", "transcript", "strand", "protein_change"):
            assert row[column] == first[column]
        keys = [
            (severity[e["consequence"].split("&")[0]], order.get(e["transcript"], (True, "")))
            for e in nested
        ]
        assert keys == sorted(keys)
        assert len({e["transcript"] for e in nested}) == len(nested)
        for e in nested:
            said = e["consequence"].split("&")
            assert said == sorted(said, key=severity.__getitem__)
            assert e["impact"] == terms.IMPACTS[said[0]]
        overlaps += len({e["strand"] for e in nested}) > 1
    assert overlaps > 100


def test_the_distances_are_options(world):
    text = making.ensembl_gff3()
    table = world.consequences(text, upstream=0, downstream=0)
    assert not {"upstream_gene_variant", "downstream_gene_variant"} & set(table["consequence"])
    table = world.consequences(text, name="b", upstream=20, downstream=5)
    assert at(world, table, "chr2", 41)["consequence"] == "upstream_gene_variant"
    assert at(world, table, "chr2", 40)["consequence"] == "intergenic_variant"
    assert at(world, table, "chr2", 365)["consequence"] == "downstream_gene_variant"
    assert at(world, table, "chr2", 366)["consequence"] == "intergenic_variant"


def test_genetic_codes(tmp_path, make_reference, caplog):
    # ATG CTA ATA TGA TAA: in yeast's mitochondria M T M W *, by the standard code M L I *.
    contigs = {"Mito": "C" * 30 + "ATGCTAATATGATAA" + "C" * 30, "I": "ACGT" * 50}
    gene = Transcript("tQ", "gQ", "Mito", "+", ((30, 45),), (30, 45), symbol="COX")
    reference = make_reference(contigs)
    asked = [("Mito", 36, "A", "C"), ("Mito", 39, "A", "C"), ("Mito", 41, "G", "C")]
    variants = tmp_path / "variants.parquet"
    making.write_variants(variants, asked, contigs)
    source = tmp_path / "a.gff3"

    def protein(name, *options):
        index(tmp_path / name, source, reference, *options)
        return called(tmp_path / f"{name}.parquet", variants, reference, tmp_path / name)

    source.write_text(making.ensembl_gff3([gene]))
    table = protein("yeast", "--genetic-codes", "chrM=3")
    assert table["protein_change"].to_list() == ["2T", "3M>3I", "4W>4S"]
    assert table["consequence"].to_list() == [
        "synonymous_variant",
        "missense_variant",
        "missense_variant",
    ]
    assert caplog.text == ""
    standard = protein("standard", "--genetic-codes", "Mito=1")
    assert standard["protein_change"].to_list()[:2] == ["2L", "3I"]

    table = protein("refused")
    assert "'Mito'" in caplog.text
    assert "annotate.genetic_codes" in caplog.text
    assert set(table["consequence"]) == {"coding_sequence_variant"}
    assert set(table["protein_change"]) == {None}
    summary = index(tmp_path / "refused", source, reference)
    assert summary["refused_contigs"] == ["Mito"]
    assert summary["coding_transcripts"] == 0

    stated = Transcript(**{**vars(gene), "table": 3})
    source.write_text(making.refseq([stated]).replace("\t1\t1\t", "\t1\t75\t"))
    caplog.clear()
    assert_frame_equal(protein("stated"), protein("yeast2", "--genetic-codes", "Mito=3"))
    assert "annotate.genetic_codes" not in caplog.text
    assert table["protein_change"].to_list() != protein("stated")["protein_change"].to_list()


@pytest.mark.parametrize("given", ["Mito=7", "Mito=x", "nowhere=3", "3"])
def test_a_genetic_code_that_is_none_is_an_error(world, given):
    source = world.folder / "a.gff3"
    source.write_text(making.ensembl_gff3())
    if given.startswith("Mito"):
        given = given.replace("Mito", "chr1")
    with pytest.raises(UserError, match="genetic_codes"):
        index(world.folder / "a", source, world.reference, "--genetic-codes", given)


def test_csq_knows_exactly_these_codes(world):
    world.consequences(making.ensembl_gff3())
    gff3 = annotation.gff3_path(world.folder / "a", 0)
    (world.folder / "fasta").mkdir()
    contigs = pl.read_parquet(world.reference / "contigs.parquet")
    fasta = csq_input.Reference(world.reference / "genome.fa", contigs, world.folder / "fasta")
    vcf = world.folder / "empty.vcf"
    vcf.write_bytes(fasta.header)
    for code in range(35):
        if code in csq.GENETIC_CODES:
            csq.run(fasta.fasta, gff3, code, vcf, world.folder / "out.vcf")
        else:
            with pytest.raises(UserError):
                csq.run(fasta.fasta, gff3, code, vcf, world.folder / "out.vcf")


def test_an_allele_that_crashes_csq_costs_only_its_own_calls(world, monkeypatch, caplog):
    expected = world.consequences(making.ensembl_gff3(), name="whole")
    bad = ("chr1", 160, "", "")
    real = csq.run

    def run(fasta, gff3, code, vcf, out):
        if "\tc0\t160\t".removeprefix("\t") in vcf.read_text():
            raise bcftools.BcftoolsCrashError("bcftools csq ended by signal 11")
        real(fasta, gff3, code, vcf, out)

    monkeypatch.setattr(csq, "run", run)
    table = world.consequences(making.ensembl_gff3())
    hit = np.array([allele[:2] == bad[:2] for allele in world.alleles])
    assert_frame_equal(table.filter(~hit), expected.filter(~hit))
    assert set(table.filter(hit)["consequence"]) == {"coding_sequence_variant"}
    assert caplog.text.count("signal 11") == hit.sum()


def test_csq_output_that_lost_a_line_is_an_error(world, monkeypatch):
    real = csq.run

    def run(fasta, gff3, code, vcf, out):
        real(fasta, gff3, code, vcf, out)
        lines = out.read_text().splitlines(keepends=True)
        out.write_text("".join(lines[:-1]))

    world.consequences(making.ensembl_gff3())
    monkeypatch.setattr(csq, "run", run)
    with pytest.raises(UserError, match="returned"):
        called(world.folder / "x.parquet", world.variants, world.reference, world.folder / "a")
    assert not (world.folder / "x.parquet").exists()
    assert not list(world.folder.glob(".consequences*"))


def test_ambiguous_bases_in_a_transcript(tmp_path, make_reference):
    contigs = genome()
    seq = contigs["chr1"]
    contigs["chr1"] = seq[:170] + "NNR" + seq[173:900] + "N" + seq[901:]
    reference = make_reference(contigs)
    variants = tmp_path / "variants.parquet"
    alleles = [
        a
        for a in making.every_snv(contigs) + making.indels(contigs)
        if set(a[2] + a[3]) <= set("ACGT")
    ]
    making.write_variants(variants, alleles, contigs)
    source = tmp_path / "a.gff3"
    source.write_text(making.ensembl_gff3())
    index(tmp_path / "a", source, reference)
    table = called(tmp_path / "a.parquet", variants, reference, tmp_path / "a")
    said = csq_by_hand(tmp_path, variants, reference / "genome.fa", source)
    mine = entries(table)
    assert {key: mine[key] for key in said} == said
    assert any("X" in (protein or "") for _, protein in said.values())


def test_deletions_of_whole_genes(tmp_path, make_reference):
    contigs = genome()
    reference = make_reference(contigs)
    seq = contigs["chr1"]
    spans = [(90, 1400), (205, 310), (10, 90), (130, 700), (600, 1310), (1150, 1240)]
    alleles = [("chr1", a + 1, seq[a:b], seq[a]) for a, b in spans]
    alleles.append(("chr2", 1, contigs["chr2"][:599], contigs["chr2"][0]))
    variants = tmp_path / "variants.parquet"
    alleles = making.write_variants(variants, alleles, contigs)
    source = tmp_path / "a.gff3"
    source.write_text(making.ensembl_gff3())
    index(tmp_path / "a", source, reference)
    table = called(tmp_path / "a.parquet", variants, reference, tmp_path / "a")
    assert table.height == len(alleles)
    touched = {(allele[1], len(allele[2])): row for row, allele in enumerate(alleles)}
    row = table.row(touched[(91, 1310)], named=True)
    assert {e["transcript"] for e in row["consequences"]} == {"tA", "tB", "tC", "tD"}
    row = table.row(touched[(1151, 90)], named=True)
    assert row["consequences"][0]["consequence"].startswith("splice_acceptor_variant&splice_donor")


# The interval classes ------------------------------------------------------------------------


@st.composite
def small_models(draw):
    """Transcripts on one contig of 60 bp, and alleles as spans."""
    transcripts, exons = [], []
    for number in range(draw(st.integers(1, 4))):
        cuts = sorted(draw(st.sets(st.integers(2, 58), min_size=2, max_size=8)))
        cuts = cuts[: len(cuts) // 2 * 2]
        pieces = [(cuts[i], cuts[i + 1]) for i in range(0, len(cuts), 2)]
        coding = draw(st.booleans())
        inside = [base for a, b in pieces for base in range(a, b)]
        low, high = sorted(draw(st.sampled_from(inside)) for _ in (0, 1))
        strand = draw(st.sampled_from(["+", "-"]))
        transcripts.append(
            {
                "index": number,
                "contig": "c",
                "start": pieces[0][0],
                "end": pieces[-1][1],
                "strand": strand,
                "transcript": f"t{number}",
                "gene_id": f"g{draw(st.integers(0, 2))}",
                "gene": f"G{number}",
                "biotype": draw(st.sampled_from(["lncRNA", "nonsense_mediated_decay"])),
                "tss": pieces[0][0] if strand == "+" else pieces[-1][1] - 1,
                "coding_start": low if coding else None,
                "coding_end": high + 1 if coding else None,
                "genetic_code": None,
            }
        )
        exons += [{"index": number, "start": a, "end": b} for a, b in pieces]
    # Every SNV and every insertion, and some that are longer.
    spans = st.tuples(st.integers(1, 59), st.sampled_from([2, 3, 7, 30]))
    alleles = draw(st.lists(spans, max_size=15))
    alleles = sorted(alleles + [(at, length) for at in range(1, 60) for length in (0, 1)])
    return (
        pl.DataFrame(transcripts, schema=TRANSCRIPTS.schema),
        pl.DataFrame(exons, schema=EXONS.schema),
        [(start, min(start + length, 60)) for start, length in alleles],
    )


def _slowly(transcript, exons, start, end):
    """The terms of one allele on one transcript, base by base; empty where it is outside."""
    forward = transcript["strand"] == "+"
    introns = [(a[1], b[0]) for a, b in pairwise(exons)]
    names = set()

    def part_of(base):
        if transcript["coding_start"] is None:
            return "non_coding_transcript_exon_variant"
        if base < transcript["coding_start"]:
            return "5_prime_UTR_variant" if forward else "3_prime_UTR_variant"
        if base >= transcript["coding_end"]:
            return "3_prime_UTR_variant" if forward else "5_prime_UTR_variant"
        return "coding_sequence_variant"

    left, right = (
        ("splice_donor_variant", "splice_acceptor_variant")
        if forward
        else ("splice_acceptor_variant", "splice_donor_variant")
    )
    if end > start:
        for base in range(start, end):
            for a, b in exons:
                if a <= base < b:
                    names.add(part_of(base))
                    if (a != exons[0][0] and base < a + 3) or (b != exons[-1][1] and base >= b - 3):
                        names.add("splice_region_variant")
            for a, b in introns:
                if a <= base < b:
                    names.add("intron_variant")
                    if base - a < 2:
                        names.add(left)
                    if b - base <= 2:
                        names.add(right)
                    if 2 <= base - a < 8 or 3 <= b - base <= 8:
                        names.add("splice_region_variant")
    else:
        point = start  # between the bases point - 1 and point
        for a, b in exons:
            if a < point < b:
                # The first base after a start of the coding sequence, or the last before its end,
                # makes the point one of the coding sequence.
                parts = {part_of(point - 1), part_of(point)}
                names |= {"coding_sequence_variant"} & parts or parts
                if (a != exons[0][0] and point - a <= 3) or (b != exons[-1][1] and b - point <= 3):
                    names.add("splice_region_variant")
        for a, b in introns:
            if a <= point <= b:
                names.add("intron_variant")
                if point - a < 2 and point < b:
                    names.add(left)
                if b - point < 2 and point > a:
                    names.add(right)
                if (2 <= point - a < 8 and point < b) or (2 <= b - point < 8 and point > a):
                    names.add("splice_region_variant")
    if names & {"splice_donor_variant", "splice_acceptor_variant"}:
        names.discard("splice_region_variant")
    if names - {"intron_variant"}:
        names.discard("intron_variant")
    if names and transcript["biotype"] == "nonsense_mediated_decay":
        names.add("NMD_transcript_variant")
    return terms.bits(names)


@given(small_models())
def test_the_classes_agree_with_a_slow_reference(models):
    transcripts, exons, alleles = models
    start, end = np.array(alleles, np.int64).T
    features = noncoding.transcript_features(transcripts, exons)
    key, sets = calling._pairs(start, end, features)
    classes = dict(zip(key.tolist(), noncoding.plain(sets).tolist(), strict=True))
    assert key.tolist() == sorted(key.tolist())
    expected = {}
    for number, (a, b) in enumerate(alleles):
        for t in transcripts.iter_rows(named=True):
            mine = exons.filter(pl.col("index") == t["index"]).select("start", "end").rows()
            if said := _slowly(t, mine, a, b):
                expected[(number << 32) | t["index"]] = said
    assert classes == expected
    near = features.within(int(start.min()), int(end.max()))
    again, _ = calling._pairs(start, end, near)
    assert again.tolist() == key.tolist()


@given(small_models())
def test_the_nearest_start_agrees_with_a_slow_reference(models):
    transcripts, _, alleles = models
    start, end = np.array(alleles, np.int64).T
    starts = Starts(transcripts)
    which, distance = starts.nearest(start, end)
    for (a, b), w, d in zip(alleles, which, distance, strict=True):
        bases = range(a, b) if b > a else (a - 1, a)
        options = []
        for t in transcripts.iter_rows(named=True):
            nearest = min(bases, key=lambda base: abs(base - t["tss"]))
            away = nearest - t["tss"]
            options.append((abs(away), t["gene_id"], away * (1 if t["strand"] == "+" else -1)))
        best = min(options)[:2]
        chosen = (
            abs(int(d)),
            transcripts.filter(pl.col("gene") == starts.gene[int(w)])["gene_id"][0],
        )
        assert chosen == best
        assert (best[0], best[1], int(d)) in options


@given(small_models(), st.integers(0, 12), st.integers(0, 12))
def test_upstream_and_downstream_agree_with_a_slow_reference(models, upstream, downstream):
    transcripts, _, alleles = models
    start, end = np.array(alleles, np.int64).T
    features = noncoding.neighbourhoods(transcripts, upstream, downstream)
    key, sets = calling._pairs(start, end, features)
    beside = dict(zip(key.tolist(), sets.tolist(), strict=True))
    for number, (a, b) in enumerate(alleles):
        for t in transcripts.iter_rows(named=True):
            low, high = t["start"], t["end"]
            if a < high and b > low:
                continue  # inside: never asked
            before = b <= low
            nearest = max(low - max(a, b - 1), 1) if before else max(a - high + (b > a), 1)
            up = before == (t["strand"] == "+")
            said = (
                ("upstream_gene_variant", upstream)
                if up
                else (
                    "downstream_gene_variant",
                    downstream,
                )
            )
            expected = terms.BIT[said[0]] if nearest <= said[1] else None
            assert beside.get((number << 32) | t["index"]) == expected, (a, b, t)


# Terms ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 2 ** len(terms.NAMES) - 1), min_size=1))
def test_the_most_severe_term_is_the_lowest_bit(sets):
    ranks = terms.rank(np.array(sets, np.uint32))
    for term_set, rank in zip(sets, ranks, strict=True):
        names = terms.joined(term_set).split("&")
        assert names[0] == terms.NAMES[rank]
        assert terms.bits(names) == term_set


def test_terms_of_csq():
    said = terms.from_csq("*missense&splice_region", True)
    assert terms.joined(said) == "missense_variant&splice_region_variant"
    assert terms.joined(terms.from_csq("inframe_altering", True)) == "protein_altering_variant"
    shape = terms.from_csq("feature_truncation", True)
    assert terms.joined(shape) == "protein_altering_variant&feature_truncation"
    assert terms.joined(terms.from_csq("feature_truncation", False)) == "feature_truncation"
    for unknown in ("@1234", "new_term"):
        with pytest.raises(ValueError, match="unknown"):
            terms.from_csq(unknown, False)


# Real genomes --------------------------------------------------------------------------------


def _cohort(folder, fasta, vcf):
    from varlm.steps import index_reference, normalise

    making.run_step(index_reference, "--fasta", fasta, "--reference", folder / "reference")
    variants = folder / "variants.parquet"
    making.run_step(
        normalise,
        *("--cohort", "c", "--vcf", vcf, "--reference", folder / "reference", "--filter", "all"),
        *("--min-af", 0, "--max-af", 1, "--max-allele-length", 1000),
        *("--on-ref-mismatch", "reject", "--max-ref-mismatch", 0.5, "--indels", "score"),
        *("--variants", variants, "--rejected", folder / "r.tsv.gz"),
        *("--accounting", folder / "a.json"),
    )
    return folder / "reference", variants


def _agrees(table, said):
    """Every coding call by hand is here, and no other."""
    mine = entries(table)
    assert {key: mine.get(key) for key in said} == said
    coding = {key for key, (term_set, _) in mine.items() if term_set & making.CODING}
    assert coding == {key for key, (term_set, _) in said.items() if term_set & making.CODING}
    return len(coding)


@pytest.mark.real_data
@pytest.mark.slow
def test_yeast_agrees_with_csq_by_hand_from_gff3_and_from_gtf(shared_data, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    yeast = shared_data / "yeast"
    reference, variants = _cohort(
        tmp_path, yeast / "genome.fa.gz", yeast / "cohorts" / "scer7.vcf.gz"
    )
    tables = {}
    for name in ("annotation.gff3.gz", "annotation.ensembl109.gtf.gz"):
        index(tmp_path / name, yeast / name, reference, "--genetic-codes", "Mito=3")
        tables[name] = called(
            tmp_path / f"{name}.parquet", variants, reference, tmp_path / name, 5000, 5000
        )
    from_gff3, from_gtf = tables.values()
    assert_frame_equal(from_gff3, from_gtf)
    said = csq_by_hand(tmp_path, variants, reference / "genome.fa", yeast / "annotation.gff3.gz")
    assert _agrees(from_gff3, said) > 100_000


def _one_parent_a_line(source, target):
    """bcftools csq reads only the first of several parents: repeat the line for each."""
    with gzip.open(source, "rt") as lines, target.open("w") as out:
        for line in lines:
            head, parent, rest = line.partition("Parent=")
            parents, semicolon, tail = rest.partition(";")
            for identifier in parents.rstrip("\n").split(","):
                out.write(f"{head}{parent}{identifier}{semicolon}{tail}".rstrip("\n") + "\n")


@pytest.mark.real_data
def test_human_agrees_with_csq_by_hand(shared_data, tmp_path):
    human = shared_data / "human" / "chr21_grch38"
    reference, variants = _cohort(tmp_path, human / "genome.fa.gz", human / "dbsnp149.vcf.gz")
    source = tmp_path / "hand.gff3"
    _one_parent_a_line(human / "annotation.gff3.gz", source)
    summary = index(tmp_path / "a", human / "annotation.gff3.gz", reference)
    assert summary["coding_transcripts"] > 900
    table = called(tmp_path / "a.parquet", variants, reference, tmp_path / "a", 5000, 5000)
    said = csq_by_hand(tmp_path, variants, reference / "genome.fa", source)
    assert _agrees(table, said) > 500


def _csq_cases(shared_data):
    """(folder, FASTA, GFF, lines of POS REF ALT consequence) of bcftools' own tests of csq -l."""
    for expected in sorted((shared_data / "hard-vcf" / "bcftools" / "csq").glob("*/*.txt-l")):
        folder = expected.parent
        fasta, gff = list(folder.glob("*.fa")), list(folder.glob("*.gff*"))
        lines = [line.split("\t") for line in expected.read_text().splitlines()]
        lines = [line for line in lines if len(line) == 4 and line[0].isdigit()]
        if len(fasta) == len(gff) == 1 and lines:
            yield expected.stem, fasta[0], gff[0], lines


@pytest.mark.real_data
@pytest.mark.slow
def test_the_cases_of_bcftools_own_tests(shared_data, tmp_path):
    from varlm.genome.encoding import index_reference
    from varlm.genome.reference import Genome

    cases = 0
    for number, (name, fasta, gff, lines) in enumerate(_csq_cases(shared_data)):
        work = tmp_path / str(number)
        index_reference(fasta, work / "reference")
        contigs = dict.fromkeys(Genome.open(work / "reference").names)
        contig = next(iter(contigs))
        alleles = {(contig, int(pos), ref, alt) for pos, ref, alt, _ in lines}
        alleles = making.write_variants(work / "v.parquet", alleles, contigs)
        index(work / "a", gff, work / "reference")
        table = called(work / "c.parquet", work / "v.parquet", work / "reference", work / "a")
        mine = entries(table)
        for pos, ref, alt, said in lines:
            row = alleles.index((contig, int(pos), ref, alt))
            for entry in said.split(","):
                fields = [*entry.split("|"), "", "", "", ""][:7]
                if not fields[2] or "+" in fields[6]:
                    continue  # no transcript, or several records joined: not -l
                expected = terms.from_csq(fields[0], ">" in fields[5])
                term_set, protein = mine[(row, fields[2])]
                assert terms.joined(term_set & expected) == terms.joined(expected), (name, entry)
                assert fields[5] in (protein or ""), (name, entry)
                cases += 1
    assert cases > 30
