"""Text in a page: JSON that ends no script, a policy that fits, vendored files as they came."""

import base64
import gzip
import hashlib
import json
import re
from dataclasses import dataclass

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.report import page

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
)


@given(anything)
def test_json_comes_back_and_cannot_end_its_element(value):
    text = page.json_text(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


def test_undecodable_file_names_can_be_written():
    name = b"caf\xe9.vcf".decode("utf-8", "surrogateescape")
    page.json_text([name]).encode("utf-8")


def test_not_a_number_is_no_json():
    with pytest.raises(ValueError):
        page.json_text([float("nan")])


@given(anything)
def test_packed_comes_back_and_is_the_same_twice(value):
    text = page.packed(value)
    assert json.loads(gzip.decompress(base64.b64decode(text))) == value
    assert page.packed(value) == text


def test_vendored_files_are_those_of_the_readme():
    readme = page.asset("README.md")
    digests = dict(re.findall(r"\| `([\w.]+)` \| `dist/[^|]*\| `([0-9a-f]{64})` \|", readme))
    assert set(digests) == {"tabulator.min.js", "tabulator_simple.min.css"}
    for name, digest in digests.items():
        data = (page.FOLDER / "assets" / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest


@dataclass(frozen=True)
class Contents:
    title: str
    words: str


@pytest.fixture
def rendered(monkeypatch, tmp_path):
    """A page of one line, with the style sheets and the script of all pages."""
    (tmp_path / "x.html.j2").write_text(
        '{% extends "base.html.j2" %}{% block content %}<p>{{ words }}</p>{% endblock %}'
    )
    templates = page.environment()
    templates.loader = jinja2.ChoiceLoader([templates.loader, jinja2.FileSystemLoader(tmp_path)])
    monkeypatch.setattr(page, "environment", lambda: templates)

    def render(words, data=None):
        return page.render("x.html.j2", Contents("t", words), data or {}, scripts=["page.js"])

    return render


def test_policy_names_every_inline_script_and_style(rendered):
    text = rendered("x", {"charts": {"a": "</script>"}})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1].replace("&#39;", "'")
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(b.encode()).digest()).decode() for b in bodies]
        allowed = re.search(rf"{directive} ([^;]*)", policy)[1].split()
        assert allowed == [f"'sha256-{value}'" for value in hashes]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "sourceMappingURL" not in text


@given(words=st.text())
def test_words_are_escaped(words):
    # Without the fixture, which hypothesis would share between examples.
    template = page.environment().from_string("<p>{{ words }}</p>")
    inside = template.render(words=words)[3:-4]
    assert "<" not in inside
    assert '"' not in inside


def test_unknown_name_in_a_template_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        page.environment().from_string("{{ nothing }}").render()


def test_names_break_behind_underscores_and_plus_signs_alone():
    assert page.breakable("a_b+<c>") == "a_<wbr>b+<wbr>&lt;c&gt;"
