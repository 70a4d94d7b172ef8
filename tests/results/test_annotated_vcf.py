"""The cohort's own records with our fields: every byte but ours, every value, every index."""

import gzip
import logging
import random
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pysam
import pysam.bcftools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from making.export import (
    MODEL,
    export_cohort,
    lines,
    our_fields,
    records,
    scored,
    without_our_fields,
)
from making.hard_vcf import crude_records, hard_files, permissive_genome
from varlm.errors import UserError
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.results import annotated_vcf
from varlm.results.annotated_vcf import SOURCE, header, info_suffixes
from varlm.results.tags import score_tags, tag_names
from varlm.tables.schemas import annotated
from varlm.tables.score_kinds import SCORE_KINDS, score_columns
from varlm.variants.cohort import CohortVcf, NormaliseOptions, normalise
from varlm.vcf import lines as vcf_input
from varlm.vcf.lines import open_vcf

MASKED = SCORE_KINDS["masked"]
SCORE_NAMES = [name for name, _ in score_columns(MASKED)]

SEQUENCE = "".join(random.Random(7).choices("ACGT", k=300))
CONTIGS = {"chr1": 300, "chr2": 300}
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
TOP = "##fileformat=VCFv4.2\n"


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    fasta = folder / "genome.fa"
    fasta.write_text(f">chr1\n{SEQUENCE}\n>chr2\n{SEQUENCE}\n")
    index_reference(fasta, folder / "reference")
    return Genome.open(folder / "reference")


def write(path: Path, body: str, head: str = TOP, columns: str = COLUMNS) -> Path:
    path.write_bytes(f"{head}{columns}\n{body}".encode())
    return path


def take(genome, *paths):
    options = NormaliseOptions(max_ref_mismatch=1)
    return normalise("c", [CohortVcf(path) for path in paths], genome, options)


def export(genome, folder, *paths, index=None):
    return export_cohort(take(genome, *paths), list(paths), folder, CONTIGS, index)


INFO = st.sampled_from([".", "DP=3", "FLAG", "A=b=c;X=0.10", "CSQ=T|a,b|\u00e9", "LLR_mm=1;DP=2"])
ALT = st.lists(
    st.sampled_from(["A", "C", "G", "T", "<DEL>", "*", "TTT", "N", "A]chr2:5]"]),
    min_size=1,
    max_size=4,
    unique=True,
).map(",".join)


@st.composite
def bodies(draw):
    """Records in any order, most with REF as in the genome; with or without samples, CR or not."""
    samples = draw(st.booleans())
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = ""
    for _ in range(draw(st.integers(0, 12))):
        pos = draw(st.integers(1, 290))
        ref = SEQUENCE[pos - 1 : pos - 1 + draw(st.integers(1, 3))]
        ref = draw(st.sampled_from([ref, ref, ref.lower(), "N"]))
        alt = draw(st.one_of(ALT, st.just(".")))
        fields = [draw(st.sampled_from(["chr1", "chr2", "chrX"])), str(pos), ".", ref, alt]
        fields += ["30.50", "q10;s", draw(INFO)]
        fields += ["GT:AD", "0/1:1,2", "./."] if samples else []
        text += "\t".join(fields) + end
    # One record at the least that the reference knows.
    first = ["chr1", "5", "x", SEQUENCE[4], "<DEL>", ".", ".", "."] + ["GT", "1", "0"] * samples
    return samples, "\t".join(first) + end + text


@given(bodies(), st.sampled_from([64, 1 << 20]))
def test_all_but_our_fields_is_untouched_and_ours_are_the_table(
    genome, tmp_path_factory, body, chunk
):
    samples, text = body
    folder = tmp_path_factory.mktemp("made")
    columns = COLUMNS + "\tFORMAT\ts1\ts2" * samples
    vcf = write(folder / "in.vcf", text, columns=columns)
    result = take(genome, vcf)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vcf_input, "CHUNK", chunk)
        out = export_cohort(result, [vcf], folder / "out", CONTIGS)
    before = [line.split("\t") for line in text.replace("\r", "").splitlines()]
    order: dict[str, int] = {}
    for fields in before:
        order.setdefault(fields[0], len(order))
    indices = sorted(range(len(before)), key=lambda i: (order[before[i][0]], int(before[i][1])))
    after = records(out)
    assert [[*f[:7], without_our_fields(f[7]), *f[8:]] for f in after] == [
        [field.encode() for field in before[i]] for i in indices
    ]

    table = {(row["record"], row["allele"]): row for row in scored(result).iter_rows(named=True)}
    reasons = {(r["record"], r["allele"]): r["reason"] for r in result.rejected.to_dicts()}
    for index, fields in zip(indices, after, strict=True):
        written = our_fields(fields[7])
        alleles = before[index][4].split(",")
        assert all(len(values) == len(alleles) for values in written.values())
        for allele in range(1, len(alleles) + 1):
            row = table.get((index, allele), {})
            for tag, (column, _) in score_tags(MASKED).items():
                text_value = written.get(f"{tag}_{MODEL}", ["."] * len(alleles))[allele - 1]
                expected = row.get(f"{MODEL}_{column}")
                if expected is None:
                    assert text_value == "."
                else:
                    assert float(text_value) == float(f"{expected:.6g}")
            reason = written.get("VARLM_REJECTED", ["."] * len(alleles))[allele - 1]
            assert reason == reasons.get((index, allele), ".")


# -- the header ---------------------------------------------------------------------------------


def header_of(tmp_path, *heads, models=("m",), contigs=None):
    sources = []
    for index, head in enumerate(heads):
        sources.append(open_vcf(write(tmp_path / f"{index}.vcf", "", head=head)))
    return header(sources, models, contigs or {}).decode().splitlines()


def test_further_files_add_what_their_records_need_and_no_more(tmp_path, caplog):
    first = TOP + "##source=a\n##contig=<ID=1>\n##INFO=<ID=DP,Number=1,Type=Integer>\n"
    second = "##fileformat=VCFv4.3\n##source=b\n##contig=<length=9,ID=2>\n##FILTER=<ID=q>\n"
    second += "##INFO=<ID=DP,Number=.,Type=String>\n##FORMAT=<ID=DP,Number=1,Type=Integer>\n"
    header_lines = [line for line in header_of(tmp_path, first, second) if SOURCE not in line]
    assert header_lines == [
        *first.splitlines(),
        "##contig=<length=9,ID=2>",
        "##FILTER=<ID=q>",
        "##FORMAT=<ID=DP,Number=1,Type=Integer>",
        COLUMNS,
    ]
    assert "##INFO=<ID=DP,Number=.,Type=String> is not that of" in caplog.text


def test_of_many_other_samples_a_few_are_named(tmp_path):
    paths = [tmp_path / "first.vcf", tmp_path / "second.vcf"]
    for path, samples in zip(paths, ("ab", "bcdefg"), strict=True):
        write(path, "", columns="\t".join([COLUMNS, "FORMAT", *samples]))
    with pytest.raises(UserError, match=r"only here c, d, e, … \(5 in all\); only there a;"):
        header([open_vcf(path) for path in paths], ["m"], {})


def test_contigs_are_declared_once(tmp_path):
    lengths = {"1": 300, "2": 300, "3": 300}
    header_lines = header_of(
        tmp_path, TOP + "##contig=<length=9,ID=2>\n##contig=<ID=1>\n", contigs=lengths
    )
    assert [line for line in header_lines if "contig" in line] == [
        "##contig=<length=9,ID=2>",
        "##contig=<ID=1>",
        "##contig=<ID=3,length=300>",
    ]


def test_a_missing_fileformat_is_added_for_without_it_htslib_reads_nothing(genome, tmp_path):
    vcf = write(tmp_path / "in.vcf", f"chr1\t5\t.\t{SEQUENCE[4]}\tN\t.\t.\t.\n", head="")
    out = export(genome, tmp_path / "out", vcf)
    assert lines(out)[0] == b"##fileformat=VCFv4.2"
    with pysam.VariantFile(str(out)) as reader:
        assert [record.pos for record in reader] == [5]


def test_two_models_that_would_write_one_tag():
    with pytest.raises(UserError, match="'x' and 'FWD_x' would both write INFO/LLR_FWD_x"):
        tag_names(["x", "FWD_x"])
    cosine, llr = SCORE_KINDS["cosine"], SCORE_KINDS["dense"]
    with pytest.raises(UserError, match="'x' and 'REV_x' would both write INFO/COSINE_REV_x"):
        tag_names({"x": cosine, "REV_x": cosine})
    assert {"COSINE_REV_x", "LLR_REV_x"} <= {*tag_names({"x": cosine, "REV_x": llr})}


@pytest.mark.parametrize("kind", SCORE_KINDS.values(), ids=list(SCORE_KINDS))
def test_the_fields_of_a_kind_are_its_columns_in_upper_case_and_say_which_end_is_harmful(kind):
    tags = score_tags(kind)
    assert {tag: column.upper() for tag, (column, _) in tags.items()} == {tag: tag for tag in tags}
    assert [column for column, _ in tags.values()] == [name for name, _ in score_columns(kind)]
    text = " ".join(text for _, text in tags.values())
    assert not {*text} & {*'"<>\\'}
    assert text.isascii()
    assert ("negative: ALT less likely" if kind.is_llr else f"{kind.harmful}: harmful") in text
    than = "higher score, which is more" if kind.harmful == "high" else "with a lower "
    assert than in tags["PERCENTILE"][1]
    assert kind.name == "masked" or kind.meaning.replace("−", "-") in next(iter(tags.values()))[1]


def test_which_strand_a_score_is_of_is_said_and_written():
    masked = SCORE_KINDS["masked"]
    said = {
        strands: score_tags(replace(masked, strands=strands))["LLR"][1]
        for strands in ("both", "forward", "transcript")
    }
    assert "nats, strand mean;" in said["both"]
    assert "nats, forward strand;" in said["forward"]
    assert "nats, strand of the transcript;" in said["transcript"]
    assert "STRAND" not in score_tags(masked)
    models = {"m": replace(masked, strands="transcript"), "n": masked}
    assert "STRAND_m" in tag_names(models)
    columns = {f"{name}_{column}": 0.5 for name in models for column in SCORE_NAMES}
    row = {"record": 0, "allele": 1, "reason": None, **columns, "m_strand": "both"}
    rows = pl.DataFrame([row, {**row, "record": 1, "m_strand": None}])
    first, second = info_suffixes(rows, models)["suffix"]
    assert ";PERCENTILE_m=0.5;STRAND_m=both;LLR_n=0.5" in first
    assert "STRAND" not in second


def test_a_family_without_alleles_says_that_they_are_missing():
    text = score_tags(MASKED.of_bases())["LLR"][1]
    assert text.endswith(
        "; of the k-mer with the site, which is masked; missing for indels and MNVs"
    )


@pytest.mark.parametrize(
    "line",
    [
        '##INFO=<ID=ENTROPY_m,Number=1,Type=Float,Description="theirs">',
        "##INFO=<Number=1,ID=P_ALT_m,Type=Float>",
        "##INFO=<ID=VARLM_REJECTED>",
    ],
)
def test_fault_19_a_tag_of_another_tool(tmp_path, line):
    with pytest.raises(UserError, match=r"0\.vcf, line 2: INFO/.* made by another tool"):
        header_of(tmp_path, f"{TOP}{line}\n")


def test_tags_of_the_same_name_elsewhere_are_no_collision(tmp_path):
    others = '##FORMAT=<ID=LLR_m,Number=1,Type=Float>\n##INFO=<ID=LLR_mm,Description="ID=LLR_m,">\n'
    header_lines = header_of(tmp_path, TOP + others)
    assert header_lines[1:3] == others.splitlines()


# -- INFO ---------------------------------------------------------------------------------------


def one_record(genome, tmp_path, info, head=TOP):
    record = f"chr1\t5\t.\t{SEQUENCE[4]}\tN\t.\t.\t{info}\n"
    return records(export(genome, tmp_path / "out", write(tmp_path / "in.vcf", record, head)))[0][7]


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (".", b"VARLM_REJECTED=alt_not_acgt"),
        ("", b"VARLM_REJECTED=alt_not_acgt"),
        ("DP=1", b"DP=1;VARLM_REJECTED=alt_not_acgt"),
        ("DP=1;", b"DP=1;VARLM_REJECTED=alt_not_acgt"),
        ("A=LLR_m=;LLR_mm=2", b"A=LLR_m=;LLR_mm=2;VARLM_REJECTED=alt_not_acgt"),
    ],
)
def test_what_is_there_already_is_kept(genome, tmp_path, info, expected):
    assert one_record(genome, tmp_path, info) == expected


def own(tag):
    return f"##INFO=<ID={tag},Number=A,Type=Float,{SOURCE}>\n"


def test_values_of_an_earlier_run_are_replaced(genome, tmp_path):
    head = TOP + own("LLR_m") + own("VARLM_REJECTED") + own("LLR_other")
    info = "VARLM_REJECTED=old;DP=1;LLR_m=3;LLR_other=4"
    written = one_record(genome, tmp_path, info, head)
    assert written == b"DP=1;LLR_other=4;VARLM_REJECTED=alt_not_acgt"
    written = one_record(genome, tmp_path, "LLR_m=3", head)
    assert written == b"VARLM_REJECTED=alt_not_acgt"


@pytest.mark.parametrize("info", ["LLR_m=1", "DP=2;LLR_m", "P_REF_m=.;X=1"])
def test_fault_19_an_undeclared_field_names_its_line(genome, tmp_path, info):
    # Another of our tags is declared: that one's values could be replaced, this one's not.
    with pytest.raises(UserError, match=r"in\.vcf, line 4: INFO has a field (LLR|P_REF)_m"):
        one_record(genome, tmp_path, info, TOP + own("ENTROPY_m"))
    assert not list((tmp_path / "out").glob("*.vcf.gz*"))


def test_a_field_of_ours_is_found_in_wide_files_too(genome, tmp_path):
    count = annotated_vcf._WIDE
    columns = COLUMNS + "\tFORMAT" + "".join(f"\ts{i}" for i in range(count))
    calls = "\t0/1" * count
    for info in ("LLR_m=1", "DP=1"):
        record = f"chr1\t5\t.\t{SEQUENCE[4]}\tN\t.\t.\t{info}\tGT{calls}\n"
        vcf = write(tmp_path / "in.vcf", record, TOP, columns)
        if info == "DP=1":
            assert records(export(genome, tmp_path / "out", vcf))[0][9:] == [b"0/1"] * count
        else:
            with pytest.raises(UserError, match="INFO has a field LLR_m"):
                export(genome, tmp_path / "out", vcf)


# -- order and files ----------------------------------------------------------------------------


def rows(contig, positions):
    return "".join(f"{contig}\t{p}\t.\t{SEQUENCE[p - 1]}\tN\t.\t.\t.\n" for p in positions)


def test_interleaved_contigs_and_files_become_blocks_in_the_order_first_seen(
    genome, tmp_path, caplog
):
    first = write(tmp_path / "1.vcf", rows("chr2", [7]) + rows("chr1", [9, 4]) + rows("chr2", [3]))
    second = write(tmp_path / "2.vcf", rows("chrX", [1]) + rows("chr1", [4, 5]))
    out = export(genome, tmp_path / "out", first, second)
    assert [f"{r[0].decode()}:{int(r[1])}" for r in records(out)] == [
        *("chr2:3", "chr2:7", "chr1:4", "chr1:4", "chr1:5", "chr1:9", "chrX:1")
    ]
    assert "written sorted" in caplog.text
    assert not list((tmp_path / "out").glob(".*"))
    with pysam.VariantFile(str(out)) as reader:
        assert [record.pos for record in reader.fetch("chr1", 3, 5)] == [4, 4, 5]


def test_sorted_files_of_one_contig_each_stay_as_they_are(genome, tmp_path, caplog):
    paths = [
        write(tmp_path / f"{contig}.vcf", rows(contig, [3, 3, 8])) for contig in ("chr2", "chr1")
    ]
    out = export(genome, tmp_path / "out", *paths)
    assert [r[0] for r in records(out)] == [b"chr2"] * 3 + [b"chr1"] * 3
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


# -- the indexes --------------------------------------------------------------------------------

FAR = (1 << 29) + 5


@pytest.mark.parametrize(
    ("record", "index"),
    [
        ("chr1\t9\t.\tA\t<DEL>\t.\t.\tEND=20\n", ".tbi"),
        ("chr1\t0\t.\tA\t<DEL>\t.\t.\t.\n", ".tbi"),
        (f"chr1\t{FAR}\t.\tA\tC\t.\t.\t.\n", ".csi"),
        (f"chr1\t9\t.\tA\t<DEL>\t.\t.\tEND={FAR}\n", ".csi"),
    ],
)
def test_the_index_is_one_that_holds_the_positions(genome, tmp_path, record, index):
    head = TOP + f"##contig=<ID=chr1,length={FAR + 100}>\n"
    out = export(genome, tmp_path / "out", write(tmp_path / "in.vcf", record, head))
    assert [path.name for path in out.parent.glob("*.vcf.gz.*")] == [out.name + index]
    with pysam.VariantFile(str(out)) as reader:
        pos = int(record.split("\t")[1])
        assert [r.pos for r in reader.fetch("chr1", max(0, pos - 1), pos + 1)] == [pos]


def test_a_position_that_no_index_can_hold(genome, tmp_path, caplog):
    record = "chr1\t9999999999\t.\tA\tC\t.\t.\t.\n"
    (tmp_path / "out").mkdir()
    (tmp_path / "out/annotated.vcf.gz.tbi").write_text("of an older output")
    out = export(genome, tmp_path / "out", write(tmp_path / "in.vcf", record))
    assert records(out)[0][7] == b"VARLM_REJECTED=out_of_bounds"
    assert [path.name for path in out.parent.glob("*.vcf.gz*")] == [out.name]
    assert "has no index" in caplog.text


def test_a_declared_name_is_there_whatever_the_positions(genome, tmp_path, caplog):
    """The rules declare a name before a position is known; htslib tells the kind by content."""
    record = f"chr1\t9\t.\tA\t<DEL>\t.\t.\tEND={FAR}\n"
    vcf = write(tmp_path / "in.vcf", record, TOP + f"##contig=<ID=chr1,length={FAR + 100}>\n")
    out = export(genome, tmp_path / "out", vcf, index="tbi")
    names = {path.name for path in out.parent.glob("*.vcf.gz.*")}
    assert names == {out.name + ".tbi", out.name + ".csi"}
    for name in names:
        index = out.with_name(name)
        assert gzip.decompress(index.read_bytes())[:4] == b"CSI\1"
        with pysam.VariantFile(str(out), index_filename=str(index)) as reader:
            assert [r.pos for r in reader.fetch("chr1", 8, 10)] == [9]
    out.with_name(out.name + ".csi").unlink()
    assert pysam.bcftools.view("-H", "-r", "chr1:9", str(out)).count("\n") == 1

    far = write(tmp_path / "far.vcf", "chr1\t9999999999\t.\tA\tC\t.\t.\t.\n")
    out = export(genome, tmp_path / "none", far, index="tbi")
    assert out.with_name(out.name + ".tbi").read_bytes() == b""
    assert "has no index" in caplog.text


@pytest.mark.parametrize("index", ["tbi", "csi"])
def test_the_index_is_the_declared_one(genome, tmp_path, index):
    out = export(
        genome, tmp_path / "out", write(tmp_path / "in.vcf", rows("chr1", [3])), index=index
    )
    assert [path.name for path in out.parent.glob("*.vcf.gz.*")] == [f"{out.name}.{index}"]
    magic = {"tbi": b"TBI\1", "csi": b"CSI\1"}[index]
    assert gzip.decompress(out.with_name(f"{out.name}.{index}").read_bytes())[:4] == magic


def test_an_index_without_a_second_name(genome, tmp_path, monkeypatch):
    """Some file systems know one name a file: the other is a copy."""

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    record = f"chr1\t9\t.\tA\t<DEL>\t.\t.\tEND={FAR}\n"
    vcf = write(tmp_path / "in.vcf", record, TOP + f"##contig=<ID=chr1,length={FAR + 100}>\n")
    out = export(genome, tmp_path / "out", vcf, index="tbi")
    one, two = (out.with_name(f"{out.name}.{kind}") for kind in ("tbi", "csi"))
    assert one.read_bytes() == two.read_bytes()


# -- a full disk ----------------------------------------------------------------------------------


class limited_files:  # noqa: N801
    """Context manager: no file can grow beyond `size` bytes, as on a full disk."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


def test_fault_26_an_index_that_cannot_be_written(genome, tmp_path, monkeypatch):
    real = pysam.tabix_index

    def full(*arguments, **options):
        with limited_files(30):
            real(*arguments, **options)

    monkeypatch.setattr(pysam, "tabix_index", full)
    vcf = write(tmp_path / "in.vcf", rows("chr1", [3]))
    with pytest.raises(UserError, match=r"vcf\.gz\.tbi: could not be written"):
        export(genome, tmp_path / "out", vcf)
    assert not [p for p in (tmp_path / "out").iterdir() if "vcf" in p.name]


@pytest.mark.parametrize("shuffle", [False, True])
def test_fault_26_a_vcf_that_cannot_be_written(genome, tmp_path, shuffle):
    positions = [random.Random(0).randrange(1, 290) for _ in range(5000)]
    vcf = write(tmp_path / "in.vcf", rows("chr1", positions if shuffle else sorted(positions)))
    result = take(genome, vcf)
    out = export_cohort(result, [vcf], tmp_path / "whole")
    expected = out.read_bytes()
    small = tmp_path / "small"
    small.mkdir()
    for name in ("annotated.parquet", "rejected.tsv.gz"):
        (small / name).write_bytes((out.parent / name).read_bytes())
    for size in (0, 1000, len(expected) - 1):
        with limited_files(size), pytest.raises(OSError, match="File too large"):
            vcf_export(small, vcf)
        assert sorted(p.name for p in small.iterdir()) == ["annotated.parquet", "rejected.tsv.gz"]
    vcf_export(small, vcf)
    assert (small / "annotated.vcf.gz").read_bytes() == expected


def vcf_export(folder, vcf):
    from varlm.results.export import export_vcf

    table, rejected = folder / "annotated.parquet", folder / "rejected.tsv.gz"
    export_vcf(table, rejected, [vcf], [MODEL], {}, folder / "annotated.vcf.gz")


# -- real files -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.real_data
def test_hard_files_less_our_fields_are_the_input(shared_data, tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    finished = changed = 0
    for path in hard_files(shared_data)[::8]:
        genome = permissive_genome(tmp_path, crude_records(path))
        options = NormaliseOptions(max_ref_mismatch=1.0, max_allele_length=10_000)
        try:
            result = normalise("hard", [CohortVcf(path)], genome, options)
        except UserError:
            continue  # tests/test_hard_vcf.py judges those
        out = export_cohort(result, [path], tmp_path / "out", {})
        before = [
            chunk.line(i).removesuffix(b"\r").split(b"\t")
            for chunk in open_vcf(path).chunks()
            for i in range(chunk.records)
        ]
        for fields in before:
            fields[7] = without_our_fields(fields[7].removesuffix(b";")) or b"."
        after = [[*f[:7], without_our_fields(f[7]), *f[8:]] for f in records(out)]
        assert sorted(after) == sorted(before), path
        changed += sum(b"LLR_m=" in f[7] for f in records(out))
        finished += 1
    assert finished > 200
    assert changed > 1000


def test_made_scores_cover_what_export_writes(genome, tmp_path):
    """The helper's own check: both signs, many magnitudes, nulls where no SNV is."""
    vcf = write(tmp_path / "in.vcf", f"chr1\t5\t.\t{SEQUENCE[4]}\t{SEQUENCE[4]}TT\t.\t.\t.\n")
    table = scored(take(genome, vcf))
    assert table.schema == pl.Schema(annotated([MODEL]).schema)
    assert table["m_entropy"].to_list() == [None]
    assert np.isfinite(table["m_llr"].to_list()).all()


def test_consequences_in_info_are_one_an_allele_and_encoded():
    alleles = pl.DataFrame(
        {
            "record": [0, 0, 1],
            "allele": [1, 2, 1],
            "reason": [None, "too_long", None],
            **{f"m_{column}": [None, None, None] for column, _ in score_tags(MASKED).values()},
            "consequence": ["missense_variant", None, None],
            "gene": ["a;b=c,d e%", None, None],
            "transcript": ["t", None, None],
            "protein_change": ["7M>7V", None, None],
        },
        schema_overrides={f"m_{column}": pl.Float32 for column, _ in score_tags(MASKED).values()},
    )
    suffixes = annotated_vcf.info_suffixes(alleles, ["m"])["suffix"].to_list()
    assert suffixes == [
        ";VARLM_CONSEQUENCE=missense_variant,.;VARLM_GENE=a%3Bb%3Dc%2Cd%20e%25,."
        ";VARLM_TRANSCRIPT=t,.;VARLM_PROTEIN=7M>7V,.;VARLM_REJECTED=.,too_long",
        "",
    ]
