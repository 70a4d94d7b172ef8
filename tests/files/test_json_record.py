"""JSON that is a dataclass: any record survives, and what is none gets one clear error."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.errors import UserError
from varlm.files.json_record import JsonRecord, absent_if_none, may_be_missing


@dataclass(frozen=True, kw_only=True)
class Part:
    name: str
    size: float | None


@dataclass(frozen=True, kw_only=True)
class Example(JsonRecord):
    MADE_BY = "make_example"

    text: str
    place: Path
    number: int
    way: Literal["in", "out"]
    yes: bool
    parts: tuple[Part, ...]
    sizes: dict[str, int]
    note: str | None = absent_if_none()
    later: int = may_be_missing(0)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
EXAMPLES = st.builds(
    Example,
    text=TEXT,
    place=TEXT.map(Path),
    number=st.integers(),
    way=st.sampled_from(["in", "out"]),
    yes=st.booleans(),
    parts=st.lists(st.builds(Part, name=TEXT, size=st.none() | st.floats(allow_nan=False))).map(
        tuple
    ),
    sizes=st.dictionaries(TEXT, st.integers()),
    note=st.none() | TEXT,
    later=st.integers(),
)
WHOLE = Example(
    text="a",
    place=Path("b"),
    number=1,
    way="in",
    yes=True,
    parts=(Part(name="p", size=1),),
    sizes={},
)


@given(EXAMPLES)
def test_any_record_is_read_as_it_was_written(tmp_path_factory, record):
    path = tmp_path_factory.mktemp("record") / "x.json"
    record.write(path)
    assert Example.read(path) == record


def test_the_file_is_the_fields_in_their_order(tmp_path):
    WHOLE.write(tmp_path / "new" / "x.json")
    assert (tmp_path / "new" / "x.json").read_text() == (
        '{\n  "text": "a",\n  "place": "b",\n  "number": 1,\n  "way": "in",\n  "yes": true,\n'
        '  "parts": [\n    {\n      "name": "p",\n      "size": 1\n    }\n  ],\n  "sizes": {},\n'
        '  "later": 0\n}\n'
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not found; run the workflow again: the step make_example makes it"),
        (b"", r"not readable as JSON \(Expecting value.*\); delete it and run the workflow again"),
        (b'{"text": ', "not readable as JSON"),
        (b"\xff", "not readable as JSON"),
        (b"[1]", r"found \[1\], expected a JSON object; delete it and run"),
        (b"null", "found null, expected a JSON object"),
        (
            b"{}",
            "lacks number, parts, place, sizes, text, way, yes; delete it and run the workflow",
        ),
    ],
)
def test_what_is_no_record_is_one_error_that_says_what_to_do(tmp_path, content, message):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"x\.json: {message}"):
        Example.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": None}, "text: found null, expected text"),
        ({"place": 3}, "place: found 3, expected a path"),
        ({"number": 1.5}, r"number: found 1\.5, expected a whole number"),
        ({"number": True}, "number: found true, expected a whole number"),
        ({"way": "up"}, 'way: found "up", expected one of in, out'),
        ({"yes": 1}, "yes: found 1, expected true or false"),
        ({"parts": {}}, "parts: found {}, expected a list"),
        ({"parts": [7]}, r"parts\[0\]: found 7, expected a JSON object"),
        (
            {"parts": [{"name": "p", "size": "1"}]},
            r'parts\[0\]\.size: found "1", expected a number',
        ),
        ({"sizes": {"a": None}}, r"sizes\.a: found null, expected a whole number"),
        ({"sizes": []}, r"sizes: found \[\], expected an object"),
        ({"text": ["x" * 99]}, r'text: found \["x{58}…, expected text'),
    ],
)
def test_values_of_another_type_are_named(change, message):
    with pytest.raises(UserError, match=rf"^x\.json: {message}; delete it and run the workflow"):
        Example.from_json(WHOLE.to_json() | change, Path("x.json"))


def test_unknown_keys_are_passed_over_unless_every_key_counts():
    class Strict(Example):
        EVERY_KEY_COUNTS = True

    document = WHOLE.to_json() | {"newer": 1}
    assert Example.from_json(document, Path("x.json")) == WHOLE
    with pytest.raises(UserError, match=r"x\.json: has newer, which this version .* does not know"):
        Strict.from_json(document, Path("x.json"))


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    WHOLE.write(path)
    with pytest.raises(TypeError):
        Example(**{**vars(WHOLE), "text": {1, 2}}).write(path)
    assert json.loads(path.read_text())["text"] == "a"
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]
