"""Byte-pair encoding: every letter in one token, by the checkpoint's own file."""

import json

import numpy as np
import pytest

from making.dnabert2 import TEXT, bytes_of, make_checkpoint, tokenizer_json
from varlm.errors import UserError
from varlm.models import preparing
from varlm.models.bpe import read_bpe


def test_tokens_lie_end_to_end_and_unknown_letters_have_one_each(tmp_path):
    tokeniser = read_bpe(make_checkpoint(tmp_path, tokenizer=tokenizer_json(first=3)), 20)
    names = {number: name for name, number in tokeniser.tokeniser.get_vocab().items()}
    pieces = tokeniser.encode(bytes_of(TEXT))[0]
    assert names[pieces.ids[0]] == "[CLS]"
    assert names[pieces.ids[-1]] == "[SEP]"
    tokens = [names[number] for number in pieces.ids[1:-1]]
    starts = pieces.spans[1:-1]
    texts = [TEXT[start:end] for start, end in starts]
    assert "".join(texts) == TEXT
    assert tokens == [text if text[0] in "ACGT" else "[UNK]" for text in texts]
    assert {len(text) for text in texts} == {1, 2, 3, 4}
    assert all(len(text) == 1 for text in texts if text[0] in "N-")
    for index in range(len(TEXT)):
        start, end = pieces.spans[pieces.token_at(index)]
        assert start <= index < end


def test_truncation_and_padding_of_the_run_that_saved_it_do_not_count(tmp_path):
    document = tokenizer_json()
    plain = read_bpe(make_checkpoint(tmp_path / "plain", tokenizer=document), 20)
    document["truncation"] = {
        "direction": "Right",
        "max_length": 8,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    document["padding"] = {
        "strategy": {"Fixed": 64},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 3,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    saved = read_bpe(make_checkpoint(tmp_path / "saved", tokenizer=document), 20)
    one, other = (tokeniser.encode(bytes_of(TEXT))[0] for tokeniser in (plain, saved))
    np.testing.assert_array_equal(one.ids, other.ids)
    assert plain.mapping() == saved.mapping()


def test_what_identifies_it_is_how_letters_become_tokens(tmp_path):
    def mapping(name, change=dict, **settings):
        document = tokenizer_json(**settings)
        change(document)
        return read_bpe(make_checkpoint(tmp_path / name, tokenizer=document), 20).mapping()

    def pairs(document):
        document["model"]["merges"] = [m.split(" ") for m in document["model"]["merges"]]

    def reverse(document):
        document["model"]["merges"].reverse()

    own = mapping("own")
    assert json.loads(json.dumps(own)) == own == mapping("pairs", pairs)
    others = [mapping("reversed", reverse), mapping("ids", first=2), mapping("ends", suffix=None)]
    assert all(other != own for other in others)


def rename(document, **letters: str) -> None:
    vocabulary = document["model"]["vocab"]
    document["model"]["merges"] = []
    document["model"]["vocab"] = {letters.get(name, name): i for name, i in vocabulary.items()}


@pytest.mark.parametrize(
    ("change_document", "message"),
    [
        (lambda d: rename(d, A="a"), "expected one id for each"),
        (lambda d: rename(d, A="N"), "expected one id for each"),  # N is known, A is not
        (lambda d: d["model"].update(dropout=0.1), "BPE with dropout, expected BPE without"),
        (lambda d: d["model"].update(unk_token=None), "do not hold each of 25 letters"),
        (lambda d: d["model"].pop("vocab"), "not a readable tokeniser"),
        (
            lambda d: d.update(
                normalizer={"type": "Replace", "pattern": {"String": "GA"}, "content": "G"}
            ),
            "do not hold each of 25 letters once",
        ),
    ],
)
def test_a_tokeniser_that_loses_letters_is_an_error(tmp_path, change_document, message):
    folder = make_checkpoint(tmp_path)
    document = tokenizer_json()
    change_document(document)
    (folder / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match=message):
        read_bpe(folder, 20)


def test_a_missing_tokeniser_is_an_error(tmp_path):
    folder = make_checkpoint(tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json: not found"):
        preparing.describe(folder)
