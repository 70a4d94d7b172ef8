"""INFO fields carried along: against pysam, a reading by hand, and on real cohorts."""

import argparse
import math

import polars as pl
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from making.hard_vcf import crude_records, permissive_genome
from making.vcf import bcf_of, bgzipped, vcf_text
from varlm import cli
from varlm.annotation import info as info_columns
from varlm.annotation.info import write_info
from varlm.annotation.info_fields import read_info_table
from varlm.errors import UserError
from varlm.files import whole
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.steps import carry_info
from varlm.tables import parquet, schemas
from varlm.variants.cohort import CohortVcf, NormaliseOptions, normalise
from varlm.vcf import lines as vcf_input

SEQUENCE = "ACGTTGCA" * 50
CONTIGS = {"chr1": SEQUENCE, "chr2": SEQUENCE}
FIELDS = {
    "IA": ("A", "Integer"),
    "FA": ("A", "Float"),
    "SA": ("A", "String"),
    "IR": ("R", "Integer"),
    "SR": ("R", "String"),
    "I1": ("1", "Integer"),
    "F1": ("1", "Float"),
    "S1": ("1", "String"),
    "C1": ("1", "Character"),
    "DB": ("0", "Flag"),
    "I2": ("2", "Integer"),
    "FX": (".", "Float"),
    "SX": (".", "String"),
    "A.F": ("A", "Float"),
    "1000G": ("0", "Flag"),
}


def declarations(fields=FIELDS):
    return [
        f'##INFO=<ID={tag},Number={number},Type={kind},Description="the {tag}, \\"x\\"">'
        for tag, (number, kind) in fields.items()
    ]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    (folder / "g.fa").write_text("".join(f">{n}\n{s}\n" for n, s in CONTIGS.items()))
    index_reference(folder / "g.fa", folder / "reference")
    return folder / "reference"


def carry(reference, folder, vcfs, tags):
    """Normalise files, carry fields of them; return the variants and their fields.

    `reference` is a genome, or the folder of one.
    """
    files = [CohortVcf(vcf) for vcf in vcfs]
    genome = reference if isinstance(reference, Genome) else Genome.open(reference)
    result = normalise("c", files, genome, NormaliseOptions())
    parquet.write_table(result.variants, folder / "variants.parquet", schemas.VARIANTS)
    out = folder / "info.parquet"
    count = write_info(folder / "variants.parquet", vcfs, result.accounting, tags, out)
    table = read_info_table(out)
    info = parquet.read_table(out, table)
    assert count == info.height == result.variants.height
    assert table.names == [f"info_{tag}" for tag in tags]
    assert sorted(path.name for path in folder.glob(".*")) == []
    return result.variants, info


def values(reference, folder, text, tags, name="in.vcf"):
    """The columns of one VCF as lists."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    _, info = carry(reference, folder, [path], tags)
    return info.to_dict(as_series=False)


def one_field(reference, folder, kind, number, entries, alt="A"):
    """The column of one record a value; None: the record has no INFO."""
    records = [
        ("chr1", 2 + 8 * i, ".", "C", alt, ".", ".", "." if v is None else v)
        for i, v in enumerate(entries)
    ]
    header = declarations({"X": (number, kind)})
    text = vcf_text(records, CONTIGS, header=header)
    return values(reference, folder, text, ["X"])["info_X"]


# -- against other readers -----------------------------------------------------------------------

INTEGERS = st.integers(-(2**31) + 8, 2**31 - 1).map(str)
FLOATS = st.one_of(
    st.floats(-(2.0**90), 2.0**90, width=32).map(lambda x: f"{x:.6g}"),
    st.sampled_from(["0", "1e-5", "-3."]),
)
WORDS = st.text("abcXYZ0189_|<>/ -+%\"'é", min_size=1, max_size=6).filter(
    lambda text: text.strip() == text
)
OF_TYPE = {
    "Integer": INTEGERS,
    "Float": FLOATS,
    "String": WORDS,
    "Character": st.sampled_from("abZ09"),
}


@st.composite
def cohort_records(draw):
    """Well-formed records with random fields; some of their alleles will be rejected."""
    records = []
    for _ in range(draw(st.integers(0, 12))):
        alts = draw(
            st.lists(
                st.sampled_from(["A", "G", "CT", "<DEL>", "*"]), min_size=1, max_size=3, unique=True
            )
        )
        info = []
        for tag in draw(st.permutations(list(FIELDS)))[: draw(st.integers(0, len(FIELDS)))]:
            number, kind = FIELDS[tag]
            if kind == "Flag":
                info.append(tag)
                continue
            count = {"A": len(alts), "R": len(alts) + 1, "1": 1, "2": 2}.get(number)
            count = draw(st.integers(1, 4)) if count is None else count
            entry = st.one_of(OF_TYPE[kind], st.just("."))
            info.append(f"{tag}=" + ",".join(draw(st.tuples(*[entry] * count))))
        contig = draw(st.sampled_from(["chr1", "chr2"]))
        pos = 2 + 8 * draw(st.integers(0, 40))
        records.append((contig, pos, ".", "C", ",".join(alts), ".", ".", ";".join(info) or "."))
    return records


def typed(text, kind):
    if text == ".":
        return None
    return {"Integer": int, "Float": float}.get(kind, str)(text)


def by_hand(record, allele, tag):
    """One field of one allele from the text, as the specification says."""
    number, kind = FIELDS[tag]
    found = None
    for entry in record[7].split(";"):
        key, equals, text = entry.partition("=")
        if key == tag:
            found = text if equals else True
    if kind == "Flag":
        return found is True
    if found in (None, "."):
        return None
    entries = [typed(entry, kind) for entry in found.split(",")]
    if number == "A":
        return entries[allele - 1]
    if number == "R":
        return entries[allele]
    return entries[0] if number == "1" else entries


@settings(max_examples=20)
@given(
    cohort_records(),
    cohort_records(),
    st.sampled_from([3, 100_000]),
    st.sampled_from([300, 100_000]),
    st.randoms(),
)
def test_every_value_is_the_records_own(
    reference, tmp_path_factory, first, second, rows, part, random
):
    folder = tmp_path_factory.mktemp("info")
    random.shuffle(first)  # files need not be sorted
    second.sort(key=lambda r: r[:2])
    paths = []
    for index, records in enumerate((first, second)):
        # A record more, that the files differ and are not without alleles.
        extra = ("chr1", 330 + 8 * index, ".", "C", "A", ".", ".", ".")
        paths.append(folder / f"{index}.vcf")
        paths[-1].write_text(vcf_text([extra, *records], CONTIGS, header=declarations()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(info_columns, "_SLICE_ROWS", (rows, rows))
        patch.setattr(info_columns, "_SCRATCH_BYTES", part)
        patch.setattr(vcf_input, "CHUNK", part)
        variants, info = carry(reference, folder, paths, list(FIELDS))
    by_record = [
        [("chr1", 330, ".", "C", "A", ".", ".", "."), *records] for records in (first, second)
    ]
    for variant, row in zip(variants.iter_rows(named=True), info.iter_rows(), strict=True):
        record = by_record[variant["file"]][variant["record"]]
        assert list(row) == [by_hand(record, variant["allele"], tag) for tag in FIELDS]


def pysam_value(record, tag, allele):
    number, kind = FIELDS[tag]
    if kind == "Flag":
        return tag in record.info
    if tag not in record.info:
        return None
    found = record.info[tag]
    found = list(found) if isinstance(found, tuple) else [found]
    # Of text, pysam gives '.' as it is.
    found = [None if entry == "." else entry for entry in found]
    if number == "A":
        return found[allele - 1]
    if number == "R":
        return found[allele]
    if number == "1":
        return found[0]
    return None if found == [None] else found


def close(value):
    """pysam's floats are float32."""
    if isinstance(value, list):
        return [close(entry) for entry in value]
    return pytest.approx(value, rel=1e-6) if isinstance(value, float) else value


@settings(max_examples=12)
@given(cohort_records(), st.sampled_from(["vcf", "bgzip", "bcf"]))
def test_pysam_reads_the_same(reference, tmp_path_factory, records, container):
    folder = tmp_path_factory.mktemp("info")
    records = [("chr1", 2, ".", "C", "A", ".", ".", "I1=3"), *records]
    path = folder / "in.vcf"
    path.write_text(vcf_text(records, CONTIGS, header=declarations()))
    with pysam.VariantFile(str(path)) as lines:
        by_record = [
            {tag: [pysam_value(r, tag, a + 1) for a in range(len(r.alts))] for tag in FIELDS}
            for r in lines
        ]
    if container == "bgzip":
        path.write_bytes(bgzipped(path.read_bytes()))
    elif container == "bcf":
        path = bcf_of(path)
    variants, info = carry(reference, folder, [path], list(FIELDS))
    for variant, row in zip(variants.iter_rows(named=True), info.iter_rows(), strict=True):
        record = by_record[variant["record"]]
        expected = [record[tag][variant["allele"] - 1] for tag in FIELDS]
        assert [close(v) for v in row] == expected


# -- types and numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "number", "entries", "expected", "misfits"),
    [
        ("Float", "1", ["X=0.5", "X=abc", "X=.", "X=", None, "X", "X=1,2", "X=1e999"],
         [0.5, None, None, None, None, None, None, None], 4),
        ("Float", "1", ["X=nan", "X=-inf", "X=INF", "X= 1", "X=1_0"],
         [math.nan, -math.inf, math.inf, None, None], 2),
        ("Integer", "1", ["X=5", "X=-3", "X=1.0", "X=9223372036854775807", "X=9223372036854775808"],
         [5, -3, None, 2**63 - 1, None], 2),
        ("Integer", "A", ["X=5", "X=5,6", "X=.", "X=a", "X=,"], [5, None, None, None, None], 3),
        ("Integer", "R", ["X=5,6", "X=5", "X=5,6,7", "X=.,6", "X=5,."],
         [6, None, None, 6, None], 2),
        ("String", "A", ["X=a", "X=a,b", "X=a b", "X=.", "X="], ["a", None, "a b", None, None], 1),
        ("String", "1", ["X=a,b", "X=.", "X", "X=a=b", "XX=a", "YX=a"],
         ["a,b", None, None, "a=b", None, None], 1),
        ("Character", "1", ["X=a", "X=ab", "X=é"], ["a", None, "é"], 1),
        ("Flag", "0", ["X", "X=0", "X=1", None, "XX", "A=3;X;B", "X=.", "A=X"],
         [True, False, True, False, False, True, None, False], 1),
        ("Integer", "2", ["X=1,2", "X=1", "X=.", "X=.,2", "X=1,2,3", "X=1,b"],
         [[1, 2], None, None, [None, 2], None, None], 3),
        ("Float", ".", ["X=1,2.5", "X=1", "X=.", "X=1,b", "X=1,1e999", "X=inf", "X=1,"],
         [[1, 2.5], [1], None, None, None, [math.inf], None], 3),
        ("String", ".", ["X=a|b,c|,d", "X=a,.,b", "X=a,,b", "X", "X=."],
         [["a|b", "c|", "d"], ["a", None, "b"], ["a", "", "b"], None, None], 1),
        ("Character", ".", ["X=a,b", "X=a,bc"], [["a", "b"], None], 1),
        ("Integer", "G", ["X=1,2,3", "X=7"], [[1, 2, 3], [7]], 0),
        ("Integer", "LA", ["X=1,2,3"], [[1, 2, 3]], 0),
        ("Integer", "-1", ["X=1,2,3"], [[1, 2, 3]], 0),
        ("Integer", "0", ["X", None], [True, False], 0),
    ],
)  # fmt: skip
def test_values_of_each_type_and_number(
    reference, tmp_path, caplog, kind, number, entries, expected, misfits
):
    column = one_field(reference, tmp_path, kind, number, entries)
    assert [math.nan if v != v else v for v in column] == [
        pytest.approx(v, nan_ok=True) if isinstance(v, float) else v for v in expected
    ]
    said = [r.getMessage() for r in caplog.records if "does not fit" in r.getMessage()]
    assert len(said) == (misfits > 0)
    if misfits:
        assert f"INFO/X: {misfits} alleles have a value that does not fit Type=" in said[0]


def test_the_first_misfit_is_named_and_cut(reference, tmp_path, caplog):
    one_field(reference, tmp_path, "Float", "1", ["X=1", "X=" + "z" * 500, "X=b"])
    (said,) = [r.getMessage() for r in caplog.records if "does not fit" in r.getMessage()]
    assert "in.vcf, line 8: 'X=zzz" in said  # after six lines of header and one record
    assert said.count("z") < 70
    assert "INFO/X: 2 alleles" in said


def test_multiallelic_records_with_a_wrong_count(reference, tmp_path):
    entries = ["X=1,2", "X=1", "X=1,2,3", "X=.,2", "X=1,x"]
    column = one_field(reference, tmp_path, "Integer", "A", entries, alt="A,G")
    assert column == [1, 2, None, None, None, None, None, 2, 1, None]


def test_an_absent_alt_is_no_misfit(reference, tmp_path, caplog):
    records = [
        ("chr1", 2, ".", "C", ".", ".", ".", "X=a,b"),
        ("chr1", 10, ".", "C", "A", ".", ".", "X=2"),
    ]
    text = vcf_text(records, CONTIGS, header=declarations({"X": ("A", "Integer")}))
    assert values(reference, tmp_path, text, ["X"]) == {"info_X": [2]}
    assert "does not fit" not in caplog.text


def test_of_a_key_that_occurs_twice_the_first_counts(reference, tmp_path):
    assert one_field(reference, tmp_path, "Integer", "1", ["X=1;X=2"]) == [1]


def test_a_dot_in_a_tag_is_a_dot(reference, tmp_path):
    records = [("chr1", 2, ".", "C", "A", ".", ".", "AxF=1;A.F=2;BA.F=3")]
    text = vcf_text(records, CONTIGS, header=declarations({"A.F": ("1", "Integer")}))
    assert values(reference, tmp_path, text, ["A.F"]) == {"info_A.F": [2]}


HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd|'/C calc'!A0",
    "a%0Ab%09c%2C",
    '"quoted"',
    "a\tb".replace("\t", "\x0b"),
    "\x1b[31m",
    "\u2028",
    "{{7*7}}",
]


def test_hostile_text_comes_through_as_it_is(reference, tmp_path):
    entries = [f"X={text}" for text in HOSTILE]
    assert one_field(reference, tmp_path, "String", "1", entries) == HOSTILE
    assert one_field(reference, tmp_path, "String", ".", entries) == [[text] for text in HOSTILE]


def test_bytes_that_are_no_utf8_are_replaced_and_counted(reference, tmp_path, caplog):
    text = vcf_text(
        [("chr1", 2 + 8 * i, ".", "C", "A", ".", ".", f"Y=1;X={v}")
         for i, v in enumerate(["ok", "bad@", "own\ufffd", "é@"])],
        CONTIGS, header=declarations({"X": ("1", "String")}),
    ).encode().replace(b"@", b"\xff")  # fmt: skip
    column = values(reference, tmp_path, text, ["X"])["info_X"]
    assert column == ["ok", "bad\ufffd", "own\ufffd", "é\ufffd"]
    assert "INFO/X: 2 records have bytes that are no UTF-8, the first" in caplog.text


# -- headers -------------------------------------------------------------------------------------


def two_files(folder, *headers, info="X=1"):
    paths = []
    for index, header in enumerate(headers):
        paths.append(folder / f"{index}.vcf")
        record = ("chr1", 2 + 8 * index, ".", "C", "A", ".", ".", info)
        paths[-1].write_text(vcf_text([record], CONTIGS, header=header))
    return paths


@pytest.mark.parametrize(
    ("first", "second", "dtype", "expected"),
    [
        (("1", "Integer"), ("1", "Float"), pl.Float64, [1.0, 1.0]),
        (("1", "Float"), ("1", "Integer"), pl.Float64, [1.0, 1.0]),
        (("1", "Character"), ("1", "String"), pl.String, ["1", "1"]),
        (("A", "Integer"), None, pl.Int64, [1, 1]),
    ],
)
def test_files_that_go_together(reference, tmp_path, first, second, dtype, expected):
    headers = [
        declarations({"X": declaration}) if declaration else [] for declaration in (first, second)
    ]
    _, info = carry(reference, tmp_path, two_files(tmp_path, *headers), ["X"])
    assert info["info_X"].dtype == dtype
    assert info["info_X"].to_list() == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("1", "Integer"), ("1", "String")),
        (("1", "Integer"), ("A", "Integer")),
        (("0", "Flag"), ("1", "Integer")),
    ],
)
def test_files_that_contradict_each_other(reference, tmp_path, first, second):
    paths = two_files(tmp_path, declarations({"X": first}), declarations({"X": second}))
    with pytest.raises(UserError, match=r"INFO/X is Type=.*0\.vcf, but Type=.*1\.vcf; declare"):
        carry(reference, tmp_path, paths, ["X"])


@pytest.mark.parametrize(
    ("tag", "close"),
    [
        ("CLNSG", r"is it 'CLNSIG'"),
        ("clnsig", "is it 'CLNSIG'"),
        ("AF", "declared: CLNSIG"),
        ("X.Y", "declared: CLNSIG"),
    ],
)
def test_a_tag_that_nobody_declares(reference, tmp_path, tag, close):
    paths = two_files(tmp_path, declarations({"CLNSIG": ("1", "String")}), [], info="AF=0.5")
    with pytest.raises(UserError, match=rf"<ID={tag},.*0\.vcf, .*1\.vcf \({close}") as error:
        carry(reference, tmp_path, paths, [tag])
    assert "the specification's own fields (AF, AC, AN, DP, …) need one too" in str(error.value)


def test_a_type_that_the_specification_does_not_know_is_text(reference, tmp_path, caplog):
    header = [
        '##INFO=<ID=X,Number=1,Type=integer,Description="">',
        "##INFO=<ID=Y>",
        "##INFO=<broken",
    ]
    paths = two_files(tmp_path, header, info="X=1;Y=a,b")
    _, info = carry(reference, tmp_path, paths, ["X", "Y"])
    assert info.rows() == [("1", ["a", "b"])]
    assert "INFO/X has the type 'integer' in the header; read as String" in caplog.text


def test_the_meaning_quotes_the_header(reference, tmp_path):
    text = "frequency \x07\u2028in </script>" + "x" * 300
    header = [f'##INFO=<ID=X,Number=A,Type=Float,Description="{text}",Source="s">']
    carry(reference, tmp_path, two_files(tmp_path, header), ["X"])
    (column,) = read_info_table(tmp_path / "info.parquet").columns
    assert column.meaning.startswith(
        "INFO/X of the cohort's VCF (Type=Float, Number=A, this ALT's own): frequency in </script>x"
    )
    assert column.meaning.endswith("x…")
    assert len(column.meaning) < 300


# -- what may have changed, and the step ---------------------------------------------------------


@pytest.fixture
def cohort(reference, tmp_path):
    """A small cohort on disk, normalised; its files in order."""
    paths = two_files(tmp_path, declarations({"X": ("1", "Integer")}), [])
    vcfs = [str(item) for path in paths for item in ("--vcf", path)]
    step = ["normalise", "--cohort", "c", *vcfs, "--reference", str(reference)]
    step += ["--variants", str(tmp_path / "variants.parquet")]
    step += ["--rejected", str(tmp_path / "r.tsv.gz"), "--accounting", str(tmp_path / "a.json")]
    assert cli.main(step) == 0
    return paths


def step(folder, paths, fields=("X",)):
    argv = [item for path in paths for item in ("--vcf", str(path))]
    argv += [item for name in fields for item in ("--field", name)]
    argv += ["--variants", str(folder / "variants.parquet")]
    argv += ["--accounting", str(folder / "a.json"), "--info", str(folder / "out" / "info.parquet")]
    parser = argparse.ArgumentParser()
    carry_info.add_arguments(parser)
    carry_info.run(parser.parse_args(argv))


def test_the_step_writes_the_table_and_its_digest(cohort, tmp_path):
    step(tmp_path, cohort)
    out = tmp_path / "out" / "info.parquet"
    whole.check_digest(out)
    assert pl.read_parquet(out).to_dict(as_series=False) == {"info_X": [1, 1]}
    before = out.read_bytes()
    step(tmp_path, cohort)
    assert out.read_bytes() == before
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "info.parquet",
        "info.parquet.sha256",
    ]


def test_a_file_that_changed_is_refused(cohort, tmp_path):
    cohort[1].write_text(cohort[1].read_text().replace("X=1", "X=2"))
    with pytest.raises(UserError, match=r"1\.vcf: changed since its alleles were read"):
        step(tmp_path, cohort)
    assert not list((tmp_path / "out").iterdir())


def test_files_in_another_order_are_refused(cohort, tmp_path):
    with pytest.raises(UserError, match="changed since"):
        step(tmp_path, cohort[::-1])
    with pytest.raises(UserError, match="1 files, but the accounting of the cohort 'c' has 2"):
        step(tmp_path, cohort[:1])


def test_variants_of_other_files_are_refused(cohort, tmp_path):
    path = tmp_path / "variants.parquet"
    rows = pl.read_parquet(path).with_columns(pl.lit(7, pl.UInt32).alias("record"))
    parquet.write_table(rows, path, schemas.VARIANTS)
    whole.write_digest(path)
    with pytest.raises(UserError, match="records that the cohort's files do not have"):
        step(tmp_path, cohort)


def test_leftovers_of_a_killed_run_are_removed(cohort, tmp_path):
    left = tmp_path / "out" / ".info.parquet.scratch.abc"
    left.mkdir(parents=True)
    (left / "0.parquet").write_text("half")
    step(tmp_path, cohort)
    assert not left.exists()


def test_a_cohort_without_alleles(reference, tmp_path):
    path = tmp_path / "in.vcf"
    path.write_text(vcf_text([], CONTIGS, header=declarations()))
    _, info = carry(reference, tmp_path, [path], list(FIELDS))
    assert info.height == 0
    assert info["info_FA"].dtype == pl.Float64


def test_what_is_no_info_table_is_named(tmp_path):
    with pytest.raises(UserError, match="not found"):
        read_info_table(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(UserError, match="cannot be read as the table 'info'"):
        read_info_table(tmp_path / "bad.parquet")
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(UserError, match=r"not an 'info' table of this version of varlm: .*x;"):
        read_info_table(tmp_path / "other.parquet")


# -- real cohorts --------------------------------------------------------------------------------


def real(shared_data, folder, fasta, vcf, tags):
    index_reference(shared_data / fasta, folder / "reference")
    variants, info = carry(folder / "reference", folder, [shared_data / vcf], tags)
    with pysam.VariantFile(str(shared_data / vcf)) as lines:
        records = list(lines)
    return variants, info, records


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("fasta", "vcf", "tags"),
    [
        ("human/chr21_grch38/genome.fa.gz", "human/chr21_grch38/clinvar201704.vcf.gz",
         ["CLNSIG", "AF", "gnomADe_AF"]),
        ("human/chr21_grch38/genome.fa.gz", "human/chr21_grch38/dbsnp149.vcf.gz",
         ["CLNSIG", "AF_AFR"]),
        ("human/chr22_nfcore_grch38/genome.fa.gz",
         "human/chr22_nfcore_grch38/gnomad.r2.1.1.af.vcf.gz", ["AF", "AC"]),
        ("human/chr22_nfcore_grch38/genome.fa.gz",
         "human/chr22_nfcore_grch38/1000GP.chr22.local.vcf.gz",
         ["AF_AFR", "AN_EUR", "DP", "VariantType", "InbreedingCoeff"]),
        ("human/chr20_hg19/genome.fa.gz", "human/chr20_hg19/1000g_2535samples.vcf.gz",
         ["AC", "AF", "POSITIVE_TRAIN_SITE", "culprit", "DS"]),
    ],
)  # fmt: skip
def test_real_cohorts_are_what_pysam_reads(shared_data, tmp_path, fasta, vcf, tags):
    variants, info, records = real(shared_data, tmp_path, fasta, vcf, tags)
    assert variants.height > 10
    some = False
    for variant, row in zip(variants.iter_rows(named=True), info.iter_rows(), strict=True):
        record = records[variant["record"]]
        for tag, value in zip(tags, row, strict=True):
            declared = record.header.info[tag]
            expected = record.info.get(tag)
            if declared.type == "Flag":
                assert value == bool(expected)
                continue
            if declared.number == "A" and expected is not None:
                expected = expected[variant["allele"] - 1]
            elif isinstance(expected, tuple):
                expected = ",".join(expected)
            some |= value is not None
            assert value == (
                pytest.approx(expected, rel=1e-6) if isinstance(expected, float) else expected
            )
    assert some


@pytest.mark.real_data
def test_the_specifications_own_files(shared_data, tmp_path):
    """Valid files of hts-specs: all fields that they declare are carried, or one clear error."""
    folder = shared_data / "hard-vcf" / "hts-specs"
    outcomes = []
    for path in sorted(folder.glob("4.[123]/passed/*.vcf")):
        lines = path.read_bytes().split(b"\n")
        tags = [line[11:].split(b",")[0].decode() for line in lines if line[:11] == b"##INFO=<ID="]
        if tags:
            work = tmp_path / str(len(outcomes))
            work.mkdir()
            outcomes.append(carried(path, work, list(dict.fromkeys(tags))))
    assert set(outcomes) <= {"carried", "no alleles"}
    assert outcomes.count("carried") > 8


def carried(path, folder, tags):
    """Carry fields on a genome that has the file's REF alleles; return the outcome."""
    genome = permissive_genome(folder, crude_records(path))
    try:
        variants, _ = carry(genome, folder, [path], tags)
    except UserError as error:
        return str(error)
    return "carried" if variants.height else "no alleles"
