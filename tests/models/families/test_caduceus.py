"""Caduceus and PlantCaduceus: what config.json and the tokeniser say, and what fits together."""

import json

import numpy as np
import pytest
import torch

from making.caducei import COMPLEMENTS, caduceus_config, caduceus_tensors, write_caduceus
from making.toy_models import TOKENIZER, TOKENIZER_CONFIG
from varlm.errors import UserError
from varlm.genome.windows import reverse_complement
from varlm.models.loading import load_model
from varlm.models.preparing import describe, prepare

PH, PS = caduceus_config(), caduceus_config(rcps=True)
IDS = torch.tensor([[7, 8, 9, 10, 11, 3, 10, 10, 8, 1]])


def test_complements_come_by_id_whatever_their_order(tmp_path):
    sorted_as_text = {key: COMPLEMENTS[key] for key in sorted(COMPLEMENTS) if int(key) < 12}
    config = PS | {"complement_map": sorted_as_text}
    one = load_model(write_caduceus(tmp_path / "one", PS))
    other = load_model(write_caduceus(tmp_path / "other", config))
    assert one.logits(IDS).equal(other.logits(IDS))


def test_complements_of_another_model_are_refused(tmp_path):
    tensors = caduceus_tensors(PS)
    tensors["lm_head.complement_map"] = torch.arange(16)
    with pytest.raises(UserError, match=r"lm_head.complement_map is .* config.json makes it"):
        load_model(write_caduceus(tmp_path / "m", PS, tensors))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (caduceus_config(n_layer=0), "n_layer is 0, expected a whole number"),
        (caduceus_config(d_model=True), "d_model is True"),
        (caduceus_config(d_model="256"), "d_model is '256'"),
        (caduceus_config(pad_vocab_size_multiple=0), "pad_vocab_size_multiple is 0"),
        (caduceus_config(rms_norm=1), "rms_norm is 1, expected true or false"),
        (caduceus_config(norm_epsilon=float("nan")), "norm_epsilon is nan"),
        (caduceus_config(bidirectional_strategy="mean"), "expected one of add, ew_multiply"),
        (caduceus_config(ssm_cfg=[1]), r"ssm_cfg is \[1\]"),
        (caduceus_config({"d_state": -1}), "d_state is -1"),
        (caduceus_config({"expand": 0}), "expand is 0"),
        (caduceus_config({"expand": float("inf")}), "expand is inf"),
        (caduceus_config({"dt_rank": "full"}), "dt_rank is 'full'"),
        (caduceus_config({"layer": "Mamba2"}), r"ssm_cfg has layer \('Mamba2'\)"),
        (caduceus_config(rcps=True, complement_map=None), "complement_map is None"),
        (caduceus_config(rcps=True, complement_map={"7": 10}), "each of them the other's"),
        (caduceus_config(rcps=True, complement_map={"x": 1}), "a key that is no token id"),
        (caduceus_config(rcps=True, complement_map={"7": 8, "8": 7}), "A the id 7"),
        (caduceus_config(vocab_size=8), "ids up to 11, but the model knows only 8"),
    ],
)
def test_config_that_makes_no_model_is_one_message(tmp_path, config, message):
    folder = write_caduceus(tmp_path / "m", PH)
    (folder / "config.json").write_text(json.dumps(config))
    for read in (describe, load_model):
        with pytest.raises(UserError, match=message):
            read(folder)


def test_config_of_another_checkpoint_is_refused(tmp_path):
    folder = write_caduceus(tmp_path / "m", PH)
    (folder / "config.json").write_text(json.dumps(PS))
    with pytest.raises(UserError, match=r"the weights do not fit config\.json"):
        load_model(folder)


def settings(folder, family=None):
    return prepare(
        folder,
        name="m",
        path=str(folder),
        revision=None,
        precision="auto",
        family=family,
    )


def test_plantcaduceus_is_asked_for_and_has_its_authors_window(tmp_path):
    """Its tokeniser, as its hub has it: small letters, no [SEP], 7 ids and a row to fill up."""
    complements = {"0": 0, "1": 1, "2": 2, "3": 6, "4": 5, "5": 4, "6": 3, "7": 7}
    config = caduceus_config(rcps=True, vocab_size=8, complement_map=complements)
    tensors = caduceus_tensors(config, rows=8)
    for name in tensors:
        if name.endswith("complement_map"):
            tensors[name] = torch.tensor(list(complements.values()))
    folder = write_caduceus(tmp_path / "m", config, tensors, TOKENIZER_CONFIG)
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    plant, other = settings(folder, "plantcaduceus"), settings(folder)
    assert (plant.family, plant.window, plant.strands) == ("plantcaduceus", 512, "forward")
    assert (other.family, other.window, other.strands) == ("caduceus", 1024, "both")
    assert plant.key != other.key
    model = load_model(folder, family="plantcaduceus")
    windows = np.frombuffer(b"ACGTN-ACGT", np.uint8)[None]
    assert model.encode(windows).tolist() == [[3, 4, 5, 6, 2, 2, 3, 4, 5, 6]]
    # Without a token after the sequence, both strands have the same scores.
    forward = model.site_logits(torch.from_numpy(model.encode(windows)), 4)
    reverse = model.site_logits(torch.from_numpy(model.encode(reverse_complement(windows))), 5)
    torch.testing.assert_close(forward, reverse.flip(1), rtol=1e-5, atol=1e-4)


def test_the_family_is_recognised(tmp_path):
    folder = write_caduceus(tmp_path / "m", PH)
    assert settings(folder).family == "caduceus"
    assert load_model(folder).describe().startswith("Caduceus-PH, ")
