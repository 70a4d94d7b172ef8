"""DNABERT-2 gives the numbers of its authors' code, of windows with any number of tokens."""

import csv
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from making.dnabert2 import CONFIG, TEXT, bytes_of, hidden, make_checkpoint, pickled, tokenizer_json
from varlm.errors import UserError
from varlm.genome.windows import reverse_complement, site_windows
from varlm.models import preparing
from varlm.models.loading import load_model
from varlm.models.networks.dnabert2 import DnaBert2
from varlm.run.model_families import families_like


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
