"""What was run, as names and values."""

from varlm.report.facts import annotation_facts, circular_facts, flat_pairs


def test_settings_are_flat_names_and_values():
    pairs = flat_pairs({"a": {"b": [1, 2], "c": []}, "d": [{"e": None}], "f": True})
    assert pairs == [("a.b", "1, 2"), ("a.c", "none"), ("d[0].e", None), ("f", True)]


def test_the_annotation_is_told_in_few_lines_however_many_contigs():
    annotation = {
        "dialect": "GTF",
        "contigs": {f"c{i}": {"contig": f"c{i}" if i else None, "how": "x"} for i in range(3000)},
        "genetic_codes": {**{f"c{i}": 1 for i in range(2999)}, "c2999": 3},
        "refused_contigs": [],
        "left_out": {"no strand": {"count": 2, "first": ["t1", "t2"]}},
    }
    facts = dict(annotation_facts(annotation))
    assert len(facts) < 10
    assert facts["contigs matched"] == "2,999 of 3,000"
    assert facts["genetic codes"] == "c2999: 3"
    assert facts["left_out.no strand.first"] == "t1, t2"
    assert annotation_facts({}) == []


def test_a_code_of_many_contigs_is_told_once():
    codes = {**{f"c{i}": 11 for i in range(1200)}, "plasmid": 4, "Mito": 3, "c0": 1}
    facts = dict(annotation_facts({"genetic_codes": codes, "circular": ["c1"]}))
    assert facts["genetic codes"] == "1,199 contigs: 11, plasmid: 4, Mito: 3"
    assert "circular" not in facts  # `circular_facts` tells them


def test_circular_contigs_are_told_in_a_line_however_many():
    assert circular_facts({}) == []
    few = {"Mito": "line 5 of the annotation", "p2micron": "reference.circular"}
    ((name, text),) = circular_facts(few)
    assert name == "circular contigs"
    assert text.startswith("Mito (line 5 of the annotation), p2micron (reference.circular); ")
    ((_, text),) = circular_facts({f"p{i}": "reference.circular" for i in range(3000)})
    assert "(3000 in all)" in text
    assert len(text) < 500
