"""An indel matches however a table writes it: shifted in a repeat, padded, in a record of many."""

import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from making.score_tables import table, write_cohort, write_indexed, write_score_vcf
from making.vcf import bcf_of, bcftools
from varlm.annotation.published import vcf_rows
from varlm.annotation.published.joining import Joiner
from varlm.annotation.published.rows import Checked, matched
from varlm.annotation.published.tables import opened
from varlm.annotation.published.wanted import PADDING, wanted_on
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.variants.normalisation import left_align, trim


@st.composite
def spelled_indels(draw):
    """A sequence with repeats, an indel in it, and (pos, ref, alt) as someone may write it."""
    unit = draw(st.text("ACGT", min_size=1, max_size=4))
    left, right = (draw(st.text("ACGT", min_size=8, max_size=70)) for _ in range(2))
    sequence = left + unit * draw(st.integers(1, 40)) + right
    start = draw(st.integers(1, len(sequence) - 1))
    deleted = draw(st.integers(0, min(6, len(sequence) - start)))
    ref = sequence[start : start + deleted]
    alt = draw(st.one_of(st.just(""), st.just(unit), st.text("ACGT", max_size=6)))
    before = draw(st.integers(1, min(start, PADDING)))
    behind = draw(st.integers(0, min(5, len(sequence) - start - deleted)))
    padded = sequence[start - before : start]
    rest = sequence[start + deleted : start + deleted + behind]
    return sequence, (start - before + 1, padded + ref + rest, padded + alt + rest)


def bases(sequence):
    return np.frombuffer(sequence.encode(), np.uint8)


def normalised(sequence, pos, ref, alt):
    return left_align(bases(sequence), trim(pos - 1, ref.encode(), alt.encode()))


def all_spellings(sequence, pos, ref, alt):
    """Each (pos, ref, alt), with one base as anchor, that gives the same sequence."""
    changed = sequence[: pos - 1] + alt + sequence[pos - 1 + len(ref) :]
    size = len(alt) - len(ref)
    rows = []
    for place in range(1, len(sequence) - max(0, -size) + 1):
        old = sequence[place - 1 : place + max(0, -size)]
        new = changed[place - 1 : place + max(0, size)]
        if sequence[: place - 1] + new + sequence[place - 1 + len(old) :] == changed:
            rows.append((place, old, new))
    return rows


@given(spelled_indels())
def test_a_row_is_kept_and_matched_however_it_is_written(case):
    sequence, (pos, ref, alt) = case
    if ref == alt:
        return
    allele = normalised(sequence, pos, ref, alt)
    alleles = pl.DataFrame(
        {"row": 5, "pos": allele.pos, "ref": allele.ref.decode(), "alt": allele.alt.decode()},
        schema_overrides={"row": pl.UInt32},
    )
    wanted = wanted_on("c", bases(sequence), alleles)
    rows = [(pos, ref, alt)]
    if allele.kind in ("ins", "del"):
        rows += all_spellings(sequence, pos, ref, alt)
    frame = pl.DataFrame(
        rows, schema={"pos": pl.Int64, "ref": pl.String, "alt": pl.String}, orient="row"
    ).with_columns(value_0=pl.int_range(pl.len()))
    (low, high), *more = wanted.stretches(0)
    assert more == []
    near = allele.pos - frame["pos"] <= PADDING
    assert frame.filter(near)["pos"].is_between(low, high).all()
    checked = Checked()
    found = matched(frame, wanted, checked, by_span=False)
    assert found["value_0"].to_list() == frame.filter(near)["value_0"].to_list()
    assert checked.wrong == 0


def test_the_stretch_that_is_read_ends_with_the_repeat():
    sequence = "ACGTC" + "AG" * 500 + "TTTT"
    alleles = pl.DataFrame({"row": [0], "pos": [5], "ref": ["CAG"], "alt": ["C"]})
    wanted = wanted_on("c", bases(sequence), alleles)
    # The last spelling deletes the last AG, at 1004 and 1005; REF may begin with it.
    assert wanted.last.tolist() == [1004]
    snv = pl.DataFrame({"row": [0], "pos": [5], "ref": ["C"], "alt": ["A"]})
    assert wanted_on("c", bases(sequence), snv).last.tolist() == [5]


REPEAT = "ACGTTGCA" * 10 + "CAGCAGCAG" * 30 + "TTGCATCG" * 10
PLACE = len("ACGTTGCA" * 10)


@pytest.mark.parametrize("by_span", [False, True])
def test_a_shifted_indel_of_a_file_is_found(by_span, tmp_path, make_reference):
    """The cohort's is left-aligned; the table's lies at the repeat's other end."""
    reference = make_reference({"c": REPEAT})
    left = ("c", PLACE, REPEAT[PLACE - 1] + "CAG", REPEAT[PLACE - 1])
    cohort = write_cohort(tmp_path / "c", reference, [left])
    end = PLACE + 90 * 3
    shifted = ("c", end - 3, REPEAT[end - 4 : end], REPEAT[end - 4])
    filler = [("c", pos, REPEAT[pos - 1], "N", 0) for pos in range(1, end - 3)]
    if by_span:
        path = write_score_vcf(
            tmp_path / "t.vcf", [(*shifted, "S=7")], [("S", "A", "Float")], {"c": REPEAT}
        )
        described = table(path, ("s", "S"))
    else:
        path = write_indexed(tmp_path / "t.tsv", [*filler, (*shifted, 7)])
        described = table(path, ("s", 5))
    genome = Genome.open(reference)
    source = opened(described, ContigNames(genome.lengths), tmp_path)
    columns = Joiner(described, source, genome).columns(pl.read_parquet(cohort))
    assert columns["t_s"].to_list() == [7]


def test_a_record_of_many_alleles_whose_ref_is_long(tmp_path, make_reference):
    """As gnomAD and ClinVar write them: an SNV behind bases that only another ALT needs."""
    sequence = "".join(random.Random(2).choices("ACGT", k=400))
    reference = make_reference({"c": sequence})
    ref = sequence[99:180]
    third = "ACGT"[("ACGT".index(ref[70]) + 1) % 4]
    snv = ref[:70] + third + ref[71:]
    records = [("c", 100, ref, f"{ref[:41]},{snv},<DEL>,*", "S=1,2,3,4;N=5;R=0,7,8,9,10")]
    infos = [("S", "A", "Integer"), ("N", "1", "Integer"), ("R", "R", "Float")]
    path = write_score_vcf(tmp_path / "t.vcf", records, infos, {"c": sequence})
    described = table(path, ("s", "S"), ("n", "N"), ("r", "R"))
    alleles = [("c", 170, ref[70], third), ("c", 100, ref, ref[:41])]
    cohort = write_cohort(tmp_path / "c", reference, [alleles[1], alleles[0]])
    genome = Genome.open(reference)
    source = opened(described, ContigNames(genome.lengths), tmp_path)
    rows = pl.read_parquet(cohort)
    columns = Joiner(described, source, genome).columns(rows)
    by_kind = dict(zip(rows["kind"], columns.rows(), strict=True))
    assert by_kind == {"del": (1, 5, 7), "snv": (2, 5, 8)}
    # By itself too, where nothing else is read there.
    columns = Joiner(described, source, genome).columns(rows.filter(pl.col("kind") == "snv"))
    assert columns.rows() == [(2, 5, 8)]


def test_rows_padded_by_more_than_an_index_of_positions_can_tell(tmp_path, make_reference):
    """Whether they are found must not depend on what else the cohort has there."""
    sequence = "".join(random.Random(5).choices("ACGT", k=400))
    reference = make_reference({"c": sequence})
    third = "ACGT"[("ACGT".index(sequence[199]) + 1) % 4]
    near = sequence[199 - PADDING : 200]
    far = sequence[198 - PADDING : 200]
    rows = [
        ("c", 199 - PADDING, far, far[:-1] + third, 1),
        ("c", 200 - PADDING, near, near[:-1] + third, 2),
    ]
    path = write_indexed(tmp_path / "t.tsv", rows)
    described = table(path, ("s", 5, {"rule": "list"}))
    genome = Genome.open(reference)
    source = opened(described, ContigNames(genome.lengths), tmp_path)
    alleles = [("c", 200, sequence[199], third)]
    for more in (
        [],
        [
            ("c", pos, sequence[pos - 1], "ACGT".replace(sequence[pos - 1], "")[0])
            for pos in (100, 140, 149)
        ],
    ):
        cohort = write_cohort(tmp_path / "c", reference, [*more, *alleles])
        columns = Joiner(described, source, genome).columns(pl.read_parquet(cohort))
        assert columns["t_s"].to_list()[-1] == "2"


@pytest.mark.parametrize("is_bcf", [False, True])
def test_a_record_that_reaches_into_two_stretches_counts_once(
    is_bcf, tmp_path, make_reference, monkeypatch
):
    monkeypatch.setattr(vcf_rows, "_GAP", 1)
    sequence = "".join(random.Random(2).choices("ACGT", k=400))
    reference = make_reference({"c": sequence})
    ref = sequence[99:180]
    third, first = ("ACGT"[("ACGT".index(base) + 1) % 4] for base in (ref[70], ref[0]))
    records = [("c", 100, ref, ref[:70] + third + ref[71:], "S=2")]
    path = write_score_vcf(tmp_path / "t.vcf", records, [("S", "A", "Integer")], {"c": sequence})
    if is_bcf:
        path = bcf_of(path)
        bcftools("index", path)
    cohort = write_cohort(
        tmp_path / "c", reference, [("c", 100, ref[0], first), ("c", 170, ref[70], third)]
    )
    genome = Genome.open(reference)
    described = table(path, ("s", "S", {"type": "integer", "rule": "list"}))
    source = opened(described, ContigNames(genome.lengths), tmp_path)
    joiner = Joiner(described, source, genome)
    assert joiner.columns(pl.read_parquet(cohort))["t_s"].to_list() == [None, "2"]
    assert joiner.checked.rows == 1
