"""Columns of tables of published scores in the annotated table and the VCF, odd values too."""

import polars as pl
import pysam
import pytest

from making.vcf import vcf_text
from varlm.annotation.joined_scores import joined_columns, joined_tables
from varlm.annotation.published.values import score_table
from varlm.cli import main
from varlm.errors import UserError
from varlm.files.whole import write_digest
from varlm.results.annotated_vcf import check_tags
from varlm.run.score_tables import ScoreColumn, ScoreTable
from varlm.tables.parquet import write_table
from varlm.vcf.heading import read_heading

SEQUENCE = "ACGT" * 13
TABLE = ScoreTable(
    name="t",
    path="there.tsv.gz",
    columns=(
        ScoreColumn(name="score", source="S", harmful="high", unit='odd "unit"', rule="max"),
        ScoreColumn(name="count", source="N", type="integer"),
        ScoreColumn(name="big", source="B", type="integer"),
        ScoreColumn(name="text", source="T", type="text", rule="list"),
    ),
)
VALUES = {
    "t_score": [1.5, None, -1e-30, 123456.789, 0.0],
    "t_count": [7, None, -3, 0, 2**31 - 1],
    "t_big": [2**40, None, 1, 2, 3],
    "t_text": ["a;b=c,d e%", None, "Pathogenic", "x", "."],
}


@pytest.fixture
def exported(tmp_path, make_reference):
    """Alleles, one record with two, through annotate and export without a model."""
    reference = make_reference({"chr1": SEQUENCE})
    alleles = [("chr1", 5, ".", "A", "C"), ("chr1", 9, ".", "A", "G,T")]
    alleles += [("chr1", 13, ".", "A", "C"), ("chr1", 17, ".", "A", "C")]
    vcf = tmp_path / "in.vcf"
    vcf.write_text(vcf_text(alleles))

    def run(*step):
        assert main(list(map(str, step))) == 0

    out = tmp_path / "out"
    out.mkdir()
    variants, accounting, rejected = (out / name for name in ("v.parquet", "a.json", "r.tsv.gz"))
    run(
        *("normalise", "--cohort", "c", "--vcf", vcf, "--reference", reference),
        *("--variants", variants, "--rejected", rejected, "--accounting", accounting),
    )
    schema = score_table(TABLE)
    write_table(pl.DataFrame(VALUES, schema.schema), out / "t.parquet", schema)
    write_digest(out / "t.parquet")
    ranks = pl.DataFrame({"t_score": [float(n) for n in range(10)]})
    ranks.write_parquet(out / "ranks.parquet")
    run(
        *("annotate", "--variants", variants, "--reference", reference),
        *("--store", tmp_path / "store", "--score-table", TABLE.to_json()),
        *("--scores", out / "t.parquet", "--ranks", f"t={out / 'ranks.parquet'}"),
        *("--annotated", out / "annotated.parquet"),
    )
    run(
        *("export", "--annotated", out / "annotated.parquet", "--rejected", rejected),
        *("--accounting", accounting, "--reference", reference, "--vcf", vcf),
        *("--tsv", out / "annotated.tsv.gz", "--out-vcf", out / "annotated.vcf.gz"),
    )
    return out


def test_the_annotated_table_says_which_columns_are_of_which_table(exported):
    path = exported / "annotated.parquet"
    table = pl.read_parquet(path)
    assert joined_tables(path) == [TABLE]
    score, *others = joined_columns(path)
    assert score.percentile.name == "t_score_percentile"
    assert not any(column.percentile for column in others)
    assert [column.name for column in others] == ["t_count", "t_big", "t_text"]
    assert 'S of the table t (odd "unit")' in score.meaning
    for name, values in VALUES.items():
        assert table[name].to_list() == values
    # Of 0 … 9, high is harmful: eight are above 1.5, none above 123,456, all above −1e-30.
    assert table["t_score_percentile"].to_list() == [80, None, 100, 0, 95]


def test_the_vcf_has_them_as_htslib_reads_them(exported):
    with pysam.VariantFile(str(exported / "annotated.vcf.gz")) as vcf:
        kinds = {
            name: (vcf.header.info[name].type, vcf.header.info[name].number) for name in VALUES
        }
        assert kinds == {
            "t_score": ("Float", "A"),
            "t_count": ("Integer", "A"),
            "t_big": ("String", "A"),
            "t_text": ("String", "A"),
        }
        assert "odd unit" in vcf.header.info["t_score"].description
        first, second, *_ = list(vcf)
    assert first.info["t_text"] == ("a%3Bb%3Dc%2Cd%20e%25",)
    assert first.info["t_big"] == (str(2**40),)
    assert first.info["t_score_percentile"] == (80,)
    assert second.info["t_count"] == (None, -3)
    assert second.info["t_text"] == (".", "Pathogenic")


def test_a_field_of_that_name_by_another_tool_is_refused(tmp_path):
    path = tmp_path / "in.vcf"
    field = '##INFO=<ID=t_score,Number=1,Type=Float,Description="theirs">\n'
    header, line, rest = vcf_text([("chr1", 5, ".", "A", "C")]).partition("#CHROM")
    path.write_text(header + field + line + rest)
    with pytest.raises(UserError, match=r"INFO/t_score is already a field.*or the table of scores"):
        check_tags(read_heading(path, 10), [], ["t_score"])


def test_a_table_with_other_columns_is_refused(exported, tmp_path, make_reference, caplog):
    pl.DataFrame({"t_other": [1.0] * 5}).write_parquet(exported / "t.parquet")
    write_digest(exported / "t.parquet")
    step = ["annotate", "--variants", exported / "v.parquet", "--store", tmp_path / "store"]
    step += ["--reference", make_reference({"chr1": SEQUENCE}), "--score-table", TABLE.to_json()]
    step += ["--scores", exported / "t.parquet", "--annotated", exported / "other.parquet"]
    assert main(list(map(str, step))) == 2
