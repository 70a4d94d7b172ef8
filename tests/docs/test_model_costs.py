"""docs/model_costs.py: operations a site as torch counts them, on a small model of each family."""

import importlib.util
import json
import sys

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from making import (
    berts,
    caducei,
    causal_transformers,
    dnabert2,
    hyenas,
    nucleotide_transformers,
    phylogpns,
)
from making.families import CHECKED
from varlm.genome.tiles import Tiles
from varlm.models.loading import load_model
from varlm.models.networks import products
from varlm.run.model_families import FAMILIES
from varlm.scoring.numbers import site_numbers, tile_numbers
from varlm.scoring.recipe import Recipe
from varlm.tables.score_kinds import SCORE_KINDS

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def without_onednn(monkeypatch):
    """Products that torch counts: of those by oneDNN it counts nothing."""
    monkeypatch.setattr(products, "_ONEDNN", False)


@pytest.fixture(scope="module")
def costs():
    from conftest import ROOT

    spec = importlib.util.spec_from_file_location("model_costs", ROOT / "docs/model_costs.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["model_costs"] = module  # where its dataclasses look for their module
    spec.loader.exec_module(module)
    return module


def window_of(width):
    return np.frombuffer(b"GATTACACCTGGAAC" * (width // 15 + 1), np.uint8)[None, :width]


def counted(run):
    # Fused attention is one operation, which torch does not count on every device.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        run()
    return counter.get_total_flops()


def count_site(folder, family, width, index, options=None):
    """Operations of the published kind of score, of one site on one strand."""
    model = load_model(folder, family=family, options=options)
    recipe = Recipe(kind=SCORE_KINDS[FAMILIES[family].scores[0]])

    def run():
        site_numbers(model, recipe, window_of(width), index)

    run()  # what is computed once a model, such as the filters of a HyenaDNA
    return counted(run)


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("version", [1, 2])
def test_a_nucleotide_transformer(costs, tmp_path, version):
    folder = nucleotide_transformers.make_checkpoint(tmp_path / "model", version)
    expected = costs.nucleotide_transformer(config_of(folder), 54, 27)
    assert expected.products == count_site(folder, "nucleotide_transformer", 54, 27)


@pytest.mark.parametrize("k", [1, 3])
def test_a_species_lm(costs, tmp_path, k):
    berts.species_lm(tmp_path, k=k)
    found = count_site(tmp_path, "species_lm", 30, 15, {"species": berts.SPECIES[0]})
    assert costs.species_lm({**config_of(tmp_path), "k": k}, 30, 15).products == found


def test_a_splicebert(costs, tmp_path):
    berts.splicebert(tmp_path)
    found = count_site(tmp_path, "splicebert", 30, 15)
    assert costs.splicebert(config_of(tmp_path), 30, 15).products == found


def test_a_dnabert2(costs, tmp_path):
    folder = dnabert2.make_checkpoint(tmp_path / "model")
    model = load_model(folder)
    ids = torch.zeros((4, 20), dtype=torch.long)
    found = counted(lambda: model.network.hidden(ids, torch.full((4,), 7)))
    assert costs.dnabert2({**config_of(folder), "bases": 2}, 36, 18).products == found


@pytest.mark.parametrize("rcps", [False, True])
def test_a_caduceus(costs, tmp_path, rcps):
    config = caducei.caduceus_config(rcps=rcps)
    folder = caducei.write_caduceus(tmp_path / "model", config)
    found = count_site(folder, "caduceus", 30, 15)
    assert costs.caduceus({**config, "vocab_size": 16}, 30, 15).products == found


def test_a_hyenadna(costs, tmp_path):
    folder = hyenas.make_hyena(tmp_path / "model")
    found = count_site(folder, "hyenadna", 40, 20)
    assert costs.hyenadna({**hyenas.CONFIG, "vocab_size": 16}, 40, 20).products == found


def test_a_phylogpn(costs, tmp_path):
    folder = phylogpns.write_phylogpn(tmp_path / "model", phylogpns.random_tensors())
    model, tiles = load_model(folder), Tiles.within(17, FAMILIES["phylogpn"].tile)
    found = counted(lambda: tile_numbers(model, tiles, window_of(tiles.window)))
    assert costs.phylogpn(phylogpns.OPTIONS, 17, 8).products == found / tiles.size


@pytest.mark.parametrize("model_type", ["gpt2", "llama"])
def test_a_causal_transformer(costs, tmp_path, model_type):
    causal_transformers.write_causal(tmp_path, model_type, prefix=("[BOS]",), suffix=("[EOS]",))
    config = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "vocab_size": len(causal_transformers.VOCABULARY),
        "around": (1, 1),
        "gated": model_type == "llama",
        "key_width": 8 if model_type == "llama" else 16,
        "intermediate_size": 24 if model_type == "llama" else 64,
    }
    found = count_site(tmp_path, model_type, 30, 15)
    assert costs.causal_transformer(config, 30, 15).products == found


def test_each_family_is_on_the_page(costs):
    shown = {family for family, _, _ in costs.CHECKPOINTS.values()}
    of_varlm = {"lstm", "gpt", "markov"}  # of any size
    assert shown | of_varlm | {"llama", "mistral"} == set(FAMILIES)
    assert len(CHECKED) == 12


def parameters(family, config):
    """Matrices' elements, of the sizes that the page counts with; biases and norms are few."""
    if family == "gpn":
        return 25 * (9 + 1) * 512**2
    if family == "hyenadna":
        width, filter_width = config["d_model"], 64
        filters = filter_width * (5 + 2 * filter_width + width)
        return config["n_layer"] * (4 * width**2 + 2 * width * config["d_inner"] + filters)
    if family in ("caduceus", "plantcaduceus"):
        width, inner = config["d_model"], 2 * config["d_model"]
        own = inner * (2 * width / 16 + 3 * 16 + 4)
        return config["n_layer"] * (3 * inner * width + 2 * own)
    if family == "phylogpn":
        return 40 * (2 * 960 * 480 + 5 * 480**2)
    width, inner = config["hidden_size"], config["intermediate_size"]
    gated = "add_bias_fnn" in config or family == "dnabert2"
    layer = 4 * width**2 + (3 if gated else 2) * width * inner
    tables = 2 if family == "nucleotide_transformer" else 1
    return config["num_hidden_layers"] * layer + tables * config["vocab_size"] * width


def test_sizes_make_as_many_parameters_as_is_said(costs):
    for name, (family, millions, config) in costs.CHECKPOINTS.items():
        assert parameters(family, config) / 1e6 == pytest.approx(millions, rel=0.06), name


def test_another_strand_and_a_wider_window_cost_what_they_should(costs):
    name = "SpliceBERT"
    config = costs.CHECKPOINTS[name][2]
    one = costs.splicebert(config, 510, 255)
    assert costs.site(name) == one + costs.splicebert(config, 510, 254)
    assert costs.splicebert(config, 1020, 510).products > 2 * one.products
