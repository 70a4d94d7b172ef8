"""DNABERT-2 gives the numbers of its authors' code, of windows with any number of tokens."""

import csv
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from making.dnabert2 import CONFIG, hidden, make_checkpoint, pickled, tokenizer_json
from varlm.errors import UserError
from varlm.genome.windows import reverse_complement, site_windows
from varlm.models import preparing
from varlm.models.bpe import read_bpe
from varlm.models.loading import load_model
from varlm.models.networks.dnabert2 import DnaBert2
from varlm.run.model_families import families_like

# Of the overlapping merges, N's of the genome, and positions past a contig's end.
TEXT = "--GATTAACAGTGCAATNNNCAGATTGCAAATG"


def bytes_of(*texts: str) -> np.ndarray:
    return np.stack([np.frombuffer(text.encode(), np.uint8) for text in texts])


def with_each_base(text: str, index: int) -> list[str]:
    return [text[:index] + base + text[index + 1 :] for base in "ACGT"]


def spread_embedding(folder, model: DnaBert2, text: str, index: int) -> np.ndarray:
    """The embedding of a letter as BEND has it: each token's, repeated over its letters."""
    tokeniser = model.tokeniser.tokeniser
    encoding = tokeniser.encode(text)
    states = hidden(folder, encoding.ids)
    spread = []
    for token, state in zip(encoding.tokens[1:-1], states[1:-1], strict=True):
        spread += [state] * (1 if token == "[UNK]" else len(token))
    assert len(spread) == len(text)
    return spread[index]


# Numbers


@pytest.mark.parametrize("heads", [1, 2, 3, 4, 6, 12])
def test_hidden_states_are_those_of_the_definition(tmp_path, heads):
    folder = make_checkpoint(tmp_path, seed=heads, num_attention_heads=heads, layer_norm_eps=1e-3)
    model = load_model(folder)
    ids = model.tokeniser.encode(bytes_of(TEXT))[0].ids
    with torch.inference_mode():
        states = model.network.hidden(torch.from_numpy(ids)[None])[0]
    np.testing.assert_allclose(states.numpy(), hidden(folder, ids.tolist()), atol=2e-5)


@pytest.mark.parametrize("place", ["variant", "first"])
@pytest.mark.parametrize("suffix", ["[SEP]", "[PAD]"])
def test_an_embedding_is_that_of_the_token_which_holds_the_base(tmp_path, suffix, place):
    tokenizer = tokenizer_json(first=2, suffix=suffix)
    folder = make_checkpoint(tmp_path, tokenizer=tokenizer, num_hidden_layers=3)
    model = load_model(folder)
    for index in range(1, len(TEXT), 3):
        texts = with_each_base(TEXT, index)
        states = model.variant_embeddings(bytes_of(*texts), index, place)
        at = index if place == "variant" else 0
        expected = [spread_embedding(folder, model, text, at) for text in texts]
        assert states.dtype == torch.float32
        np.testing.assert_allclose(states.numpy(), expected, atol=2e-5)


def test_an_embedding_does_not_depend_on_the_windows_beside_it(tmp_path):
    model = load_model(make_checkpoint(tmp_path, hidden_size=96))
    rng = np.random.default_rng(3)
    windows = rng.choice(bytes_of("ACGTN")[0], (60, 41))
    together = model.variant_embeddings(windows, 20, "variant")
    order = rng.permutation(len(windows))
    shuffled = model.variant_embeddings(windows[order], 20, "variant")
    assert torch.equal(shuffled, together[torch.from_numpy(order)])
    for row in range(len(windows)):
        alone = model.variant_embeddings(windows[row : row + 1], 20, "variant")
        assert torch.equal(alone[0], together[row])


@pytest.mark.parametrize("at_once", [1, 4])
def test_windows_of_one_number_of_tokens_are_computed_together_and_once(
    tmp_path, monkeypatch, at_once
):
    model = load_model(make_checkpoint(tmp_path))
    model.at_once = at_once
    texts = [text for index in range(2, 12) for text in with_each_base(TEXT, index)]
    expected = torch.cat([model.variant_embeddings(bytes_of(t), 5, "variant") for t in texts])
    computed = []
    own = model.network.hidden

    def watch(ids, at):
        computed.append(ids)
        return own(ids, at)

    monkeypatch.setattr(model.network, "hidden", watch)
    states = model.variant_embeddings(bytes_of(*texts), 5, "variant")
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)
    assert {len(ids) for ids in computed} == {at_once}
    sequences = {tuple(row.tolist()) for ids in computed for row in ids}
    assert sequences == {tuple(model.tokeniser.tokeniser.encode(text).ids) for text in texts}
    lengths = [len(sequence) for sequence in sequences]
    assert len(set(lengths)) > 2
    passes = [-(-lengths.count(length) // at_once) for length in set(lengths)]
    assert len(computed) == sum(passes)


def test_reduced_precision_is_near_float32(tmp_path):
    model = load_model(make_checkpoint(tmp_path))
    windows = bytes_of(*with_each_base(TEXT, 9))
    exact = model.variant_embeddings(windows, 9, "variant")
    model.set_mode("bfloat16")
    near = model.variant_embeddings(windows, 9, "variant")
    assert near.dtype == torch.float32
    assert 0 < (near - exact).abs().max() < 0.2
    with pytest.raises(ValueError, match="no mode 'winograd'"):
        model.set_mode("winograd")


def test_it_has_no_logits_of_bases(tmp_path):
    model = load_model(make_checkpoint(tmp_path))
    ids = torch.zeros((1, 4), dtype=torch.int64)
    for answer in (
        lambda: model.encode(bytes_of(TEXT)),
        lambda: model.site_logits(ids, 1),
        lambda: model.base_logits(ids),
    ):
        with pytest.raises(ValueError, match="DNABERT-2"):
            answer()


# Checkpoints


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_pickle_of_any_precision_loads(tmp_path, dtype):
    whole = load_model(make_checkpoint(tmp_path / "whole"))
    folder = pickled(make_checkpoint(tmp_path / "pickle"), dtype)
    model = load_model(folder, preparing.describe(folder).files)
    windows = bytes_of(TEXT)
    one, other = (m.variant_embeddings(windows, 9, "variant") for m in (whole, model))
    assert (one - other).abs().max() <= (0 if dtype == torch.float32 else 0.1)
    stored = torch.load(folder / "pytorch_model.bin")
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, stored[name].float()), name
    assert "117" not in model.describe()
    assert f"{sum(p.numel() for p in model.network.parameters()) / 1e6:.3g} M" in model.describe()


def change(folder, change_tensors) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change_tensors(tensors)
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path)


@pytest.mark.parametrize(
    "gone", ["cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"]
)
def test_one_of_the_tied_matrices_is_enough(tmp_path, gone):
    folder = make_checkpoint(tmp_path)
    expected = load_model(folder).variant_embeddings(bytes_of(TEXT), 9, "variant")
    change(folder, lambda tensors: tensors.pop(gone))
    assert torch.equal(
        load_model(folder).variant_embeddings(bytes_of(TEXT), 9, "variant"), expected
    )


def test_a_pooler_is_left_aside(tmp_path):
    folder = make_checkpoint(tmp_path)
    expected = load_model(folder).variant_embeddings(bytes_of(TEXT), 9, "variant")
    size = CONFIG["hidden_size"]
    pooler = {"weight": torch.ones(size, size), "bias": torch.ones(size)}
    named = {f"bert.pooler.dense.{name}": tensor for name, tensor in pooler.items()}
    change(folder, lambda tensors: tensors.update(named))
    assert torch.equal(
        load_model(folder).variant_embeddings(bytes_of(TEXT), 9, "variant"), expected
    )


@pytest.mark.parametrize(
    ("change_tensors", "message"),
    [
        (lambda t: t.pop("bert.encoder.layer.1.mlp.wo.bias"), "lacks bert.encoder.layer.1.mlp.wo"),
        (lambda t: t.update(more=torch.ones(1)), "it has more too many"),
        (lambda t: t["cls.predictions.decoder.weight"].add_(1), "differ, but config.json ties"),
    ],
)
def test_tensors_that_do_not_fit_are_an_error(tmp_path, change_tensors, message):
    folder = make_checkpoint(tmp_path)
    change(folder, change_tensors)
    with pytest.raises(UserError, match=message):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_attention_heads": 5}, "hidden_size 24 is no multiple of num_attention_heads 5"),
        ({"hidden_act": "tanh"}, "hidden_act is 'tanh', expected gelu"),
        ({"num_hidden_layers": "2"}, "num_hidden_layers is '2', expected a whole number"),
        ({"layer_norm_eps": 0}, "layer_norm_eps is 0, expected a number above 0"),
        ({"vocab_size": None}, "vocab_size is None, expected a number of tokens"),
        ({"vocab_size": 9}, "ids up to 19, but the model knows only 9"),
    ],
)
def test_a_config_that_makes_no_model_is_an_error(tmp_path, changes, message):
    folder = make_checkpoint(tmp_path)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(UserError, match=message):
        load_model(folder)


def test_it_is_prepared_as_published(tmp_path):
    folder = make_checkpoint(tmp_path)
    model = preparing.prepare(folder, name="m", path="p", revision=None, precision="float32")
    assert (model.family, model.score, model.window) == ("dnabert2", "cosine", 513)
    assert (model.strands, model.options) == ("forward", {"embedding": "variant"})


@pytest.mark.parametrize("saved_again", [False, True])
def test_its_config_is_recognised(saved_again):
    config = dict(CONFIG)
    if saved_again:  # by transformers, after fine-tuning
        config["model_type"] = "bert"
        classes = CONFIG["auto_map"].items()
        config["auto_map"] = {key: f"owner/name--{value}" for key, value in classes}
    assert [family.name for family in families_like(config)] == ["dnabert2"]


# The tokeniser


def test_tokens_lie_end_to_end_and_unknown_letters_have_one_each(tmp_path):
    tokeniser = read_bpe(make_checkpoint(tmp_path, tokenizer=tokenizer_json(first=3)), 20)
    names = {number: name for name, number in tokeniser.tokeniser.get_vocab().items()}
    pieces = tokeniser.encode(bytes_of(TEXT))[0]
    assert names[pieces.ids[0]] == "[CLS]"
    assert names[pieces.ids[-1]] == "[SEP]"
    tokens = [names[number] for number in pieces.ids[1:-1]]
    starts = pieces.spans[1:-1]
    texts = [TEXT[start:end] for start, end in starts]
    assert "".join(texts) == TEXT
    assert tokens == [text if text[0] in "ACGT" else "[UNK]" for text in texts]
    assert {len(text) for text in texts} == {1, 2, 3, 4}
    assert all(len(text) == 1 for text in texts if text[0] in "N-")
    for index in range(len(TEXT)):
        start, end = pieces.spans[pieces.token_at(index)]
        assert start <= index < end


def test_truncation_and_padding_of_the_run_that_saved_it_do_not_count(tmp_path):
    document = tokenizer_json()
    plain = read_bpe(make_checkpoint(tmp_path / "plain", tokenizer=document), 20)
    document["truncation"] = {
        "direction": "Right",
        "max_length": 8,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    document["padding"] = {
        "strategy": {"Fixed": 64},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 3,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    saved = read_bpe(make_checkpoint(tmp_path / "saved", tokenizer=document), 20)
    one, other = (tokeniser.encode(bytes_of(TEXT))[0] for tokeniser in (plain, saved))
    np.testing.assert_array_equal(one.ids, other.ids)
    assert plain.mapping() == saved.mapping()


def test_what_identifies_it_is_how_letters_become_tokens(tmp_path):
    def mapping(name, change=dict, **settings):
        document = tokenizer_json(**settings)
        change(document)
        return read_bpe(make_checkpoint(tmp_path / name, tokenizer=document), 20).mapping()

    def pairs(document):
        document["model"]["merges"] = [m.split(" ") for m in document["model"]["merges"]]

    def reverse(document):
        document["model"]["merges"].reverse()

    own = mapping("own")
    assert json.loads(json.dumps(own)) == own == mapping("pairs", pairs)
    others = [mapping("reversed", reverse), mapping("ids", first=2), mapping("ends", suffix=None)]
    assert all(other != own for other in others)


def rename(document, **letters: str) -> None:
    vocabulary = document["model"]["vocab"]
    document["model"]["merges"] = []
    document["model"]["vocab"] = {letters.get(name, name): i for name, i in vocabulary.items()}


@pytest.mark.parametrize(
    ("change_document", "message"),
    [
        (lambda d: rename(d, A="a"), "expected one id for each"),
        (lambda d: d["model"].update(dropout=0.1), "BPE with dropout, expected BPE without"),
        (lambda d: d["model"].update(unk_token=None), "do not hold each of 25 letters"),
        (lambda d: d["model"].pop("vocab"), "not a readable tokeniser"),
        (
            lambda d: d.update(
                normalizer={"type": "Replace", "pattern": {"String": "GA"}, "content": "G"}
            ),
            "do not hold each of 25 letters once",
        ),
    ],
)
def test_a_tokeniser_that_loses_letters_is_an_error(tmp_path, change_document, message):
    folder = make_checkpoint(tmp_path)
    document = tokenizer_json()
    change_document(document)
    (folder / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match=message):
        read_bpe(folder, 20)


def test_a_missing_tokeniser_is_an_error(tmp_path):
    folder = make_checkpoint(tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json: not found"):
        preparing.describe(folder)


# Its authors' own numbers


@pytest.fixture(scope="module")
def published(shared_data):
    folder = shared_data.parent / "families/dnabert2"
    if not folder.is_dir():
        pytest.skip(f"no checkpoint at {folder}")
    return folder


@pytest.mark.real_data
@pytest.mark.parametrize("number", range(4))
def test_ids_hidden_states_and_logits_are_the_authors(published, number):
    model = load_model(published)
    answers, states = np.load(published / "logits.npz"), np.load(published / "hidden.npz")
    ids = model.tokeniser.encode(bytes_of(str(answers[f"seq_{number}"])))[0].ids
    np.testing.assert_array_equal(ids, answers[f"ids_{number}"])
    with torch.inference_mode():
        batch = torch.from_numpy(ids)[None]
        logits, hidden_states = model.network.logits(batch)[0], model.network.hidden(batch)[0]
    np.testing.assert_allclose(logits, answers[f"logits_{number}"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(hidden_states, states[f"hidden_{number}"], rtol=0, atol=1e-4)


def sequences(path) -> dict[str, np.ndarray]:
    parts = path.read_text().split(">")[1:]
    records = [part.split("\n", 1) for part in parts]
    return {
        name.split()[0]: np.frombuffer(text.replace("\n", "").upper().encode(), np.uint8)
        for name, text in records
    }


def cosine(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    return (1 - torch.cosine_similarity(a.double(), b.double(), dim=-1)).numpy()


def euclidean(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    return (a - b).norm(dim=-1).numpy()


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("column", "place", "distance", "turned"),
    [
        ("cosine_idx0_fwd", "first", cosine, False),
        ("cosine_centre_fwd", "variant", cosine, False),
        ("cosine_centre_rev", "variant", cosine, True),
        ("l2_centre_fwd", "variant", euclidean, False),
    ],
)
def test_distances_are_those_of_bend(published, column, place, distance, turned):
    contigs = sequences(published.parent / "genome.fa")
    with (published / "scores.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    sites = [(contigs[row["chrom"]], np.array([int(row["pos"]) - 1])) for row in rows]
    reference = np.concatenate([site_windows(*site, 129) for site in sites])
    alternate = reference.copy()
    alternate[:, 64] = [ord(row["alt"]) for row in rows]
    model = load_model(published)
    both = [
        model.variant_embeddings(reverse_complement(w) if turned else w, 64, place)
        for w in (alternate, reference)
    ]
    expected = [float(row[column]) for row in rows]
    np.testing.assert_allclose(distance(*both), expected, rtol=0, atol=1e-4)
