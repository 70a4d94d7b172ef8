"""Models of several kinds in one run, on real yeast: all outputs say the same of an allele."""

import gzip
import math

import numpy as np
import polars as pl
import pyBigWig
import pytest
from cyvcf2 import VCF

from making.families import entries
from making.report import block, words
from making.workflow import snakemake, write_config, write_sheet
from varlm.results.tags import score_columns_of
from varlm.tables.schemas import read_kinds

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

# 0-based, half-open; a contig of its own in the run.
CONTIG, START, END = "IV", 400_000, 430_000
# Model → the entry whose keys it has (`making.families`), and keys besides.
MODELS = {
    "kmer": ("k6", {}),
    "causal": ("gpt_sum_nt", {}),
    "mean": ("hyena", {}),
    "distance": ("bpe", {"strands": "forward"}),
    "splice": ("splice", {"strands": "transcript"}),
}
COLUMNS = {
    **{"gpn": "llr", "kmer": "llr", "causal": "llr", "mean": "llr", "distance": "cosine"},
    **{"splice": "probability", "influence": "influence"},
}
HARMFUL_HIGH = ("distance", "influence")
WITH_LOGOS = ("gpn", "kmer", "causal")
OF_SINGLE_BASES = ("kmer", "distance", "splice", "influence")


def cut_genome(yeast, folder):
    """The region's sequence, genes and variants, counted from its first base."""
    with gzip.open(yeast / "genome.fa.gz", "rt") as file:
        lines = iter(file)
        next(line for line in lines if line.split()[0] == f">{CONTIG}")
        sequence = ""
        while len(sequence) < END:
            sequence += next(lines).strip()
    (folder / "genome.fa").write_text(f">{CONTIG}\n{sequence[START:END]}\n")
    with gzip.open(yeast / "annotation.gff3.gz", "rt") as file:
        rows = [line.split("\t") for line in file if line.startswith(f"{CONTIG}\t")]
    inside = [row for row in rows if int(row[3]) > START and int(row[4]) <= END]
    moved = [[*row[:3], *(str(int(x) - START) for x in row[3:5]), *row[5:]] for row in inside]
    genes = {attribute for row in moved for attribute in row[8].split(";") if "gene:" in attribute}
    assert len(genes) > 10
    (folder / "genes.gff3").write_text("##gff-version 3\n" + "".join(map("\t".join, moved)))
    with gzip.open(yeast / "cohorts/scer7.vcf.gz", "rt") as file:
        text = [line for line in file if not line.startswith("##contig")]
    kept = [line for line in text if line.startswith("#")]
    for line in text:
        chrom, pos, rest = line.split("\t", 2)[:3] if not line.startswith("#") else ("", "0", "")
        if chrom == CONTIG and START < int(pos) <= END - 100:
            kept.append(f"{chrom}\t{int(pos) - START}\t{rest}")
    (folder / "strains.vcf").write_text("".join(kept))


@pytest.fixture(scope="module")
def results(shared_data, root, tmp_path_factory):
    families = shared_data.parent / "families"
    if not families.is_dir():
        pytest.skip(f"no checkpoints with answers at {families}")
    folder = tmp_path_factory.mktemp("several")
    cut_genome(shared_data / "yeast", folder)
    write_sheet(folder, {"strains": ["strains.vcf"]})
    demo = str(root / "resources/demo/model")
    known = entries(families)
    write_config(
        folder,
        reference={"fasta": "genome.fa", "annotation": "genes.gff3"},
        models={
            "gpn": {"path": demo, "window": 64},
            **{
                model: known[name].config(families) | keys for model, (name, keys) in MODELS.items()
            },
            "influence": {"path": demo, "window": 64, "score": "influence"},
        },
        scoring={"precision": "float32", "background_sites": 60},
        annotate={"upstream": 500, "downstream": 500},
        tracks="all",
        evaluate={"bootstrap": 20},
        report={"pictures": 0, "top_hits": 20},
        shards={"sites_per_shard": 5000},
    )
    snakemake(folder, reports=True)
    return folder / "results"


@pytest.fixture(scope="module")
def table(results):
    return pl.read_parquet(results / "cohorts/strains/annotated.parquet")


def test_every_model_has_its_columns_and_scores(table):
    snv, others = table.filter(kind="snv"), table.filter(pl.col("kind") != "snv")
    assert snv.height > 200
    assert others.height > 20
    for model, column in COLUMNS.items():
        score = f"{model}_{column}"
        assert snv[score].null_count() == 0
        assert others[score].null_count() == (others.height if model in OF_SINGLE_BASES else 0)
        assert snv[score].n_unique() > 100
        assert (f"{model}_entropy" in table.columns) == (model in WITH_LOGOS)
        assert table[f"{model}_percentile"].null_count() == table[score].null_count()
    assert set(snv["splice_strand"]) == {"+", "-", "both"}
    alone = [name for name in table.columns if name.endswith("_strand")]
    assert alone == ["splice_strand"]


def header_lines(vcf):
    """The INFO lines of a header, as cyvcf2 reads them."""
    lines = (line.info() for line in vcf.header_iter())
    return [line for line in lines if line["HeaderType"] == "INFO"]


def test_the_vcf_has_the_values_of_the_table(results, table):
    kinds = read_kinds(results / "cohorts/strains/annotated.parquet", list(COLUMNS))
    tags = score_columns_of(kinds)
    rows = {
        (row["input_pos"], row["input_ref"], row["input_alt"]): row
        for row in table.iter_rows(named=True)
    }
    vcf = VCF(str(results / "cohorts/strains/annotated.vcf.gz"))
    compared = 0
    for record in vcf:
        row = rows.pop((record.POS, record.REF, record.ALT[0]), None)
        if row is None:
            assert record.INFO["VARLM_REJECTED"]
            continue
        for tag, column in tags.items():
            value, expected = record.INFO.get(tag), row[column]
            if isinstance(expected, float):
                assert value == pytest.approx(expected, rel=1e-5, abs=1e-30)
                compared += 1
            else:
                assert value == expected
    assert not rows
    assert compared > 20 * table.height
    said = {line["ID"]: line["Description"] for line in header_lines(vcf)}
    assert "nats, strand mean;" in said["LLR_gpn"]
    assert "nats, strand mean;" in said["LLR_causal"]
    assert said["LLR_kmer"].endswith('missing for indels and MNVs"')
    assert "forward strand; high: harmful" in said["COSINE_distance"]
    assert "strand of the transcript; low: harmful" in said["PROBABILITY_splice"]
    assert "+ or -" in said["STRAND_splice"]


def test_tracks_bound_the_table(results, table):
    snv = table.filter(kind="snv")
    positions = snv["pos"].to_numpy()
    for model, column in COLUMNS.items():
        scores = snv[f"{model}_{column}"].to_numpy()
        if model == "splice":  # of no transcript: the mean of both strands
            scores = snv.select(f"{model}_{column}_fwd", f"{model}_{column}_rev").to_numpy().mean(1)
        with pyBigWig.open(str(results / f"tracks/{model}/worst_{column}.bw")) as track:
            worst = np.array(track.values(CONTIG, 0, END - START))[positions - 1]
        sign = -1 if model in HARMFUL_HIGH else 1
        assert (sign * worst <= sign * scores + 1e-5).all()
        assert np.isclose(worst, scores, atol=1e-5).sum() > snv.height / 10
        assert (results / f"tracks/{model}/logo_A.bw").is_file() == (model in WITH_LOGOS)
    hub = (results / "tracks/hub.txt").read_text()
    session = (results / "tracks/igv_session.xml").read_text()
    for model, column in COLUMNS.items():
        assert f"{model}/worst_{column}.bw" in hub
        assert f"{model}/worst_{column}.bw" in session


def test_evaluation_takes_the_harmful_end_of_each(results, table):
    rows = pl.read_csv(
        results / "cohorts/strains/evaluation.tsv", separator="\t", infer_schema=False
    ).filter(
        (pl.col("task") == "missense_variant vs synonymous_variant") & (pl.col("metric") == "auroc")
    )
    assert set(rows["score"]) == {*COLUMNS, "mutation_context"}
    rows = rows.filter(pl.col("score") != "mutation_context")
    classes = ("missense_variant", "synonymous_variant")
    alleles = table.filter(pl.col("consequence").is_in(classes) & (pl.col("kind") == "snv"))
    alleles = alleles.unique(["chrom", "pos", "ref", "alt"])
    missense = (alleles["consequence"] == classes[0]).to_numpy()
    for score, value in rows.select("score", "value").iter_rows():
        sign = 1 if score in HARMFUL_HIGH else -1
        scores = sign * alleles[f"{score}_{COLUMNS[score]}"].to_numpy().astype(float)
        pairs = scores[missense][:, None] - scores[~missense]
        expected = ((pairs > 0) + (pairs == 0) / 2).mean()
        assert math.isclose(float(value), expected, abs_tol=1e-5)


def test_the_report_names_each_kind(results, table):
    html = (results / "cohorts/strains/report.html").read_text()
    text = words(html)
    unscored = table.filter(pl.col("kind") != "snv").height
    for said in (
        "low for LLR (causal, gpn, kmer, mean) and P(alt) − P(ref) (splice), and high for cosine "
        "distance (distance) and influence (influence)",
        f"{unscored} indels or MNVs have no score of the models distance (cosine), influence "
        "(influence), kmer (marginal), splice (probability): their scores are of single bases",
        f": {unscored} indels and MNVs have no score, for their scores are of single bases",
        "no entropy, p(ref), p(alt) or sequence logos",
        "<dt>Cosine distance: distance</dt>",
        "<dt>Influence: influence</dt>",
    ):
        assert said in text
    parts = block(html, "charts")["llr_by_consequence"]["parts"]
    by_scale = [part["models"] for part in parts]
    assert by_scale == [
        ["causal", "gpn", "kmer"],
        *(["distance"], ["influence"], ["mean"], ["splice"]),
    ]
    index = (results / "index.html").read_text()
    assert all(model in index for model in COLUMNS)
