"""Our modules of a checkpoint against gpn's own: the same tensors, the same function, no import."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from making.toy_models import CONFIGS, VARIANTS, make_checkpoint
from varlm.errors import UserError
from varlm.models.gpn import model as gpn
from varlm.models.gpn import skeleton
from varlm.models.gpn.activations import FUNCTIONS
from varlm.models.gpn.options import FAMILIES
from varlm.models.loading import load_model
from varlm.tables.schemas import SHARD

ALL = CONFIGS | VARIANTS
WINDOW = 24


# gpn's own classes


def families():
    """model_type → gpn's classes of the config and of the model."""
    from gpn import legacy, model
    from transformers.utils import logging

    logging.set_verbosity(logging.CRITICAL)
    return {
        "GPN": (model.GPNConfig, model.GPNForMaskedLM),
        "ConvNet": (legacy.ConvNetConfig, legacy.ConvNetForMaskedLM),
        "GPNRoFormer": (legacy.GPNRoFormerConfig, legacy.GPNRoFormerForMaskedLM),
    }


def theirs(config, device="meta"):
    """gpn's model of a config; it prints while it is built."""
    config_class, model_class = families()[config["model_type"]]
    with contextlib.redirect_stdout(io.StringIO()), torch.device(device):
        return model_class(config_class.from_dict(dict(config)))


def signature(module):
    """Name → shape and type of each tensor."""
    return {name: (tuple(t.shape), t.dtype) for name, t in module.state_dict().items()}


def build(config):
    return gpn.build(config, Path("model"))


def random_ids(length, batch=2):
    """Ids of N, A, C, G and T, in the type that `encode` gives."""
    rng = np.random.default_rng(length)
    return torch.from_numpy(rng.integers(2, 7, (batch, length), dtype=np.uint8))


def check_logits(config, folder):
    """The same tensors in gpn's class and in ours: the same logits, masked and not."""
    make_checkpoint(folder, config)
    reference = theirs(config, "cpu").eval()
    reference.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    model = load_model(folder)
    ids = random_ids(WINDOW)
    masked = ids.long()
    masked[:, WINDOW // 2] = model.tokens.mask
    bases = list(model.tokens.bases)
    with torch.inference_mode():
        expected = reference(input_ids=ids.long()).logits
        site = reference(input_ids=masked).logits[:, WINDOW // 2, bases]
        # How much of it is rounding: narrow layers' norms can make much of little.
        reference.double()
        embedding = getattr(reference.model, "embeddings", None) or reference.model.embedding
        embedding.register_forward_hook(lambda *passed: passed[-1].double())
        rounding = (reference(input_ids=ids.long()).logits - expected).abs().max().item()
    tolerance = {"atol": 3e-5 + 20 * rounding, "rtol": 0}
    torch.testing.assert_close(model.base_logits(ids), expected[..., bases], **tolerance)
    torch.testing.assert_close(model.site_logits(ids, WINDOW // 2), site, **tolerance)
    if isinstance(model.module, skeleton.ConvolutionalSkeleton):
        with torch.inference_mode():
            plain = model.module(input_ids=ids.long()).logits
        torch.testing.assert_close(plain, expected, **tolerance)
    assert expected.std() > 0.01  # logits that differ: an agreement says something


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_tensors_are_those_of_gpns_class(name):
    assert signature(build(ALL[name])) == signature(theirs(ALL[name]))


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_logits_are_those_of_gpns_class(tmp_path, name):
    check_logits(ALL[name], tmp_path)


DILATIONS = {
    "dilation_double_every": st.integers(1, 3),
    "dilation_max": st.integers(1, 9),
    "dilation_cycle": st.integers(1, 5),
    "dilation_base": st.integers(1, 3),
}
ATTENTION = {
    "num_attention_heads": st.integers(1, 4),
    "width": st.sampled_from([8, 10]),
    "num_hidden_layers": st.integers(0, 3),
    "intermediate_size": st.integers(1, 30),
    "max_position_embeddings": st.integers(WINDOW, 60),
}
ATTENTION_OPTIONS = {
    "rotary_value": st.booleans(),
    "hidden_act": st.sampled_from(sorted([*FUNCTIONS, "prelu"])),
    "layer_norm_eps": st.sampled_from([1e-12, 1e-5, 0.1]),
    "attention_probs_dropout_prob": st.sampled_from([0, 0.5]),
    "hidden_dropout_prob": st.sampled_from([0, 0.5, 1]),
    "is_decoder": st.booleans(),
    "use_cache": st.booleans(),
}
GPN = {
    "vocab_size": st.integers(7, 8),
    "embedding": st.sampled_from(["one_hot", "embedding"]),
    "bias": st.booleans(),
    "tie_word_embeddings": st.booleans(),
    "mlm_head_transform": st.booleans(),
    "unknown_to_gpn": st.just("ignored"),
}
STACKED = {
    "num_hidden_layers": st.integers(1, 4),
    "hidden_size": st.integers(8, 14),
    "intermediate_size": st.integers(1, 30),
}
KERNELS = {
    "first_kernel_size": st.integers(1, 9),
    "rest_kernel_size": st.integers(1, 6),
    "depthwise": st.booleans(),
    "slim": st.booleans(),
}


def with_heads(config):
    """Roformer's hidden_size is a number of heads of an even width."""
    width = config.pop("width")
    return config | {"hidden_size": width * config["num_attention_heads"]}


def possible(config):
    """Gpn itself cannot build a bytenet that is both."""
    both = config["encoder"] == "bytenet" and config.get("slim") and config.get("depthwise")
    return not (both and config["num_hidden_layers"] > 1)


def drawn(model_type, required, optional, **fixed):
    fixed = {name: st.just(value) for name, value in fixed.items()}
    return st.fixed_dictionaries(
        {"model_type": st.just(model_type)} | required | fixed, optional=optional
    )


configs = st.one_of(
    drawn("GPN", STACKED, GPN | KERNELS | DILATIONS, encoder="convnet"),
    drawn("GPN", STACKED, GPN | KERNELS | DILATIONS, encoder="bytenet").filter(possible),
    drawn("GPN", ATTENTION, GPN | ATTENTION_OPTIONS, encoder="roformer").map(with_heads),
    drawn(
        "ConvNet",
        {"n_layers": st.integers(1, 4), "hidden_size": st.integers(8, 14)},
        {"vocab_size": st.integers(7, 8), "kernel_size": st.integers(1, 9)} | DILATIONS,
    ),
    drawn(
        "GPNRoFormer",
        ATTENTION | {"vocab_size": st.integers(7, 8)},
        ATTENTION_OPTIONS
        | {"embedding_size": st.none() | st.integers(2, 20), "group_tokens": st.integers(1, 3)},
    ).map(with_heads),
)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(deadline=None, max_examples=60)
@example(
    {"model_type": "GPN", "encoder": "bytenet", "num_hidden_layers": 3, "hidden_size": 12}
)  # differs by 4e-5, gpn's own rounding being 1.3e-5
@given(configs)
def test_random_configs_have_gpns_tensors_and_logits(config):
    assert signature(build(config)) == signature(theirs(config))
    with tempfile.TemporaryDirectory() as folder:
        check_logits(config, Path(folder))


# Options


@pytest.mark.parametrize("model_type", sorted(FAMILIES))
def test_defaults_are_those_of_gpn(model_type):
    ours, theirs = FAMILIES[model_type](), families()[model_type][0]()
    for option in fields(ours):
        value = getattr(ours, option.name)
        if option.name == "embedding_size":  # gpn's fills in another's
            assert value is None
            value = ours.hidden_size
        found = getattr(theirs, option.name)
        assert (value, type(value)) == (found, type(found)), option.name


# Read while a model is built and run, but no option of what it computes.
_NO_OPTION = {
    # which kernels of the same function, where the tensors go, what else is answered
    "chunk_size_feed_forward",
    "dtype",
    "experts_implementation",
    "output_attentions",
    "output_hidden_states",
    "return_dict",
    # checked only where a second sequence or a causal mask is given, which gpn never does
    "is_decoder",
    # how values are drawn before training
    "initializer_range",
    # of tables that there are not: of two, where GPNRoFormer has a one-hot embedding
    "tie_word_embeddings",
    # of inputs that single-sequence models do not have
    "aux_features_vocab_size",
}


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_option_that_gpns_code_reads_is_known(monkeypatch, name):
    config_class, _ = families()[ALL[name]["model_type"]]
    own, read = set(vars(config_class())) | set(ALL[name]), set()
    original = config_class.__getattribute__

    def spy(self, attribute):
        read.add(attribute)
        return original(self, attribute)

    config = config_class.from_dict(dict(ALL[name]))
    model_class = families()[ALL[name]["model_type"]][1]
    with monkeypatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(config_class, "__getattribute__", spy)
        model = model_class(config).eval()
        built = set(read)
        model(input_ids=random_ids(WINDOW).long())
    known = {option.name for option in fields(FAMILIES[ALL[name]["model_type"]])}
    unknown = {n for n in read if n in own and not n.startswith("_")} - known - _NO_OPTION
    assert built & known
    assert unknown == set()


JUNK = (None, True, False, -1, 0, 1, 2, 2.5, 24.0, float("nan"), float("inf"), "", "24", "gelu")
JUNK += ([], [24], {}, {"a": 1}, 2**40)


@pytest.mark.parametrize("name", sorted(CONFIGS | {"GPNRoFormer": VARIANTS["GPNRoFormer"]}))
def test_what_is_accepted_is_what_gpn_makes_of_it(name):
    """Any value of any option: an error, or the modules of gpn's class."""
    config = ALL[name]
    accepted = refused = 0
    for option in fields(FAMILIES[config["model_type"]]):
        for value in JUNK:
            changed = config | {option.name: value}
            try:
                ours = build(changed)
            except UserError:
                refused += 1
                continue
            accepted += 1
            assert signature(ours) == signature(theirs(changed)), (option.name, value)
    assert accepted > 10
    assert refused > 5 * accepted


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("convnet", {"hidden_size": "24"}, r"hidden_size is '24', expected a whole number, 1 or"),
        ("convnet", {"hidden_size": -24}, r"hidden_size is -24, expected a whole number, 1 or"),
        ("convnet", {"hidden_size": 6}, r"hidden_size is 6, expected at least vocab_size, 7"),
        ("convnet", {"num_hidden_layers": 0}, r"num_hidden_layers is 0, expected a convnet of 1"),
        ("convnet", {"num_hidden_layers": True}, r"num_hidden_layers is True"),
        ("convnet", {"bias": "no"}, r"bias is 'no', expected true or false"),
        ("convnet", {"bias": 1}, r"bias is 1, expected true or false"),
        ("convnet", {"encoder": "lstm"}, r"encoder is 'lstm', expected one of convnet, bytenet,"),
        ("convnet", {"embedding": None}, r"embedding is None, expected one of one_hot, embedding"),
        ("convnet", {"first_kernel_size": 0}, r"first_kernel_size is 0"),
        ("convnet", {"dilation_base": 1.5}, r"dilation_base is 1.5, expected a whole number"),
        ("convnet", {"dilation_cycle": 0}, r"dilation_cycle is 0"),
        ("convnet", {"hidden_dropout_prob": 2}, r"hidden_dropout_prob is 2, expected a number"),
        ("convnet", {"per_layer_config": {"1": {"bias": True}}}, r"per_layer_config is {'1'"),
        ("convnet", {"attribute_map": {"bias": "slim"}}, r"attribute_map is {'bias': 'slim'}"),
        ("bytenet", {"depthwise": True}, r"depthwise and slim are both true"),
        ("bytenet", {"hidden_size": 1, "embedding": "embedding"}, r"hidden_size is 1, expected 2"),
        ("roformer", {"num_attention_heads": 5}, r"num_attention_heads 5; expected heads of an ev"),
        ("roformer", {"num_attention_heads": 8}, r"num_attention_heads 8; expected heads of an ev"),
        ("roformer", {"num_attention_heads": 0}, r"num_attention_heads is 0"),
        ("roformer", {"max_position_embeddings": -1}, r"max_position_embeddings is -1"),
        ("roformer", {"layer_norm_eps": 1}, r"layer_norm_eps is 1, expected a floating-point"),
        ("roformer", {"layer_norm_eps": float("nan")}, r"layer_norm_eps is nan"),
        ("roformer", {"rotary_value": "yes"}, r"rotary_value is 'yes', expected true or false"),
        ("roformer", {"hidden_act": "xielu"}, r"hidden_act is 'xielu', expected one of gelu, "),
        ("roformer", {"is_decoder": True, "add_cross_attention": True}, r"add_cross_attention is"),
        ("roformer", {"intermediate_size": 2**31}, r"intermediate_size is 2147483648"),
        ("roformer", {"hidden_size": 3 * 2**29, "num_attention_heads": 3}, r"does not describe"),
        ("legacy", {"n_layers": "7"}, r"n_layers is '7'"),
        ("legacy", {"kernel_size": None}, r"kernel_size is None"),
        ("legacy", {"n_aux_features": 5}, r"n_aux_features is 5: the model reads more than the"),
        ("GPNRoFormer", {"embedding_size": 0}, r"embedding_size is 0"),
        ("GPNRoFormer", {"vocab_size": 25}, r"hidden_size is 24, expected at least vocab_size, 25"),
    ],
)
def test_options_that_make_no_model_are_an_error(name, change, message):
    with pytest.raises(UserError, match=message) as error:
        build(ALL[name] | change)
    assert str(error.value).startswith("model/config.json: ")


# Imports

HEAVY = ("gpn", "transformers", "torch._dynamo", "torch.distributed.tensor", "sympy")

SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from varlm import cli

def loaded(*names):
    return [name for name in names if name in sys.modules]

heavy, steps, folders = json.loads(sys.argv[1])
assert cli.main(steps["prepare_model"]) == 0
assert loaded("torch", *heavy) == [], "prepare_model"
assert cli.main(steps["score"]) == 0
assert loaded("torch") == ["torch"]
assert loaded(*heavy) == [], "score"

import torch
from varlm.models.loading import load_model
for folder in folders:
    model = load_model(Path(folder))
    ids = torch.from_numpy(model.encode(np.frombuffer(b"ACGTN" * 9, np.uint8)[None]))
    for mode in {*model.modes(), "bfloat16", "float16"}:
        model.set_mode(mode)
        assert torch.isfinite(model.site_logits(ids, 20)).all()
        assert torch.isfinite(model.base_logits(ids)).all()
    assert loaded(*heavy) == [], folder
"""


def test_preparing_and_scoring_import_neither_gpn_nor_transformers(tmp_path, root, make_reference):
    """The two steps with the demo's model, then one model of each kind, in each mode."""
    sequence = "".join(np.random.default_rng(0).choice(list("ACGT"), 2000))
    rows = [("one", 900, None, None), ("one", 901, sequence[900], sequence[900] + "GATTACA")]
    pl.DataFrame(rows, schema=SHARD.schema, orient="row").write_parquet(tmp_path / "shard.parquet")
    options = {
        "prepare_model": {
            "name": "demo",
            "path": root / "resources/demo/model",
            "window": 512,
            "strands": "both",
            "precision": "auto",
            "model": tmp_path / "model.json",
        },
        "score": {
            "shard": tmp_path / "shard.parquet",
            "reference": make_reference({"one": sequence}),
            "model": tmp_path / "model.json",
            "sites": tmp_path / "sites.parquet",
            "alleles": tmp_path / "alleles.parquet",
            "run": tmp_path / "run.json",
            "device": "cpu",
        },
    }
    steps = {
        step: [step, *(word for name, value in given.items() for word in (f"--{name}", str(value)))]
        for step, given in options.items()
    }
    folders = [str(make_checkpoint(tmp_path / name, ALL[name])) for name in ALL]
    pickled = make_checkpoint(tmp_path / "pickled", CONFIGS["convnet"])
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([HEAVY, steps, [*folders, str(pickled)]])],
        env=os.environ | {"PYTHONPATH": str(root / "workflow_scripts"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert pl.read_parquet(tmp_path / "sites.parquet").height == 1
    assert pl.read_parquet(tmp_path / "alleles.parquet").height == 1
