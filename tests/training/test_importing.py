"""Counts of n-grams → a checkpoint that gives what the n-grams do."""

import gzip
import json
import math
from collections import Counter

import numpy as np
import polars as pl
import pytest
import torch

import making.toy_models  # noqa: F401  one thread
from making.training import bases
from varlm.cli import main
from varlm.models.loading import load_model
from varlm.training.recognition import log_likelihoods, recognised

HEAD = "context\tnext\tcount\n"
SEQUENCES = [bases(40, seed) for seed in range(8)] + ["AC", "G", "TTTAAA"]


def counted(sequences, n, start="<s>", end="</s>"):
    """Return n-grams of padded sequences: (context, next) → count."""
    counts = Counter()
    for text in sequences:
        tokens = [start] * (n - 1) + [*text] + [end] * (n - 1)
        for i in range(len(tokens) - n + 1):
            counts[" ".join(tokens[i : i + n - 1]), tokens[i + n - 1]] += 1
    return counts


def write_counts(path, counts):
    rows = "".join(f"{context}\t{token}\t{count}\n" for (context, token), count in counts.items())
    data = (HEAD + rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def imported(table, folder, *options):
    assert main(["import_ngram", str(table), "--out", str(folder), *options]) == 0
    return load_model(folder)


def entropy(text, counts, n, vocabulary, start="<s>", end="</s>"):
    """Return the mean of −ln p over the bases and the first end, by the definition."""
    totals = Counter()
    for (context, _), count in counts.items():
        totals[context] += count
    tokens = [start] * (n - 1) + [*text] + [end]
    logs = []
    for i in range(len(text) + 1):
        context, token = " ".join(tokens[i : i + n - 1]), tokens[i + n - 1]
        p = (counts.get((context, token), 0) + 1) / (totals[context] + vocabulary)
        logs.append(-math.log(p))
    return sum(logs) / len(logs)


def entropies(model, texts):
    found = log_likelihoods(
        model, [np.frombuffer(t.encode(), np.uint8) for t in texts], 8, ends=True
    )
    return -found.total / found.count


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("vocabulary", [None, 7, 20])
def test_the_chain_gives_what_the_ngrams_do(tmp_path, n, vocabulary):
    counts = counted(SEQUENCES, n)
    if n == 1:
        counts["", "</s>"] = 5  # padding of no token counts no end
    options = () if vocabulary is None else ("--vocabulary", str(vocabulary))
    model = imported(write_counts(tmp_path / "c.tsv", counts), tmp_path / "m", *options)
    size = vocabulary or (5 if n == 1 else 6)
    assert f"shared among {size} tokens" in model.describe()
    texts = [bases(30, 50), "A", "CG", "TTTAAA", bases(7, 51)]
    expected = [entropy(text, counts, n, size) for text in texts]
    assert entropies(model, texts) == pytest.approx(expected, abs=1e-6)


def test_other_padding_gzip_and_an_order_of_columns(tmp_path):
    plain = counted(SEQUENCES, 3)
    other = counted(SEQUENCES, 3, "^", "$")
    one = imported(write_counts(tmp_path / "a.tsv", plain), tmp_path / "one")
    gz = write_counts(tmp_path / "b.tsv.gz", other)
    two = imported(gz, tmp_path / "two", "--start", "^", "--end", "$")
    turned = "".join(f"{n}\t{t.lower()}\tx\t{c}\n" for (c, t), n in plain.items())
    (tmp_path / "c.tsv").write_text("count\tnext\tmore\tcontext\n" + turned)
    three = imported(tmp_path / "c.tsv", tmp_path / "three")
    texts = [bases(30, 50)]
    assert entropies(one, texts) == entropies(two, texts) == entropies(three, texts)


def test_the_checkpoint_is_as_a_trained_chains(tmp_path):
    counts = counted(SEQUENCES, 3)
    imported(write_counts(tmp_path / "c.tsv", counts), tmp_path / "m", "--window", "99")
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {file.name for file in (tmp_path / "m").iterdir()} == names
    config = json.loads((tmp_path / "m/config.json").read_text())
    assert config == {
        **{"model_type": "VarlmMarkov", "order": 2, "vocabulary": 6, "end": True},
        **{"smoothing": "laplace", "dtype": "float32"},
    }
    options = json.loads((tmp_path / "m/tokenizer_config.json").read_text())
    assert options["model_max_length"] == 99


def test_ratios_of_sites_are_those_of_the_ngrams(tmp_path):
    counts = counted(SEQUENCES, 3)
    model = imported(write_counts(tmp_path / "c.tsv", counts), tmp_path / "m")
    text = bases(20, 9)
    ids = torch.from_numpy(model.encode(np.frombuffer(text.encode(), np.uint8)[None]))
    logits = model.site_logits(ids, 10)[0].numpy()
    whole = np.array(
        [
            # Less the end, which all four have in common.
            -entropy(text[:10] + base + text[11:], counts, 3, 6) * 21
            for base in "ACGT"
        ]
    )
    assert logits - logits[0] == pytest.approx(whole - whole[0], abs=1e-5)


def test_without_starts_lower_orders_are_sums(tmp_path):
    counts = Counter({key: n for key, n in counted(SEQUENCES, 3).items() if "<s>" not in key[0]})
    model = imported(write_counts(tmp_path / "c.tsv", counts), tmp_path / "m")
    single = Counter()
    for (context, token), n in counts.items():
        if "</s>" not in context:
            single[token] += n
    total = sum(single.values())
    expected = [math.log((single[base] + 1) / (total + 5)) for base in "ACGT"]
    assert model.tables[0][0].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_table_of_bases_alone_has_no_end(tmp_path):
    counts = {("A", base): 3 for base in "ACGT"}
    model = imported(write_counts(tmp_path / "c.tsv", counts), tmp_path / "m")
    assert model.ends is None
    assert model.describe() == "Markov chain of order 1"
    assert model.tables[1].exp() == pytest.approx(torch.full((4, 4), 0.25))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("context\tnext\nA\tC\n", "line 1: no column count; expected a table of counts"),
        ("", "line 1: no column context, next, count"),
        (HEAD, "no row; expected a table"),
        (HEAD + "A\tC\t1\nA\tC\n", "line 3: 2 cells, expected 3"),
        (HEAD + "A A\tC\t1\nA X\tC\t2\n", "line 3: found the token 'X'; expected A, C, G, T, <s>"),
        (HEAD + "A A\tN\t1\n", "line 2: found the token 'N'"),
        (HEAD + "A A\tC\t1\nA\tC\t2\n", "line 3: a context of 1 tokens, expected 2"),
        (HEAD + "A\tC\t1.5\n", "line 2: found the count '1.5'; expected a whole number"),
        (HEAD + "A\tC\t-1\n", "line 2: found the count '-1'"),
        (HEAD + "A\tC\t\n", "line 2: found the count ''"),
        (HEAD + "A\tC\t99999999999999999999\n", "line 2: found the count '9999"),
        (HEAD + "A\tC\t1\nC\tC\t1\nA\tC\t2\n", "line 4: 'A C' was counted in a row before"),
        (HEAD + "A <s>\tC\t1\n", "line 2: found the context 'A <s>'; expected <s> before and"),
        (HEAD + "</s> A\tC\t1\n", "line 2: found the context '</s> A'"),
        (HEAD + " ".join("A" * 13) + "\tC\t1\n", "line 2: a context of 13 tokens, expected at"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path, capsys, text, message):
    (tmp_path / "c.tsv").write_text(text)
    assert main(["import_ngram", str(tmp_path / "c.tsv"), "--out", str(tmp_path / "m")]) == 2
    shown = capsys.readouterr().err.splitlines()
    errors = [line for line in shown if line.startswith("error: ")]
    assert len(errors) == 1
    assert f"{tmp_path / 'c.tsv'}" in errors[0]
    assert message in errors[0]
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--start", "A"), "--start: found 'A'; expected a token that is no base"),
        (("--end", "a b"), "--end: found 'a b'"),
        (("--end", "<s>"), "--end: found '<s>', as --start"),
        (("--vocabulary", "5"), "--vocabulary: found 5, but the table names 6 tokens"),
        (("--window", "0"), "--window: found 0"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path, capsys, options, message):
    table = write_counts(tmp_path / "c.tsv", counted(SEQUENCES, 3))
    assert main(["import_ngram", str(table), "--out", str(tmp_path / "m"), *options]) == 2
    assert message in capsys.readouterr().err


def test_a_damaged_checkpoint_is_an_error(tmp_path):
    from varlm.errors import UserError
    from varlm.training.checkpoints import write_checkpoint

    def chain(tensors, **config):
        write_checkpoint(tmp_path, {"model_type": "VarlmMarkov", "order": 0, **config}, tensors, 9)
        return load_model(tmp_path)

    p = {"log_p.0": torch.full((1, 4), 0.2).log()}
    end = {"end.0": torch.full((1,), 0.1).log()}
    assert chain(p, vocabulary=6).vocabulary == 6
    assert chain(p | end, vocabulary=6, end=True).ends is not None
    with pytest.raises(UserError, match="do not add up to 1"):
        chain(p)
    with pytest.raises(UserError, match="do not add up to 1"):
        chain({"log_p.0": torch.full((1, 4), 0.3).log()}, vocabulary=6)
    with pytest.raises(UserError, match="do not hold the tables"):
        chain(p, vocabulary=6, end=True)
    with pytest.raises(UserError, match="do not hold the tables"):
        chain(p | end, vocabulary=6)
    for wrong in ("x", 3, True, 4.5):
        with pytest.raises(UserError, match=r"vocabulary is .* from 4 up"):
            chain(p, vocabulary=wrong)
    with pytest.raises(UserError, match="from 5 up"):
        chain(p | end, end=True)


# Ihtiyar & Özgür 2023, 8-gram with Laplace smoothing: seeds 419432, 623598, 638453.
PUBLISHED = {
    1: {"mean": (0.649, 0.647, 0.653), "sum": (0.607, 0.585, 0.625)},
    5: {"mean": (0.749, 0.741, 0.729), "sum": (0.680, 0.695, 0.678)},
    10: {"mean": (0.787, 0.793, 0.782), "sum": (0.717, 0.723, 0.716)},
}


@pytest.mark.real_data
@pytest.mark.slow
def test_published_accuracies_are_reached_to_the_digit(shared_data, tmp_path):
    genes = shared_data / "gene_lm"
    if not genes.is_dir():
        pytest.skip(f"the published 8-gram of human genes is not at {genes}")
    table = genes / "laplace8.counts.tsv.gz"
    model = imported(table, tmp_path / "m", "--smoothing", "laplace", "--vocabulary", "7")
    sets = [(most, seed) for most in PUBLISHED for seed in (419432, 623598, 638453)]
    pairs = pl.concat(
        pl.read_csv(genes / f"pairs_{seed}_{most}.tsv.gz", separator="\t") for most, seed in sets
    )
    assert pairs.height == 9 * 1000
    real, mutated = (
        log_likelihoods(model, [np.frombuffer(t.encode(), np.uint8) for t in texts], 32, ends=True)
        for texts in (pairs["real"], pairs["mutated"])
    )
    shares = {
        decision: right.reshape(3, 3, 1000).mean(2).tolist()
        for decision, right in recognised(real, mutated).items()
    }
    accuracies = {
        most: {decision: tuple(shares[decision][i]) for decision in shares}
        for i, most in enumerate(PUBLISHED)
    }
    assert accuracies == PUBLISHED
