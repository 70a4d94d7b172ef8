"""Saturation: every SNV of an area, or of random sites in it, each once and all accounted for."""

import gzip
import json
import os
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import polars as pl
import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from making.records import plan
from making.workflow import (
    made_genome,
    snakemake,
    summary,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)
from varlm import cli
from varlm.errors import UserError
from varlm.files.whole import check_digest
from varlm.genome import sites as sites_module
from varlm.genome.contig_names import ContigNames
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.genome.regions import read_regions, whole_contigs
from varlm.genome.sites import Area, Sample, sample_sites
from varlm.results.summary import summarise
from varlm.scoring.plan_record import Counts
from varlm.tables.parquet import read_table
from varlm.tables.schemas import VARIANTS
from varlm.variants import saturation
from varlm.variants.accounting import Accounting
from varlm.variants.saturation import Saturation

CONTIGS = {"two": "ACGTNNACGTRACGT", "one": "NGGCCAATT", "gap": "NNNN", "three": "ACGTTGCA"}
SITES = sum(base in "ACGT" for sequence in CONTIGS.values() for base in sequence)


@pytest.fixture
def reference(make_reference):
    return make_reference(CONTIGS)


@pytest.fixture
def genome(reference):
    return Genome.open(reference)


@pytest.fixture
def saturate(reference, tmp_path):
    """A function: options of the step → its table and accounting, or its exit status."""

    def run(*options, status=0):
        out = tmp_path / "regions"
        arguments = ["saturate", "--cohort", "regions", "--reference", reference, *options]
        arguments += ["--variants", out / "variants.parquet"]
        arguments += ["--accounting", out / "accounting.json"]
        found = cli.main([str(argument) for argument in arguments])
        assert found == status
        if status:
            return None
        check_digest(out / "variants.parquet")
        accounting = json.loads((out / "accounting.json").read_text())
        return read_table(out / "variants.parquet", VARIANTS), accounting

    return run


def by_hand(contigs, inside):
    """The rows (contig, pos, ref, alt) of the bases, 0-based, that `inside(contig, base)` says."""
    return [
        (name, base + 1, ref, alt)
        for name, sequence in contigs.items()
        for base, ref in enumerate(sequence)
        if ref in "ACGT" and inside(name, base)
        for alt in "ACGT"
        if alt != ref
    ]


def rows_of(table):
    return list(table.select("contig", "pos", "ref", "alt").iter_rows())


def positions(sites):
    """{(contig, pos)} of an Area or a Sample."""
    return {
        (name, int(pos))
        for name in sites.genome.names
        if name in sites.regions
        for part in sites.positions(name)
        for pos in part
    }


def opened(folder, contigs):
    fasta = folder / "input.fa"
    fasta.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in contigs.items()))
    index_reference(fasta, folder / "reference")
    return Genome.open(folder / "reference")


# --- the table ---


def test_the_whole_genome(saturate):
    table, accounting = saturate("--all-contigs")
    assert rows_of(table) == by_hand(CONTIGS, lambda *_: True)
    assert table.height == 3 * SITES
    for name in ("pos", "ref", "alt"):
        assert table[f"input_{name}"].to_list() == table[name].to_list()
    assert table["chrom"].to_list() == table["contig"].to_list()
    assert table["record"].to_list() == [n for n in range(SITES) for _ in range(3)]
    assert table["allele"].to_list() == [1, 2, 3] * SITES
    assert set(table["kind"]) == {"snv"}
    assert set(table["file"]) == {0}
    assert table["id"].null_count() == table["af"].null_count() == table.height
    bp = sum(map(len, CONTIGS.values()))
    assert accounting == {
        "cohort": "regions",
        "files": [],
        "alleles_in": 3 * bp,
        "accepted": 3 * SITES,
        "rejected": 3 * (bp - SITES),
        "by_reason": {"ref_not_acgt": 3 * (bp - SITES)},
        "sites": SITES,
        "other_alleles": 0,
        "af_unreadable": 0,
        "contigs": [
            {
                "chrom": name,
                "contig": name,
                "records": sum(base in "ACGT" for base in sequence),
                "how": "same name",
                "ref_checked": 0,
                "ref_mismatches": 0,
            }
            for name, sequence in CONTIGS.items()
        ],
        "contigs_without_records": ["gap"],
    }


def test_the_accounting_is_one_that_summarise_takes(saturate, tmp_path):
    saturate("--contig", "two")
    accounting = Accounting.read(tmp_path / "regions/accounting.json")
    counts = Counts(sites=accounting.sites, sites_scored=accounting.sites)
    (row,) = summarise([accounting], [plan("m", ["regions"], counts)])
    assert row["alleles_in"] == "45"
    assert row["rejected_ref_not_acgt"] == "9"


def test_its_keys_are_those_that_normalise_writes(saturate, genome, tmp_path):
    from varlm.variants.cohort import CohortVcf, NormaliseOptions, normalise

    vcf = tmp_path / "one.vcf"
    vcf.write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        "two\t1\t.\tA\tC\t.\t.\t.\n"
    )
    other = normalise("c", [CohortVcf(vcf)], genome, NormaliseOptions()).accounting.to_json()
    _, accounting = saturate("--all-contigs")
    assert list(accounting) == list(other)
    assert list(accounting["contigs"][0]) == list(other["contigs"][0])


def test_bed_with_overlaps_in_any_order_names_and_n(saturate, tmp_path):
    bed = tmp_path / "areas.bed.gz"
    lines = ["track x", "chrUn\t0\t9", "chrthree\t6\t8\tq", "Chr_two\t7\t12", "chrTWO\t3\t9"]
    lines += ["two\t8\t10", "two\t12\t13", "one\t2\t2", "three\t0\t2"]
    bed.write_bytes(gzip.compress("\n".join(lines).encode()))
    bases = {("three", base) for base in (0, 1, 6, 7)} | {("two", base) for base in range(3, 13)}
    table, accounting = saturate("--bed", bed)
    assert rows_of(table) == by_hand(CONTIGS, lambda *base: base in bases)
    assert accounting["alleles_in"] == 3 * len(bases)
    assert accounting["by_reason"] == {"ref_not_acgt": 9}  # N at 4 and 5, R at 10
    (file,) = accounting["files"]
    assert file["path"] == str(bed)
    assert len(file["sha256"]) == 64
    shown = {(c["chrom"], c["contig"], c["records"], c["how"]) for c in accounting["contigs"]}
    assert shown == {
        ("two", "two", 7, "prefix"),
        ("three", "three", 4, "prefix"),
        ("chrUn", None, 0, "not in the reference"),
    }


def test_aliases_hold_for_bed_and_contigs(saturate, tmp_path):
    (tmp_path / "aliases.tsv").write_text("alias\tcontig\nCM1.1\tthree\n")
    (tmp_path / "a.bed").write_text("CM1.1\t0\t4\n")
    aliases = ("--aliases", tmp_path / "aliases.tsv")
    table, accounting = saturate("--bed", tmp_path / "a.bed", *aliases)
    assert set(table["contig"]) == {"three"}
    assert accounting["contigs"][0]["how"] == "alias file"
    assert accounting["by_reason"] == {}
    table, _ = saturate("--contig", "CM1.1", "--contig", "chrONE", *aliases)
    assert rows_of(table) == by_hand(CONTIGS, lambda name, _: name in ("one", "three"))


def test_an_area_without_a_site_is_an_empty_table(saturate):
    table, accounting = saturate("--contig", "gap")
    assert table.height == 0
    assert (
        accounting["by_reason"] == {"ref_not_acgt": 12} == {"ref_not_acgt": accounting["rejected"]}
    )


LETTERS = st.text(st.sampled_from("ACGTNacgtnR"), min_size=1, max_size=40)
INTERVALS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 40)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LETTERS, min_size=3, max_size=3), INTERVALS, st.integers(1, 50), st.integers(1, 9))
def test_any_bed_against_a_set_of_bases(tmp_path_factory, sequences, intervals, chunk, piece):
    """Whatever the regions and wherever the chunks and pieces end."""
    folder = tmp_path_factory.mktemp("any")
    contigs = dict(zip(("x", "y", "z"), sequences, strict=True))
    genome = opened(folder, contigs)
    inside, lines = set(), []
    for contig, one, other in intervals:
        name = "xyz"[contig]
        low, high = (min(edge, len(contigs[name])) for edge in sorted((one, other)))
        lines.append(f"{name}\t{low}\t{high}")
        inside |= {(name, base) for base in range(low, high)}
    (folder / "a.bed").write_text("\n".join(lines))
    if not inside:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sites_module, "_CHUNK", chunk)
        patch.setattr(saturation, "PIECE_SITES", piece)
        names = ContigNames({name: genome[name].length for name in genome.names})
        area = Area(genome, read_regions(folder / "a.bed", names))
        snvs = Saturation(area)
        pieces = list(snvs.pieces())
    upper = {name: sequence.upper() for name, sequence in contigs.items()}
    expected = by_hand(upper, lambda *base: base in inside)
    assert [row for part in pieces for row in rows_of(part)] == expected
    assert [r for part in pieces for r in part["record"]] == [i // 3 for i in range(len(expected))]
    assert area.bases_in == len(inside)
    assert 3 * area.count == len(expected)
    accounting = snvs.accounting("regions", None)
    assert accounting.alleles_in == 3 * len(inside)
    assert accounting.adds_up
    assert sum(contig.records for contig in accounting.contigs) == area.count


def test_pieces_are_bounded_whatever_the_contigs(make_reference, monkeypatch):
    monkeypatch.setattr(saturation, "PIECE_SITES", 50)
    rng = random.Random(0)
    contigs = {f"c{n}": "".join(rng.choices("ACGTN", k=k)) for n, k in enumerate([9] * 40 + [900])}
    area = Area.whole(Genome.open(make_reference(contigs)))
    heights = [piece.height for piece in Saturation(area).pieces()]
    assert sum(heights) == 3 * area.count
    assert all(150 <= height < 300 for height in heights[:-1])
    assert heights[-1] < 300


def test_scaffolds_share_a_piece(make_reference, monkeypatch):
    contigs = {f"s{number}": "ACNGT"[number % 5 :] + "AC" for number in range(700)}
    genome = Genome.open(make_reference(contigs))
    made = []
    three = saturation._three_snvs
    monkeypatch.setattr(saturation, "_three_snvs", lambda *a: (made.append(a), three(*a))[1])
    table = pl.concat(Saturation(Area.whole(genome)).pieces())
    assert len(made) == 1
    assert rows_of(table) == by_hand(contigs, lambda *_: True)


def test_more_sites_than_a_table_holds_is_an_error_before_any_is_written(genome, monkeypatch):
    monkeypatch.setattr(saturation, "MAX_SITES", SITES)
    Saturation(Area.whole(genome))
    monkeypatch.setattr(saturation, "MAX_SITES", SITES - 1)
    with pytest.raises(UserError, match=f"regions: {SITES} sites, but .* {SITES - 1}; .*sample"):
        Saturation(Area.whole(genome))


def test_the_largest_table_has_numbers_for_its_records_and_rows():
    assert saturation.MAX_SITES <= 2**32 - 1
    assert 3 * saturation.MAX_SITES < 2**32 or pl.get_index_type() == pl.UInt64


# --- samples ---


@pytest.mark.parametrize("count", [1, 7, SITES])
def test_a_sample_is_of_distinct_sites_of_the_area(genome, count):
    area = Area.whole(genome)
    drawn = positions(Sample(area, count, 3))
    assert len(drawn) == count
    assert drawn <= positions(area)
    for name, sites in sample_sites(genome, count, 3).items():
        assert sites.dtype == np.uint32
        assert sites.tolist() == sorted(pos for contig, pos in drawn if contig == name)


def test_a_sample_is_reproducible_and_its_seed_counts(genome):
    area = Area.whole(genome)
    draws = [positions(Sample(area, 8, seed)) for seed in (1, 1, 2, 3)]
    assert draws[0] == draws[1]
    assert len({frozenset(draw) for draw in draws}) == 3


def test_the_draw_is_the_same_on_every_machine(genome):
    """Sites of a stored background: another draw would cost their scores again."""
    drawn = {name: sites.tolist() for name, sites in sample_sites(genome, 5, 0).items()}
    assert drawn == {"two": [3, 8], "one": [3, 4, 6], "gap": [], "three": []}


def test_a_larger_sample_holds_the_smaller(genome):
    area = Area.whole(genome)
    draws = [positions(Sample(area, count, 5)) for count in range(SITES + 1)]
    assert all(small < large for small, large in pairwise(draws))


def test_the_step_takes_a_sample_in_a_bed(saturate, tmp_path):
    (tmp_path / "a.bed").write_text("two\t0\t9\none\t0\t5\n")
    whole, _ = saturate("--bed", tmp_path / "a.bed")
    table, accounting = saturate("--bed", tmp_path / "a.bed", "--sample", "6", "--seed", "4")
    rows = rows_of(table)
    assert len(rows) == 18
    assert rows == [row for row in rows_of(whole) if row in set(rows)]
    assert accounting["alleles_in"] == accounting["accepted"] == 18
    assert accounting["rejected"] == 0
    assert accounting["by_reason"] == {}
    assert table["record"].to_list() == [n for n in range(6) for _ in range(3)]
    again, _ = saturate("--bed", tmp_path / "a.bed", "--sample", "6", "--seed", "4")
    assert again.equals(table)
    other, _ = saturate("--bed", tmp_path / "a.bed", "--sample", "6", "--seed", "5")
    assert not other.equals(table)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    st.dictionaries(st.sampled_from(["1", "2", "chrX", "u"]), LETTERS, min_size=1),
    st.randoms(use_true_random=False),
    st.integers(0, 2**32),
    st.integers(1, 5),
)
def test_a_sample_depends_on_sequences_not_on_names_or_order(
    tmp_path_factory, contigs, shuffled, seed, chunk
):
    genome = opened(tmp_path_factory.mktemp("one"), contigs)
    new_names = {name: f"renamed_{number}" for number, name in enumerate(contigs)}
    # Contigs of one sequence keep their order, which is all that tells them apart.
    first = {sequence: i for i, sequence in enumerate(s.upper() for s in contigs.values())}
    keys = {sequence: shuffled.random() for sequence in first}
    order = sorted(contigs, key=lambda name: keys[contigs[name].upper()])
    renamed = {new_names[name]: contigs[name].swapcase() for name in order}
    renamed_genome = opened(tmp_path_factory.mktemp("other"), renamed)
    count = int(genome.contigs["acgt"].sum()) // 2
    own_sites = sample_sites(genome, count, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sites_module, "_CHUNK", chunk)
        renamed_sites = sample_sites(renamed_genome, count, seed)
    for name, sites in own_sites.items():
        assert renamed_sites[new_names[name]].tolist() == sites.tolist()


def test_the_area_of_a_sample_may_be_named_in_any_order(genome):
    lengths = {name: genome[name].length for name in genome.names}
    names = ContigNames(lengths)
    sites, reordered = (
        positions(Sample(Area(genome, whole_contigs(contigs, names, "k")), 9, 0))
        for contigs in (["one", "three"], ["chrThree", "three", "one"])
    )
    assert sites == reordered
    assert {name for name, _ in sites} == {"one", "three"}


def test_each_site_is_drawn_equally_often(genome):
    """Chi-squared over 2,000 seeds; with 27 degrees of freedom, 65 is a chance of 6 in 100,000."""
    area = Area.whole(genome)
    seeds, count = 2000, 10
    hits = Counter(site for seed in range(seeds) for site in positions(Sample(area, count, seed)))
    expected = seeds * count / SITES
    # Without replacement the counts of a draw are tied: the variance is a binomial's.
    variance = expected * (1 - count / SITES) * SITES / (SITES - 1)
    assert len(hits) == SITES
    assert sum((n - expected) ** 2 for n in hits.values()) / variance < 65


def test_neighbours_are_drawn_together_as_often_as_chance_says(make_reference):
    genome = Genome.open(make_reference({"c": "ACGT" * 50}))
    area, together = Area.whole(genome), 0
    for seed in range(500):
        drawn = {pos for _, pos in positions(Sample(area, 100, seed))}
        together += sum(pos + 1 in drawn for pos in drawn)
    expected = 500 * 199 * (100 / 200) * (99 / 199)
    assert abs(together / expected - 1) < 0.02


def test_too_large_a_sample_states_the_number(genome):
    message = rf"regions.sample: {SITES + 1} sites asked for, but there are only {SITES} with"
    with pytest.raises(UserError, match=message):
        Sample(Area.whole(genome), SITES + 1, 0)


@pytest.mark.parametrize("count", [1, 2, 999, 1000, 50_000, 99_999, 100_000])
def test_the_largest_key_of_a_sample_is_the_one_of_its_rank(count):
    total = 100_000
    keys = np.sort(np.random.PCG64DXSM(7).random_raw(total))
    assert sites_module._largest_key(total, count, 7) == keys[count - 1]


def test_the_largest_key_is_found_where_chance_put_it_far_off(monkeypatch):
    monkeypatch.setattr(sites_module, "sqrt", lambda _: 0.0)
    keys = np.sort(np.random.PCG64DXSM(7).random_raw(100_000))
    assert sites_module._largest_key(100_000, 50_000, 7) == keys[49_999]


# --- errors ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--contig", "thre"], "regions.contigs: not in the reference: 'thre' (is it 'three'"),
        (["--contig", "9", "--contig", "x"], "'9' (is it 'two', 'one', 'gap', 'three'?); 'x'"),
        (["--bed", "none.bed"], "none.bed: cannot be read (No such file or directory); regions mu"),
        (["--bed", "other.bed"], "so that regions would leave nothing"),
        (["--bed", "long.bed"], "long.bed, line 1: region 0-99, but contig 'one' is 0-9"),
        (["--all-contigs", "--sample", "99"], f"there are only {SITES} with"),
    ],
)
def test_errors(saturate, options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.bed").write_text("chr7\t0\t5\n")
    (tmp_path / "long.bed").write_text("one\t0\t99\n")
    saturate(*options, status=2)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_no_table_is_left_behind_when_counts_disagree(genome, tmp_path):
    from varlm.tables.parquet import write_pieces

    area = Area.whole(genome)
    area.count += 1
    with pytest.raises(AssertionError, match=f"{SITES} sites written, {SITES + 1} counted"):
        write_pieces(Saturation(area).pieces(), tmp_path / "v.parquet", VARIANTS)
    assert list(tmp_path.glob("*v.parquet*")) == []


# --- real data ---


@pytest.mark.real_data
@pytest.mark.parametrize("prefix", ["", "chr"])
def test_a_yeast_mask_has_the_sites_that_pysam_counts(shared_data, tmp_path, prefix):
    """In the names of the genome, I and Mito, and in those of UCSC, chrI and chrM."""
    yeast = shared_data / "yeast"
    with gzip.open(yeast / "tracks/mask_rossi.bed.gz", "rt") as file:
        intervals = [(name, int(start), int(end)) for name, start, end, *_ in map(str.split, file)]
    ucsc = {"Mito": "chrM"} if prefix else {}
    text = "".join(f"{ucsc.get(n, prefix + n)}\t{start}\t{end}\n" for n, start, end in intervals)
    (tmp_path / "mask.bed").write_text(text)
    index_reference(yeast / "genome.fa.gz", tmp_path / "reference")
    arguments = ["saturate", "--cohort", "regions", "--reference", tmp_path / "reference"]
    arguments += ["--bed", tmp_path / "mask.bed", "--variants", tmp_path / "v.parquet"]
    arguments += ["--accounting", tmp_path / "a.json"]
    assert cli.main(list(map(str, arguments))) == 0
    table = read_table(tmp_path / "v.parquet", VARIANTS)
    accounting = json.loads((tmp_path / "a.json").read_text())
    bases, expected = 0, {}
    with pysam.FastaFile(str(yeast / "genome.fa.gz")) as fasta:
        masked = {name: set() for name in fasta.references}
        for name, start, end in intervals:
            masked[name].update(range(start, end))
        for name in fasta.references:
            sequence = fasta.fetch(name).upper()
            bases += len(masked[name])
            expected[name] = [base + 1 for base in sorted(masked[name]) if sequence[base] in "ACGT"]
    by_contig = table.group_by("contig", maintain_order=True).agg(pl.col("pos").unique().sort())
    assert dict(by_contig.iter_rows()) == {name: sites for name, sites in expected.items() if sites}
    assert by_contig["contig"].to_list() == [name for name in fasta.references if expected[name]]
    count = sum(map(len, expected.values()))
    assert accounting["sites"] == count > 100_000
    assert table.height == accounting["accepted"] == 3 * count
    assert accounting["alleles_in"] == 3 * bases
    changes = table.group_by("ref").agg(pl.col("alt").unique().sort()).sort("ref")
    assert dict(changes.iter_rows()) == {
        "A": ["C", "G", "T"],
        "C": ["A", "G", "T"],
        "G": ["A", "C", "T"],
        "T": ["A", "C", "G"],
    }


# --- the workflow ---


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A user's folder with a cohort and a BED file, and what Snakemake printed when it ran."""
    folder = tmp_path_factory.mktemp("saturated")
    genome = made_genome()
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "one.vcf").write_text(vcf_text(genome, "chr1", "1", 1, 60))
    (folder / "areas.bed").write_text("1\t480\t560\n1\t540\t600\nMT\t0\t9\n")
    write_sheet(folder, {"a": ["one.vcf"]})
    write_config(folder, regions="areas.bed")
    write_config(folder, "alone.yaml", cohorts=None, results="alone", regions={"bed": "areas.bed"})
    return folder, snakemake(folder)


@pytest.mark.slow
def test_regions_beside_a_cohort(project):
    folder, _ = project
    results = folder / "results"
    row = summary(results)["regions"]
    assert row["alleles_in"] == str(3 * 129)
    assert row["rejected_ref_not_acgt"] == str(3 * 20)
    assert row["sites"] == "109"
    table = pl.read_parquet(results / "cohorts/regions/annotated.parquet")
    assert table.height == 3 * 109
    assert table["tiny_llr"].is_finite().all()
    assert table["tiny_percentile"].is_between(0, 100).all()
    cohort = pl.read_parquet(results / "cohorts/a/annotated.parquet").filter(kind="snv")
    key = ["pos", "ref", "alt"]
    both = table.filter(chrom="chr1").join(cohort, on=key, suffix="_cohort")
    assert both.height > 0
    assert both["tiny_llr"].equals(both["tiny_llr_cohort"], check_names=False)
    with pysam.TabixFile(str(results / "cohorts/regions/annotated.tsv.gz")) as tsv:
        assert sum(1 for contig in tsv.contigs for _ in tsv.fetch(contig)) == table.height
        assert [line.split("\t")[1] for line in tsv.fetch("chrM", 0, 1)] == ["1"] * 3
    names = sorted(path.name for path in (results / "cohorts/regions").iterdir())
    assert names == [
        "accounting.json",
        "annotated.parquet",
        "annotated.parquet.sha256",
        "annotated.tsv.gz",
        "annotated.tsv.gz.tbi",
        "variants.parquet",
        "variants.parquet.sha256",
    ]


@pytest.mark.slow
def test_regions_alone_are_in_the_store(project):
    folder, _ = project
    output = snakemake(folder, config="alone.yaml")
    assert "rule score:" not in output
    row = summary(folder / "alone")["regions"]
    assert (row["sites_scored"], row["sites_from_store"]) == ("0", "109")
    name = "cohorts/regions/annotated.parquet"
    assert (folder / "alone" / name).read_bytes() == (folder / "results" / name).read_bytes()
    assert "Nothing to be done" in snakemake(folder, config="alone.yaml")


@pytest.mark.slow
def test_changed_regions_are_made_anew(project):
    folder, _ = project
    bed = folder / "areas.bed"
    before, times = bed.read_bytes(), (bed.stat().st_atime_ns, bed.stat().st_mtime_ns)
    assert "Nothing to be done" in snakemake(folder, "--dry-run")
    try:
        bed.write_bytes(before + b"MT\t9\t10\n")
        os.utime(bed, ns=times)
        output = snakemake(folder, "--dry-run")
    finally:
        bed.write_bytes(before)
        os.utime(bed, ns=times)
    assert "rule saturate" in output
    assert "rule normalise" not in output
    regions = {"contigs": "all", "sample": 31}
    write_config(folder, "sample.yaml", regions=regions)
    assert "rule saturate" in snakemake(folder, "--dry-run", config="sample.yaml")


@pytest.mark.slow
def test_a_cohort_may_be_called_regions_where_none_are_saturated(project):
    folder, _ = project
    (folder / "named.tsv").write_text("cohort\tvcf\nregions\tone.vcf\n")
    write_config(folder, "named.yaml", cohorts="named.tsv", results="named")
    output = snakemake(
        folder, "--dry-run", "--", "named/cohorts/regions/variants.parquet", config="named.yaml"
    )
    assert "rule normalise" in output
    write_config(folder, "named.yaml", cohorts="named.tsv", results="named", regions="areas.bed")
    output = snakemake(folder, "--dry-run", config="named.yaml", check=False)
    assert "the cohort name regions is taken by the config key regions" in output
    assert "Traceback" not in output
