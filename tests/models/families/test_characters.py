"""The tokeniser of HyenaDNA and Caduceus, by its class's rule or the ids that the files give."""

import json

import numpy as np
import pytest

from making.toy_models import TOKENIZER
from varlm.errors import UserError
from varlm.models.families.characters import read_characters

CONFIG = {"characters": ["A", "C", "G", "T", "N"], "sep_token": "[SEP]", "unk_token": "[UNK]"}


def _read(folder, **changes):
    (folder / "tokenizer_config.json").write_text(json.dumps(CONFIG | changes))
    return read_characters(folder)


def _encode(tokeniser, text):
    return tokeniser.encode(np.frombuffer(text.encode(), np.uint8)[None])[0].tolist()


def test_characters_follow_seven_special_tokens(tmp_path):
    tokeniser = _read(tmp_path)
    assert _encode(tokeniser, "ACGTNR") == [7, 8, 9, 10, 11, 11, 1]
    assert (tokeniser.mask, tokeniser.size, tokeniser.prefix) == (3, 12, ())


@pytest.mark.parametrize("characters", [["T", "N", "G", "A", "C"], ["t", "n", "g", "a", "c"]])
def test_order_and_case_are_the_files(tmp_path, characters):
    assert _encode(_read(tmp_path, characters=characters), "ACGTN") == [10, 11, 9, 7, 8, 1]


def test_of_both_cases_the_upper_one_counts(tmp_path):
    characters = ["a", "c", "g", "t", "A", "C", "G", "T"]
    tokeniser = _read(tmp_path, characters=characters)
    # No N among them: it is unknown.
    assert _encode(tokeniser, "ACGTN") == [11, 12, 13, 14, 6, 1]


def test_ids_of_the_file_go_before_the_rule(tmp_path):
    added = {"20": {"content": "[SEP]"}, "21": {"content": "N"}, "22": {"content": "A"}}
    tokeniser = _read(tmp_path, added_tokens_decoder=added)
    assert _encode(tokeniser, "ACGTN") == [22, 8, 9, 10, 21, 20]
    assert tokeniser.size == 23


def test_special_tokens_may_have_other_names(tmp_path):
    added = {"15": {"content": "</s>"}, "16": {"content": "<mask>"}}
    tokeniser = _read(
        tmp_path,
        added_tokens_decoder=added,
        sep_token={"content": "</s>"},
        mask_token="<mask>",
    )
    assert (tokeniser.suffix, tokeniser.mask) == ((15,), 16)


def test_vocabulary_file(tmp_path):
    vocabulary = {"[UNK]": 0, "[MASK]": 1, "[SEP]": 2, "t": 3, "g": 4, "c": 5, "a": 6}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    assert _encode(_read(tmp_path), "ACGTN") == [6, 5, 4, 3, 0, 2]


def test_tokenizer_json_is_asked(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    tokeniser = read_characters(tmp_path)
    assert _encode(tokeniser, "ACGTN") == [3, 4, 5, 6, 2]
    assert (tokeniser.prefix, tokeniser.suffix, tokeniser.mask) == ((), (), 1)


def test_tokenizer_json_of_lower_case_letters_that_adds_special_tokens(tmp_path):
    document = json.loads(json.dumps(TOKENIZER)) | {"normalizer": None}
    special = {"id": "[MASK]", "ids": [1], "tokens": ["[MASK]"]}
    document["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[MASK]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[MASK]", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"[MASK]": special},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    tokeniser = read_characters(tmp_path)
    assert _encode(tokeniser, "ACGTN") == [1, 3, 4, 5, 6, 2, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"characters": ["A", "C", "G", "N"]}, "four ids of their own"),
        ({"characters": ["A", "C", "G", "G", "T"]}, "list of different letters"),
        ({"characters": "ACGT"}, "list of different letters"),
        ({"characters": ["AA", "C", "G", "T"]}, "list of different letters"),
        ({"added_tokens_decoder": {"7": {"content": "[SEP]"}}}, "four ids of their own"),
        ({"added_tokens_decoder": {"8": {"content": "N"}}}, "four ids of their own"),
        ({"added_tokens_decoder": []}, "no JSON object"),
        ({"added_tokens_decoder": {"7": 3}}, "expected text and a number"),
        ({"sep_token": "</s>"}, "separator"),
        ({"characters": ["A", "C", "G", "T"], "unk_token": "<unk>"}, "unknown letters"),
    ],
)
def test_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        _read(tmp_path, **changes)


def test_missing_or_damaged_file(tmp_path):
    with pytest.raises(UserError, match="not found"):
        read_characters(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(UserError, match="not readable as JSON"):
        read_characters(tmp_path)


def test_kmers_are_refused(tmp_path):
    document = json.loads(json.dumps(TOKENIZER))
    document["model"]["vocab"] |= {"ac": 7}
    document["model"]["merges"] = [["a", "c"]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match="one token a base"):
        read_characters(tmp_path)
