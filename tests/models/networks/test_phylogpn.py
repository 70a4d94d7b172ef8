"""PhyloGPN: its authors' numbers, and a plain transcription of its formulas."""

import json

import numpy as np
import polars as pl
import pytest
import torch
import torch.nn.functional as F

from making.phylogpns import OPTIONS, random_tensors, write_phylogpn
from varlm.errors import UserError
from varlm.genome.windows import reverse_complement
from varlm.models.loading import load_model
from varlm.models.preparing import prepare

HALO = 8  # (3² − 1) / 2, twice


@pytest.fixture
def tensors():
    return random_tensors()


@pytest.fixture
def model(tmp_path, tensors):
    return load_model(write_phylogpn(tmp_path / "model", tensors))


def random_windows(count, width, letters=b"ACGTN-"):
    return np.random.default_rng(3).choice(np.frombuffer(letters, np.uint8), (count, width))


def transcribed(tensors, ids, complements=(3, 2, 1, 0, 4, 5)):
    """Logits with torch's own convolutions, channels first."""

    def symmetric(name):
        x = tensors[f"{name}.original"]
        return (x + x.flip(tuple(range(x.dim())))) / 2

    def convolution(x, name, dilation=1):
        name += ".parametrizations"
        weight, bias = symmetric(f"{name}.weight"), symmetric(f"{name}.bias")
        return F.conv1d(x, weight, bias, dilation=dilation)

    def norm(x, name):
        scale, shift = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        return F.gelu(F.layer_norm(x.mT, x.shape[1:2], scale, shift).mT)

    table = tensors["embedding.parametrizations.weight.original"]
    table = (table + table[list(complements)].flip(1)) / 2
    x = table[ids].mT
    for block, dilation in enumerate([1, 3, 1, 3]):
        y = x
        for number in (1, 2, 3):
            y = norm(y, f"blocks.{block}.layer_norm{number}")
            y = convolution(y, f"blocks.{block}.conv{number}", dilation if number == 2 else 1)
        x = x[:, :, dilation:-dilation] + y
    return convolution(norm(x, "output_layer_norm"), "output_conv").mT


def test_logits_are_those_of_the_formulas(model, tensors):
    windows = random_windows(3, 40)
    ids = torch.from_numpy(model.encode(windows))
    assert ids[0].tolist() == ["ACGTN-".index(chr(letter)) for letter in windows[0]]
    logits = model.base_logits(ids)
    assert logits.shape == (3, 40 - 2 * HALO, 4)
    assert torch.allclose(logits, transcribed(tensors, ids), atol=1e-5)


def test_a_tile_is_answered_by_the_bases_at_its_indices(model):
    ids = torch.from_numpy(model.encode(random_windows(2, 30)))
    whole = model.base_logits(ids)
    for index in range(HALO, 30 - HALO):
        site = model.tile_logits(ids, index, index + 1)[:, 0]
        assert torch.allclose(site, whole[:, index - HALO], atol=1e-5)
        assert torch.allclose(model.logits(ids, [index])[:, 0], site, atol=1e-5)
    assert torch.allclose(model.tile_logits(ids, HALO, 30 - HALO), whole, atol=1e-5)
    for start, stop in ((HALO - 1, HALO), (HALO, 31 - HALO)):
        with pytest.raises(ValueError, match="they need 8 on each side"):
            model.tile_logits(ids, start, stop)


def test_palindromic_norms_make_both_strands_equal(tmp_path, tensors):
    palindromic = {
        name: (tensor + tensor.flip(0)) / 2 if "layer_norm" in name else tensor
        for name, tensor in tensors.items()
    }
    windows = random_windows(4, 2 * HALO + 1)
    for stored, equal in ((palindromic, True), (tensors, False)):
        loaded = load_model(write_phylogpn(tmp_path / str(equal), stored))
        forward, reverse = (
            loaded.tile_logits(torch.from_numpy(loaded.encode(strand)), HALO, HALO + 1)[:, 0]
            for strand in (windows, reverse_complement(windows))
        )
        assert torch.allclose(forward, reverse.flip(1), atol=1e-5) == equal


def test_ids_of_files_go_before_those_of_the_authors_class(tmp_path, tensors):
    ids = {"-": 0, "N": 1, "T": 2, "G": 3, "C": 4, "A": 5}
    folder = write_phylogpn(tmp_path, tensors)
    (folder / "vocab.json").write_text(json.dumps(ids))
    loaded = load_model(folder)
    windows = random_windows(2, 20)
    encoded = torch.from_numpy(loaded.encode(windows))
    assert encoded[0].tolist() == [ids[chr(letter)] for letter in windows[0]]
    expected = transcribed(tensors, encoded, complements=(0, 1, 5, 4, 3, 2))
    assert torch.allclose(loaded.base_logits(encoded), expected, atol=1e-5)
    added = {"4": {"content": "N"}, "5": {"content": "-"}}
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    with pytest.raises(UserError, match="expected each of 0 to 5 once"):
        load_model(folder)
    (folder / "vocab.json").unlink()
    assert load_model(folder).encode(np.frombuffer(b"ACGTN-", np.uint8)[None]).tolist() == [
        [0, 1, 2, 3, 4, 5]
    ]


def test_half_precision_agrees(model):
    ids = torch.from_numpy(model.encode(random_windows(2, 30)))
    exact = model.base_logits(ids)
    model.set_mode("bfloat16")
    assert torch.allclose(model.base_logits(ids), exact, atol=0.3)
    assert not torch.equal(model.base_logits(ids), exact)
    model.set_mode("float32")
    assert torch.equal(model.base_logits(ids), exact)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel_size": 4}, r"kernel_size is 4, .* expected an odd kernel"),
        ({"inner_dim": 0}, "inner_dim is 0, expected a whole number"),
        ({"stack_size": 40}, "lose .* bp on each side, expected at most"),
        ({"num_stacks": 3}, "it lacks"),
        ({"outer_dim": 14}, "one of the two files belongs to another model"),
    ],
)
def test_a_config_that_does_not_fit_is_an_error(tmp_path, tensors, change, message):
    folder = write_phylogpn(tmp_path, tensors, {**OPTIONS, **change})
    with pytest.raises(UserError, match=message):
        load_model(folder)


def prepared(folder, window=None):
    return prepare(folder, name="p", path="", revision=None, precision="float32", window=window)


def test_the_window_has_to_hold_what_the_model_sees(tmp_path, tensors):
    folder = write_phylogpn(tmp_path / "small", tensors)
    assert prepared(folder, 17).window == 17
    with pytest.raises(UserError, match=r"models\.p\.window: found 16; .* 8 bp .* set it to 17"):
        prepared(folder, 16)
    large = write_phylogpn(tmp_path / "large", tensors, {**OPTIONS, "num_stacks": 61})
    with pytest.raises(UserError, match=r"found 481; .* loses 244 bp .* set it to 489"):
        prepared(large)
    published = write_phylogpn(tmp_path / "published", tensors, {})  # all options left out
    assert prepared(published).window == 481
    with pytest.raises(UserError, match="set it to 481"):
        prepared(published, 480)


# The authors' numbers ----------------------------------------------------------------------------


@pytest.fixture
def checkpoint(shared_data):
    return shared_data.parent / "families/phylogpn"


@pytest.mark.real_data
def test_logits_are_those_of_the_authors(checkpoint):
    loaded = load_model(checkpoint)
    stored = np.load(checkpoint / "logits.npz")
    for row in range(4):
        letters = np.frombuffer(str(stored[f"seq_{row}"]).encode(), np.uint8)[None]
        ids = loaded.encode(letters)
        assert ids[0].tolist() == stored[f"ids_{row}"].tolist()
        logits = loaded.base_logits(torch.from_numpy(ids))[0].numpy()
        np.testing.assert_allclose(logits, stored[f"logits_{row}"], rtol=0, atol=1e-5)


@pytest.mark.real_data
def test_scores_are_those_of_the_authors(checkpoint):
    loaded = load_model(checkpoint)
    halo = loaded.halo
    lines = (checkpoint.parent / "genome.fa").read_text().upper().splitlines()
    contig = b"-" * halo + "".join(lines[1:]).encode() + b"-" * halo
    sites = pl.read_csv(checkpoint / "scores.tsv", separator="\t")
    windows = np.array(
        [np.frombuffer(contig[pos - 1 : pos + 2 * halo], np.uint8) for pos in sites["pos"]]
    )
    assert (windows == ord("-")).any()
    assert (windows == ord("N")).any()
    codes = [np.array(["ACGT".index(base) for base in sites[name]]) for name in ("ref", "alt")]
    assert (windows[:, halo] == np.frombuffer(b"ACGT", np.uint8)[codes[0]]).all()
    rows, strands = np.arange(len(windows)), {}
    for name, strand in (("fwd", windows), ("rev", reverse_complement(windows))):
        ids = torch.from_numpy(loaded.encode(strand))
        logits = loaded.tile_logits(ids, halo, halo + 1)[:, 0].numpy()
        ref, alt = codes if name == "fwd" else [3 - code for code in codes]
        strands[name] = logits[rows, alt] - logits[rows, ref]
        np.testing.assert_allclose(strands[name], sites[name], rtol=0, atol=1e-4)
    mean = (strands["fwd"] + strands["rev"]) / 2
    np.testing.assert_allclose(mean, sites["mean"], rtol=0, atol=1e-4)
