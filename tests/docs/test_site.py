"""The site of `make docs`: it builds strictly, is whole, and loads nothing from elsewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

# What a page loads by itself, as against what a reader may follow.
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """A page's anchors, its links (element, address) and its text, paragraph by paragraph."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.paragraphs = set(), [], []
        self.inside = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors.add(found.get("id"))
        for name in ("href", "src"):
            if name in found:
                self.links.append((tag, found[name]))
        if tag in ("p", "pre"):
            self.inside.append(tag)
            self.paragraphs += [""] if tag == "p" else []

    def handle_endtag(self, tag):
        if self.inside and tag == self.inside[-1]:
            self.inside.pop()

    def handle_data(self, data):
        if self.inside[-1:] == ["p"]:
            self.paragraphs[-1] += data


@pytest.fixture(scope="module")
def site(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    built = subprocess.run(
        [*command, "--config-file", root / "mkdocs.yml", "--site-dir", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_page_of_the_docs_is_in_the_site(root, site, pages):
    for source in [root / "README.md", *(root / "docs").glob("*.md")]:
        path = source.relative_to(root).with_suffix(".html")
        assert site / ("index.html" if source.name == "README.md" else path) in pages
    assert not (site / "docs/generate.py").exists()
    assert not list(site.rglob("*.md"))


def test_every_link_and_anchor_leads_somewhere(pages):
    followed = 0
    for path, page in pages.items():
        for tag, address in page.links:
            parts = urlsplit(address)
            if parts.scheme or tag == "link":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.name}: {address}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{path.name}: {address}"
            followed += 1
    assert followed > 500


def test_no_page_loads_anything_from_elsewhere(site, pages):
    for path, page in pages.items():
        for tag, address in page.links:
            if tag in LOADED:
                assert not urlsplit(address).netloc, f"{path.name}: {address}"
        assert "fonts.g" not in path.read_text(encoding="utf-8")
    for sheet in site.rglob("*.css"):
        assert "//fonts." not in sheet.read_text(encoding="utf-8")


def test_no_list_table_or_fence_ends_up_as_text(pages):
    """Python-Markdown is stricter than the repository's host about what begins one."""
    for path, page in pages.items():
        for text in page.paragraphs:
            assert not re.search(r"^\s*([-*]|\d+\.) |```|^\|", text, re.M), f"{path.name}: {text}"


def test_a_cohort_sheet_keeps_its_tabs(site):
    for page in ("index.html", "docs/usage.html", "docs/tutorial.html", "config/README.html"):
        path = site / page
        path = path if path.exists() else path.with_name("index.html")
        assert "cohort\tvcf\n" in re.sub(r"<[^>]+>", "", path.read_text(encoding="utf-8")), page
