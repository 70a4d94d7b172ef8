"""Tables of every form, joined to a cohort's alleles."""

import random

import polars as pl
import pytest

from making.score_tables import (
    frame_of,
    snvs,
    tabix,
    table,
    write_cohort,
    write_indexed,
    write_score_vcf,
    write_text,
)
from making.vcf import bcf_of, bcftools
from varlm.annotation.published import indexed_text, joining, tables
from varlm.annotation.published.joining import ScoreJoin, join_scores
from varlm.cli import main
from varlm.errors import UserError
from varlm.files.whole import check_digest
from varlm.genome.reference import Genome
from varlm.tables.parquet import described_table

rng = random.Random(7)
SEQUENCE = "".join(rng.choices("ACGT", k=300))
OTHER = "".join(rng.choices("ACGT", k=120))
CONTIGS = {"chr1": SEQUENCE, "chr2": OTHER}
HEADER = "#Chrom\tPos\tRef\tAlt\tPHRED"


@pytest.fixture
def reference(make_reference):
    return make_reference(CONTIGS)


@pytest.fixture
def cohort(tmp_path, reference):
    """Alleles at some positions of both contigs."""
    records = [
        ("chr1", pos, SEQUENCE[pos - 1], other(SEQUENCE, pos)) for pos in (3, 7, 8, 150, 300)
    ]
    records += [("chr2", pos, OTHER[pos - 1], other(OTHER, pos)) for pos in (1, 60)]
    return write_cohort(tmp_path / "cohort", reference, records)


def other(sequence, pos, step=1):
    return "ACGT"[("ACGT".index(sequence[pos - 1]) + step) % 4]


def joined(cohort, reference, score_table, aliases=None, **options):
    """The columns and the record, as the library writes them."""
    out = cohort.parent / "scores" / f"{score_table.name}.parquet"
    genome = Genome.open(reference)
    record = join_scores(cohort, genome, aliases, score_table, out, **options)
    check_digest(out)
    assert [*out.parent.glob(".*")] == []  # no scratch is left
    frame = pl.read_parquet(out)
    assert frame.height == record.alleles == pl.read_parquet(cohort).height
    assert record.alleles == record.matched + record.not_matched + record.on_lacking_contigs
    return frame, record


def expected(cohort, rows):
    """What a table of such rows says of the cohort, by hand."""
    by_key = {row[:4]: row[4] for row in rows}
    keys = pl.read_parquet(cohort).select("contig", "pos", "ref", "alt").iter_rows()
    return [by_key.get(key) for key in keys]


ROWS = snvs(SEQUENCE, "chr1") + snvs(OTHER, "chr2")


def as_tabix(folder):
    return write_indexed(folder / "t.tsv", ["## CADD v1.7", HEADER, *ROWS]), "PHRED"


def as_csi(folder):
    return write_indexed(folder / "t.tsv", [HEADER, *ROWS], csi=True), "PHRED"


def as_skipped(folder):
    """The header is no comment: `tabix -S 1`."""
    header = HEADER.removeprefix("#")
    return write_indexed(folder / "t.tsv", [header, *ROWS], skip=1), "PHRED"


def as_headerless(folder):
    return write_indexed(folder / "scores.tsv", ROWS), 5


def as_text(folder):
    return write_text(folder / "t.tsv", ["chrom\tpos\tref\talt\tscore", *ROWS]), "score"


def as_csv(folder):
    lines = (",".join(map(str, row)) for row in ROWS)
    return write_text(folder / "t.csv", ["chr,pos,ref,alt,score", *lines]), "score"


def as_parquet(folder):
    frame_of(ROWS).write_parquet(folder / "t.parquet", row_group_size=100)
    return folder / "t.parquet", "score"


def as_unsorted_parquet(folder):
    frame_of(ROWS).sample(fraction=1, shuffle=True, seed=1).write_parquet(folder / "t.parquet")
    return folder / "t.parquet", "score"


def as_parquet_by_contig(folder):
    for contig in CONTIGS:
        rows = [row for row in ROWS if row[0] == contig]
        frame_of(rows).drop("chrom").write_parquet(folder / f"llr_{contig}.parquet")
    return folder / "llr_{contig}.parquet", "score"


def as_tabix_by_contig(folder):
    for contig in CONTIGS:
        rows = [row for row in ROWS if row[0] == contig]
        write_indexed(folder / f"{contig.removeprefix('chr')}.tsv", [HEADER, *rows])
    return folder / "{contig}.tsv.gz", "PHRED"


def vcf_records():
    """One record a site, its three ALTs in it."""
    sites = {}
    for contig, pos, ref, alt, score in ROWS:
        sites.setdefault((contig, pos, ref), []).append((alt, score))
    return [
        (*key, ",".join(alt for alt, _ in alts), "X=1;S=" + ",".join(str(s) for _, s in alts))
        for key, alts in sites.items()
    ]


def as_vcf(folder):
    infos = [("S", "A", "Float"), ("X", "1", "Integer")]
    return write_score_vcf(folder / "t.vcf", vcf_records(), infos, CONTIGS), "S"


def as_plain_vcf(folder):
    as_vcf(folder)
    return folder / "t.vcf", "S"


def as_bcf(folder):
    path, source = as_vcf(folder)
    bcf = bcf_of(path)
    bcftools("index", bcf)
    return bcf, source


FORMS = [
    as_tabix,
    as_csi,
    as_skipped,
    as_headerless,
    as_text,
    as_csv,
    as_parquet,
    as_unsorted_parquet,
    as_parquet_by_contig,
    as_tabix_by_contig,
    as_vcf,
    as_plain_vcf,
    as_bcf,
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_each_form_of_a_table_gives_each_allele_its_score(form, tmp_path, reference, cohort):
    path, source = form(tmp_path)
    frame, record = joined(cohort, reference, table(path, ("score", source)))
    assert frame.schema == {"t_score": pl.Float64}
    assert frame["t_score"].to_list() == expected(cohort, ROWS)
    assert frame["t_score"].null_count() == 0
    assert (record.matched, record.refs_wrong, record.lacking_contigs) == (7, 0, ())
    assert record.values == {"t_score": 7}
    assert record.refs_checked == 7 * 3


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_nothing_depends_on_the_size_of_pieces(form, tmp_path, reference, cohort, monkeypatch):
    path, source = form(tmp_path)
    whole = joined(cohort, reference, table(path, ("score", source)))
    monkeypatch.setattr(joining, "ROWS", 2)
    monkeypatch.setattr(tables, "_GAP", 1)
    monkeypatch.setattr(indexed_text, "BLOCK", 50)
    monkeypatch.setattr(indexed_text, "_LINES", 2)
    pieces = joined(cohort, reference, table(path, ("score", source)))
    assert pieces[0].equals(whole[0])
    assert pieces[1].matched == whole[1].matched


def test_alleles_that_a_table_lacks_are_counted_apart(tmp_path, reference, cohort):
    """Without a row; on a contig that it lacks; with a row that has no value."""
    rows = [row for row in ROWS if row[0] == "chr1" and row[1] != 7]
    first = rows.index(next(row for row in rows if row[1] == 8))
    rows[first : first + 3] = [(*row[:4], "NA") for row in rows[first : first + 3]]
    path = write_indexed(tmp_path / "t.tsv", [HEADER, *rows])
    frame, record = joined(cohort, reference, table(path, ("score", "PHRED")))
    assert [value is None for value in frame["t_score"]] == [0, 1, 1, 0, 0, 1, 1]
    assert (record.matched, record.not_matched, record.on_lacking_contigs) == (4, 1, 2)
    assert record.lacking_contigs == ("chr2",)
    assert record.values == {"t_score": 3}


def test_a_file_a_contig_where_one_lacks(tmp_path, reference, cohort):
    path, _ = as_parquet_by_contig(tmp_path)
    (tmp_path / "llr_chr2.parquet").unlink()
    _, record = joined(cohort, reference, table(path, ("score", "score")))
    assert (record.matched, record.on_lacking_contigs) == (5, 2)
    (tmp_path / "llr_chr1.parquet").unlink()
    with pytest.raises(UserError, match=r"no file is named like .*llr_{contig}"):
        joined(cohort, reference, table(path, ("score", "score")))


def test_contigs_are_matched_by_convention_and_by_aliases(tmp_path, reference, cohort):
    rows = [({"chr1": "1", "chr2": "NC_2"}[row[0]], *row[1:]) for row in ROWS]
    path = write_indexed(tmp_path / "t.tsv", [HEADER, *rows])
    aliases = write_text(tmp_path / "aliases.tsv", ["alias\tcontig", "NC_2\tchr2"])
    frame, _ = joined(cohort, reference, table(path, ("score", "PHRED")), aliases)
    assert frame["t_score"].to_list() == expected(cohort, ROWS)
    _, record = joined(cohort, reference, table(path, ("score", "PHRED")))
    assert record.lacking_contigs == ("chr2",)


def test_two_contigs_of_a_table_that_are_one(tmp_path, reference, cohort):
    rows = [("1", *row[1:]) for row in ROWS[:9]]
    path = write_indexed(tmp_path / "t.tsv", [HEADER, *ROWS, *rows])
    with pytest.raises(UserError, match="'chr1' and '1' are both 'chr1'"):
        joined(cohort, reference, table(path, ("score", "PHRED")))


def test_no_contig_in_common(tmp_path, reference, cohort):
    path = write_indexed(tmp_path / "t.tsv", [HEADER, ("scaffold_7", 3, "A", "C", 1)])
    with pytest.raises(UserError, match=r"no contig of the reference .*'scaffold_7'.*'chr1'"):
        joined(cohort, reference, table(path, ("score", "PHRED")))


def test_lower_case_and_positions_from_0(tmp_path, reference, cohort):
    rows = [(c, pos - 1, ref.lower(), alt.lower(), s) for c, pos, ref, alt, s in ROWS]
    for path in (
        write_indexed(tmp_path / "t.tsv", [HEADER, *rows]),
        write_text(tmp_path / "plain.tsv", [HEADER, *rows]),
    ):
        frame, _ = joined(cohort, reference, table(path, ("score", "PHRED"), base=0))
        assert frame["t_score"].to_list() == expected(cohort, ROWS)
    frame_of(rows).write_parquet(tmp_path / "t.parquet")
    frame, _ = joined(cohort, reference, table(tmp_path / "t.parquet", ("s", "score"), base=0))
    assert frame["t_s"].to_list() == expected(cohort, ROWS)


@pytest.mark.parametrize("base", [0, 1])
def test_the_wrong_base_is_told_from_another_assembly(base, tmp_path, reference, cohort):
    rows = [(c, pos - 1 + base, ref, alt, s) for c, pos, ref, alt, s in ROWS]
    path = write_indexed(tmp_path / "t.tsv", [HEADER, *rows])
    with pytest.raises(UserError, match=rf"REF is .*set annotate\.scores\.t\.base to {base}"):
        joined(cohort, reference, table(path, ("score", "PHRED"), base=1 - base))


def test_a_table_of_another_assembly_is_refused(tmp_path, reference, cohort):
    elsewhere = random.Random(1)
    mutated = "".join(elsewhere.choices("ACGT", k=300))
    path = write_indexed(tmp_path / "t.tsv", [HEADER, *snvs(mutated, "chr1")])
    message = (
        r"t\.tsv\.gz: annotate\.scores\.t: \d+ of 15 rows .* as at chr1:\d+: REF is '[ACGT]', "
    )
    with pytest.raises(UserError, match=message + r"expected '[ACGT]'.*another assembly"):
        joined(cohort, reference, table(path, ("score", "PHRED")))
    assert not (cohort.parent / "scores/t.parquet").exists()


def test_as_many_wrong_refs_as_the_config_allows(tmp_path, make_reference):
    """Half of the rows are of another sequence."""
    reference = make_reference(CONTIGS)
    records = [("chr1", pos, SEQUENCE[pos - 1], other(SEQUENCE, pos)) for pos in range(1, 301)]
    cohort = write_cohort(tmp_path / "c", reference, records)
    mutated = SEQUENCE[:150] + "".join(other(SEQUENCE, pos) for pos in range(151, 301))
    path = write_indexed(tmp_path / "t.tsv", [HEADER, *snvs(mutated, "chr1")])
    described = table(path, ("score", "PHRED"))
    message = "450 of 900 rows .* at most 49 % may.*, or raise normalise.max_ref_mismatch"
    with pytest.raises(UserError, match=message):
        joined(cohort, reference, described, max_ref_mismatch=0.49)
    _, record = joined(cohort, reference, described, max_ref_mismatch=0.5)
    assert (record.matched, record.refs_wrong) == (150, 450)
    out, ranked = tmp_path / "r.parquet", tmp_path / "r.json"
    described = table(path, ("score", "PHRED", {"harmful": "high"}))
    arguments = ["--reference", reference, "--table", described.to_json(), "--scores", out]
    arguments += ["--record", ranked]
    more = {
        "join_scores": ["--variants", cohort],
        "rank_scores": ["--sites", 100],
    }
    for step, options in more.items():
        step_arguments = [*map(str, (step, *arguments, *options))]
        assert main(step_arguments) == 2
        assert main([*step_arguments, "--max-ref-mismatch", "1"]) == 0


def test_a_contig_of_another_sequence_is_left_out(tmp_path, make_reference, caplog):
    """As the mitochondrion of hg19: by its name it is there."""
    reference = make_reference(CONTIGS)
    records = [("chr1", pos, SEQUENCE[pos - 1], other(SEQUENCE, pos)) for pos in range(1, 301)]
    records += [("chr2", pos, OTHER[pos - 1], other(OTHER, pos)) for pos in range(1, 41)]
    cohort = write_cohort(tmp_path / "c", reference, records)
    mutated = "".join(random.Random(1).choices("ACGT", k=120))
    rows = snvs(SEQUENCE, "chr1") + snvs(mutated, "chr2")
    path = write_indexed(tmp_path / "t.tsv", [HEADER, *rows])
    frame, record = joined(cohort, reference, table(path, ("score", "PHRED")))
    assert (record.matched, record.on_lacking_contigs) == (300, 40)
    assert record.lacking_contigs == ("chr2",)
    assert frame["t_score"][300:].null_count() == 40
    assert "of 120 rows of contig 'chr2'" in caplog.text
    assert "it is another sequence, and its rows are left out" in caplog.text


def test_a_few_wrong_refs_are_counted_and_no_alleles(tmp_path, make_reference, caplog):
    reference = make_reference(CONTIGS)
    records = [("chr1", pos, SEQUENCE[pos - 1], other(SEQUENCE, pos)) for pos in range(1, 301)]
    cohort = write_cohort(tmp_path / "c", reference, records)
    wrong = [row for row in ROWS if row[:2] == ("chr1", 40)]
    rows = [row for row in ROWS if row not in wrong]
    ref = other(SEQUENCE, 40)
    rows += [("chr1", 40, ref, alt, 1) for alt in "ACGT" if alt != ref]
    path = write_indexed(tmp_path / "t.tsv", [HEADER, *sorted(rows)])
    frame, record = joined(cohort, reference, table(path, ("score", "PHRED")))
    assert (record.matched, record.not_matched) == (299, 1)
    assert (record.refs_wrong, record.refs_checked) == (3, 900)
    assert frame["t_score"][39] is None
    assert f"3 of 900 rows of {path}" in caplog.text


def test_a_path_with_letters_that_mean_more(tmp_path, reference, cohort):
    folder = tmp_path / "a[1]*"
    folder.mkdir()
    for form in (as_parquet, as_parquet_by_contig, as_tabix, as_vcf):
        path, source = form(folder)
        frame, _ = joined(cohort, reference, table(path, ("score", source)))
        assert frame["t_score"].to_list() == expected(cohort, ROWS)


def test_bytes_that_are_no_utf8(tmp_path, reference, cohort):
    lines = [HEADER + "\tWho", *((*row, "Mül\udcffler") for row in ROWS)]
    plain = tmp_path / "t.tsv"
    rows = (line if isinstance(line, str) else "\t".join(map(str, line)) for line in lines)
    plain.write_bytes("".join(f"{row}\n" for row in rows).encode("utf-8", "surrogateescape"))
    text = {"type": "text"}
    frame, _ = joined(cohort, reference, table(tabix(plain), ("who", "Who", text)))
    assert frame["t_who"].unique().to_list() == ["Mül\ufffdler"]
    path, _ = as_vcf(tmp_path)
    plain = tmp_path / "t.vcf"
    plain.write_bytes(plain.read_bytes().replace(b"X=1;", b"X=M\xc3\xbcl\xffler;"))
    path = tabix(plain, preset="vcf")
    frame, _ = joined(cohort, reference, table(path, ("who", "X", text)))
    assert frame["t_who"].unique().to_list() == ["Mül\ufffdler"]


def test_an_allele_that_two_records_of_the_cohort_have(tmp_path, reference):
    record = ("chr1", 9, SEQUENCE[8], other(SEQUENCE, 9))
    cohort = write_cohort(tmp_path / "c", reference, [record, record])
    path, source = as_tabix(tmp_path)
    frame, record = joined(cohort, reference, table(path, ("score", source)))
    assert frame["t_score"].to_list() == expected(cohort, ROWS)
    assert (record.alleles, record.matched) == (2, 2)


def test_the_step_writes_table_digest_and_record(tmp_path, reference, cohort):
    path, source = as_tabix(tmp_path)
    described = table(
        path,
        ("phred", source, {"harmful": "high", "unit": "Phred", "rule": "max"}),
        name="cadd",
        key={"pos": 2},
    )
    out, record = tmp_path / "cadd.parquet", tmp_path / "cadd.json"
    arguments = ["--variants", cohort, "--reference", reference, "--table", described.to_json()]
    arguments += ["--scores", out, "--record", record]
    assert main(["join_scores", *map(str, arguments)]) == 0
    check_digest(out)
    assert ScoreJoin.read(record).matched == 7
    (column,) = described_table("scores", out).columns
    assert column.name == "cadd_phred"
    assert column.meaning == (
        "PHRED of the table cadd (Phred), the largest of the allele's rows; high is harmful; null: "
        "the table has no value for the allele"
    )


def test_a_table_says_itself_in_json():
    described = table("é {contig}.gz", ("a", 3, {"type": "text"}), key={"contig": "x", "pos": 2})
    assert type(described).from_json(described.to_json()) == described
