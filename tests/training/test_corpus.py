"""Genomes for training: k-mers, region classes, sets of contigs, windows and their weights."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from making.training import GFF, bases, make_corpus, prepare, write_genome
from varlm.errors import UserError
from varlm.training import kmers
from varlm.training.corpus import BASE, REGION_SHIFT, REGIONS, SOFT_MASKED, Corpus
from varlm.training.genomes import Source, read_genome, sets_of
from varlm.training.windows import TOO_SIMILAR, TOO_UNKNOWN

LETTERS = np.frombuffer(b"ACGTN", np.uint8)
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def codes(text):
    return np.array(["ACGTN".index(letter) for letter in text], np.uint8)


# K-mers ----------------------------------------------------------------------------------------


@given(st.text("ACGT", min_size=20, max_size=200))
def test_a_sketch_is_that_of_the_reverse_complement(text):
    starts, hashes = kmers.sketch(codes(text), 1)
    turned = text.translate(COMPLEMENT)[::-1]
    others, same = kmers.sketch(codes(turned), 1)
    assert len(starts) == len(text) - kmers.K + 1
    assert hashes.tolist() == same[::-1].tolist()
    assert others.tolist() == starts.tolist()


def test_hashes_tell_kmers_apart():
    text = bases(20_000, 1)
    _, hashes = kmers.sketch(codes(text), 1)
    canonical = set()
    for i in range(len(text) - kmers.K + 1):
        word = text[i : i + kmers.K]
        canonical.add(min(word, word.translate(COMPLEMENT)[::-1]))
    assert len(np.unique(hashes)) == len(canonical)


def test_no_kmer_with_an_unknown_base_is_kept():
    text = bases(60, 1) + "N" + bases(60, 2)
    starts, _ = kmers.sketch(codes(text), 1)
    assert starts.tolist() == [i for i in range(121 - 19) if "N" not in text[i : i + 20]]
    assert kmers.sketch(codes("ACGT"), 1)[0].size == 0


def test_one_kmer_in_so_many_is_kept():
    starts, hashes = kmers.sketch(codes(bases(80_000, 4)), 8)
    assert len(starts) == pytest.approx(10_000, rel=0.05)
    assert hashes.max() < 2**61


# Region classes --------------------------------------------------------------------------------


def test_bases_are_classed_by_the_annotation(tmp_path):
    sequence = bases(400, 9)
    fasta = write_genome(
        tmp_path / "g.fa", {"c": sequence[:50] + sequence[50:60].lower() + sequence[60:]}
    )
    (tmp_path / "g.gff3").write_text(GFF)
    (contig,) = read_genome(Source("g", fasta, tmp_path / "g.gff3"), promoter=20)
    expected = ["intergenic"] * 400
    for region, spans in {
        "promoter": [(80, 100), (360, 380)],
        "intron": [(140, 160)],
        "exon": [(100, 110), (190, 200)],
        "coding": [(110, 140), (160, 190), (300, 360)],
    }.items():
        for start, end in spans:
            expected[start:end] = [region] * (end - start)
    assert [REGIONS[i] for i in contig.codes >> REGION_SHIFT] == expected
    assert LETTERS[contig.codes & BASE].tobytes().decode() == sequence
    assert np.flatnonzero(contig.codes & SOFT_MASKED).tolist() == list(range(50, 60))


def test_without_an_annotation_all_is_intergenic(tmp_path):
    fasta = write_genome(tmp_path / "g.fa", {"c": "ACGTNRacgu"})
    (contig,) = read_genome(Source("g", fasta), promoter=5)
    assert (contig.codes >> REGION_SHIFT).tolist() == [0] * 10
    assert (contig.codes & BASE).tolist() == [0, 1, 2, 3, 4, 4, 0, 1, 2, 3]


# Sets of contigs -------------------------------------------------------------------------------


def test_contigs_are_held_out_by_any_spelling_in_every_genome(caplog):
    genomes = {"one": ["chrI", "chrII", "chrIV"], "two": ["1", "2", "4"], "three": ["I", "II"]}
    sets = sets_of(genomes, ["IV"], ["II"])
    assert {key for key, which in sets.items() if which == "held_out"} == {
        ("one", "chrIV"),
        ("two", "4"),
    }
    assert {key for key, which in sets.items() if which == "validation"} == {
        ("one", "chrII"),
        ("two", "2"),
        ("three", "II"),
    }
    assert "1 of 3 genomes have none of the contigs IV (held_out): three" in caplog.text


def test_one_line_says_which_contigs_are_missing_and_which_are_held_out(caplog):
    caplog.set_level("INFO")
    strains = {f"strain{i}": ["I", "IV", *(["IX"] if i > 6 else [])] for i in range(9)}
    others = {f"far{i}": ["scaffold"] for i in range(30)}
    sets_of({**strains, **others, "coincidence": ["4", "5"]}, ["IV", "IX"], ["I"])
    warnings = [r.message for r in caplog.records if r.levelname == "WARNING"]
    assert warnings == [
        "contigs that some genomes lack (held_out): IX in strain0, strain1, strain2, strain3, "
        "strain4, … (8 in all)",
        "30 of 40 genomes have none of the contigs IV, IX (held_out): far0, far1, far2, far3, "
        "far4, … (30 in all)",
        "31 of 40 genomes have none of the contigs I (validation): far0, far1, far2, far3, "
        "far4, … (31 in all)",
    ]
    assert "held_out: 4 of coincidence" in caplog.messages
    assert "held_out: IV, IX of strain7, strain8" in caplog.messages


@pytest.mark.parametrize(
    ("held_out", "validation", "message"),
    [
        (["chrX"], [], "held_out: no genome has a contig 'chrX'; those of g are a, b"),
        ([], ["c"], "validation: no genome has a contig 'c'"),
        (["a"], ["a"], "named both in held_out and in validation"),
        (["a"], ["b"], "leave some to train on"),
    ],
)
def test_sets_that_cannot_be(held_out, validation, message):
    with pytest.raises(UserError, match=message):
        sets_of({"g": ["a", "b"]}, held_out, validation)


# Windows ---------------------------------------------------------------------------------------


def test_copies_count_once_in_all(tmp_path):
    shared, own = bases(2000, 1), bases(2000, 2)
    genomes = {"a": {"x": shared}, "b": {"x": shared.translate(COMPLEMENT)[::-1]}, "c": {"x": own}}
    windows = make_corpus(tmp_path, genomes, window=400, stride=200).windows
    weights = dict(windows.group_by("genome").agg(pl.col("weight").mean()).iter_rows())
    assert weights == pytest.approx({"a": 0.5, "b": 0.5, "c": 1.0})
    windows = make_corpus(tmp_path, genomes, "--keep-copies", window=400, stride=200).windows
    assert windows["weight"].unique().to_list() == [1.0]


def test_windows_like_those_held_out_are_not_trained_on(tmp_path):
    held = bases(3000, 1)
    repeat = held[1000:1600]
    contigs = {
        "own": bases(30_000, 2) + repeat + bases(30_000, 3),
        "moved": bases(2_000, 4) + held.translate(COMPLEMENT)[::-1],
        "held": held,
    }
    corpus = make_corpus(tmp_path, {"g": contigs}, "--held-out", "held", window=300, stride=150)
    out = corpus.windows.filter(pl.col("left_out") == TOO_SIMILAR)
    assert set(out["set"]) == {"train"}
    own = out.filter(pl.col("contig") == "own")
    at = own["start"] - own["contig_start"]
    assert at.min() > 29_700
    assert at.max() < 30_600  # the repeat, and no more
    moved = corpus.windows.filter(pl.col("contig") == "moved")
    assert moved["left_out"].to_list() == [TOO_SIMILAR] * moved.height  # and what lies beside it
    kept = make_corpus(
        tmp_path, {"g": contigs}, "--held-out", "held", "--keep-similar", window=300, stride=150
    )
    assert kept.windows["left_out"].null_count() == kept.windows.height


def test_a_diverged_chromosome_under_another_name_is_left_out(tmp_path):
    rng = np.random.default_rng(1)
    held = bases(60_000, 1)
    changed = list(held)
    for i in np.flatnonzero(rng.random(len(held)) < 0.15):
        changed[i] = "ACGT"[("ACGT".index(changed[i]) + rng.integers(1, 4)) % 4]
    genomes = {"a": {"1": held, "2": bases(60_000, 2)}, "b": {"3": "".join(changed)}}
    corpus = make_corpus(tmp_path, genomes, "--held-out", "1", window=512, stride=256)
    out = (
        corpus.windows.filter(pl.col("set") == "train")
        .group_by("genome")
        .agg((pl.col("left_out") == TOO_SIMILAR).fill_null(value=False).mean())
    )
    assert dict(out.iter_rows()) == {"a": 0.0, "b": 1.0}


def test_unknown_bases_and_short_contigs(tmp_path):
    contigs = {"a": bases(300, 1) + "N" * 200 + bases(300, 2), "short": bases(30, 3)}
    corpus = make_corpus(tmp_path, {"g": contigs}, window=100, stride=50)
    assert set(corpus.windows["contig"]) == {"a"}
    out = corpus.windows.filter(pl.col("left_out") == TOO_UNKNOWN)
    assert sorted(out["start"]) == [250, 300, 350, 400, 450]
    assert out["weight"].to_list() == [0.0] * 5
    counts = corpus.description.sets["train"]
    assert counts.left_out == {TOO_UNKNOWN: 5}
    assert counts.drawn == 15 - 5


def test_training_windows_reach_both_ends_and_tests_do_not_overlap(tmp_path):
    contigs = {"a": bases(130, 1), "v": bases(130, 2)}
    corpus = make_corpus(tmp_path, {"g": contigs}, "--validation", "v", window=50, stride=25)
    starts = {key: list(frame["start"]) for (key,), frame in corpus.windows.group_by("contig")}
    assert starts["a"] == [0, 25, 50, 75, 80]
    assert starts["v"] == [130, 180]


def test_genic_windows_get_their_share(tmp_path):
    (tmp_path / "g.gff3").write_text(GFF)
    contigs = {"c": bases(4000, 1)}
    corpus = make_corpus(tmp_path, {"g": contigs}, "--genic-share", "0.6", window=40, stride=20)
    genic = corpus.windows.filter("genic")["weight"].sum()
    assert genic / corpus.windows["weight"].sum() == pytest.approx(0.6)
    assert corpus.windows.filter("genic").height < corpus.windows.height / 4


def _share_of(windows, by):
    weights = windows.filter(pl.col("set") == "train").group_by(by).agg(pl.col("weight").sum())
    return {key: weight / weights["weight"].sum() for key, weight in weights.iter_rows()}


def test_groups_of_genomes_get_their_shares(tmp_path):
    (tmp_path / "a.gff3").write_text(GFF)
    shared = bases(3000, 1)
    genomes = {
        "a": {"c": shared, "h": bases(300, 2)},
        "b": {"c": shared, "h": bases(300, 3)},
        "far": {"c": bases(9000, 4), "h": bases(300, 5)},
    }
    options = ("--held-out", "h", "--genic-share", "0.6")
    plain = make_corpus(tmp_path, genomes, *options, window=40, stride=20)
    groups = [word for pair in ("a=near", "b=near", "far=far") for word in ("--group", pair)]
    shares = ("--share", "near=0.75", "--share", "far=0.25")
    corpus = make_corpus(tmp_path, genomes, *options, *groups, *shares, window=40, stride=20)
    windows = corpus.windows
    near = windows.filter(pl.col("genome") != "far")
    assert _share_of(windows, "genome")["far"] == pytest.approx(0.25)
    assert _share_of(near, "genic")[True] == pytest.approx(0.6)  # the others have no annotation
    same = [name for name in windows.columns if name != "weight"]
    assert windows.select(same).equals(plain.windows.select(same))
    train = pl.col("set") == "train"
    assert windows.filter(train)["weight"].sum() == pytest.approx(
        plain.windows.filter(train)["weight"].sum()
    )
    assert windows.filter(~train).equals(plain.windows.filter(~train))
    ratio = (windows["weight"] / plain.windows["weight"]).filter(
        windows.select(train & ~pl.col("genic") & (pl.col("genome") != "far")).to_series()
    )
    assert ratio.min() == pytest.approx(ratio.max())  # copies count as before in their group
    description = json.loads((tmp_path / "corpus/corpus.json").read_text())
    assert description["shares"] == {"near": 0.75, "far": 0.25}
    assert [genome["group"] for genome in description["genomes"]] == ["near", "near", "far"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--group", "g=near"), "g have a group, but no group has a share"),
        (("--share", "near=1"), r"no share is there for g \(group: none\).*; no genome is in near"),
        (("--share", "near=0.5", "--group", "g=near"), "the shares add up to 0.5, not to 1"),
        (
            ("--share", "near=1", "--group", "g=near", "--held-out", "b", "--validation", "a"),
            "leave some to train on",
        ),
    ],
)
def test_shares_that_cannot_be(tmp_path, capsys, options, message):
    import re

    assert prepare(tmp_path, {"g": {"a": bases(200, 1), "b": bases(200, 2)}}, *options) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_group_with_nothing_to_draw_is_an_error(tmp_path, capsys):
    genomes = {"g": {"a": bases(200, 1)}, "short": {"a": bases(20, 2)}}
    words = ("--group", "g=x", "--group", "short=y", "--share", "x=0.5", "--share", "y=0.5")
    assert prepare(tmp_path, genomes, *words) == 2
    assert "no window of the group y is left to train on; its genomes are short" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("contigs", "message"),
    [
        ({"a": "ACGT" * 5}, "the longest has 20 bp; lower train.<name>.windows.length"),
        ({"a": "N" * 500}, "no window is left to train on.*unknown bases"),
    ],
)
def test_nothing_to_train_on_is_an_error(tmp_path, capsys, contigs, message):
    import re

    assert prepare(tmp_path, {"g": contigs}) == 2
    assert re.search(message, capsys.readouterr().err)


def test_the_corpus_must_be_whole(tmp_path):
    make_corpus(tmp_path, {"g": {"a": bases(200, 1)}})
    folder = tmp_path / "corpus"
    np.save(folder / "bases.npy", np.zeros(10, np.uint8))
    with pytest.raises(UserError, match="10 bases, 200 expected"):
        Corpus.open(folder)
    (folder / "corpus.json").unlink()
    with pytest.raises(UserError, match="run the step prepare_training first"):
        Corpus.open(folder)


def test_the_digest_goes_with_the_content(tmp_path):
    digests = set()
    for contigs, option in (
        ({"a": bases(200, 1)}, ()),
        ({"a": bases(200, 2)}, ()),
        ({"a": bases(200, 1)}, ("--keep-copies",)),
        ({"a": bases(200, 1).lower()}, ()),
    ):
        make_corpus(tmp_path, {"g": contigs}, *option)
        description = json.loads((tmp_path / "corpus/corpus.json").read_text())
        digests.add(description["digest"])
    assert len(digests) == 3  # weights do not change where nothing is there twice
