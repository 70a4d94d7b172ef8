"""What htslib sees of the annotated VCF, against faults put into the file, the index, the table."""

import gzip
import random

import polars as pl
import pysam
import pytest

from making.export import MODEL, scored
from making.vcf import bgzipped
from varlm.errors import UserError
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.results import annotated_vcf, expected, export, read_back
from varlm.results.read_back import ReadBackError, check_read_back
from varlm.results.tags import score_tags
from varlm.tables.parquet import write_pieces
from varlm.tables.schemas import CONSEQUENCES_CALLED, annotated
from varlm.tables.score_kinds import SCORE_KINDS
from varlm.variants.cohort import CohortVcf, NormaliseOptions, normalise
from varlm.variants.rejected import write_rejected

SEQUENCE = "".join(random.Random(11).choices("ACGT", k=3000))
CONTIGS = ("chr1", "chr1:7", "HLA,2", "x-9")
HEAD = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
WITH_GENES = {CONSEQUENCES_CALLED: "yes"}
GENES = ["YAL001C", "a;b=c,d e%", "Gêne", "x%2Cy", None]


def body(contigs=CONTIGS, count=40):
    """Records of every kind: one allele, several, none, rejected ones, two at one place."""
    rng = random.Random(5)
    text = ""
    for contig in contigs:
        for pos in sorted(rng.choices(range(2, 2900), k=count)):
            ref = SEQUENCE[pos - 1]
            others = [base for base in "ACGT" if base != ref]
            alt = rng.choice(
                [*others, *others, ",".join(others), f"{others[0]},<DEL>", "*", ".", f"{ref}TT,N"]
            )
            alt = rng.choice([alt, alt, alt, "G" * 70])
            text += f"{contig}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t{rng.choice(['.', 'DP=3', 'F'])}\n"
    return text


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    (folder / "genome.fa").write_text("".join(f">{name}\n{SEQUENCE}\n" for name in CONTIGS))
    index_reference(folder / "genome.fa", folder / "reference")
    return Genome.open(folder / "reference")


@pytest.fixture
def cohort(genome, tmp_path):
    """An exported cohort with consequences: its VCF, index, and what it should hold."""
    vcf = tmp_path / "in.vcf"
    vcf.write_text(HEAD + body())
    return exported(genome, vcf, tmp_path)


def exported(genome, vcf, folder):
    result = normalise("c", [CohortVcf(vcf)], genome, NormaliseOptions(max_ref_mismatch=1))
    rows = scored(result)
    rng = random.Random(1)
    genes = pl.Series("gene", [rng.choice(GENES) for _ in range(rows.height)], pl.String)
    terms = [None if gene is None else "missense_variant" for gene in genes]
    rows = rows.with_columns(genes, pl.Series("consequence", terms, pl.String))
    rows = rows.with_columns(
        pl.when(pl.col("gene").is_not_null()).then(pl.lit("7M>7V")).alias("protein_change")
    ).select(annotated([MODEL]).names)
    write_pieces([rows], folder / "annotated.parquet", annotated([MODEL]), WITH_GENES)
    write_rejected(result.rejected, folder / "rejected.tsv.gz")
    checked = []

    def noted(*arguments):
        checked.append(arguments)
        check_read_back(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "check_read_back", noted)
        out = folder / "annotated.vcf.gz"
        table, rejected = folder / "annotated.parquet", folder / "rejected.tsv.gz"
        export.export_vcf(table, rejected, [vcf], [MODEL], {}, out)
    (_, _, content, _, files) = checked[0]
    return out, content, files


def check(cohort, vcf=None, index=None, content=None):
    out, expected_content, files = cohort
    vcf = vcf or out
    index = index or out.with_name(f"{out.name}.tbi")
    check_read_back(vcf, index, content or expected_content, out, files)


def lines_of(cohort):
    with gzip.open(cohort[0], "rb") as file:
        return file.read().split(b"\n")[:-1]


def rewritten(cohort, folder, lines):
    """The file with other lines, and an index that fits it."""
    folder.mkdir(exist_ok=True)
    path = folder / "other.vcf.gz"
    path.write_bytes(bgzipped(b"\n".join(lines) + b"\n"))
    pysam.tabix_index(str(path), preset="vcf", force=True)
    return {"vcf": path, "index": path.with_name(f"{path.name}.tbi")}


def with_field(lines, tag, change):
    """Change the value of a tag in the middle record of those that have it."""
    having = [n for n, line in enumerate(lines) if line[:1] != b"#" and b";" + tag + b"=" in line]
    at = having[len(having) // 2]
    fields = lines[at].split(b"\t")
    before, value = fields[7].split(tag + b"=", 1)
    value, *rest = value.split(b";", 1)
    fields[7] = b";".join([before + tag + b"=" + change(value), *rest])
    return [*lines[:at], b"\t".join(fields), *lines[at + 1 :]]


def test_what_was_written_is_what_htslib_sees(cohort, caplog):
    check(cohort)
    assert "htslib" not in caplog.text
    text = b"\n".join(lines_of(cohort)).decode()
    for kind in (f"LLR_{MODEL}=", "VARLM_GENE=a%3Bb", "G\u00eane", ".,alt_not", "VARLM_REJECTED="):
        assert kind in text, kind
    assert cohort[1].alleles(cohort[1].records)["count"].max() == 3


@pytest.mark.parametrize("size", [1, 7, 50])
def test_stretches_and_processes_change_nothing(cohort, monkeypatch, size):
    monkeypatch.setattr(expected, "STRETCH", size)
    monkeypatch.setattr(read_back, "_PIECE", 100)
    parts = cohort[1].parts()
    assert [part.contigs for part in parts] == [[*CONTIGS[:3]], [CONTIGS[3]]]
    stretches = list(cohort[1].stretches())
    assert pl.concat(stretches).equals(cohort[1].records)
    whole = cohort[1].alleles(cohort[1].records).drop("row", "rank")
    assert pl.concat(map(cohort[1].alleles, stretches)).drop("row", "rank").equals(whole)
    check(cohort)


def flipped(value):
    digit = value[-1:]
    return value[:-1] + (b"3" if digit != b"3" else b"4")


@pytest.mark.parametrize("tag", [f"{tag}_{MODEL}" for tag in score_tags(SCORE_KINDS["masked"])])
def test_a_score_whose_last_digit_is_another(cohort, tmp_path, tag):
    lines = with_field(lines_of(cohort), tag.encode(), flipped)
    pattern = (
        rf"annotated\.vcf\.gz, .*record \d+ of in\.vcf\): INFO/{tag} is '.*' for htslib.* and "
    )
    with pytest.raises(
        ReadBackError, match=pattern + r"-?[\d.e+-]+ in the annotated table; .*defect"
    ):
        check(cohort, **rewritten(cohort, tmp_path / "x", lines))


@pytest.mark.parametrize(
    ("tag", "change"),
    [
        ("VARLM_CONSEQUENCE", lambda value: value.replace(b"missense", b"synonymous")),
        ("VARLM_GENE", lambda value: value + b"x"),
        ("VARLM_GENE", lambda _: b"."),
        ("VARLM_PROTEIN", lambda value: value + b",7M>7V"),
        ("VARLM_REJECTED", lambda value: value + b"x"),
        (f"LLR_{MODEL}", lambda _: b"."),
        (f"LLR_{MODEL}", lambda _: b"abc"),
        (f"LLR_{MODEL}", lambda value: value + b",1.5"),
    ],
)
def test_a_value_of_another_allele_or_too_many_or_none(cohort, tmp_path, tag, change):
    lines = with_field(lines_of(cohort), tag.encode(), change)
    with pytest.raises(ReadBackError, match=f"INFO/{tag} is "):
        check(cohort, **rewritten(cohort, tmp_path / "x", lines))


def test_values_of_one_record_at_another(cohort, tmp_path):
    lines = lines_of(cohort)
    scored_lines = [n for n, line in enumerate(lines) if b"LLR_m=" in line and line[:1] != b"#"]
    a, b = scored_lines[3], scored_lines[9]
    first, second = lines[a].split(b"\t"), lines[b].split(b"\t")
    first[7], second[7] = second[7], first[7]
    lines[a], lines[b] = b"\t".join(first), b"\t".join(second)
    with pytest.raises(ReadBackError, match="INFO/"):
        check(cohort, **rewritten(cohort, tmp_path / "x", lines))


def test_a_value_where_the_table_has_none(cohort, tmp_path):
    lines = lines_of(cohort)
    at = next(n for n, line in enumerate(lines) if b"VARLM_REJECTED" in line and line[:1] != b"#")
    fields = lines[at].split(b"\t")
    fields[7] = b"LLR_m=1.5;" + fields[7]
    lines[at] = b"\t".join(fields)
    with pytest.raises(ReadBackError, match=r"INFO/LLR_m is '1\.5' for htslib.* and missing in"):
        check(cohort, **rewritten(cohort, tmp_path / "x", lines))


@pytest.mark.parametrize("column", [1, 3, 4])
def test_another_position_or_allele(cohort, tmp_path, column):
    lines = lines_of(cohort)
    fields = lines[-1].split(b"\t")
    fields[column] = str(int(fields[1]) + 1).encode() if column == 1 else b"ACGTACGTT"
    lines[-1] = b"\t".join(fields)
    field = {1: "POS", 3: "REF", 4: "ALT"}[column]
    with pytest.raises(ReadBackError, match=f"{field} is "):
        check(cohort, **rewritten(cohort, tmp_path / "x", lines))


@pytest.mark.parametrize("at", [-1, -50])
def test_a_record_that_is_missing_or_there_twice(cohort, tmp_path, at):
    lines = lines_of(cohort)
    with pytest.raises(ReadBackError):
        check(cohort, **rewritten(cohort, tmp_path / "x", [*lines[:at], *lines[at:][1:]]))
    with pytest.raises(ReadBackError):
        check(cohort, **rewritten(cohort, tmp_path / "y", [*lines[:at], lines[at], *lines[at:]]))


def test_an_index_of_another_file(cohort, tmp_path):
    lines = lines_of(cohort)
    head = [line for line in lines if line[:1] == b"#"]
    other = rewritten(cohort, tmp_path / "x", [*head, *lines[-5:]])
    with pytest.raises(ReadBackError, match="htslib"):
        check(cohort, index=other["index"])
    cut = tmp_path / "cut.tbi"
    cut.write_bytes(other["index"].read_bytes()[:40])
    with pytest.raises(ReadBackError, match="htslib"):
        check(cohort, index=cut)


def test_a_flipped_byte_of_the_file(cohort, tmp_path):
    content = bytearray(cohort[0].read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged = tmp_path / "damaged.vcf.gz"
    damaged.write_bytes(content)
    with pytest.raises(ReadBackError):
        check(cohort, vcf=damaged)


def test_a_crash_of_htslib_is_an_error_with_its_signal(cohort, tmp_path, monkeypatch):
    program = tmp_path / "crash.py"
    program.write_text("import os; os.kill(os.getpid(), 11)")
    monkeypatch.setattr(read_back, "_PROGRAM", program)
    with pytest.raises(ReadBackError, match=r"a crash: signal 11 \(SIGSEGV\).*defect of varlm"):
        check(cohort)


def test_what_does_not_read_back_does_not_stay(genome, tmp_path, monkeypatch):
    vcf = tmp_path / "in.vcf"
    vcf.write_text(HEAD + body())
    real = annotated_vcf.info_suffixes

    def shifted(alleles, models, tables=()):
        llr = pl.col(f"{MODEL}_llr").shift(1)
        return real(alleles.with_columns(llr), models)

    monkeypatch.setattr(annotated_vcf, "info_suffixes", shifted)
    with pytest.raises(UserError, match="INFO/LLR_m is "):
        exported(genome, vcf, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if "vcf" in path.name) == ["in.vcf"]


def test_bytes_of_other_tools_that_are_no_utf8(genome, tmp_path, caplog):
    vcf = tmp_path / "in.vcf"
    text = (HEAD + body(CONTIGS[:1])).encode().replace(b"DP=3", b"DP=\xff\xfe")
    vcf.write_bytes(text)
    cohort = exported(genome, vcf, tmp_path)
    check(cohort)
    assert "htslib" not in caplog.text
    lines = with_field(lines_of(cohort), f"LLR_{MODEL}".encode(), flipped)
    with pytest.raises(ReadBackError, match="INFO/LLR_m is "):
        check(cohort, **rewritten(cohort, tmp_path / "x", lines))


def test_a_record_that_htslib_refuses_is_a_warning(cohort, tmp_path, caplog, monkeypatch):
    """htslib stumbles over what another tool wrote; without that, our fields are right."""
    program = tmp_path / "refuses.py"
    source = read_back._PROGRAM.read_text()
    refuses = '"".join(x if "DP=3" not in x else sys.exit("refused") for x in lines)'
    program.write_text(source.replace('"".join(lines)', refuses))
    monkeypatch.setattr(read_back, "_PROGRAM", program)
    check(cohort)
    assert "does not read it whole (htslib cannot read the file (refused, exit status 1))" in (
        caplog.text
    )
    lines = with_field(lines_of(cohort), f"LLR_{MODEL}".encode(), flipped)
    with pytest.raises(ReadBackError):
        check(cohort, **rewritten(cohort, tmp_path / "x", lines))
