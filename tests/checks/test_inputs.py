"""What later steps would refuse is found before anything is scored, all of it at once."""

import json

import pytest

from making.vcf import vcf_text
from varlm.checks.inputs import UserInputs, faults
from varlm.genome.contig_names import ContigNames
from varlm.results.tags import tag_names
from varlm.run.config_keys import CohortFile
from varlm.variants.accounting import AccountedContig, Accounting

LENGTHS = {"chr1": 1000, "chr2": 500}
NAMES = ContigNames(LENGTHS)
AF = '##INFO=<ID=AF,Number=A,Type=Float,Description="x">'
EVALUATE = {
    "labels": {},
    "scores": {},
    "combine": [],
    "contrasts": [],
    "contigs": None,
    "frequencies": False,
}
TABLE = "chrom\tpos\tref\talt\tclass\n"


def accounting(cohort):
    contig = AccountedContig(
        chrom="1", contig="chr1", records=1, how="prefix", ref_checked=1, ref_mismatches=0
    )
    return Accounting(
        cohort=cohort,
        files=(),
        alleles_in=0,
        accepted=0,
        rejected=0,
        by_reason={},
        sites=0,
        other_alleles=0,
        af_unreadable=0,
        contigs=(contig,),
        contigs_without_records=("chr2",),
    )


@pytest.fixture
def look(tmp_path, monkeypatch):
    """A function: the files of a folder, what the config says → what is wrong."""
    monkeypatch.chdir(tmp_path)

    def faults_of(files, cohorts=(), **config):
        for name, content in files.items():
            path = tmp_path / name
            path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content)
        label = {"positive": [], "negative": [], "absolute": False, "cohort": None, "info": None}
        evaluate = config.pop("evaluate", None)
        if evaluate is not None:
            labels = evaluate.get("labels", {}).items()
            evaluate = {
                **EVALUATE,
                **evaluate,
                "labels": {name: {**label, **entry} for name, entry in labels},
            }
        empty = {"info": [], "intervals": {}, "bigwigs": {}, "browsers": {}, "models": ["m"]}
        sheet = {name: [CohortFile(name, vcf) for vcf in vcfs] for name, vcfs in cohorts}
        inputs = UserInputs(**{**empty, **config}, evaluate=evaluate, cohorts=sheet)
        return faults(inputs, NAMES, accounting)

    return faults_of


def vcf(*header, info=".", samples=1):
    return vcf_text([("1", 5, ".", "A", "C", ".", ".", info)], samples=samples, header=header)


def test_good_inputs_have_no_fault(look):
    told = look(
        {
            "a.vcf": vcf(AF),
            "b.vcf": vcf(AF),
            "sites.bed": "chr1\t0\t10\tx\n",
            "labels.tsv": TABLE + "1\t5\tA\tC\tbad\nchr2\t7\tA\tC\tgood\n",
        },
        [("one", ["a.vcf", "b.vcf"])],
        info=["AF"],
        intervals={"site": "sites.bed"},
        browsers={"x": "https://example.org/{contig}"},
        evaluate={
            "labels": {
                "known": {
                    "table": "labels.tsv",
                    "column": "class",
                    "positive": ["bad"],
                    "negative": ["good"],
                }
            },
            "scores": {"info_AF": "lower", "site_distance": "higher"},
            "contigs": ["chr2", "1"],
        },
    )
    assert told == []


@pytest.mark.parametrize(
    ("models", "column", "tag"),
    [
        ({"m": "cosine", "n": "masked"}, "m_cosine_fwd", "COSINE_REV_m"),
        ({"m": None, "n": "masked"}, "m_cosine_fwd", "LLR_m"),
        (["m"], "m_llr_fwd", "LLR_m"),
    ],
)
def test_columns_and_fields_are_those_of_the_kinds(look, models, column, tag):
    taken = f'##INFO=<ID={tag},Number=A,Type=Float,Description="x">'
    evaluate = {"scores": {column: "higher", "m_other": "higher"}}
    no_column, no_field = sorted(
        look({"a.vcf": vcf(taken)}, [("one", ["a.vcf"])], models=models, evaluate=evaluate),
        key=lambda fault: "a.vcf" in fault,
    )
    assert "evaluate.scores.m_other: the annotated table has no such column" in no_column
    assert f"INFO/{tag} is already a field of this file" in no_field


def test_every_fault_is_told_at_once(look):
    told = look(
        {
            "a.vcf": vcf(AF),
            "b.vcf": vcf(AF, samples=2),
            "sites.bed": "chrZ\t0\t10\n",
            "value.bw": b"no bigWig",
        },
        [("one", ["a.vcf", "b.vcf"])],
        info=["AC"],
        intervals={"site": "sites.bed"},
        bigwigs={"value": "value.bw"},
        browsers={"x": "https://example.org/{chromosome}"},
    )
    for part in (
        "sites.bed: no region on a contig of the reference",
        "value.bw: not a bigWig",
        "the address of 'x' has the field {chromosome}",
        "b.vcf: its samples are not those of a.vcf",
        "annotate.info: no header line '##INFO=<ID=AC,…' in a.vcf, b.vcf",
    ):
        assert len([fault for fault in told if part in fault]) == 1, part
    assert len(told) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (vcf('##INFO=<ID=LLR_m,Number=1,Type=Float,Description="mine">'), "INFO/LLR_m is already"),
        (vcf(info="X=1;LLR_m=3"), "line 4: INFO has a field LLR_m"),
        ("1\t5\t.\tA\tC\t.\t.\tLLR_m=3\n", "a.vcf, line 1: INFO has a field LLR_m"),
        (vcf('##INFO=<ID=VARLM_GENE,Number=1,Type=String,Description="g">'), "INFO/VARLM_GENE"),
    ],
)
def test_tags_of_another_tool(look, content, message):
    (told,) = look({"a.vcf": content}, [("one", ["a.vcf"])])
    assert message in told


def test_a_tag_of_two_types(look):
    other = AF.replace("Number=A,Type=Float", "Number=1,Type=String")
    (told,) = look(
        {"a.vcf": vcf(AF), "b.vcf": vcf(other)}, [("one", ["a.vcf", "b.vcf"])], info=["AF"]
    )
    assert "INFO/AF is Type=Float, Number=A in a.vcf, but Type=String, Number=1 in b.vcf" in told


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "labels.tsv: cannot be read"),
        ("chrom\tpos\tref\talt\tkind\n", "has no column class"),
        (TABLE + "1\t5\tA\n", "line 2: 3 cells, expected 5"),
        (TABLE + "1\tfive\tA\tC\tbad\n", "the position is 'five'"),
        (TABLE + "1\t5\tA\tC\tbad\nchr1\t5\tA\tC\tgood\n", "lines 2 and 3 are of one allele"),
        (TABLE + "1\t5\tA\tC\tBad\n", "no allele is bad, nor good"),
        (TABLE + "NC_1\t5\tA\tC\tbad\n", "no row is on a contig of the cohort or the reference"),
    ],
)
def test_label_tables(look, table, message):
    label = {"table": "labels.tsv", "column": "class", "positive": ["bad"], "negative": ["good"]}
    files = {"a.vcf": vcf()} | ({"labels.tsv": table} if table else {})
    (told,) = look(files, [("one", ["a.vcf"])], evaluate={"labels": {"known": label}})
    assert message in told


def test_a_label_that_is_no_number(look):
    label = {"table": "labels.tsv", "column": "class"}
    (told,) = look(
        {"a.vcf": vcf(), "labels.tsv": TABLE + "1\t5\tA\tC\thigh\n"},
        [("one", ["a.vcf"])],
        evaluate={"labels": {"known": label}},
    )
    assert "1 labels in class are no numbers, the first is 'high'" in told


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"group": ["element", "gene", "amino_acid"]}, []),
        ({"group": "elemnt"}, ["group: there is no column elemnt in labels.tsv (chrom, pos,"]),
        ({"group": "info_AC"}, ["group: one has no INFO fields, so no info_AC"]),
        ({"table": None, "column": "kind", "group": "element"}, ["no column element in the anno"]),
    ],
)
def test_columns_of_match_groups(look, change, messages):
    label = {"table": "labels.tsv", "column": "class", "cohort": "one", **change}
    table = TABLE.rstrip() + "\telement\n1\t5\tA\tC\t2\te1\n"
    told = look(
        {"a.vcf": vcf(), "labels.tsv": table},
        [("one", ["a.vcf"]), ("two", ["a.vcf"])],
        evaluate={"labels": {"known": label}},
    )
    assert len(told) == len(messages)
    assert all(message in fault for fault, message in zip(told, messages, strict=True))


def test_columns_that_alleles_are_matched_by(look):
    match = {"controls": 1, "tasks": ["labels"], "by": ["genus", "cpg"], "near": ["af"]}
    files, cohorts = {"a.vcf": vcf()}, [("one", ["a.vcf"]), ("two", ["a.vcf"])]
    for change, said in (
        ({}, "evaluate.match: the annotated table of one has no column genus"),
        ({"by": [], "near": ["gene"]}, "evaluate.match.near: the column gene holds String"),
    ):
        told = look(files, cohorts, evaluate={"match": {**match, **change}})
        assert said in told[0]


def test_scores_and_contigs_to_evaluate(look):
    told = look(
        {"a.vcf": vcf('##INFO=<ID=CLASS,Number=1,Type=String,Description="x">')},
        [("one", ["a.vcf"])],
        info=["CLASS"],
        evaluate={"scores": {"info_CLASS": "higher"}, "contigs": ["chr9"]},
    )
    assert len(told) == 2
    assert "evaluate.contigs: chr9 is neither" in told[0]
    assert "the column info_CLASS holds String, no numbers" in told[1]


def test_one_table_of_many_cohorts_is_looked_at_once(look, monkeypatch):
    from varlm.checks import inputs

    looked_at = []
    monkeypatch.setattr(inputs, "check_label_table", lambda spec, *_: looked_at.append(spec))
    label = {"table": "labels.tsv", "column": "class"}
    cohorts = [(name, ["a.vcf"]) for name in "xyz"]
    assert look({"a.vcf": vcf()}, cohorts, evaluate={"labels": {"known": label}}) == []
    assert len(looked_at) == 1


def test_a_large_bed_is_read_at_its_beginning_only(look, monkeypatch):
    from varlm.annotation import intervals
    from varlm.genome import bed

    monkeypatch.setattr(intervals, "CHECKED_WHOLE", 100)
    monkeypatch.setattr(bed, "_CHUNK", 100)
    monkeypatch.setattr(bed, "content", lambda path, *_: iter(path.read_bytes().splitlines(True)))
    lines = "chr2\t0\t10\n" * 50
    assert look({"a.bed": lines + "no interval\n"}, intervals={"site": "a.bed"}) == []
    (told,) = look({"a.bed": "no interval\n" + lines}, intervals={"site": "a.bed"})
    assert "a.bed, line 1: found 'no interval'" in told


def test_settings_are_those_that_the_rule_gives():
    from varlm.run.step_settings import checked_settings

    config = {
        "models": {"m": {"family": "gpn", "score": None, "strands": None}},
        "scoring": {"strands": None},
        "annotate": {"info": ["AF"], "intervals": {}, "bigwigs": {}, "upstream": 5},
        "report": {"browsers": {}, "pictures": 1},
        "evaluate": None,
    }
    inputs = UserInputs(**json.loads(checked_settings(config)), cohorts={})
    assert (inputs.models, inputs.info, inputs.evaluate) == (["m"], ["AF"], None)
    config["models"]["m"]["strands"] = "transcript"
    inputs = UserInputs(**json.loads(checked_settings(config)), cohorts={})
    assert inputs.kinds["m"].strands == "transcript"
    assert "STRAND_m" in tag_names(inputs.kinds)
    config["annotate"]["calibrate"] = "mutation_context"
    inputs = UserInputs(**json.loads(checked_settings(config)), cohorts={})
    assert (inputs.kinds["m"].strands, inputs.kinds["m"].calibrated) == ("transcript", True)
    assert inputs.published == {"m_llr_calibrated": "low"}
