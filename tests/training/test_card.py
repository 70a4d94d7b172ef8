"""The card and the curve's picture say which contigs chose what, and which the model never saw."""

import json

import polars as pl
import pytest

from making.training import MODEL, SETTINGS, bases, command, make_corpus
from varlm.cli import main
from varlm.tables.model_schemas import MUTATED
from varlm.training.curve import learning_curve
from varlm.training.description import CorpusDescription

CONTIGS = {"a": bases(1200, 1), "v": bases(300, 2), "h": bases(300, 3)}
HELD, VALIDATION = ("--held-out", "h"), ("--validation", "v")
CHAIN = {"family": "markov", "order": 2}
NEVER, NOT_TRAINED_ON = "## Sequence that it never saw", "## Sequence that it was not trained on"


@pytest.fixture
def trained(tmp_path):
    """A function: the corpus' options and a model → the folder of a training."""

    def train(*options, model=MODEL):
        make_corpus(tmp_path, {"g": CONTIGS}, *options)
        assert main([str(a) for a in command(tmp_path, tmp_path, model)]) == 0
        return tmp_path

    return train


def card_of(folder, tested="held_out"):
    """Measure and describe a training as the workflow does; return its card."""
    corpus, table, card = folder / "corpus", folder / "perplexity.tsv", folder / "card.md"
    measured = []
    if tested:
        words = ["--corpus", corpus, "--checkpoint", f"mine={folder / 'checkpoint'}"]
        words += ["--set", tested, "--sites", 60, "--device", "cpu", "--out", table]
        words += ["--pairs", 50, "--most", 1, "--most", 5, "--mutated", folder / "mutated.tsv"]
        assert main(["measure_perplexity", *map(str, words)]) == 0
        measured = ["--perplexity", table, "--mutated", folder / "mutated.tsv"]
    words = ["--name", "mine", "--corpus", corpus / "corpus.json", "--settings"]
    words += [json.dumps(SETTINGS), "--checkpoint", folder / "checkpoint", "--curve"]
    words += [folder / "curve.tsv", *measured, "--card", card, "--figure", folder / "curve.svg"]
    assert main(["describe_training", *map(str, words)]) == 0
    return card.read_text()


def test_held_out_contigs_choose_nothing(trained):
    folder = trained(*HELD)
    curve = pl.read_csv(folder / "curve.tsv", separator="\t")
    assert curve["validation_loss"].null_count() == curve.height == 2
    card = card_of(folder)
    assert NEVER in card
    assert "nothing chose the checkpoint: it is that of the last step" in card
    assert "lowest" not in card
    assert "validation_windows" not in card
    assert "All contigs but h were trained on: evaluate scores on h alone" in card


def test_validation_contigs_choose_and_others_are_never_seen(trained):
    card = card_of(trained(*HELD, *VALIDATION))
    assert "the lowest loss on the validation contigs (v), a perplexity of" in card
    assert "(15% of the bases masked)" in card
    assert NEVER in card
    assert NOT_TRAINED_ON not in card
    assert "All contigs but h, v were trained on: evaluate scores on h alone" in card


def test_contigs_that_chose_are_not_called_unseen(trained):
    card = card_of(trained(*VALIDATION), tested="validation")
    assert NOT_TRAINED_ON in card
    assert NEVER not in card
    assert "The contigs below chose the checkpoint too: the figures flatter it" in card


def test_without_any_contig_left_out_nothing_is_claimed(trained):
    card = card_of(trained(), tested=None)
    assert "No contig was held out: how good the model is" in card
    assert "Every contig was trained on" in card


def test_a_training_of_earlier_code_whose_held_out_contigs_chose(trained):
    """It is not trained again; described again, it says what happened."""
    folder = trained(*HELD)
    curve = pl.read_csv(folder / "curve.tsv", separator="\t")
    losses = {name: pl.lit(1.3) for name in ("validation_loss", "loss_intergenic")}
    curve.with_columns(**losses).write_csv(folder / "curve.tsv", separator="\t")
    card = card_of(folder)
    assert "the lowest loss on the contigs held out (h), a perplexity of 3.6693" in card
    assert NOT_TRAINED_ON in card
    description = CorpusDescription.read(folder / "corpus/corpus.json")
    curve = pl.read_csv(folder / "curve.tsv", separator="\t")
    values = learning_curve(curve, description)["data"]["values"]
    assert {value["part"] for value in values} == {
        "training, as masked",
        "held-out",
        "held-out, intergenic",
    }


def test_the_picture_names_validation_only_where_there_is_some(trained):
    for options, parts in (
        (HELD, {"training, as masked"}),
        (
            (*HELD, *VALIDATION),
            {"training, as masked", "validation", "validation, intergenic"},
        ),
    ):
        folder = trained(*options)
        (folder / "state.pt").unlink()
        curve = pl.read_csv(folder / "curve.tsv", separator="\t")
        description = CorpusDescription.read(folder / "corpus/corpus.json")
        values = learning_curve(curve, description)["data"]["values"]
        assert {value["part"] for value in values} == parts


def test_groups_and_their_shares_are_shown(trained):
    card = card_of(trained("--group", "g=near", "--share", "near=1", *HELD, model=CHAIN))
    assert "| genome | FASTA | annotation | contigs | bases | group (its share of the draws) |" in (
        card
    )
    assert "| g | g.fa | none | 3 | 1,800 | near (1) |" in card
    assert "| contigs | bases |\n" in card_of(trained(*HELD, model=CHAIN))


def test_the_chains_back_off(trained):
    card = card_of(trained(*HELD, model=CHAIN))
    assert "nothing chose how much the lower order counts: as much as 100 bases" in card
    assert NEVER in card
    card = card_of(trained(*HELD, *VALIDATION, model=CHAIN))
    assert "was chosen by the loss on the validation contigs (v)" in card


def test_both_releases_of_gpn_are_named(trained):
    card = card_of(trained(), tested=None)
    assert 'gpn.register_auto_classes("ss")` in gpn 0.9.0,' in card
    assert 'gpn.register_auto_classes("gpn")` in its pre-release 0.9.0a1' in card


def test_real_and_mutated_sequences(trained):
    folder = trained(*HELD)
    card = card_of(folder)
    shares = pl.read_csv(folder / "mutated.tsv", separator="\t").cast(MUTATED.schema)
    assert shares.select("model", "likelihood", "most", "kinds", "decision").rows() == [
        ("mine", "pseudo", most, "all", decision) for most in (1, 5) for decision in ("mean", "sum")
    ]
    assert (shares["recognised"] / shares["pairs"] - shares["share"]).abs().max() < 1e-5
    mean, total = (
        f"{row['share']:.3f} ({row['share_low']:.3f}–{row['share_high']:.3f})"
        for row in shares.filter(pl.col("most") == 5).iter_rows(named=True)
    )
    assert f"| mine | 5 | {mean} | {total} |" in card
    assert "the share of 50 pairs of which the real one is the likelier" in card
    assert "A masked model (mine) has no likelihood" in card
    card = card_of(trained(*HELD, model=CHAIN))
    assert "1 to M random insertions, deletions, swaps of neighbours and substitutions" in card
    assert "has no likelihood" not in card


def test_a_card_without_mutated_sequences(trained):
    """Windows may be too short for any, and results of before have no such table."""
    folder = trained(*HELD)
    words = ["--corpus", folder / "corpus", "--checkpoint", f"mine={folder / 'checkpoint'}"]
    words += ["--sites", 60, "--device", "cpu", "--out", folder / "perplexity.tsv", "--most", 9]
    words += ["--mutated", folder / "mutated.tsv"]
    assert main(["measure_perplexity", *map(str, words)]) == 0
    lines = (folder / "mutated.tsv").read_text().splitlines()
    assert lines == ["\t".join(MUTATED.names)]
    words = ["--name", "mine", "--corpus", folder / "corpus/corpus.json", "--settings"]
    words += [json.dumps(SETTINGS), "--checkpoint", folder / "checkpoint", "--curve"]
    words += [folder / "curve.tsv", "--perplexity", folder / "perplexity.tsv", "--card"]
    words += [folder / "card.md", "--figure", folder / "curve.svg"]
    for more in ((), ("--mutated", folder / "mutated.tsv")):
        assert main(["describe_training", *map(str, (*words, *more))]) == 0
        card = (folder / "card.md").read_text()
        assert NEVER in card
        assert "mutations" not in card
        assert "likelier" not in card
