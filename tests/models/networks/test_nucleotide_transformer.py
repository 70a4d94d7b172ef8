"""Nucleotide Transformer and AgroNT: as the authors' classes, whatever the layout of the files."""

import itertools
import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from making.nucleotide_transformers import (
    AUTO_MAP,
    configuration,
    make_checkpoint,
    tensors,
    vocabulary,
)
from varlm.errors import UserError
from varlm.genome.windows import centre, reverse_complement
from varlm.models import kmers, preparing
from varlm.models.families import nucleotide_transformer as family
from varlm.models.loading import load_model
from varlm.models.networks import native

WINDOW = 66  # 5 whole 6-mers, the site's, 5 more
REVERSED = [3, 2, 1, 0]


def windows(rows: int = 4, width: int = WINDOW, seed: int = 0) -> np.ndarray:
    letters = np.frombuffer(b"ACGT", np.uint8)
    return np.random.default_rng(seed).choice(letters, (rows, width))


def random_ids(rows: int, tokens: int, size: int, seed: int = 0) -> torch.Tensor:
    """Return ids with <cls> first and no <pad>."""
    ids = np.random.default_rng(seed).integers(2, size, (rows, tokens))
    ids[:, 0] = 3
    return torch.from_numpy(ids)


# -- the authors' answers --------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["nt_v1", "nt_v2"])
def published(request, shared_data):
    folder = shared_data.parent / "families" / request.param
    if not folder.is_dir():
        pytest.skip(f"no published answers at {folder}")
    return folder


@pytest.mark.real_data
def test_the_logits_are_the_authors(published):
    model = load_model(published)
    answers = np.load(published / "logits.npz")
    for number in range(sum(name.startswith("ids_") for name in answers)):
        ids = torch.from_numpy(answers[f"ids_{number}"])[None]
        logits = model.logits(ids)[0].numpy()
        np.testing.assert_allclose(logits, answers[f"logits_{number}"], rtol=0, atol=1e-4)
        assert np.ptp(logits) > 1


@pytest.mark.real_data
def test_the_scores_are_the_authors(published):
    model = load_model(published)
    sites = pl.read_csv(published / "scores.tsv", separator="\t")
    half, ends = 99, {"A": 0, "C": 1, "G": 2, "T": 3}
    contigs: dict[str, str] = {}
    for record in (published.parent / "genome.fa").read_text().split(">")[1:]:
        name, *lines = record.split("\n")
        contigs[name.split()[0]] = "N" * half + "".join(lines).upper() + "N" * half
    cut = [
        contigs[chrom][pos - 1 : pos - 1 + 2 * half]
        for chrom, pos in zip(sites["chrom"], sites["pos"], strict=True)
    ]
    forward = np.frombuffer("".join(cut).encode(), np.uint8).reshape(len(cut), -1)
    refs, alts = ([ends[base] for base in sites[name]] for name in ("ref", "alt"))
    assert [text[half] for text in cut] == sites["ref"].to_list()
    rows = np.arange(len(cut))
    strands = []
    for side, bases in (("forward", forward), ("reverse", reverse_complement(forward))):
        ids = torch.from_numpy(model.encode(bases))
        numbers = kmers.joint(model, bases, ids, centre(2 * half, side), 3).numpy()
        if side == "reverse":
            numbers = numbers[:, REVERSED]
        strands.append(numbers[rows, alts] - numbers[rows, refs])
    for name, scores in zip(("fwd", "rev"), strands, strict=True):
        np.testing.assert_allclose(scores, sites[name], rtol=0, atol=1e-4)
    np.testing.assert_allclose(sum(strands) / 2, sites["mean"], rtol=0, atol=1e-4)


@pytest.mark.real_data
def test_the_published_folders_are_recognised(published):
    prepared = prepare(published, window=198)
    assert (prepared.family, prepared.score) == ("nucleotide_transformer", "masked")


# -- the classes of transformers -------------------------------------------------------------------


class Gated(nn.Module):
    """The feed-forward of version 2, by its description."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.dense = nn.Linear(width, 2 * inner, bias=False)

    def forward(self, states):
        gate, rest = self.dense(states).split(self.dense.out_features // 2, -1)
        return gate * torch.sigmoid(gate) * rest


def transformers_model(folder):
    """Return transformers' own class with the checkpoint's tensors."""
    config = json.loads((folder / "config.json").read_text())
    model = native.build("EsmForMaskedLM", {**config, "auto_map": None}, folder)
    width, inner = config["hidden_size"], config["intermediate_size"]
    if "add_bias_fnn" in config:
        for layer in model.esm.encoder.layer:
            layer.intermediate = Gated(width, inner)
            layer.output.dense = nn.Linear(inner, width, bias=False)
    stored = load_file(folder / "model.safetensors")
    missing, surplus = model.load_state_dict(stored, strict=False)
    assert set(missing) <= ({"lm_head.decoder.weight"} if config["tie_word_embeddings"] else set())
    assert all("position" in name or "inv_freq" in name for name in surplus)
    return model.eval()


@pytest.mark.parametrize(
    ("version", "changes"),
    [
        (1, {}),
        (1, {"tie_word_embeddings": True}),
        (1, {"emb_layer_norm_before": True, "layer_norm_eps": 1e-5}),
        (1, {"token_dropout": True}),
        (1, {"position_embedding_type": "rotary", "hidden_size": 36}),
        (1, {"pad_token_id": 4, "num_hidden_layers": 1}),
        (2, {}),
        (2, {"tie_word_embeddings": True, "num_attention_heads": 2}),
        (2, {"intermediate_size": 17, "num_hidden_layers": 1}),
    ],
)
def test_it_is_the_class_of_transformers(tmp_path, version, changes):
    folder = make_checkpoint(tmp_path, version, **changes)
    model, expected = load_model(folder), transformers_model(folder)
    ids = random_ids(3, 12, model.tokeniser.size)
    ids[ids == changes.get("pad_token_id", 1)] = 3
    ids[0, 4] = ids[1, 7:9] = 2
    with torch.inference_mode():
        logits = expected(ids).logits
        states = expected.esm(ids).last_hidden_state
    for ours, theirs in ((model.logits(ids), logits), (model.hidden(ids), states)):
        rounding = 5e-6 * theirs.abs().max().item()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=rounding)
    assert logits.std() > 0.1


@pytest.mark.parametrize("version", [1, 2])
def test_at_some_tokens_it_says_what_it_says_there(tmp_path, version):
    model = load_model(make_checkpoint(tmp_path, version))
    ids = random_ids(2, 20, model.tokeniser.size)
    for read in (model.logits, model.hidden):
        everywhere = read(ids)
        for at in ([7], [3, 19, 0], range(1, 20)):
            torch.testing.assert_close(read(ids, at), everywhere[:, list(at)], rtol=0, atol=1e-5)


# -- layouts of the files --------------------------------------------------------------------------


def rewrite(folder, layout: str) -> None:
    """Store the checkpoint's tensors in another way."""
    whole = folder / "model.safetensors"
    stored = load_file(whole)
    whole.unlink()
    if layout == "pickle":
        torch.save(stored, folder / "pytorch_model.bin")
        return
    suffix, save = ("bin", torch.save) if layout == "sharded pickle" else ("safetensors", save_file)
    base = "pytorch_model" if suffix == "bin" else "model"
    places = {
        name: f"{base}-{number % 3 + 1:05d}-of-00003.{suffix}" for number, name in enumerate(stored)
    }
    for file in set(places.values()):
        part = {name: tensor for name, tensor in stored.items() if places[name] == file}
        save(part, folder / file)
    index = {"metadata": {}, "weight_map": places}
    (folder / f"{base}{'.safetensors' if suffix != 'bin' else '.bin'}.index.json").write_text(
        json.dumps(index)
    )


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("layout", ["pickle", "sharded", "sharded pickle"])
def test_the_layout_of_the_files_changes_no_bit(tmp_path, version, layout):
    plain = load_model(make_checkpoint(tmp_path / "plain", version))
    folder = make_checkpoint(tmp_path / "other", version)
    rewrite(folder, layout)
    files = preparing.describe(folder)
    model = load_model(folder, files.files)
    ids = random_ids(2, 11, plain.tokeniser.size)
    assert model.logits(ids).equal(plain.logits(ids))
    assert ("pytorch" in " ".join(files.weights)) == ("pickle" in layout)
    assert len(files.weights) == (3 if "sharded" in layout else 1)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_are_read_as_the_numbers_that_they_hold(tmp_path, version, dtype):
    folders = [make_checkpoint(tmp_path / name, version) for name in ("half", "same", "full")]
    path = "model.safetensors"
    stored = load_file(folders[0] / path)
    rounded = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in stored.items()
    }
    save_file(rounded, folders[0] / path)
    floats = {name: t.float() if t.is_floating_point() else t for name, t in rounded.items()}
    save_file(floats, folders[1] / path)
    half, same, full = (load_model(folder) for folder in folders)
    ids = random_ids(2, 40, full.tokeniser.size)
    assert half.logits(ids).equal(same.logits(ids))
    assert not half.logits(ids).equal(full.logits(ids))


@pytest.mark.parametrize("version", [1, 2])
def test_tied_weights_may_be_stored_once_or_twice(tmp_path, version):
    once = make_checkpoint(tmp_path / "once", version, tie_word_embeddings=True)
    twice = make_checkpoint(tmp_path / "twice", version, tie_word_embeddings=True)
    decoder = make_checkpoint(tmp_path / "decoder", version, tie_word_embeddings=True)
    stored = load_file(once / "model.safetensors")
    table = stored["esm.embeddings.word_embeddings.weight"]
    save_file(stored | {"lm_head.decoder.weight": table.clone()}, twice / "model.safetensors")
    del stored["esm.embeddings.word_embeddings.weight"]
    save_file(stored | {"lm_head.decoder.weight": table}, decoder / "model.safetensors")
    models = [load_model(folder) for folder in (once, twice, decoder)]
    ids = random_ids(2, 9, models[0].tokeniser.size)
    for model in models:
        assert model.logits(ids).equal(models[0].logits(ids))
        assert model.describe() == models[0].describe()
    save_file(
        stored
        | {"lm_head.decoder.weight": table + 1, "esm.embeddings.word_embeddings.weight": table},
        twice / "model.safetensors",
    )
    with pytest.raises(UserError, match=r"differ, but config\.json ties them"):
        load_model(twice)


def test_rotary_frequencies_are_those_of_the_file_and_the_same_in_all_layers(tmp_path):
    folder = make_checkpoint(tmp_path, 2)
    plain = load_model(folder)
    path = folder / "model.safetensors"
    stored = load_file(path)
    names = [name for name in stored if "inv_freq" in name]
    ids = random_ids(2, 40, plain.tokeniser.size)
    absent = {name: tensor for name, tensor in stored.items() if name not in names}
    save_file(absent, path)
    torch.testing.assert_close(load_model(folder).logits(ids), plain.logits(ids), atol=1e-5, rtol=0)
    other = {name: stored[name] * 1.5 for name in names}
    save_file(stored | other, path)
    assert not load_model(folder).logits(ids).allclose(plain.logits(ids), atol=1e-2)
    save_file(stored | {names[1]: stored[names[1]] * 1.5}, path)
    with pytest.raises(UserError, match="differ from layer to layer"):
        load_model(folder)


@pytest.mark.parametrize(
    ("remove", "add", "message"),
    [
        ("lm_head.bias", None, "lacks lm_head.bias"),
        (None, "esm.encoder.layer.7.LayerNorm.bias", "too many"),
    ],
)
def test_every_tensor_is_accounted_for(tmp_path, remove, add, message):
    folder = make_checkpoint(tmp_path, 1)
    stored = load_file(folder / "model.safetensors")
    stored.pop(remove, None)
    if add:
        stored[add] = torch.zeros(24)
    save_file(stored, folder / "model.safetensors")
    with pytest.raises(UserError, match=message):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": "24"}, "hidden_size is '24'"),
        ({"num_attention_heads": 5}, "multiple of num_attention_heads, 5"),
        ({"position_embedding_type": "relative_key"}, "expected absolute or rotary"),
        ({"is_decoder": True}, "reads from left to right"),
        ({"token_dropout": True, "mask_token_id": None}, "no mask_token_id"),
        ({"max_position_embeddings": 2}, "more than pad_token_id"),
        (
            {"position_embedding_type": "rotary", "num_attention_heads": 8},
            "an even number for each",
        ),
        ({"token_dropout": True, "mask_token_id": 4}, "mask_token_id is 4, but the mask"),
    ],
)
def test_a_config_that_makes_no_network_is_an_error(tmp_path, changes, message):
    folder = make_checkpoint(tmp_path, 1)
    (folder / "config.json").write_text(json.dumps(configuration(1, **changes)))
    with pytest.raises(UserError, match=message):
        load_model(folder)


def test_weights_of_other_shapes_are_an_error(tmp_path):
    folder = make_checkpoint(tmp_path, 1)
    config = configuration(1, intermediate_size=41)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"has the shape \(40, 24\), expected \(41, 24\)"):
        load_model(folder)


# -- what it is, and what it makes of nucleotides --------------------------------------------------


def prepare(folder, **settings):
    arguments = {"name": "nt", "path": str(folder), "revision": None, "precision": "auto"}
    return preparing.prepare(folder, **arguments, **settings)


@pytest.mark.parametrize("version", [1, 2])
def test_config_json_tells_the_family(tmp_path, version):
    folder = make_checkpoint(tmp_path, version, max_position_embeddings=1002)
    prepared = prepare(folder)
    assert (prepared.family, prepared.score, prepared.strands) == (
        *("nucleotide_transformer", "masked"),
        "both",
    )
    assert prepared.window == 5994
    assert {"vocab.txt", "config.json", "model.safetensors"} <= set(prepared.files)


def test_a_version_2_that_was_saved_again_is_one(tmp_path):
    mapped = {key: f"InstaDeepAI/nt--{value}" for key, value in AUTO_MAP.items()}
    original = make_checkpoint(tmp_path / "original", 2)
    again = make_checkpoint(tmp_path / "again", 2, auto_map=mapped, model_type="esm")
    assert prepare(again, window=WINDOW).family == "nucleotide_transformer"
    ids = random_ids(2, 9, 4107)
    assert load_model(again).logits(ids).equal(load_model(original).logits(ids))


def test_a_6mer_is_its_line_of_the_vocabulary(tmp_path):
    folder = make_checkpoint(tmp_path, 2)
    lines = vocabulary(2)
    order = np.random.default_rng(5).permutation(len(lines))
    shuffled = [lines[place] for place in order]
    (folder / "vocab.txt").write_text("\n".join(shuffled) + "\n")
    model = load_model(folder)
    text = b"ACGTTTNCGTACGGGGGG------ACGTA-"
    ids = model.encode(np.frombuffer(text, np.uint8)[None])[0]
    tokens = ["<cls>", "ACGTTT", "N", "GGGGGG", "N", "N"]
    assert [shuffled[number] for number in ids] == tokens
    assert model.tokeniser.mask == shuffled.index("<mask>")


def test_special_tokens_may_have_other_names(tmp_path):
    folder = make_checkpoint(tmp_path, 2)
    text = (folder / "vocab.txt").read_text()
    (folder / "vocab.txt").write_text(text.replace("<mask>", "[MASK]").replace("<cls>", "[CLS]"))
    names = {"cls_token": "[CLS]", "mask_token": {"content": "[MASK]"}, "eos_token": "<eos>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    tokeniser = family.read_tokeniser(folder, {}, {})
    assert (tokeniser.prefix, tokeniser.mask, tokeniser.suffix) == ((3,), 2, (4,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [x for x in lines if x != "ACGTAC"], "lacks ACGTAC; expected each of the"),
        (
            lambda lines: [x for x in lines if len(x) != 6 or x[0] == "<"],
            r"lacks .* \(4096 in all\)",
        ),
        (lambda lines: [x for x in lines if x != "<mask>"], "lacks <mask>"),
        (lambda lines: [x for x in lines if x != "<cls>"], "lacks <cls>"),
        (lambda lines: lines[:-1], "lacks N;"),
        (lambda lines: [x.replace("TTTTTT", "AAAAAA") for x in lines], "lacks TTTTTT"),
        (lambda lines: ["AAAAAA", *lines[1:]], "has twice AAAAAA"),
        (lambda lines: [*lines, "X"], "4106 tokens, but vocab_size in config.json is 4105"),
        (lambda _: [], "the file is empty"),
    ],
)
def test_a_vocabulary_that_does_not_do_is_one_clear_error(tmp_path, change, message):
    folder = make_checkpoint(tmp_path, 1)
    (folder / "vocab.txt").write_text("\n".join(change(vocabulary(1))))
    with pytest.raises(UserError, match=message):
        preparing.describe(folder)


def test_a_missing_or_unreadable_vocabulary_is_an_error(tmp_path):
    folder = make_checkpoint(tmp_path, 1)
    (folder / "vocab.txt").write_bytes(b"<unk>\n\xff\xfea")
    with pytest.raises(UserError, match=r"vocab\.txt: not readable as text"):
        family.read_tokeniser(folder, {}, {})
    (folder / "vocab.txt").unlink()
    with pytest.raises(UserError, match=r"vocab\.txt: not found"):
        preparing.describe(folder)
    folder = make_checkpoint(tmp_path, 1)
    (folder / "tokenizer_config.json").write_text("[]")
    message = r"tokenizer_config\.json: found a list, expected a JSON object"
    with pytest.raises(UserError, match=message):
        family.read_tokeniser(folder, {}, {})


@pytest.mark.parametrize(
    ("version", "positions", "longest"), [(1, 1002, 5994), (2, 2050, 12282), (2, 50, 282)]
)
def test_windows_put_the_site_where_it_is_published(tmp_path, version, positions, longest):
    folder = make_checkpoint(tmp_path, version, max_position_embeddings=positions)
    files = preparing.describe(folder)
    for width in range(1, longest + 30):
        problem = family.window_problem(width, files.config, files.tokens)
        cover = [
            files.tokens.cover(centre(width, side), width) if width >= 6 else []
            for side in ("forward", "reverse")
        ]
        offsets = [[offset for _, offset in tokens] for tokens in cover]
        fits = width % 6 == 0 and files.tokens.tokens(width) <= positions - 2
        assert (problem is None) == (fits and offsets == [[3], [2]])
    assert load_model(folder).max_window == longest


def test_a_wrong_window_is_told_the_nearest_ones(tmp_path):
    folder = make_checkpoint(tmp_path, 2)
    with pytest.raises(UserError, match=r"models.nt.window: found 60; .*set 54 or 66"):
        prepare(folder, window=60)
    with pytest.raises(UserError, match=r"found 300; the model reads at most 282 bp .*set 282"):
        prepare(folder, window=300)
    with pytest.raises(UserError, match=r"found 3; .*set 6"):
        prepare(folder, window=3)


# -- scores ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["forward", "reverse"])
def test_joint_and_marginal_are_as_they_are_defined(tmp_path, side):
    model = load_model(make_checkpoint(tmp_path, 1))
    bases = windows()
    index = centre(WINDOW, side)
    token, offset = 1 + index // 6, index % 6
    ids = torch.from_numpy(model.encode(bases))
    joint = kmers.joint(model, bases, ids, index, 3).numpy()
    marginal = kmers.marginal(model, ids, index).numpy()
    lines = vocabulary(1)
    for row, window in enumerate(bases):
        text = window.tobytes().decode()
        pieces = [text[start : start + 6] for start in range(0, WINDOW, 6)]
        masked = [3, *(lines.index(piece) for piece in pieces)]
        masked[token] = lines.index("<mask>")
        logits = model.logits(torch.tensor([masked]))[0, token].double().numpy()
        own = pieces[token - 1]
        weights = {"".join(kmer): 0.0 for kmer in itertools.product("ACGT", repeat=6)}
        weights = {kmer: math.exp(logits[lines.index(kmer)]) for kmer in weights}
        for column, base in enumerate("ACGT"):
            kmer = own[:offset] + base + own[offset + 1 :]
            assert joint[row, column] == pytest.approx(logits[lines.index(kmer)], abs=1e-5)
            share = sum(w for kmer, w in weights.items() if kmer[offset] == base)
            expected = math.log(share / sum(weights.values()))
            assert marginal[row, column] == pytest.approx(expected, abs=1e-5)
    assert ids.equal(torch.from_numpy(model.encode(bases)))  # not changed


# -- modes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("mode", "within"), [("bfloat16", 0.05), ("float16", 0.01)])
def test_modes_round_and_leave_the_reference_as_it_was(tmp_path, version, mode, within):
    model = load_model(make_checkpoint(tmp_path, version))
    ids = random_ids(4, 30, model.tokeniser.size)
    reference = model.logits(ids)
    model.set_mode(mode)
    rounded = model.logits(ids)
    assert rounded.dtype == model.hidden(ids).dtype == torch.float32
    assert 0 < (rounded - reference).std() < within * reference.std()
    assert model.modes()[0] == "float32"
    model.set_mode("float32")
    assert model.logits(ids).equal(reference)
    with pytest.raises(ValueError, match="no mode 'winograd'"):
        model.set_mode("winograd")


def test_the_files_hold_what_the_authors_files_hold(tmp_path):
    """The maker's own: unread tensors are there, so that the tests above show that they are."""
    names = set(tensors(configuration(2), tmp_path))
    assert {"esm.embeddings.position_ids", "esm.contact_head.regression.bias"} <= names
    assert "esm.embeddings.position_embeddings.weight" in names
    assert "esm.encoder.layer.2.attention.self.rotary_embeddings.inv_freq" in names
