"""Links to genome browsers: http and https only, every field quoted."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.errors import UserError
from varlm.report.links import BrowserLink, addresses


@given(chrom=st.text(min_size=1), ref=st.text(), name=st.text("ab=&", min_size=1))
def test_fields_change_neither_host_nor_other_parameters(chrom, ref, name):
    link = BrowserLink.parse(f"{name}=https://a.example/x?c={{chrom}}&r={{ref}}&p={{pos}}")
    assert link.name == name
    (url,) = addresses([link], chrom=chrom, contig="c", pos=7, ref=ref, alt="A")
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == (
        "https",
        "a.example",
        "/x",
        "",
    )
    asked = parse_qs(parts.query, keep_blank_values=True)
    assert asked == {"c": [chrom], "r": [ref], "p": ["7"]}


def test_region_is_one_based_and_stays_on_the_contig():
    link = BrowserLink.parse("UCSC=http://a.example/{contig}:{start}-{end}")
    (near,) = addresses([link], chrom="1", contig="chr1", pos=30, ref="ACG", alt="A")
    assert near == "http://a.example/chr1:1-132"
    (far,) = addresses([link], chrom="1", contig="chr1", pos=1000, ref="A", alt="C")
    assert far == "http://a.example/chr1:900-1100"


@pytest.mark.parametrize(
    "text",
    [
        "x=javascript:alert(1)",
        "x=data:text/html,y",
        "x=//a.example/",
        "x=https:",
        "x={chrom}://a.example",
        "x=https://{chrom}/",
        "=https://a.example/",
        "https//a.example/",
    ],
)
def test_other_addresses_are_refused(text):
    with pytest.raises(UserError, match=r"report\.browsers"):
        BrowserLink.parse(text)


def test_unknown_field_is_named():
    with pytest.raises(UserError, match=r"\{gene\}.*known are \{chrom\}"):
        BrowserLink.parse("x=https://a.example/{gene}")
