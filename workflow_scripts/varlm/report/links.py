"""Links to genome browsers, made from the config's templates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from varlm.errors import UserError

FIELDS = ("chrom", "contig", "pos", "start", "end", "ref", "alt")
FLANK = 100  # bp that {start} and {end} show on each side of the allele
_FIELD = re.compile(r"\{(.*?)\}")


@dataclass(frozen=True)
class BrowserLink:
    """A browser's name, and its address with fields in braces."""

    name: str
    template: str

    @classmethod
    def parse(cls, text: str) -> BrowserLink:
        """Return the link that `NAME=URL` gives.

        Raises
        ------
        UserError
            If there is no name, the address is not http or https with a host, or a field in it is
            none of `FIELDS`.
        """
        # A name may have an equals sign too: the address starts at the first one before http.
        match = re.fullmatch(r"(.+?)=(https?://.*)", text, re.DOTALL) or re.fullmatch(
            r"(.+?)=(.*)", text, re.DOTALL
        )
        if match is None:
            raise UserError(f"report.browsers: {text!r} is no NAME=ADDRESS")
        name, template = match.groups()
        literal = _FIELD.split(template)[0]  # what stands before the first field
        parts = urlsplit(literal)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UserError(
                f"report.browsers: the address of {name!r} is {template!r}; it must start with "
                "http:// or https:// and a host"
            )
        for field in _FIELD.findall(template):
            if field not in FIELDS:
                raise UserError(
                    f"report.browsers: the address of {name!r} has the field {{{field}}}; known "
                    f"are {', '.join(f'{{{known}}}' for known in FIELDS)}"
                )
        return cls(name, template)

    def address(self, fields: Mapping[str, str]) -> str:
        """Return the address with its fields filled in, each quoted as a part of a URL."""
        return _FIELD.sub(
            lambda match: quote(fields[match[1]], safe="", errors="replace"), self.template
        )


def addresses(
    links: Sequence[BrowserLink], *, chrom: str, contig: str, pos: int, ref: str, alt: str
) -> list[str]:
    """Return the address of an allele in each browser.

    `pos` is 1-based; {start} and {end} are 1-based and inclusive, `FLANK` bp around REF.
    """
    fields = {
        "chrom": chrom,
        "contig": contig,
        "pos": str(pos),
        "start": str(max(pos - FLANK, 1)),
        "end": str(pos + len(ref) - 1 + FLANK),
        "ref": ref,
        "alt": alt,
    }
    return [link.address(fields) for link in links]
