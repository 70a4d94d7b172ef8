r"""A self-contained HTML page: Jinja2 template, inlined style sheets and scripts, data as JSON.

Text of users (VCF fields, file names, config) reaches a page in two ways only: through Jinja2 with
autoescaping, or in a JSON data block (`json_block`) that a script reads and writes into the DOM as
text. A Content-Security-Policy lets nothing run but the scripts of this package, by their
SHA-256, so that a mistake here stays text too.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup, escape

from varlm.report.text import count, decimals, shown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FOLDER = Path(__file__).resolve().parent

# The scripts of a page in the order in which they run, and its style sheets. `vega` is the bundle
# of vl-convert (Vega, Vega-Lite, Vega-Embed), the others are files in assets/.
VEGA = "vega"
SCRIPTS = (VEGA, "tabulator.min.js", "page.js")
STYLES = ("tabulator_simple.min.css", "page.css")

# What a JSON text must not hold inside <script>: the first three end or comment out the element,
# the last two end a line in old JavaScript.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def asset(name: str) -> str:
    """Return the text of a file in assets/, or of vl-convert's bundle for `VEGA`."""
    if name == VEGA:
        return vega_bundle()
    text = (FOLDER / "assets" / name).read_text(encoding="utf-8")
    # Vendored files name a source map beside them, which a page in one file does not have.
    return re.sub(r"/[/*]# sourceMappingURL=[^\n*]*(\*/)?", "", text)


@cache
def vega_bundle() -> str:
    """Return vl-convert's bundle of Vega, Vega-Lite and Vega-Embed, which takes 1.1 s to make."""
    import vl_convert  # only where a page is made

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def json_text(value: Any) -> str:
    r"""Return JSON that can stand inside a `<script>` element: <, >, &, U+2028 and U+2029 as \u…

    Raises
    ------
    ValueError
        If a number is NaN or infinite: that is no JSON, and a browser would refuse the block.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate (a file name of undecodable bytes) cannot be written as UTF-8.
    text = "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in text)
    return text.translate(_ESCAPES)


def breakable(name: str) -> Markup:
    """Return a name for HTML that may be broken behind each underscore and plus sign."""
    broken = str(escape(name))
    for mark in "_+":
        broken = broken.replace(mark, f"{mark}<wbr>")
    return Markup(broken)


def json_block(value: Any) -> Markup:
    """Return `json_text` as markup for a `<script type="application/json">` element."""
    return Markup(json_text(value))


def packed(value: Any) -> str:
    """Return JSON as gzip in base64, for large tables; the same value gives the same text."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode("ascii"), 9, mtime=0)).decode("ascii")


def source_hash(text: str) -> str:
    """Return the CSP source expression of an inline script or style sheet."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def content_security_policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """Return the policy that allows these inline scripts and style sheets, and nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src " + " ".join(source_hash(text) for text in scripts),
            "style-src " + " ".join(source_hash(text) for text in styles),
            "img-src data:",
            "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def environment() -> jinja2.Environment:
    """Return the template environment: autoescaping, and an unknown name is an error."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters.update(
        breakable=breakable, count=count, decimals=decimals, text=shown, json_block=json_block
    )
    return templates


def render(
    template: str,
    contents: DataclassInstance,
    data: Mapping[str, Any],
    scripts: Sequence[str] = SCRIPTS,
    vega: str | None = None,
) -> str:
    """Return a page made from a template that extends `base.html.j2`.

    Parameters
    ----------
    template : str
        File in templates/.
    contents : dataclass
        Its fields are the template's names; `base.html.j2` asks for `title`.
    data : mapping
        Block id → value that `page.js` reads: `charts` (name → specification) and `hits-data`.
    scripts : sequence of str
        Assets to inline, in order; `page.js` works with or without the two libraries.
    vega : str, optional
        `vega_bundle`, where it was made before.
    """
    texts = [vega if name == VEGA and vega is not None else asset(name) for name in scripts]
    styles = [asset(name) for name in STYLES]
    for text in texts:
        if "</script" in text.lower() or "<!--" in text:
            raise AssertionError("a script of this package would end its own element")
    return (
        environment()
        .get_template(template)
        .render(
            **{field.name: getattr(contents, field.name) for field in fields(contents)},
            data=data,
            policy=content_security_policy(texts, styles),
            scripts=[Markup(text) for text in texts],
            styles=[Markup(text) for text in styles],
        )
    )
