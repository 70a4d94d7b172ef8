"""Scores of the transcript's strand: chosen allele by allele, the mean where none is told."""

import csv
import gzip
from dataclasses import replace

import numpy as np
import polars as pl
import pyBigWig
import pytest

from making.records import prepared_model
from varlm.annotation.transcript_strands import scored_on_both
from varlm.cli import main
from varlm.files.whole import write_digest
from varlm.genome.reference import Genome
from varlm.results.export import export_tsv
from varlm.scoring import background, formulas
from varlm.store import ALLELE_SCHEMA, SITE_SCHEMA, Store
from varlm.tables.parquet import read_table, write_table
from varlm.tables.schemas import (
    BACKGROUND,
    CONSEQUENCES,
    LOGIT_COLUMNS,
    VARIANTS,
    annotated,
    read_annotated_table,
)
from varlm.tables.score_kinds import SCORE_KINDS

# Each allele's transcripts, by their strands, and the strand that its score is of.
CASES = [
    (["+"], "+"),
    (["-", "-", "-"], "-"),
    (["+", "-"], "both"),
    (["-", "+", "+"], "both"),
    ([None], "both"),  # intergenic
    ([], "both"),
    (None, "both"),
    (["-", None], "-"),
    (["+"], "+"),  # no SNV
    (["-"], "-"),
]
REFS = ["A"] * 8 + ["AC", "AC"]
ALTS = ["G"] * 8 + ["A", "A"]
KEY = "key"


@pytest.fixture
def genome(make_reference):
    return make_reference({"chr1": "AC" * 30})


@pytest.fixture
def numbers(tmp_path, genome):
    """A store with random numbers of each site and allele; those numbers, forward and reverse."""
    rng = np.random.default_rng(5)
    digest = Genome.open(genome)["chr1"].digest
    sites = rng.normal(size=(60, 2, 4)).astype("f4")
    alleles = rng.normal(size=(2, 2)).astype("f4")
    columns = {name: sites.reshape(60, 8)[:, i] for i, name in enumerate(LOGIT_COLUMNS)}
    of_sites = pl.DataFrame({"pos": np.arange(1, 61), **columns}, schema=SITE_SCHEMA)
    rows = {"pos": [17, 19], "ref": REFS[8:], "alt": ALTS[8:]}
    rows |= {"llr_fwd": alleles[:, 0], "llr_rev": alleles[:, 1]}
    of_alleles = pl.DataFrame(rows, schema=ALLELE_SCHEMA)
    Store(tmp_path / "store").commit(KEY, {}, [(digest, of_sites)], [(digest, of_alleles)])
    return sites, alleles


@pytest.fixture
def cohort(tmp_path):
    """Write the alleles of `CASES`, at 1, 3, 5 …, and their consequences."""
    variants, consequences = [], []
    for i, ((strands, _), ref, alt) in enumerate(zip(CASES, REFS, ALTS, strict=True)):
        pos, kind = 2 * i + 1, "snv" if len(ref) == 1 else "del"
        place = ("chr1", "chr1", pos, None, ref, alt, pos, ref, alt, kind)
        variants.append((*place, None, 0, i, 1))
        nothing = dict.fromkeys(CONSEQUENCES.names)
        entries = None if strands is None else [_transcript(strand) for strand in strands]
        consequences.append(nothing | {"strand": (strands or [None])[0], "consequences": entries})
    table = pl.DataFrame(variants, schema=VARIANTS.schema, orient="row")
    write_table(table, tmp_path / "v.parquet", VARIANTS)
    rows = pl.DataFrame(consequences, schema=CONSEQUENCES.schema)
    write_table(rows, tmp_path / "c.parquet", CONSEQUENCES)
    write_digest(tmp_path / "v.parquet")
    write_digest(tmp_path / "c.parquet")


def _transcript(strand):
    fields = CONSEQUENCES.schema["consequences"].inner.fields
    return {field.name: strand if field.name == "strand" else "x" for field in fields}


@pytest.fixture
def annotate(tmp_path, genome, numbers, cohort):
    """Run the step for a model; return the table, or None where it fails."""

    def run(score="masked", strands="transcript", annotation=True, more=()):
        model = prepared_model(key=KEY, strands=strands, score=score)
        model.write(tmp_path / "m.json")
        files = {"variants": "v.parquet", "model": "m.json", "background": "b.parquet"}
        files |= {"store": "store", "annotated": "a.parquet"}
        files |= {"consequences": "c.parquet"} if annotation else {}
        ranks = pl.DataFrame({"llr": [-1.0, 0.0, 1.0]}).with_columns(
            pl.lit("x").alias("contig"), pos=1, ref=pl.lit("A"), alt=pl.lit("C")
        )
        ranks = ranks.select(pl.col(name).cast(dtype) for name, dtype in BACKGROUND.schema.items())
        write_table(ranks, tmp_path / "b.parquet", BACKGROUND)
        words = [w for option, file in files.items() for w in (f"--{option}", tmp_path / file)]
        status = main(list(map(str, ["annotate", "--reference", genome, *words, *more])))
        return pl.read_parquet(tmp_path / "a.parquet") if status == 0 else None

    return run


def chosen(by_strand, strand):
    return by_strand.mean(0) if strand == "both" else by_strand["+-".index(strand)]


def test_each_score_is_of_the_strand_of_the_alleles_transcripts(annotate, numbers, caplog):
    sites, alleles = numbers
    table = annotate()
    assert table["m_strand"].to_list() == [strand for _, strand in CASES]
    for i, row in enumerate(table.iter_rows(named=True)):
        strand = row["m_strand"]
        if i < 8:
            logits = sites[2 * i].astype(float)
            by_strand = logits[:, 2] - logits[:, 0]
            p = np.exp(chosen(logits, strand))
            p /= p.sum()
            assert row["m_p_ref"] == pytest.approx(p[0], rel=1e-5)
            assert row["m_p_alt"] == pytest.approx(p[2], rel=1e-5)
            assert row["m_entropy"] == pytest.approx(-(p * np.log(p)).sum(), rel=1e-5)
        else:
            by_strand = alleles[i - 8].astype(float)
        assert row["m_llr"] == pytest.approx(chosen(by_strand, strand), rel=1e-5, abs=1e-6)
        assert [row["m_llr_fwd"], row["m_llr_rev"]] == pytest.approx(by_strand.tolist(), rel=1e-5)
        ranks = [100 * ((row["m_llr"] > x) + (row["m_llr"] == x) / 2) for x in (-1, 0, 1)]
        assert row["m_percentile"] == pytest.approx(np.mean(ranks), rel=1e-5)
    assert (
        "5 of 10 scores of model m are means of both strands: they have transcripts on both "
        "strands, or none (column m_strand)"
    ) in caplog.text


def test_without_an_annotation_all_are_means(annotate, numbers, caplog):
    table = annotate(annotation=False)
    assert table["m_strand"].to_list() == ["both"] * 10
    plain = annotate(annotation=False, strands="both")
    assert "m_strand" not in plain.columns
    assert plain.equals(table.drop("m_strand"))
    text = "10 of 10 scores of model m are means of both strands: there is no annotation"
    assert caplog.text.count(text) == 1


def test_without_a_score_there_is_no_strand(annotate, tmp_path):
    table = annotate("probability")
    assert table["m_strand"].to_list() == [strand for _, strand in CASES[:8]] + [None] * 2
    assert table["m_probability"].null_count() == 2
    assert scored_on_both(tmp_path / "a.parquet", "m") == (5, 8)


def test_the_column_stands_behind_the_scores_and_is_read_back(annotate, tmp_path):
    expected = annotated({"m": replace(SCORE_KINDS["masked"], strands="transcript")})
    table = annotate()
    assert table.columns == expected.names
    assert table.columns.index("m_strand") == table.columns.index("m_percentile") + 1
    read = read_annotated_table(tmp_path / "a.parquet", ["m"])
    assert read.schema == expected.schema
    meanings = {column.name: column.meaning for column in read.columns}
    assert "of the strand in m_strand" in meanings["m_llr"]
    assert "both: the strands' mean" in meanings["m_strand"]


def test_the_tsv_has_the_column(annotate, tmp_path):
    annotate("probability")
    export_tsv(tmp_path / "a.parquet", ["m"], tmp_path / "a.tsv.gz")
    with gzip.open(tmp_path / "a.tsv.gz", "rt") as lines:
        strands = [row["m_strand"] for row in csv.DictReader(lines, delimiter="\t")]
    assert strands == [strand for _, strand in CASES[:8]] + ["", ""]


def test_a_column_of_the_same_name_is_refused(annotate, tmp_path, capsys):
    writer = pyBigWig.open(str(tmp_path / "t.bw"), "w")
    writer.addHeader([("chr1", 60)])
    writer.addEntries(["chr1"], [5], ends=[9], values=[1.0])
    writer.close()
    assert annotate(more=["--bigwig", f"m_strand={tmp_path / 't.bw'}"]) is None
    assert "two columns of the annotated table would be called m_strand" in capsys.readouterr().err


def test_the_background_is_the_forward_strands(tmp_path, genome, numbers):
    """It has no transcripts. The store keeps it beside that of the mean, by the same key."""
    sites, _ = numbers
    opened, store = Genome.open(genome), Store(tmp_path / "store")
    tables = {}
    for strands in ("both", "forward", "transcript"):
        chosen_sites = background.choose(opened, 20, strands)
        model = prepared_model(key=KEY, strands=strands)
        tables[strands] = background.kept_scores(chosen_sites, store, model)
        assert store.read_background(KEY, chosen_sites.digest).equals(tables[strands])
    digests = {strands: background.choose(opened, 20, strands).digest for strands in tables}
    assert digests["both"] == digests["forward"] == background.choose(opened, 20).digest
    assert digests["transcript"] != digests["both"]
    columns = tables["transcript"].select("pos", "ref", "alt", "llr")
    for pos, ref, alt, llr in columns.iter_rows():
        forward = sites[pos - 1, 0].astype(float)
        assert llr == pytest.approx(
            forward["ACGT".index(alt)] - forward["ACGT".index(ref)], rel=1e-5, abs=1e-6
        )
    assert not tables["both"].equals(tables["transcript"])


def test_the_mean_of_chosen_strands():
    values = np.arange(24.0).reshape(3, 2, 4)
    codes = np.array([formulas.REVERSE, formulas.BOTH, formulas.FORWARD])
    expected = [values[0, 1], values[1].mean(0), values[2, 0]]
    assert formulas.strand_mean(values, codes).tolist() == np.array(expected).tolist()
    assert formulas.strand_mean(values[..., 0], codes).tolist() == [x[0] for x in expected]


def test_calibrate_writes_it(tmp_path, genome, numbers):
    prepared_model(key=KEY, strands="transcript").write(tmp_path / "m.json")
    words = ["calibrate", "--model", tmp_path / "m.json", "--reference", genome]
    words += ["--store", tmp_path / "store", "--sites", 20, "--background", tmp_path / "b.parquet"]
    assert main(list(map(str, words))) == 0
    rows = read_table(tmp_path / "b.parquet", BACKGROUND)
    chosen_sites = background.choose(Genome.open(genome), 20, "transcript")
    expected = background.background_scores(chosen_sites, Store(tmp_path / "store"), KEY)
    assert rows.equals(expected)
