"""models/{model}.json: the bytes of before, the checks when it is read, the step that writes it."""

import json

import pytest

from making.records import prepared_model
from making.toy_models import CONFIGS, make_checkpoint
from varlm.cli import main
from varlm.errors import UserError
from varlm.models import prepared, preparing
from varlm.models.prepared import PreparedModel
from varlm.models.preparing import prepare

# As the code of c9c1f55 wrote it.
OLD = """\
{
  "name": "demo",
  "path": "checkpoint",
  "revision": null,
  "folder": "/home/someone/checkpoint",
  "model_type": "GPN",
  "files": {
    "config.json": "a7208e6061bcb0876f9f2476977823f8124a96ce2d1b17d125c7e1013e8825f2",
    "tokenizer.json": "080268d35608e29d9b7a966de066d97684239d69b00eea967a04f917f64c86b0",
    "tokenizer_config.json": "cd34842f224a2034a74b1cd3f72dc71b3fc8a4b98e412085efea30336c1dd1d8",
    "model.safetensors": "cbde7caa060d92acd0e7d2e051865d3818a49de14b90ba1a6912e524fb76008f"
  },
  "window": 64,
  "strands": "both",
  "precision": "float32",
  "scoring_version": 1,
  "key": "ccba49e879657a98c356dc0d6fd23d00"
}
"""


def test_an_old_file_is_read_and_written_to_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(prepared, "SCORING_VERSION", 1)
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(OLD, encoding="utf-8")
    model = PreparedModel.read(old)
    assert (model.name, model.window, model.key[:4]) == ("demo", 64, "ccba")
    model.write(new)
    assert new.read_bytes() == old.read_bytes()
    assert model.to_json() == json.loads(OLD)


def test_the_step_writes_what_prepare_returns(tmp_path):
    folder, out = make_checkpoint(tmp_path / "model", CONFIGS["convnet"]), tmp_path / "m.json"
    options = {"window": 64, "strands": "both", "precision": "float32"}
    step = ["prepare_model", "--name", "m", "--path", str(folder), "--model", str(out)]
    step += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    assert main(step) == 0
    model = prepare(folder, name="m", path=str(folder), revision=None, **options)
    assert PreparedModel.read(out) == model
    assert list(json.loads(out.read_text())) == list(json.loads(OLD))
    assert model.key == preparing.model_key(preparing.describe(folder), **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"overlap": 3},
            r"has overlap, which .* may change .*go on with the version that wrote it",
        ),
        ({"window": "64"}, r'window: found "64", expected a whole number'),
        ({"window": True}, "window: found true, expected a whole number"),
        ({"strands": "reverse"}, r'strands: found "reverse", expected one of both, forward'),
        ({"files": {"config.json": None}}, r"files\.config\.json: found null, expected text"),
        ({"revision": 7}, "revision: found 7, expected text"),
    ],
)
def test_what_is_not_a_prepared_model_is_refused(tmp_path, change, message):
    path = tmp_path / "m.json"
    path.write_text(json.dumps({**prepared_model().to_json(), **change}))
    with pytest.raises(UserError, match=rf"m\.json: {message}.*the step prepare_model makes it"):
        PreparedModel.read(path)


def test_a_key_of_other_scores_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.json"
    prepared_model().write(path)
    monkeypatch.setattr(prepared, "SCORING_VERSION", 99)
    with pytest.raises(UserError, match=r"m\.json: scoring_version is .* scores by 99: .*delete"):
        PreparedModel.read(path)
