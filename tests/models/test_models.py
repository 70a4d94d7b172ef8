"""Checkpoints: what is loaded is what is stored, and everything else is one clear error."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from making import berts, caducei
from making.hub import Hub
from making.toy_models import CONFIGS, VARIANTS, make_checkpoint
from varlm.errors import UserError
from varlm.models import download, preparing
from varlm.models.gpn import model as gpn
from varlm.models.loading import load_model
from varlm.models.prepared import SCORING_VERSION
from varlm.models.tokeniser import read_tokens
from varlm.run.checkpoint_folders import TOKENISER
from varlm.run.model_families import FAMILIES

ALL = CONFIGS | VARIANTS


@pytest.fixture
def folder(tmp_path):
    return make_checkpoint(tmp_path / "model", CONFIGS["convnet"])


def rewrite_tensors(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def rewrite_json(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


# Loading


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_tensor_of_the_file_is_in_the_model_bit_for_bit(tmp_path, name):
    folder = make_checkpoint(tmp_path, ALL[name])
    model = load_model(folder, preparing.describe(folder).files)
    stored, held = load_file(folder / "model.safetensors"), model.module.state_dict()
    assert stored.keys() == held.keys()
    for key, tensor in stored.items():
        assert torch.equal(tensor, held[key]), key
    assert not any(p.requires_grad for p in model.module.parameters())
    assert not model.module.training


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_the_model_is_transformers_own(tmp_path, name):
    """`from_pretrained`, as run_vep calls it, gives the same logits."""
    from gpn import register_auto_classes
    from transformers import AutoModelForMaskedLM
    from transformers.utils import logging

    register_auto_classes("gpn")
    logging.disable_progress_bar()
    folder = make_checkpoint(tmp_path, CONFIGS[name])
    model = load_model(folder)
    theirs = AutoModelForMaskedLM.from_pretrained(folder)
    ids = torch.from_numpy(model.encode(np.frombuffer(b"ACGTTGNA" * 6, np.uint8)[None]))
    with torch.inference_mode():
        expected = theirs(input_ids=ids.long()).logits[:, :, 3:7]
    torch.testing.assert_close(model.base_logits(ids), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_a_pickled_checkpoint_loads_the_same(tmp_path, name):
    folder = make_checkpoint(tmp_path, CONFIGS[name])
    ids = torch.from_numpy(load_model(folder).encode(np.frombuffer(b"ACGT" * 9, np.uint8)[None]))
    expected = load_model(folder).site_logits(ids, 18)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert preparing.describe(folder).weights == ("pytorch_model.bin",)
    torch.testing.assert_close(load_model(folder).site_logits(ids, 18), expected, atol=0, rtol=0)


def test_safetensors_come_first(folder):
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    assert preparing.describe(folder).weights == ("model.safetensors",)
    load_model(folder)


class Touch:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def test_a_pickle_with_code_does_not_run_it(folder, tmp_path):
    """Fault 48."""
    (folder / "model.safetensors").unlink()
    payload = pickle.dumps({"weight": Touch(tmp_path / "ran")})
    (folder / "pytorch_model.bin").write_bytes(payload)
    with pytest.raises(UserError, match=r"pytorch_model.bin: not readable as plain tensors"):
        load_model(folder)
    torch.save({"weight": Touch(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model.bin: not readable as plain tensors"):
        load_model(folder)
    assert not (tmp_path / "ran").exists()


def test_torch_is_new_enough_for_weights_only():
    """Fault 49: CVE-2026-24747 runs code from a weights-only pickle before 2.10."""
    assert tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 10)


def test_sharded_checkpoints_load_and_are_described(folder):
    expected = load_file(folder / "model.safetensors")
    names = sorted(expected)
    parts = {"model-1.safetensors": names[:7], "model-2.safetensors": names[7:]}
    for file, some in parts.items():
        save_file({name: expected[name] for name in some}, folder / file)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {name: file for file, some in parts.items() for name in some}}
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    files = preparing.describe(folder)
    assert set(files.files) >= {*parts, path.name}
    held = load_model(folder, files.files).module.state_dict()
    assert all(torch.equal(expected[name], held[name]) for name in names)

    index["weight_map"]["more"] = "model-1.safetensors"
    path.write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"does not list what its files hold \(more\)"):
        load_model(folder)
    index["weight_map"]["more"] = "../model-1.safetensors"
    path.write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"found .*, expected the name of a file beside it"):
        load_model(folder)
    index["weight_map"]["more"] = "model-3.safetensors"
    path.write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"model-3.safetensors: not found"):
        preparing.describe(folder)


def test_half_precision_weights_are_widened_exactly(folder):
    rewrite_tensors(folder, lambda t: t.update({k: v.bfloat16() for k, v in t.items()}))
    stored = load_file(folder / "model.safetensors")
    held = load_model(folder).module.state_dict()
    assert all(torch.equal(stored[name].float(), held[name]) for name in stored)


# Wrong tensors


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_a_missing_tensor_is_an_error(tmp_path, name):
    folder = make_checkpoint(tmp_path, CONFIGS[name])
    victim = next(
        k
        for k in sorted(load_file(folder / "model.safetensors"))
        if "layer" in k or ("encoder" in k and "embed" not in k)
    )
    rewrite_tensors(folder, lambda t: t.pop(victim))
    with pytest.raises(UserError, match="do not fit config.json: it lacks " + victim):
        load_model(folder)


def test_a_renamed_tensor_is_an_error(folder):
    rewrite_tensors(folder, lambda t: t.update({"model.ln.weight": t.pop("model.ln_f.weight")}))
    with pytest.raises(UserError, match=r"lacks model.ln_f.weight and it has model.ln.weight too"):
        load_model(folder)


def test_of_many_surplus_tensors_a_few_are_named(folder):
    rewrite_tensors(folder, lambda t: t.update({f"x{n}": torch.zeros(1) for n in range(6)}))
    with pytest.raises(UserError, match=r"it has x0, x1, x2, x3, … \(6 in all\) too many"):
        load_model(folder)


def test_a_tensor_of_another_shape_is_an_error(folder):
    rewrite_json(folder / "config.json", lambda c: c.update({"intermediate_size": 48}))
    with pytest.raises(UserError, match=r"has the shape \(40, 24\), expected \(48, 24\)"):
        load_model(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_an_error(folder, value):
    rewrite_tensors(folder, lambda t: t["model.ln_f.weight"].fill_(value))
    with pytest.raises(UserError, match=r"the tensor model.ln_f.weight .* not finite"):
        load_model(folder)


def test_integer_weights_are_an_error(folder):
    rewrite_tensors(folder, lambda t: t.update({"model.ln_f.weight": torch.ones(24).char()}))
    with pytest.raises(UserError, match=r"model.ln_f.weight \(torch.int8\)"):
        load_model(folder)


def test_roformer_positions_that_no_file_holds_are_computed(tmp_path):
    """gpn's class under transformers 5 leaves them random without a word."""
    folder = make_checkpoint(tmp_path, CONFIGS["roformer"])
    ids = torch.from_numpy(load_model(folder).encode(np.frombuffer(b"ACGT" * 9, np.uint8)[None]))
    expected = load_model(folder).site_logits(ids, 18)
    rewrite_tensors(folder, lambda t: t.pop("model.encoder.embed_positions.weight"))
    torch.testing.assert_close(load_model(folder).site_logits(ids, 18), expected, atol=0, rtol=0)


def test_sinusoids_are_those_of_transformers():
    from transformers.models.roformer.modeling_roformer import (
        RoFormerSinusoidalPositionalEmbedding,
    )

    theirs = RoFormerSinusoidalPositionalEmbedding(50, 8).create_weight()
    torch.testing.assert_close(gpn.sinusoids(50, 8), theirs, atol=1e-6, rtol=0)


def test_roformer_positions_of_the_file_are_used_as_stored(tmp_path, caplog):
    folder = make_checkpoint(tmp_path, CONFIGS["roformer"])
    name = "model.encoder.embed_positions.weight"
    rewrite_tensors(folder, lambda t: t[name].add_(1.0))
    model = load_model(folder)
    assert torch.equal(
        model.module.state_dict()[name], load_file(folder / "model.safetensors")[name]
    )
    assert "is not sinusoidal" in caplog.text


def test_tied_embeddings_may_be_stored_once(tmp_path):
    config = VARIANTS["convnet-bias-embedding"] | {"tie_word_embeddings": True}
    folder = make_checkpoint(tmp_path, config)
    rewrite_tensors(folder, lambda t: t.pop("cls.decoder.weight"))
    held = load_model(folder).module.state_dict()
    assert torch.equal(held["cls.decoder.weight"], held["model.embeddings.word_embeddings.weight"])
    rewrite_json(folder / "config.json", lambda c: c.update({"tie_word_embeddings": False}))
    with pytest.raises(UserError, match=r"lacks cls.decoder.weight"):
        load_model(folder)


# Damaged and missing files


def test_a_flipped_bit_fails_the_digest_before_anything_is_loaded(folder):
    """Fault 51: safetensors loads it without an error."""
    files = preparing.describe(folder).files
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    load_model(folder)  # nothing else notices
    with pytest.raises(UserError, match=r"model.safetensors: SHA-256 .* differs from"):
        load_model(folder, files)


@pytest.mark.parametrize("keep", [0, 4, 100, -10])
@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_truncated_weights_are_an_error(folder, kind, keep):
    path = folder / "model.safetensors"
    if kind == "bin":
        torch.save(load_file(path), folder / "pytorch_model.bin")
        path.unlink()
        path = folder / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=rf"{path.name}: not readable as"):
        load_model(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_an_error(folder, name):
    files = preparing.describe(folder).files
    (folder / name).unlink()
    with pytest.raises(UserError, match=rf"{name}|no weights"):
        preparing.describe(folder)
    with pytest.raises(UserError, match=name):
        load_model(folder, files)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "found a list, expected a JSON object"),
        ("\xff", "not readable as JSON"),
        ('{"model_type": "bert"}', "model_type is 'bert', that of species_lm and splicebert; say"),
        ('{"model_type": "t5"}', "model_type is 't5', of no family .* it scores gpn, lstm"),
        ("{}", "model_type is None"),
        ('{"model_type": "GPN", "encoder": "lstm"}', "does not describe a GPN"),
        ('{"model_type": "ConvNet", "n_aux_features": 5}', "n_aux_features is 5"),
    ],
)
def test_a_bad_config_is_an_error(folder, text, message):
    (folder / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=message):
        load_model(folder)


def test_no_code_of_a_checkpoint_is_run(folder, tmp_path):
    """Fault 50."""
    rewrite_json(
        folder / "config.json", lambda c: c.update({"auto_map": {"AutoModelForMaskedLM": "evil.M"}})
    )
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass M: ...\n")
    load_model(folder)
    assert not (tmp_path / "ran").exists()


def test_loading_prints_nothing(folder, capfd):
    load_model(folder)
    assert capfd.readouterr() == ("", "")


# Tokenisers


def test_golden_ids(folder):
    tokens = read_tokens(folder)
    assert (tokens.bases, tokens.n, tokens.mask, tokens.size) == ((3, 4, 5, 6), 2, 1, 7)
    text = b"ACGTacgtNnRYKM-*\xff"
    assert tokens.table()[np.frombuffer(text, np.uint8)].tolist() == [3, 4, 5, 6] * 2 + [2] * 9


def test_the_table_is_the_tokeniser(folder):
    import tokenizers

    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = "".join(np.random.default_rng(0).choice(list("ACGTacgtNnRY"), 500))
    found = read_tokens(folder).table()[np.frombuffer(text.encode(), np.uint8)]
    assert found.tolist() == theirs.encode(text).ids


def drift(change):
    def write(folder: Path) -> None:
        rewrite_json(folder / "tokenizer.json", change)

    return write


def _template(content):
    content["added_tokens"].append(dict(content["added_tokens"][0], id=7, content="[CLS]"))
    content["model"]["vocab"]["[CLS]"] = 7
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [7], "tokens": ["[CLS]"]}},
    }


def _merge(content):
    content["model"]["vocab"]["ga"] = 7
    content["model"]["merges"] = ["g a"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update({"normalizer": None}), "lack the normaliser"),
        (lambda c: c["model"]["vocab"].pop("a"), "lack the normaliser|becomes 0 tokens"),
        (lambda c: c["model"].update({"unk_token": None}), "'N' becomes 0 tokens"),
        (lambda c: c["model"].update({"fuse_unk": True}), "one token a base"),
        (_template, "'A' becomes 2 tokens"),
        (_merge, "one token a base"),
        (lambda c: c.update({"model": {"type": "none"}}), "not a readable tokeniser"),
    ],
)
def test_a_tokeniser_that_drifted_is_an_error(folder, change, message):
    """Fault 66: plausible numbers from [UNK] everywhere, a shift, or k-mers."""
    drift(change)(folder)
    with pytest.raises(UserError, match=message):
        load_model(folder)


def test_a_tokeniser_without_a_mask_is_an_error(folder):
    def unmask(content):
        content["added_tokens"].pop(1)
        content["model"]["vocab"].pop("[MASK]")

    drift(unmask)(folder)
    with pytest.raises(UserError, match=r"no \[MASK\] token"):
        load_model(folder)


def test_a_vocabulary_that_the_model_does_not_know_is_an_error(folder):
    rewrite_json(folder / "tokenizer.json", lambda c: c["model"]["vocab"].update({"n": 11}))
    with pytest.raises(UserError, match=r"ids up to 11, but the model knows only 7"):
        load_model(folder)


def test_permuted_ids_change_mapping_vocabulary_and_key(folder):
    before = preparing.describe(folder)
    rewrite_json(folder / "tokenizer.json", lambda c: c["model"]["vocab"].update({"a": 4, "c": 3}))
    after = preparing.describe(folder)
    assert after.tokens.bases == (4, 3, 5, 6)
    assert before.tokens.vocabulary != after.tokens.vocabulary
    assert key(before) != key(after)


def test_the_mask_may_have_another_name(folder):
    def rename(content):
        content["added_tokens"][1]["content"] = "<mask>"
        content["model"]["vocab"]["<mask>"] = content["model"]["vocab"].pop("[MASK]")

    rewrite_json(folder / "tokenizer.json", rename)
    rewrite_json(
        folder / "tokenizer_config.json", lambda c: c.update({"mask_token": {"content": "<mask>"}})
    )
    assert read_tokens(folder).mask == 1


# Identity


def key(files, **changes) -> str:
    settings = {"window": 512, "strands": "both", "precision": "auto"} | changes
    return preparing.model_key(files, **settings)


def test_the_key_hashes_all_that_changes_a_number(folder, tmp_path):
    """Fault 41."""
    files = preparing.describe(folder)
    keys = [
        key(files),
        key(files, window=128),
        key(files, strands="forward"),
        key(files, precision="float32"),
        key(files, version=SCORING_VERSION + 1),
        key(preparing.describe(make_checkpoint(tmp_path / "b", CONFIGS["convnet"], seed=1))),
        key(preparing.describe(make_checkpoint(tmp_path / "c", VARIANTS["convnet-depthwise"]))),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(k) == 32 and set(k) <= set("0123456789abcdef") for k in keys)


def test_the_key_does_not_depend_on_where_or_when(folder, tmp_path):
    again = make_checkpoint(tmp_path / "elsewhere", CONFIGS["convnet"])
    assert key(preparing.describe(folder)) == key(preparing.describe(again))
    os.utime(again / "model.safetensors", (0, 0))
    (again / "README.md").write_text("unrelated")
    assert key(preparing.describe(folder)) == key(preparing.describe(again))


def test_describe_needs_no_torch(folder, root):
    code = (
        "import sys; from pathlib import Path; from varlm.models import preparing;"
        f"preparing.describe(Path({str(folder)!r}));"
        "assert not {'torch', 'transformers'} & sys.modules.keys()"
    )
    env = os.environ | {"PYTHONPATH": str(root / "workflow_scripts")}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)


def test_a_gpn_is_scored_without_what_other_families_need(folder, root):
    code = f"""
import sys
import numpy as np
from pathlib import Path
from varlm.models.loading import load_model
import varlm.scoring.loading, varlm.scoring.shard, varlm.steps.score
from varlm.scoring.scorer import Scorer
windows = np.full((2, 64), 65, np.uint8)
Scorer(load_model(Path({str(folder)!r}))).sites(windows, str)
heavy = {{"transformers", "mamba_ssm"}} & sys.modules.keys()
prefixes = ("varlm.models.families.", "varlm.models.networks.")
others = {{m for m in sys.modules if m.startswith(prefixes)}}
assert not heavy | (others - {{"varlm.models.families.single_bases"}}), (heavy, others)
assert "torch" in sys.modules
"""
    env = os.environ | {"PYTHONPATH": str(root / "workflow_scripts")}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)


# Hub ids


def test_a_local_folder_resolves_to_itself(folder):
    assert download.resolve(str(folder)) == folder


@pytest.mark.parametrize("revision", [None, "main", "v1.0", "eb9c35d0"])
def test_a_hub_id_needs_a_commit(revision):
    with pytest.raises(UserError, match="40 hexadecimal digits of a commit"):
        download.resolve("songlab/gpn-brassicales", revision)


@pytest.mark.parametrize("path", ["no/such/folder", "/nowhere", "name", "../x"])
def test_neither_folder_nor_hub_id(path):
    with pytest.raises(UserError, match="no such folder, and not a hub id"):
        download.resolve(path, "0" * 40)


def test_a_cached_snapshot_is_used_without_the_network(folder, tmp_path, monkeypatch):
    """Fault 39: the hub's cache layout, and an endpoint where nothing listens."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "cache" / "models--owner--name" / "snapshots" / commit
    snapshot.parent.mkdir(parents=True)
    folder.rename(snapshot)
    found = download.resolve("owner/name", commit, tmp_path / "cache")
    assert found == snapshot
    load_model(found)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(folder, monkeypatch):
    """A hub that has the checkpoint as owner/name, and things that are no part of one."""
    (folder / "README.md").write_text("# a model\n")
    (folder / "training.bin").write_bytes(b"x" * 1000)
    server = Hub(folder, "owner/name", COMMIT)
    look_at(server, monkeypatch)
    yield server
    server.stop()


def look_at(server, monkeypatch):
    """What HF_ENDPOINT sets when huggingface_hub is imported."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        server.address + "/{repo_id}/resolve/{revision}/{filename}",
    )


def test_a_model_of_the_hub_is_downloaded_once_and_then_needs_no_network(hub, folder, tmp_path):
    """Fault 39."""
    cache = tmp_path / "cache"
    found = download.resolve("owner/name", COMMIT, cache)
    assert sorted(path.name for path in found.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert preparing.describe(found).files == preparing.describe(folder).files
    asked = len(hub.requests)
    assert download.resolve("owner/name", COMMIT, cache) == found
    assert len(hub.requests) == asked
    hub.stop()
    assert download.resolve("owner/name", COMMIT, cache) == found
    load_model(found, preparing.describe(found).files)


def test_each_file_of_a_tokeniser_is_downloaded(monkeypatch, tmp_path):
    berts.species_lm(tmp_path / "model")
    server = Hub(tmp_path / "model", "owner/name", COMMIT)
    look_at(server, monkeypatch)
    found = download.resolve("owner/name", COMMIT, tmp_path / "cache")
    server.stop()
    assert download.resolve("owner/name", COMMIT, tmp_path / "cache") == found
    options = {"species": berts.SPECIES[0]}
    described = preparing.describe(found, "species_lm", options)
    assert {"vocab.txt", "added_tokens.json"} < set(described.files)
    load_model(found, described.files, family="species_lm", options=options)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_each_file_that_a_family_reads_is_one_that_is_downloaded(family):
    assert set(preparing.identity_of(family).FILES) <= set(TOKENISER)


def test_no_code_is_asked_of_the_hub(monkeypatch, tmp_path):
    """Fault 50: what auto_map names stays there, and is not needed."""
    folder = caducei.write_caduceus(tmp_path / "model", caducei.caduceus_config())
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForMaskedLM": "modeling_caduceus.CaduceusForMaskedLM"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_caduceus.py").write_text("raise SystemExit(1)\n")
    server = Hub(folder, "owner/name", COMMIT)
    look_at(server, monkeypatch)
    found = download.resolve("owner/name", COMMIT, tmp_path / "cache")
    server.stop()
    load_model(found, preparing.describe(found).files)
    assert not list((tmp_path / "cache").rglob("*.py"))
    asked = [path for _, path in server.requests if "/resolve/" in path]
    assert asked
    assert not any(".py" in path for path in asked)


def test_pickled_weights_are_downloaded_only_where_there_are_no_others(hub, folder, tmp_path):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    found = download.resolve("owner/name", COMMIT, tmp_path / "both")
    assert preparing.describe(found).weights == ("model.safetensors",)
    assert not (found / "pytorch_model.bin").exists()
    (folder / "model.safetensors").unlink()
    found = download.resolve("owner/name", COMMIT, tmp_path / "pickled")
    assert preparing.describe(found).weights == ("pytorch_model.bin",)
    assert not (found / "training.bin").exists()


@pytest.mark.slow
def test_a_server_that_dies_in_a_download(hub, folder, tmp_path, monkeypatch):
    hub.cut = 1000
    with pytest.raises(UserError, match=r"owner/name at revision 0123.*the download failed"):
        download.resolve("owner/name", COMMIT, tmp_path / "cache")
    again = Hub(folder, "owner/name", COMMIT)
    look_at(again, monkeypatch)
    found = download.resolve("owner/name", COMMIT, tmp_path / "cache")
    assert preparing.describe(found).files == preparing.describe(folder).files
    again.stop()


def test_a_download_that_was_altered_on_its_way(hub, folder, tmp_path):
    hub.alter = b"another end"
    with pytest.raises(
        UserError, match=r"blobs/\w+: the file model.safetensors .* is damaged"
    ) as e:
        download.resolve("owner/name", COMMIT, tmp_path / "cache")
    hub.alter = None
    Path(str(e.value).partition(":")[0]).unlink()
    found = download.resolve("owner/name", COMMIT, tmp_path / "cache")
    assert preparing.describe(found).files == preparing.describe(folder).files


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_flipped_bit_in_the_hubs_cache(hub, tmp_path, name):
    found = download.resolve("owner/name", COMMIT, tmp_path / "cache")
    content = bytearray((found / name).read_bytes())
    content[-2] ^= 1
    (found / name).write_bytes(content)
    with pytest.raises(UserError, match=f"the file {name} of the hub's cache is damaged"):
        download.resolve("owner/name", COMMIT, tmp_path / "cache")


def test_a_commit_that_the_hub_does_not_have(hub, tmp_path):
    with pytest.raises(UserError, match="the hub has no such commit"):
        download.resolve("owner/name", "f" * 40, tmp_path)


def test_a_repository_that_the_hub_does_not_have(hub, tmp_path):
    with pytest.raises(UserError, match=r"the hub has no such repository.*HF_TOKEN"):
        download.resolve("owner/other", COMMIT, tmp_path)


def test_a_repository_without_weights(hub, folder, tmp_path):
    (folder / "model.safetensors").unlink()
    found = download.resolve("owner/name", COMMIT, tmp_path)
    with pytest.raises(UserError, match="no weights; expected one of"):
        preparing.describe(found)


def test_a_cache_that_cannot_be_written_says_what_to_set(hub):
    with pytest.raises(UserError, match=r"cache cannot be written \(/dev/null/.*set HF_HOME to a"):
        download.resolve("owner/name", COMMIT, Path("/dev/null/cache"))


def test_a_download_that_fails_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="not in the cache, and the download failed"):
        download.resolve("owner/name", "0" * 40, tmp_path)
