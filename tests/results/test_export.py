"""Annotate and export: the store's numbers beside every allele, the cohort's VCF untouched else."""

import csv
import gzip
import math
import random
import subprocess
import sys

import numpy as np
import polars as pl
import pysam
import pysam.bcftools
import pytest
from cyvcf2 import VCF

from making.records import prepared_model
from making.unsigned import make_unsigned
from varlm.annotation import table as annotation
from varlm.annotation.scores import Model
from varlm.annotation.table import annotate
from varlm.cli import main
from varlm.genome.reference import Genome
from varlm.results.tags import score_tags, tag_names
from varlm.results.top_hits import top_hits
from varlm.scoring.background import Percentiles
from varlm.scoring.dense_scale import has_scale, unmeasured
from varlm.scoring.planning import CohortRows
from varlm.store import ALLELE_SCHEMA, SITE_SCHEMA, Store
from varlm.tables.parquet import write_table
from varlm.tables.schemas import BACKGROUND, LOGIT_COLUMNS, VARIANTS, annotated, read_kinds
from varlm.tables.score_kinds import SCORE_KINDS

BACKGROUND_LLRS = [-2.0, -1.0, 0.5, 1.5]
HEADER = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=400>\n"
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


@pytest.fixture
def sequence():
    return "".join(random.Random(3).choices("ACGT", k=400))


def fill_store(store: Store, genome: Genome, variants, keys, strands="both"):
    """Give every row that the variants need a random score."""
    for key in keys:
        rng = np.random.default_rng(len(key))
        sites, alleles = [], []
        for contig in genome.names:
            digest = genome[contig].digest
            cohort = CohortRows(variants)
            cohort.open(contig)
            needed = cohort.take(cohort.limit()).unique().sort("pos", "ref", "alt")
            rows = needed.filter(pl.col("ref").is_null())
            logits = rng.normal(size=(rows.height, 8)).astype("f4")
            columns = {n: logits[:, i] for i, n in enumerate(LOGIT_COLUMNS)}
            frame = pl.DataFrame({"pos": rows["pos"], **columns}, schema=SITE_SCHEMA)
            if strands == "forward":
                none = pl.lit(None, dtype=pl.Float32)
                frame = frame.with_columns(none.alias(n) for n in LOGIT_COLUMNS[4:])
            sites.append((digest, frame))
            rows = needed.filter(pl.col("ref").is_not_null())
            values = rng.normal(size=(rows.height, 2)).astype("f4")
            alleles.append((digest, rows.with_columns(llr_fwd=values[:, 0], llr_rev=values[:, 1])))
        store.commit(key, {}, sites, [(d, a.cast(ALLELE_SCHEMA)) for d, a in alleles])


@pytest.fixture
def pipeline(tmp_path, make_reference, sequence):
    """Run normalise, a made-up store, annotate and export through the command line."""

    def run(files, models=("m",), contigs=None, reference=None, options=(), score=None):
        reference = reference or make_reference(contigs or {"chr1": sequence})
        genome = Genome.open(reference)
        paths = []
        for index, content in enumerate(files):
            if isinstance(content, str | bytes):
                path = tmp_path / f"in.{index}.vcf"
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            else:
                path = content
            paths.append(path)
        out = tmp_path / "out"
        vcfs = [str(item) for path in paths for item in ("--vcf", path)]
        step = ["normalise", "--cohort", "c", *vcfs, "--reference", reference, *options]
        step += ["--variants", out / "v.parquet", "--rejected", out / "r.tsv.gz"]
        step += ["--accounting", out / "a.json"]
        out.mkdir(exist_ok=True)
        assert main(list(map(str, step))) == 0
        store = Store(tmp_path / "store")
        fill_store(store, genome, out / "v.parquet", [f"key {m}" for m in models])
        names = []
        for model in models:
            prepared = prepared_model(name=model, key=f"key {model}", score=score)
            prepared.write(out / f"{model}.json")
            names += ["--model", str(out / f"{model}.json")]
            if has_scale(prepared):
                unmeasured(prepared, None, None).write(out / f"{model}.dense.json")
                names += ["--dense", str(out / f"{model}.dense.json")]
            background = pl.DataFrame(
                [("SQ.x", 1, "A", "C", llr) for llr in BACKGROUND_LLRS],
                schema=BACKGROUND.schema,
                orient="row",
            )
            write_table(background, out / f"{model}.background.parquet", BACKGROUND)
            names += ["--background", str(out / f"{model}.background.parquet")]
        arguments = ["annotate", "--variants", out / "v.parquet", "--reference", reference]
        arguments += ["--store", store.root, *names, "--annotated", out / "annotated.parquet"]
        assert main(list(map(str, arguments))) == 0
        arguments = ["export", "--annotated", out / "annotated.parquet"]
        arguments += ["--rejected", out / "r.tsv.gz", "--accounting", out / "a.json"]
        arguments += ["--reference", reference, *vcfs]
        arguments += [a for m in models for a in ("--model", m)]
        arguments += ["--tsv", out / "annotated.tsv.gz", "--out-vcf", out / "annotated.vcf.gz"]
        status = main(list(map(str, arguments)))
        return out, status

    return run


def lines(path):
    with gzip.open(path, "rb") as file:
        return file.read().split(b"\n")[:-1]


def records(path):
    return [line.split(b"\t") for line in lines(path) if not line.startswith(b"#")]


def without_our_fields(info: bytes, models=("m",)) -> bytes:
    ours = tuple(f"{name}=".encode() for name in tag_names(models))
    kept = [field for field in info.split(b";") if not field.startswith(ours)]
    return b";".join(kept) or b"."


def a_vcf(sequence, count=40, samples=True, seed=1):
    rng = random.Random(seed)
    text = HEADER + '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n' + COLUMNS
    text += "\tFORMAT\ts1\ts2\n" if samples else "\n"
    for pos in sorted(rng.sample(range(2, 390), count)):
        ref = sequence[pos - 1]
        others = [b for b in "ACGT" if b != ref]
        alt = rng.choice(
            [others[0], ",".join(others), f"{others[1]},<DEL>", "*", f"{ref}TT,{others[2]}", "."]
        )
        info = rng.choice([".", "DP=3", "FLAG;ODD=a=b,c;X=0.10"])
        tail = "\tGT:AD\t0/1:1,2\t./." if samples else ""
        text += f"chr1\t{pos}\t.\t{ref}\t{alt}\t30.50\tq10\t{info}{tail}\n"
    return text


@pytest.mark.parametrize("samples", [True, False])
def test_everything_but_our_fields_is_untouched(pipeline, sequence, samples):
    text = a_vcf(sequence, samples=samples)
    out, status = pipeline([text], models=("m", "other_2"))
    assert status == 0
    before = [line.split(b"\t") for line in text.encode().splitlines() if line[:1] != b"#"]
    after = records(out / "annotated.vcf.gz")
    assert [r[:7] + r[8:] for r in after] == [r[:7] + r[8:] for r in before]
    assert [without_our_fields(r[7], ("m", "other_2")) for r in after] == [r[7] for r in before]
    header = [line for line in lines(out / "annotated.vcf.gz") if line.startswith(b"#")]
    kept = [line for line in header if b'Source="varlm"' not in line]
    assert kept == [line for line in text.encode().splitlines() if line[:1] == b"#"]


def test_values_equal_the_table_for_independent_readers(pipeline, sequence):
    out, _ = pipeline([a_vcf(sequence)])
    table = pl.read_parquet(out / "annotated.parquet")
    by_allele = {(row["record"], row["allele"]): row for row in table.iter_rows(named=True)}
    seen = 0
    with pysam.VariantFile(str(out / "annotated.vcf.gz")) as vcf:
        for index, record in enumerate(vcf):
            for allele in range(1, len(record.alts or ()) + 1):
                row = by_allele.get((index, allele))
                for tag, (column, _) in score_tags(SCORE_KINDS["masked"]).items():
                    values = record.info.get(f"{tag}_m")
                    value = values[allele - 1] if values else None
                    expected = row[f"m_{column}"] if row else None
                    assert value == (
                        expected if expected is None else pytest.approx(expected, rel=1e-5)
                    )
                    seen += value is not None
                reason = record.info.get("VARLM_REJECTED")
                assert (row is None) == bool(reason and reason[allele - 1] not in (None, "."))
    assert seen > 50
    other = [v.INFO.get("LLR_m") for v in VCF(str(out / "annotated.vcf.gz"))]
    assert len(other) == 40


OTHER_KINDS = ["dense", "mean_likelihood", "probability", "cosine", "inner_product", "influence"]


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_a_score_of_another_kind_is_the_same_in_every_output(pipeline, sequence, name, caplog):
    kind = SCORE_KINDS[name]
    out, status = pipeline([a_vcf(sequence)], score=name)
    assert status == 0
    table = pl.read_parquet(out / "annotated.parquet")
    assert table.columns == annotated({"m": kind}).names
    assert read_kinds(out / "annotated.parquet", ["m"]) == {"m": kind}
    others = table.filter(pl.col("kind") != "snv")
    score = f"m_{kind.column}"
    assert 0 < others.height < table.height
    assert others[score].null_count() == (others.height if kind.alleles is None else 0)
    said = f"{others.height} indels or MNVs have no score of model m ({name}): its scores are of"
    assert (said in caplog.text) == (kind.alleles is None)
    snvs = table.filter(pl.col("kind") == "snv")
    assert snvs[score].null_count() == 0
    background = np.array(BACKGROUND_LLRS)
    for value, percentile in snvs.select(score, "m_percentile").iter_rows():
        worse = background > value if kind.harmful == "high" else background < value
        assert percentile == 100 * worse.mean()

    by_allele = {(row["record"], row["allele"]): row for row in table.iter_rows(named=True)}
    tags = score_tags(kind)
    header = {line for line in lines(out / "annotated.vcf.gz") if b"_m," in line}
    assert len(header) == len(tags)
    for index, record in enumerate(VCF(str(out / "annotated.vcf.gz"))):
        for tag, (column, _) in tags.items():
            values = record.INFO.get(f"{tag}_m")
            values = values if isinstance(values, tuple) else [values] * len(record.ALT)
            for allele, value in enumerate(values, 1):
                row = by_allele.get((index, allele), {})
                expected = row.get(f"m_{column}")
                if expected is None:
                    assert value is None or math.isnan(value)
                else:
                    assert value == pytest.approx(expected, rel=1e-5)

    hits = top_hits(out / "annotated.parquet", ["m"], table.height)["m"]
    expected = table[score].drop_nulls().sort(descending=kind.harmful == "high")
    assert hits[score].to_list() == expected.to_list()


def test_the_index_finds_records(pipeline, sequence):
    out, _ = pipeline([a_vcf(sequence)])
    with pysam.VariantFile(str(out / "annotated.vcf.gz")) as vcf:
        everything = [r.pos for r in vcf]
        assert [r.pos for r in vcf.fetch("chr1", 100, 200)] == [
            p for p in everything if 100 < p <= 200
        ]
    with pysam.TabixFile(str(out / "annotated.tsv.gz")) as tsv:
        rows = [line.split("\t")[1] for line in tsv.fetch("chr1", 100, 200)]
    table = pl.read_parquet(out / "annotated.parquet")
    assert rows == [str(p) for p in table["pos"] if 100 < p <= 200]


def test_the_tsv_is_the_table(pipeline, sequence):
    out, _ = pipeline([a_vcf(sequence)])
    table = pl.read_parquet(out / "annotated.parquet")
    with gzip.open(out / "annotated.tsv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert list(rows[0]) == table.columns
    for text, row in zip(rows, table.iter_rows(named=True), strict=True):
        for name, value in row.items():
            if value is None:
                assert text[name] == ""
            elif isinstance(value, float):
                assert float(text[name]) == pytest.approx(value, rel=1e-5)
            else:
                assert text[name] == str(value)


def test_fault_55_text_that_would_run_or_break_lines(pipeline, sequence):
    ref = sequence[9]
    alt = "A" if ref != "A" else "C"
    out, _ = pipeline([f"{HEADER}{COLUMNS}\nchr1\t10\t=cmd|' /C calc'!A0\t{ref}\t{alt}\t.\t.\t.\n"])
    assert lines(out / "annotated.tsv.gz")[1].split(b"\t")[2] == b"'=cmd|' /C calc'!A0"
    assert records(out / "annotated.vcf.gz")[0][2] == b"=cmd|' /C calc'!A0"


def test_scores_are_the_stores(tmp_path, make_reference, sequence, pipeline):
    out, _ = pipeline([a_vcf(sequence)])
    genome = Genome.open(tmp_path / "reference")
    store = Store(tmp_path / "store")
    sites = store.read_sites("key m", genome["chr1"].digest)
    table = pl.read_parquet(out / "annotated.parquet").filter(pl.col("kind") == "snv")
    row = table.row(3, named=True)
    logits = sites.filter(pl.col("pos") == row["pos"]).select(LOGIT_COLUMNS).to_numpy()[0]
    by_base = {
        strand: dict(zip("ACGT", logits[i : i + 4], strict=True))
        for strand, i in (("f", 0), ("r", 4))
    }
    fwd = by_base["f"][row["alt"]] - by_base["f"][row["ref"]]
    rev = by_base["r"][row["alt"]] - by_base["r"][row["ref"]]
    assert row["m_llr_fwd"] == pytest.approx(fwd, abs=1e-6)
    assert row["m_llr"] == pytest.approx((fwd + rev) / 2, abs=1e-6)
    mean = (logits[:4] + logits[4:]) / 2
    p = np.exp(mean) / np.exp(mean).sum()
    assert row["m_p_alt"] == pytest.approx(p["ACGT".index(row["alt"])], abs=1e-6)
    assert row["m_entropy"] == pytest.approx(-(p * np.log(p)).sum(), abs=1e-5)


def test_pieces_do_not_change_the_table(tmp_path, pipeline, sequence, monkeypatch):
    out, _ = pipeline([a_vcf(sequence)])
    whole = pl.read_parquet(out / "annotated.parquet")
    monkeypatch.setattr(annotation, "ROWS", 7)
    monkeypatch.setattr(annotation, "SPAN", 11)
    genome, store = Genome.open(tmp_path / "reference"), Store(tmp_path / "store")
    model = Model("m", "key m", Percentiles(np.array(BACKGROUND_LLRS)))
    pieces = list(annotate(out / "v.parquet", genome, store, [model]))
    assert len(pieces) > 10
    assert pl.concat(pieces).equals(whole)


def test_forward_only(tmp_path, make_reference, sequence, pipeline):
    out, _ = pipeline([a_vcf(sequence)])
    genome, store = Genome.open(tmp_path / "reference"), Store(tmp_path / "forward")
    fill_store(store, genome, out / "v.parquet", ["k"], strands="forward")
    table = pl.concat(annotate(out / "v.parquet", genome, store, [Model("m", "k")]))
    snv = table.filter(pl.col("kind") == "snv")
    assert snv["m_llr_rev"].null_count() == snv.height
    assert snv["m_llr"].equals(snv["m_llr_fwd"], check_names=False)


def test_a_score_that_the_store_lacks_is_never_a_null(tmp_path, pipeline, sequence):
    out, _ = pipeline([a_vcf(sequence)])
    genome = Genome.open(tmp_path / "reference")
    with pytest.raises(LookupError, match="not in the store, the first of chr1:"):
        list(annotate(out / "v.parquet", genome, Store(tmp_path / "no"), [Model("m", "k")]))


def test_parquet_says_where_its_numbers_come_from(pipeline, sequence):
    out, _ = pipeline([a_vcf(sequence)])
    metadata = pl.read_parquet_metadata(out / "annotated.parquet")
    assert metadata["varlm.model.m"] == (
        '{"path": "checkpoint", "revision": null, "key": "key m", "window": 64, "strands": "both", '
        f'"precision": "float32", "files": {{"config.json": "{"ab" * 32}"}}}}'
    )  # as c9c1f55 wrote it
    assert "negative" in metadata["varlm.column.m_llr"]
    assert pl.read_parquet_schema(out / "annotated.parquet") == annotated(["m"]).file_schema


def test_tables_of_before_signed_integers_go_on(pipeline, sequence, tmp_path):
    out, _ = pipeline([a_vcf(sequence), a_vcf(sequence, seed=2)])
    made = [out / name for name in ("annotated.parquet", "annotated.tsv.gz", "annotated.vcf.gz")]
    new = {path.name: path.read_bytes() for path in made}
    make_unsigned(out / "v.parquet", VARIANTS)
    make_unsigned(out / "m.background.parquet", BACKGROUND)
    step = ["annotate", "--variants", out / "v.parquet", "--reference", tmp_path / "reference"]
    step += ["--store", tmp_path / "store", "--model", out / "m.json"]
    step += ["--background", out / "m.background.parquet", "--annotated", made[0]]
    assert main(list(map(str, step))) == 0
    assert made[0].read_bytes() == new[made[0].name]
    make_unsigned(made[0], annotated(["m"]))
    step = ["export", "--annotated", made[0], "--rejected", out / "r.tsv.gz"]
    step += ["--accounting", out / "a.json", "--reference", tmp_path / "reference"]
    step += ["--vcf", tmp_path / "in.0.vcf", "--vcf", tmp_path / "in.1.vcf", "--model", "m"]
    step += ["--tsv", made[1], "--out-vcf", made[2]]
    assert main(list(map(str, step))) == 0
    assert {path.name: path.read_bytes() for path in made[1:]} == {
        path.name: new[path.name] for path in made[1:]
    }
    old = {model: hits.rows() for model, hits in top_hits(made[0], ["m"], 5).items()}
    made[0].write_bytes(new[made[0].name])
    assert old == {model: hits.rows() for model, hits in top_hits(made[0], ["m"], 5).items()}


def test_carriage_returns_are_dropped(pipeline, sequence):
    text = a_vcf(sequence)
    plain, _ = pipeline([text])
    expected = records(plain / "annotated.vcf.gz")
    for samples in (True, False):
        text = a_vcf(sequence, samples=samples)
        expected = records(pipeline([text])[0] / "annotated.vcf.gz")
        out, _ = pipeline([text.replace("\n", "\r\n")])
        assert records(out / "annotated.vcf.gz") == expected


def test_fault_17_unsorted_records_are_sorted_with_the_same_values(pipeline, sequence, caplog):
    text = a_vcf(sequence)
    expected = lines(pipeline([text])[0] / "annotated.vcf.gz")
    head = [line for line in text.splitlines() if line[0] == "#"]
    body = [line for line in text.splitlines() if line[0] != "#"]
    random.Random(1).shuffle(body)
    out, _ = pipeline(["\n".join(head + body) + "\n"])
    assert lines(out / "annotated.vcf.gz") == expected
    assert "not in the order of contigs and positions" in caplog.text
    assert (out / "annotated.vcf.gz.tbi").exists()


def test_several_files_are_one_vcf(pipeline, sequence):
    contigs = {"chr1": sequence, "chr2": sequence[::-1]}
    first = a_vcf(sequence)
    second = a_vcf(sequence[::-1], seed=2).replace("chr1", "chr2")
    second = second.replace("#CHROM", '##FILTER=<ID=q10,Description="only here">\n#CHROM')
    out, _ = pipeline([first, second], contigs=contigs)
    before = [
        r.split("\t")[:7] for text in (first, second) for r in text.splitlines() if r[0] != "#"
    ]
    after = [[f.decode() for f in r[:7]] for r in records(out / "annotated.vcf.gz")]
    assert after == before
    header = [line for line in lines(out / "annotated.vcf.gz") if line.startswith(b"##")]
    assert sum(b"ID=q10" in line for line in header) == 1
    assert [line for line in header if line.startswith(b"##contig")] == [
        b"##contig=<ID=chr1,length=400>",
        b"##contig=<ID=chr2,length=400>",
    ]


def test_undeclared_contigs_are_declared(pipeline, sequence):
    text = a_vcf(sequence).replace("##contig=<ID=chr1,length=400>\n", "").replace("chr1", "1")
    out, _ = pipeline([text])
    assert b"##contig=<ID=1,length=400>" in lines(out / "annotated.vcf.gz")


def test_our_own_output_can_be_annotated_again(pipeline, sequence):
    out, _ = pipeline([a_vcf(sequence)])
    first = lines(out / "annotated.vcf.gz")
    again, status = pipeline([(out / "annotated.vcf.gz").read_bytes()])
    assert status == 0
    assert sorted(lines(again / "annotated.vcf.gz")) == sorted(first)


def test_fault_19_a_field_of_another_tool_with_our_name(pipeline, sequence, capsys):
    line = '##INFO=<ID=LLR_m,Number=1,Type=Float,Description="theirs">\n#CHROM'
    out, status = pipeline([a_vcf(sequence).replace("#CHROM", line)])
    assert status == 2
    assert "INFO/LLR_m is already a field" in capsys.readouterr().err
    assert not (out / "annotated.vcf.gz").exists()


def test_fault_19_an_undeclared_field_with_our_name(pipeline, sequence, capsys):
    _, status = pipeline([a_vcf(sequence).replace("DP=3", "DP=3;LLR_m=1", 1)])
    assert status == 2
    assert "the header does not declare" in capsys.readouterr().err


def test_bcf_comes_out_as_vcf_with_a_csi_too(pipeline, sequence, tmp_path):
    text = a_vcf(sequence).replace(
        "#CHROM",
        '##FILTER=<ID=q10,Description="q">\n##INFO=<ID=DP,Number=1,Type=Integer,Description="d">\n'
        '##INFO=<ID=FLAG,Number=0,Type=Flag,Description="f">\n'
        '##INFO=<ID=ODD,Number=.,Type=String,Description="o">\n'
        '##INFO=<ID=X,Number=1,Type=Float,Description="x">\n'
        '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="a">\n#CHROM',
    )
    (tmp_path / "x.vcf").write_text(text)
    bcf = tmp_path / "x.bcf"
    pysam.bcftools.view("-Ob", "-o", str(bcf), str(tmp_path / "x.vcf"), catch_stdout=False)
    out, _ = pipeline([bcf])
    after = records(out / "annotated.vcf.gz")
    assert len(after) == 40
    assert after[0][9] == b"0/1:1,2"
    assert sum(b"LLR_m=" in r[7] for r in after) > 10
    tbi, csi = (out / f"annotated.vcf.gz.{kind}" for kind in ("tbi", "csi"))
    assert tbi.samefile(csi)  # Snakemake gives .tbi a new time when the job is over
    tbi.unlink()
    pos = int(after[0][1])
    with pysam.VariantFile(str(out / "annotated.vcf.gz"), index_filename=str(csi)) as vcf:
        assert [record.pos for record in vcf.fetch("chr1", pos - 1, pos)] == [pos]
    here = VCF(str(out / "annotated.vcf.gz"))(f"chr1:{pos}-{pos}")
    assert [record.POS for record in here] == [pos]


def test_positions_beyond_512_mb_get_a_csi(pipeline, tmp_path, make_reference, monkeypatch):
    monkeypatch.setattr("varlm.results.indexes.TBI_LIMIT", 100)  # as if the contig were that long
    sequence = "".join(random.Random(3).choices("ACGT", k=400))
    out, _ = pipeline([a_vcf(sequence)], contigs={"chr1": sequence})
    assert (out / "annotated.vcf.gz.csi").exists()
    assert not (out / "annotated.vcf.gz.tbi").exists()
    with pysam.VariantFile(str(out / "annotated.vcf.gz")) as vcf:
        assert len(list(vcf.fetch("chr1", 0, 400))) == 40


@pytest.mark.parametrize("separator", ["\t", " "])
def test_lines_without_a_header_come_out_as_a_vcf(pipeline, sequence, separator):
    lines = [
        [
            *("chr1", str(pos), f"rs{pos}", sequence[pos - 1]),
            "C" if sequence[pos - 1] != "C" else "G",
        ]
        for pos in (9, 3, 200)
    ]
    out, status = pipeline(["".join(separator.join(line) + "\n" for line in lines)])
    assert status == 0
    with pysam.VariantFile(str(out / "annotated.vcf.gz")) as vcf:
        assert list(vcf.header.samples) == []
        assert dict(vcf.header.contigs)["chr1"].length == 400
        assert [record.id for record in vcf.fetch("chr1", 0, 100)] == ["rs3", "rs9"]
        assert all("LLR_m" in record.info for record in vcf.fetch("chr1"))


def test_header_only(pipeline):
    out, status = pipeline([HEADER + COLUMNS + "\n"])
    assert status == 0
    assert records(out / "annotated.vcf.gz") == []
    assert pl.read_parquet(out / "annotated.parquet").height == 0
    assert len(lines(out / "annotated.tsv.gz")) == 1


def test_a_vcf_that_changed_during_the_run(pipeline, sequence, tmp_path, capsys, root):
    out, _ = pipeline([a_vcf(sequence)])
    changed = a_vcf(sequence).splitlines(keepends=True)
    (tmp_path / "in.0.vcf").write_text("".join(changed[:-1]))
    base = ["export", "--annotated", out / "annotated.parquet", "--rejected", out / "r.tsv.gz"]
    base += ["--accounting", out / "a.json", "--reference", tmp_path / "reference"]
    base += ["--vcf", tmp_path / "in.0.vcf", "--model", "m", "--tsv", out / "2.tsv.gz"]
    assert main(list(map(str, [*base, "--out-vcf", out / "2.vcf.gz"]))) == 2
    assert "changed during the run" in capsys.readouterr().err
    (tmp_path / "in.0.vcf").write_text("".join(changed).replace("30.50", "30.51"))
    assert main(list(map(str, [*base, "--out-vcf", out / "2.vcf.gz"]))) == 2
    assert "changed since it was normalised" in capsys.readouterr().err
    assert not (out / "2.vcf.gz").exists()


def test_fault_26_a_full_disk_leaves_no_short_file(pipeline, sequence, tmp_path, root):
    out, _ = pipeline([a_vcf(sequence, count=300)])
    (out / "annotated.vcf.gz").unlink()
    step = ["export", "--annotated", out / "annotated.parquet", "--rejected", out / "r.tsv.gz"]
    step += ["--accounting", out / "a.json", "--reference", tmp_path / "reference"]
    step += ["--vcf", tmp_path / "in.0.vcf", "--model", "m", "--tsv", out / "2.tsv.gz"]
    limit = f"ulimit -f 4; trap '' XFSZ; exec '{sys.executable}' \"$0\" \"$@\""
    result = subprocess.run(
        ["bash", "-c", limit, root / "workflow_scripts", *step, "--out-vcf", out / "2.vcf.gz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert not list(out.glob("2.*"))
    assert not list(out.glob(".2.*"))


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(
    ("fasta", "vcf"),
    [
        (
            "human/chr22_nfcore_grch38/genome.fa.gz",
            "human/chr22_nfcore_grch38/1000GP.chr22.local.vcf.gz",
        ),
        ("yeast/genome.fa.gz", "yeast/cohorts/by_rm.gatk.vcf.gz"),
        ("human/chr20_hg19/genome.fa.gz", "human/chr20_hg19/na12878.gatk.vcf.gz"),
        ("yeast/genome.fa.gz", "yeast/cohorts/scer7.vcf.gz"),
    ],
)
def test_real_cohorts_less_our_fields_are_the_input(pipeline, tmp_path, shared_data, fasta, vcf):
    from varlm.genome.encoding import index_reference

    index_reference(shared_data / fasta, tmp_path / "real")
    out, status = pipeline([shared_data / vcf], reference=tmp_path / "real")
    assert status == 0
    before = [line.split(b"\t") for line in lines(shared_data / vcf) if line[:1] != b"#"]
    after = records(out / "annotated.vcf.gz")
    assert len(before) == len(after) > 400
    for record, exported in zip(before, after, strict=True):
        assert exported[:7] + exported[8:] == record[:7] + record[8:]
        assert without_our_fields(exported[7]) == record[7]


@pytest.mark.parametrize(
    "name",
    [
        b"a\\n##INFO=<ID=LLR_m,Number=1,Type=String>",
        b"a\r##contig=<ID=evil>",
        b"<script>alert(1)</script>",
        b"a\x0b##x",
        b"\xff\xfe",
    ],
)
def test_fault_58_a_sample_name_adds_no_header_line(pipeline, sequence, name):
    plain, status = pipeline([a_vcf(sequence)])
    assert status == 0
    expected = [line for line in lines(plain / "annotated.vcf.gz") if line.startswith(b"##")]
    text = a_vcf(sequence).encode().replace(b"\ts1\ts2\n", b"\t" + name + b"\ts2\n")
    out, status = pipeline([text])
    assert status == 0
    header_lines = [line for line in lines(out / "annotated.vcf.gz") if line.startswith(b"#")]
    assert header_lines[:-1] == expected
    assert header_lines[-1].split(b"\t")[9:] == [name, b"s2"]


@pytest.mark.parametrize("contig", ["a,length=5", "x>", "<b>", 'q"', "a=b"])
def test_fault_58_a_contig_that_a_header_line_cannot_hold_is_not_declared(pipeline, contig):
    bases = "".join(random.Random(3).choices("ACGT", k=60))
    text = HEADER.replace("##contig=<ID=chr1>\n", "") + COLUMNS + "\n"
    text += f"{contig}\t5\t.\t{bases[4]}\t{'A' if bases[4] != 'A' else 'C'}\t.\t.\t.\n"
    out, status = pipeline([text], contigs={contig: bases})
    assert status == 0
    declared = [line for line in lines(out / "annotated.vcf.gz") if line.startswith(b"##contig")]
    assert [line for line in declared if contig.encode() in line] == []
    assert records(out / "annotated.vcf.gz")[0][0] == contig.encode()
