"""What rules hand to the steps as options."""

import pytest

from varlm.run import options
from varlm.run.config_keys import CohortFile


def test_flags_leave_out_what_is_not_set():
    assert options.flags("--x", ["a", None, 0, 1.5]) == ["--x", "a", "--x", "0", "--x", "1.5"]


def test_names_go_with_files_in_their_order():
    assert options.pairs({"a": 1, "b": "x"}) == ["a=1", "b=x"]
    assert options.named({"a": "https://h/x", "b": "y"}, ["local/x", "y"]) == ["a=local/x", "b=y"]
    with pytest.raises(ValueError):
        options.named(["a"], [])


AREA = {"bed": None, "contigs": None, "sample": None, "seed": 0}


@pytest.mark.parametrize(
    ("regions", "flags"),
    [
        (None, []),
        ({**AREA, "bed": "x.bed"}, []),
        ({**AREA, "contigs": "all"}, ["--all-contigs"]),
        ({**AREA, "contigs": ["1", "X"]}, ["--contig", "1", "--contig", "X"]),
        (
            {**AREA, "contigs": "all", "sample": 5, "seed": 3},
            ["--all-contigs", "--sample", "5", "--seed", "3"],
        ),
        ({**AREA, "bed": "x.bed", "seed": 3}, []),
    ],
)
def test_where_to_saturate(regions, flags):
    assert options.area_flags(regions) == flags


def test_what_the_sheet_expects_also_of_an_empty_file():
    files = [CohortFile("x", "a", 0), CohortFile("x", "b"), CohortFile("x", "c", 7, "ab")]
    assert options.expected_flags(files) == [
        *("--expect-records", "0:0"),
        *("--expect-records", "2:7", "--expect-sha256", "2:ab"),
    ]


def test_genomes_of_a_training():
    genomes = {
        "a": {"fasta": "a.fa", "annotation": None},
        "b": {"fasta": "b.fa", "annotation": "g"},
    }
    training = {"genomes": genomes}
    assert options.genomes_with(training, "fasta") == {"a": "a.fa", "b": "b.fa"}
    assert options.genome_flags(training, "annotation", ["here/g"]) == ["--annotation", "b=here/g"]
    assert options.genome_flags(training, "fasta", ["x", "y"])[2:] == ["--genome", "b=y"]


def test_windows_that_are_kept():
    assert options.kept_flags({"copies": "keep", "similar": "leave_out"}) == ["--keep-copies"]
    assert options.kept_flags({"copies": "weigh", "similar": "keep"}) == ["--keep-similar"]
    assert options.kept_flags({"copies": "families", "similar": "leave_out"}) == ["--families"]


def test_groups_and_shares_are_options_only_where_there_are_shares():
    genomes = {"a": {"fasta": "a.fa", "group": "near"}, "b": {"fasta": "b.fa", "group": "far"}}
    training = {"genomes": genomes, "windows": {"shares": {"near": 0.9, "far": 0.1}}}
    assert options.share_flags(training) == [
        *("--group", "a=near", "--group", "b=far"),
        *("--share", "near=0.9", "--share", "far=0.1"),
    ]
    assert options.share_flags({"genomes": {}, "windows": {"shares": None}}) == []
