"""GPT-2, Llama, Mistral: the numbers of transformers and of the shared checkpoints."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from making.causal_transformers import (
    VOCABULARY,
    write_causal,
    write_model,
    write_tokeniser,
)
from varlm.errors import UserError
from varlm.genome.windows import reverse_complement
from varlm.models.loading import load_model
from varlm.models.preparing import prepare

FAMILIES = ("gpt2", "llama", "mistral")
BOS, EOS = ("[BOS]",), ("[EOS]",)
WIDTH = 20


def random_windows(count=2, width=WIDTH, seed=0):
    windows = np.random.default_rng(seed).choice(np.frombuffer(b"ACGT", np.uint8), (count, width))
    windows[0, width // 3] = ord("N")
    return windows


def brute_force(network, model, windows, counted):
    """Log-likelihood of each window, token by token, from one pass over it."""
    ids = torch.from_numpy(model.encode(windows))
    with torch.inference_mode():
        log_p = network(ids, use_cache=False).logits.double().log_softmax(-1).numpy()
    own = np.take_along_axis(log_p[:, :-1], ids[:, 1:, None].numpy(), -1)[..., 0]
    if counted == "nucleotides":
        own = own * np.isin(ids[:, 1:], [VOCABULARY[base] for base in "ACGTN"])
    return own.sum(1)


@pytest.mark.parametrize(("prefix", "suffix"), [((), ()), (BOS, ()), (BOS, EOS), ((), EOS)])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_site_is_four_whole_windows(tmp_path, family, prefix, suffix):
    network = write_causal(tmp_path, family, prefix, suffix)
    windows = random_windows()
    changed = np.tile(windows[:, None, None], (1, WIDTH, 4, 1))  # row, index, base, position
    for base in range(4):
        changed[:, range(WIDTH), base, range(WIDTH)] = b"ACGT"[base]
    changed = changed.reshape(-1, WIDTH)
    for counted in ("all", "nucleotides"):
        model = load_model(tmp_path, options={"counted": counted})
        expected = brute_force(network, model, changed, counted)
        likelihood = model.log_likelihood(torch.from_numpy(model.encode(changed))).numpy()
        np.testing.assert_allclose(likelihood, expected, rtol=0, atol=1e-5)
        expected = expected.reshape(2, WIDTH, 4)
        ids = torch.from_numpy(model.encode(windows))
        site = np.stack([model.site_logits(ids, index) for index in range(WIDTH)], 1)
        ratios, expected = site - site[..., :1], expected - expected[..., :1]
        np.testing.assert_allclose(ratios, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_state_goes_on_in_several_ways_and_stays(tmp_path, family):
    write_causal(tmp_path, family, BOS)
    model = load_model(tmp_path)
    ids = torch.from_numpy(model.encode(random_windows(3)))
    state, logits = model.prefix(ids[:, :9])
    whole = model.logits(ids)
    assert torch.allclose(logits, whole[:, 8], atol=1e-5)
    rest = ids[:, None, 9:].repeat(1, 2, 1)
    rest[:, 1, 3:] = rest[:, 1, 3:].roll(1, 1)
    for _ in range(2):
        both = model.suffixes(state, rest)
        assert torch.allclose(both[:, 0], whole[:, 9:], atol=1e-5)
        assert torch.allclose(both[:, 1, :3], whole[:, 9:12], atol=1e-5)
        assert not torch.allclose(both[:, 1], whole[:, 9:], atol=1e-2)


def test_a_sliding_window_shortens_what_is_seen(tmp_path):
    network = write_causal(tmp_path / "short", "mistral", num_hidden_layers=1)
    model = load_model(tmp_path / "short")
    ids = torch.from_numpy(model.encode(random_windows(1, 40)))
    with torch.inference_mode():
        assert torch.allclose(model.logits(ids), network(ids).logits, atol=1e-6)
    changed = ids.clone()
    changed[0, 3] = ids[0, 4:].unique()[ids[0, 4:].unique() != ids[0, 3]][0]
    differ = (model.logits(ids) != model.logits(changed)).any(-1)[0].nonzero()[:, 0]
    assert differ.tolist() == list(range(3, 3 + 7))


@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_and_precisions(tmp_path, family):
    network = write_causal(tmp_path, family, BOS)
    model = load_model(tmp_path)
    ids = torch.from_numpy(model.encode(random_windows()))
    with torch.inference_mode():
        states = network(ids, output_hidden_states=True).hidden_states[-1]
    assert torch.allclose(model.hidden(ids, [2, 5]), states[:, [2, 5]], atol=1e-6)
    exact = model.site_logits(ids, 8)
    model.set_mode("bfloat16")
    rounded = model.site_logits(ids, 8)
    assert torch.allclose(rounded, exact, atol=0.5)
    assert not torch.equal(rounded, exact)


# Files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_may_be_tied_or_not_and_stored_or_not(tmp_path, family, tied):
    network = write_causal(tmp_path, family, tie_word_embeddings=tied)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    assert ("lm_head.weight" in tensors) is not tied
    ids = torch.from_numpy(load_model(tmp_path).encode(random_windows()))
    with torch.inference_mode():
        expected = network(ids).logits
    assert torch.allclose(load_model(tmp_path).logits(ids), expected, atol=1e-6)
    if not tied:
        return
    tensors["lm_head.weight"] = network.lm_head.weight.detach().clone()
    save_file(tensors, path)
    assert torch.allclose(load_model(tmp_path).logits(ids), expected, atol=1e-6)
    tensors["lm_head.weight"][0, 0] += 1
    save_file(tensors, path)
    with pytest.raises(UserError, match=r"lm_head\.weight .*differ, but config\.json ties"):
        load_model(tmp_path)


def test_what_older_files_hold_besides(tmp_path):
    for family, extra in (
        ("llama", {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2)}),
        ("gpt2", {"transformer.h.1.attn.bias": torch.ones(1, 1, 64, 64, dtype=torch.bool)}),
    ):
        folder = tmp_path / family
        write_causal(folder, family)
        ids = torch.from_numpy(load_model(folder).encode(random_windows()))
        expected = load_model(folder).logits(ids)
        path = folder / "model.safetensors"
        stored = load_file(path)
        save_file({**stored, **extra}, path)
        assert torch.equal(load_model(folder).logits(ids), expected)
        short = {name.removeprefix("transformer."): tensor for name, tensor in stored.items()}
        save_file(short, path)  # as the first GPT-2
        assert torch.equal(load_model(folder).logits(ids), expected)
        save_file({**stored, "more": torch.ones(1)}, path)
        with pytest.raises(UserError, match="it has more too many"):
            load_model(folder)


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_theta": 500.0},
        {"rope_theta": 500.0, "rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    ],
)
def test_rotary_options_of_either_time(tmp_path, rope):
    from transformers import LlamaConfig, LlamaForCausalLM

    network = write_causal(tmp_path, "llama")
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    del config["rope_parameters"]
    path.write_text(json.dumps({**config, **rope, "dtype": "float16"}))
    other = LlamaForCausalLM(LlamaConfig(**{**config, **rope, "dtype": "float32"})).eval()
    other.load_state_dict(network.state_dict())
    model = load_model(tmp_path)
    ids = torch.from_numpy(model.encode(random_windows()))
    with torch.inference_mode():
        assert torch.allclose(model.logits(ids), other(ids).logits, atol=1e-5)
        assert not torch.allclose(model.logits(ids), network(ids).logits, atol=1e-2)


# Tokenisers --------------------------------------------------------------------------------------


def tokens_of(folder):
    write_model(folder)
    return load_model(folder).tokeniser


def test_ids_are_read_in_either_case(tmp_path):
    lower = {token.lower() if len(token) == 1 else token: i for token, i in VOCABULARY.items()}
    tokeniser = tokens_of(write_tokeniser(tmp_path, lower, BOS, EOS))
    assert tokeniser.encode(np.frombuffer(b"ACGTN", np.uint8)[None]).tolist() == [
        [2, 7, 6, 5, 4, 8, 3]
    ]


def test_without_a_token_n_is_unknown(tmp_path):
    vocabulary = {token: i for token, i in VOCABULARY.items() if token != "N"}
    assert tokens_of(write_tokeniser(tmp_path, vocabulary)).unknown == VOCABULARY["[UNK]"]


@pytest.mark.parametrize("unk", ["[UNK]", None])
def test_byte_pairs_without_merges_are_bases(tmp_path, unk):
    from tokenizers import Tokenizer, models, pre_tokenizers

    write_tokeniser(tmp_path, settings={"unk_token": unk})
    tokeniser = Tokenizer(models.BPE(VOCABULARY, []))
    tokeniser.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokeniser.save(str(tmp_path / "tokenizer.json"))
    assert tokens_of(tmp_path).encode(np.frombuffer(b"ACGTN", np.uint8)[None]).tolist() == [
        [7, 6, 5, 4, 8]
    ]
    less = {token: i for token, i in VOCABULARY.items() if token != "N"}
    Tokenizer(models.BPE(less, [])).save(str(tmp_path / "tokenizer.json"))
    if unk:
        assert load_model(tmp_path).tokeniser.unknown == VOCABULARY[unk]
    else:
        with pytest.raises(UserError, match="add N or an unknown token"):
            load_model(tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("prefix", "suffix", "settings"),
    [
        ((), (), {"add_bos_token": True}),
        ((), (), {"add_bos_token": True, "add_eos_token": True}),
        (BOS, (), {"add_bos_token": True}),
        (BOS, EOS, {}),
        (BOS, EOS, {"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": False}),
        (BOS, (), {"tokenizer_class": "LlamaTokenizerFast", "add_eos_token": False}),
    ],
)
def test_ends_are_those_that_the_settings_say(tmp_path, prefix, suffix, settings):
    write_tokeniser(tmp_path, prefix=prefix, suffix=suffix, settings=settings)
    tokeniser = tokens_of(tmp_path)
    bos = settings.get("add_bos_token", bool(prefix))
    eos = settings.get("add_eos_token", bool(suffix))
    assert tokeniser.prefix == ((VOCABULARY["[BOS]"],) if bos else ())
    assert tokeniser.suffix == ((VOCABULARY["[EOS]"],) if eos else ())


def test_words_are_no_bases(tmp_path):
    from tokenizers import Tokenizer, models

    write_causal(tmp_path)
    pair = {**VOCABULARY, "GA": 9}
    Tokenizer(models.BPE(pair, [("G", "A")])).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(
        UserError,
        match=r"'GA..' within .* becomes \[9, .*expected one token a base, \[5, 7, .*merges",
    ):
        load_model(tmp_path)
    kmers = {"[UNK]": 0, "ACG": 1, "CGT": 2}
    write_tokeniser(tmp_path, kmers)
    with pytest.raises(UserError, match=r"A, C, G, T become .* expected one token for each base"):
        load_model(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json: not found"):
        load_model(tmp_path)


def test_a_vocabulary_of_another_model(tmp_path):
    write_causal(tmp_path, vocab_size=8)
    with pytest.raises(UserError, match="ids up to 8, but the model knows only 8"):
        load_model(tmp_path)
    write_model(tmp_path, vocab_size=9)
    write_tokeniser(tmp_path, {**VOCABULARY, "later": 9})
    assert load_model(tmp_path).tokeniser.unknown == 8


@pytest.mark.parametrize("family", FAMILIES)
def test_the_window_has_to_fit_the_positions(tmp_path, family):
    write_causal(tmp_path, family, BOS, EOS)

    def prepared(window):
        return prepare(
            tmp_path, name="g", path="", revision=None, precision="float32", window=window
        )

    assert prepared(62).options == {"counted": "nucleotides"}
    assert load_model(tmp_path).max_window == 62
    with pytest.raises(UserError, match=r"models\.g\.window: found 63; .* at most 62 bp \(64 pos"):
        prepared(63)


# The numbers of the shared checkpoints -----------------------------------------------------------


@pytest.fixture(params=["gpt2_char", "llama_char"])
def checkpoint(request, shared_data):
    return shared_data.parent / "families" / request.param


@pytest.mark.real_data
def test_logits_are_those_stored(checkpoint):
    model = load_model(checkpoint)
    stored = np.load(checkpoint / "logits.npz")
    for row in range(4):
        ids = stored[f"ids_{row}"]
        letters = np.frombuffer(str(stored[f"seq_{row}"]).encode(), np.uint8)[None]
        if str(stored[f"seq_{row}"]).isupper():
            assert model.encode(letters)[0].tolist() == ids.tolist()
        logits = model.logits(torch.from_numpy(ids)[None])[0].numpy()
        np.testing.assert_allclose(logits, stored[f"logits_{row}"], rtol=0, atol=1e-5)


def pairs_of_windows(checkpoint, table):
    """REF and ALT windows of 128 bp, clipped at the contig's ends, and the index of the variant."""
    lines = (checkpoint.parent / "genome.fa").read_text().upper().splitlines()
    contig = "".join(lines[1:])
    for row in table.iter_rows(named=True):
        start = max(0, row["pos"] - 1 - 64)
        window, index = contig[start : row["pos"] - 1 + 64], row["pos"] - 1 - start
        end = index + len(row["ref"])
        assert window[index:end] == row["ref"]
        yield window, window[:index] + row["alt"] + window[end:], index


def as_bytes(window):
    return np.frombuffer(window.encode(), np.uint8)[None]


@pytest.mark.real_data
@pytest.mark.parametrize("counted", ["all", "nucleotides"])
@pytest.mark.parametrize("name", ["scores", "scores_indel"])
def test_scores_are_those_stored(checkpoint, name, counted):
    model = load_model(checkpoint, options={"counted": counted})
    table = pl.read_csv(checkpoint / f"{name}.tsv", separator="\t")
    short = {"all": "all", "nucleotides": "nt"}[counted]
    scores = {
        f"{kind}_{short}_{strand}": [] for kind in ("sum", "mean") for strand in ("fwd", "rev")
    }
    widths, unknown = set(), 0
    for ref, alt, index in pairs_of_windows(checkpoint, table):
        widths.add(len(ref))
        unknown += "N" in ref
        for strand in ("fwd", "rev"):
            pair = [as_bytes(ref), as_bytes(alt)]
            at = index
            if strand == "rev":
                pair, at = [reverse_complement(window) for window in pair], len(ref) - 1 - index
            ids = [torch.from_numpy(model.encode(window)) for window in pair]
            likelihoods = [model.log_likelihood(window).item() for window in ids]
            counts = [model.counts(window).item() for window in ids]
            difference = likelihoods[1] - likelihoods[0]
            if name == "scores":
                site = model.site_logits(ids[0], at)[0]
                ours = ["ACGT".index(chr(window[0, at])) for window in pair]
                difference = (site[ours[1]] - site[ours[0]]).item()
            means = [likelihoods[k] / counts[k] for k in (0, 1)]
            scores[f"sum_{short}_{strand}"].append(difference)
            scores[f"mean_{short}_{strand}"].append(
                means[1] - means[0] if name == "scores_indel" else difference / counts[0]
            )
    assert name == "scores_indel" or (unknown and len(widths) > 1)  # some are clipped
    for kind in ("sum", "mean"):
        both = [np.array(scores[f"{kind}_{short}_{strand}"]) for strand in ("fwd", "rev")]
        for values, strand in zip((*both, sum(both) / 2), ("fwd", "rev", "mean"), strict=True):
            expected = table[f"{kind}_{short}_{strand}"].to_numpy()
            np.testing.assert_allclose(values, expected, rtol=0, atol=1e-4)
