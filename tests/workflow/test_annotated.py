"""A run with everything that annotation, tracks and reports can use, through Snakemake."""

import gzip
import zipfile

import polars as pl
import pybigtools
import pyBigWig
import pysam
import pytest

from making.workflow import (
    GENE,
    made_genome,
    snakemake,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)
from varlm.figures.files import FIGURES
from varlm.tables.schemas import read_annotated_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The results of a run, and what Snakemake printed."""
    folder = tmp_path_factory.mktemp("annotated")
    genome = made_genome()
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "genes.gff3.gz").write_bytes(gzip.compress((GENE + "\n").encode()))
    (folder / "sites.bed").write_text("chr1\t0\t1000\tfirst\nchr1\t900\t1200\tsecond\n")
    writer = pybigtools.open(str(folder / "value.bw"), "w")
    writer.write({name: len(s) for name, s in genome.items()}, [("chr1", 0, 2000, 2.5)])
    (folder / "one.vcf").write_text(vcf_text(genome, "chr1", "1", 1, 60))
    (folder / "two.vcf").write_text(vcf_text(genome, "chrM", "MT", 2, 20))
    (folder / "small.bed").write_text("1\t600\t620\n")
    write_sheet(folder, {"one": ["one.vcf"], "two": ["two.vcf"]})
    write_config(
        folder,
        reference={"fasta": "genome.fa.gz", "annotation": "genes.gff3.gz", "assembly": "made1"},
        annotate={
            "upstream": 50,
            "downstream": 50,
            "info": ["X"],
            "intervals": {"site": "sites.bed"},
            "bigwigs": {"value": "value.bw"},
            "calibrate": "mutation_context",
        },
        # All of the genome, for 100 sites of most trinucleotides, in one shard.
        scoring={"window": 64, "precision": "float32", "background_sites": 4000},
        shards={"sites_per_shard": 5000},
        regions="small.bed",
        tracks="all",
        report={
            "pictures": 1,
            "flank": 3,
            "browsers": {"here": "https://example.org/?at={contig}:{start}-{end}"},
        },
    )
    return folder / "results", snakemake(folder, reports=True)


def test_the_table_has_every_column_and_their_values(finished):
    results, _ = finished
    path = results / "cohorts/one/annotated.parquet"
    read_annotated_table(path, ["tiny"])
    table = pl.read_parquet(path)
    assert set(table["info_X"]) == {"1"}
    coding = table.filter(pl.col("pos").is_between(131, 487), pl.col("kind") == "snv")
    assert coding.height > 3
    assert coding["gene"].unique().to_list() == ["abc1"]
    assert coding["protein_change"].is_not_null().any()
    assert table.filter(pl.col("pos") > 800)["consequence"].unique().to_list() == [
        "intergenic_variant"
    ]
    assert set(table.filter(pl.col("pos") > 800)["nearest_gene"]) == {"abc1"}
    spans = table.with_columns(end=pl.col("pos") - 1 + pl.col("ref").str.len_bytes())
    for row in spans.iter_rows(named=True):
        assert row["site_overlap"] == (row["pos"] - 1 < 1200)
        assert (row["site_name"] or "").startswith("first") == (row["pos"] - 1 < 1000)
        assert row["value"] == (2.5 if row["pos"] <= 2000 else None)
    assert pl.read_parquet(results / "cohorts/regions/annotated.parquet")["gene"][0] == "abc1"


def test_tsv_and_vcf_say_the_same(finished):
    results, _ = finished
    table = pl.read_parquet(results / "cohorts/one/annotated.parquet")
    text = pl.read_csv(results / "cohorts/one/annotated.tsv.gz", separator="\t")
    assert text["consequence"].to_list() == table["consequence"].to_list()
    first = table["consequences"].list.first().struct.field("transcript")
    assert [t.split("|")[4] or None for t in text["consequences"]] == first.to_list()
    by_allele = {(r["record"], r["allele"]): r for r in table.iter_rows(named=True)}
    seen = 0
    with pysam.VariantFile(str(results / "cohorts/one/annotated.vcf.gz")) as vcf:
        for number, record in enumerate(vcf):
            terms = record.info.get("VARLM_CONSEQUENCE") or ()
            for allele, term in enumerate(terms, 1):
                row = by_allele.get((number, allele))
                assert term == (row and row["consequence"])
                seen += term is not None
    assert seen == table.height


def test_calibrated_scores_are_in_every_output(finished):
    results, _ = finished
    table = pl.read_parquet(results / "cohorts/one/annotated.parquet")
    snv = table.filter(kind="snv")
    shift = snv["tiny_llr"] - snv["tiny_llr_calibrated"]
    assert 10 < shift.drop_nulls().n_unique() < 96
    assert table.filter(pl.col("kind") != "snv")["tiny_llr_calibrated"].null_count() > 3
    means = pl.read_parquet(results / "background/context/tiny.parquet")
    told = means.filter(pl.col("sites") >= 100)["mean"].to_numpy()
    assert all(abs(told - value).min() < 1e-5 for value in shift.drop_nulls())
    text = pl.read_csv(
        results / "cohorts/one/annotated.tsv.gz", separator="\t", infer_schema_length=None
    )
    for value, expected in zip(
        text["tiny_llr_calibrated"], table["tiny_llr_calibrated"], strict=True
    ):
        assert value == (None if expected is None else pytest.approx(expected, rel=1e-5))
    by_allele = {(r["record"], r["allele"]): r for r in table.iter_rows(named=True)}
    with pysam.VariantFile(str(results / "cohorts/one/annotated.vcf.gz")) as vcf:
        said = vcf.header.info["LLR_CALIBRATED_tiny"].description
        seen = 0
        for number, record in enumerate(vcf):
            for allele, value in enumerate(record.info.get("LLR_CALIBRATED_tiny", ()), 1):
                row = by_allele.get((number, allele), {"tiny_llr_calibrated": None})
                expected = row["tiny_llr_calibrated"]
                assert value == (None if expected is None else pytest.approx(expected, rel=1e-5))
                seen += value is not None
    assert seen == table["tiny_llr_calibrated"].count() > 10
    assert "LLR less its mean over random SNVs" in said
    page = (results / "cohorts/one/report.html").read_text()
    assert "sites are few for a calibration by 5-mers" in page
    rows = pl.read_csv(results / "summary.tsv", separator="\t").filter(cohort="one")
    assert rows["calibrated_by_trinucleotide"].to_list() == [shift.count()]
    assert rows["not_calibrated"].to_list() == [shift.null_count()]


def test_tracks_hold_the_tables_numbers(finished):
    results, _ = finished
    table = pl.read_parquet(results / "cohorts/regions/annotated.parquet")
    worst = table.group_by("pos").agg(pl.col("tiny_llr").min(), pl.col("tiny_entropy").first())
    tracks = results / "tracks/tiny"
    with (
        pyBigWig.open(str(tracks / "worst_llr.bw")) as llr,
        pyBigWig.open(str(tracks / "entropy.bw")) as entropy,
    ):
        for pos, low, spread in worst.iter_rows():
            assert llr.values("chr1", pos - 1, pos)[0] == pytest.approx(low, abs=1e-5)
            assert entropy.values("chr1", pos - 1, pos)[0] == pytest.approx(spread, abs=1e-5)
    assert worst.height == 20
    for name in ("hub.txt", "igv_session.xml", "config.json", "README.txt"):
        assert (results / "tracks" / name).stat().st_size > 100
    assert "genome made1" in (results / "tracks/hub.txt").read_text()


def test_reports_figures_and_the_page_of_all(finished):
    results, _ = finished
    for cohort in ("one", "two", "regions"):
        folder = results / "cohorts" / cohort
        page = (folder / "report.html").read_text()
        assert page.count('class="logo"') or "<svg" in page
        assert (folder / f"{cohort}_mqc.json").is_file()
        for figure in FIGURES:
            assert (folder / f"figures/{figure}.svg").stat().st_size > 500
            assert (folder / f"figures/{figure}.png").read_bytes()[:4] == b"\x89PNG"
        assert pl.read_parquet(folder / "pictures/tiny.parquet").height >= 6
    index = (results / "index.html").read_text()
    assert all(f"cohorts/{name}/report.html" in index for name in ("one", "two", "regions"))


def test_snakemakes_own_report_has_captions_and_categories(finished, tmp_path):
    results, _ = finished
    snakemake(results.parent, "--report", tmp_path / "report.zip", reports=True)
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        names = archive.namelist()
        page = next(name for name in names if name.endswith("report.html") and "data" not in name)
        text = archive.read(page).decode()
    assert sum(name.endswith(".png") for name in names) == 3 * len(FIGURES)
    for part in ("Agreement of the two strands in the cohort", "Figures", "Reports"):
        assert part in text


def test_a_second_run_has_nothing_to_do_and_loads_no_model(finished):
    results, _ = finished
    assert "Nothing to be done" in snakemake(results.parent, reports=True)
    again = snakemake(
        results.parent,
        "--forcerun",
        "annotate",
        "--config",
        "results=again",
        "tracks=none",
        reports=True,
    )
    assert "rule score:" not in again
    logs = [path.read_text() for path in (results.parent / "again/logs").rglob("*.log")]
    assert len(logs) > 10
    assert not any("loaded on" in text for text in logs)
    for cohort in ("one", "two", "regions"):
        for name in ("annotated.parquet", "annotated.tsv.gz", "pictures/tiny.parquet"):
            one, two = (
                (folder / "cohorts" / cohort / name).read_bytes()
                for folder in (results, results.parent / "again")
            )
            assert one == two, f"{cohort}/{name}"
