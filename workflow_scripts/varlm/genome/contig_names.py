"""Match the contig names of VCF and BED files to the reference's, when there is no doubt.

In this order: the same name; the alias file; naming conventions (`chr1` = `1` = `Chr01`;
`chrM` = `MT` = `Mito`; `chrPt` = `chloroplast`; Roman = Arabic numerals). A convention that fits
two contigs of the reference is an error; one that fits none leaves the name unknown.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from varlm.errors import UserError, first_few
from varlm.files.text import decoded_lines

log = logging.getLogger(__name__)

_SHOWN = 50  # contigs that have a line of the log to themselves

_MITOCHONDRION = {
    "m",
    "mt",
    "mito",
    "mtdna",
    "mitochondria",
    "mitochondrial",
    "mitochondrion",
    "mitochondrion_genome",
}
_PLASTID = {"pt", "cp", "pltd", "plastid", "chloroplast"}
_PREFIX = re.compile(r"chr(omosome)?_?(?=.)", re.IGNORECASE)
_ROMAN = re.compile(r"(x{0,3})(ix|iv|v?i{0,3})")
_REPORT_COLUMNS = ("Sequence-Name", "GenBank-Accn", "RefSeq-Accn", "UCSC-style-name")


@dataclass(frozen=True)
class Match:
    """What a name was matched to: the reference's `contig`, or None, and `how` (or why not)."""

    contig: str | None
    how: str


class ContigNames:
    """Matches names against one reference.

    Parameters
    ----------
    lengths : mapping
        Contig of the reference → length in bp.
    aliases : mapping
        Other name → contig of the reference, from `read_aliases`.
    key : str or None
        The config key that names the file of aliases, for messages; None: there is no such key.
    """

    def __init__(
        self,
        lengths: Mapping[str, int],
        aliases: Mapping[str, str] | None = None,
        key: str | None = "reference.aliases",
    ):
        self.key = key
        self.lengths = lengths
        self.aliases = aliases or {}
        self._contradicted = 0  # contigs of another length
        self._by_key: dict[str, list[str]] = {}
        for name in lengths:
            self._by_key.setdefault(_key(name), []).append(name)
        keys = self._by_key.keys()
        self._has_roman = any(_roman(key) and key != "x" for key in keys)
        self._has_arabic = any(key.isdigit() for key in keys)

    @classmethod
    def of(cls, lengths: Mapping[str, int], aliases: Path | None) -> ContigNames:
        """Return the names of a reference and, where there is one, of its file of aliases."""
        return cls(lengths, read_aliases(aliases, lengths) if aliases else {})

    @property
    def remedy(self) -> str:
        """What a message says to do where names do not match."""
        if self.key is None:
            return "name contigs as the FASTA does"
        return f"name the contigs in {self.key} (a TSV with the columns alias and contig)"

    def knows(self, name: str) -> bool:
        """Return whether a name is the reference's own, or an alias: no convention is needed."""
        return name in self.lengths or name in self.aliases

    def match(
        self, name: str, declared: Mapping[str, int | None], source: Path | None = None
    ) -> Match:
        """Return the reference's contig of `name`, or why there is none.

        Parameters
        ----------
        name : str
            Contig as the file names it.
        declared : mapping
            All contigs that the file's header declares → length in bp or None. A length that
            contradicts the reference forbids a match by convention (`chrM` of hg19 is not `MT`),
            and is logged for the same name.
        source : Path, optional
            The file, for the log.

        Raises
        ------
        UserError
            If a convention fits several contigs of the reference.
        """
        length = declared.get(name)
        if self.knows(name):
            contig = name if name in self.lengths else self.aliases[name]
            if length is not None and length != self.lengths[contig]:
                self._warn_of_length(name, length, self.lengths[contig], source)
            return Match(contig, "same name" if contig == name else "alias file")
        match = self._by_convention(name, declared)
        if match.contig is None or length in (None, self.lengths[match.contig]):
            return match
        return Match(
            None,
            f"{length} bp in the VCF's header, but {match.contig!r} of the reference has "
            f"{self.lengths[match.contig]} bp: another sequence",
        )

    def _warn_of_length(self, name: str, declared: int, length: int, source: Path | None) -> None:
        self._contradicted += 1
        if self._contradicted <= _SHOWN:
            log.warning(
                "%scontig %r: the VCF's header says %d bp, the reference has %d; is it the "
                "same assembly?",
                "" if source is None else f"{source}: ",
                name,
                declared,
                length,
            )
        elif self._contradicted == _SHOWN + 1:
            log.warning("and so with more contigs, which are not listed")

    def _by_convention(self, name: str, declared: Mapping[str, int | None]) -> Match:
        key = _key(name)
        contig = self._only(name, key)
        if contig is not None:
            return Match(contig, key if key in ("mitochondrion", "plastid") else "prefix")
        number = _roman(key)
        if number and self._has_arabic and not self._has_roman:
            others = {_roman(_key(other)) for other in declared} - {None, 10}
            if number == 10 and not others & {2, 3, 4, 6, 7, 8, 9}:
                return Match(
                    None,
                    "may be chromosome 10 in Roman numerals or a sex chromosome; if it is in the "
                    f"reference, {self.remedy}",
                )
            contig = self._only(name, str(number))
        elif key.isdigit() and self._has_roman and not self._has_arabic and int(key) < 40:
            roman = _to_roman(int(key))
            # X is chromosome 10 only where IX precedes it: C. elegans has I … V and X.
            if roman != "x" or "ix" in self._by_key:
                contig = self._only(name, roman)
        return Match(contig, "Roman numeral" if contig is not None else "not in the reference")

    def _only(self, name: str, key: str) -> str | None:
        contigs = self._by_key.get(key, [])
        if len(contigs) > 1:
            raise UserError(
                f"contig {name!r} may be any of {', '.join(map(repr, contigs))} of the reference; "
                f"{self.remedy}"
            )
        return contigs[0] if contigs else None


def _key(name: str) -> str:
    """Return what is left of a name without prefix, case and leading zeros."""
    key = _PREFIX.sub("", name, count=1).casefold()
    if key in _MITOCHONDRION:
        return "mitochondrion"
    if key in _PLASTID or name.casefold() == "chrc":
        return "plastid"
    if key.isascii() and key.isdigit():
        return key.lstrip("0") or "0"
    return key


def _roman(key: str) -> int | None:
    """Return the number of a lower-case Roman numeral from I to XXXIX, else None."""
    match = _ROMAN.fullmatch(key)
    if not key or not match:
        return None
    tens, units = match.groups()
    value = {"ix": 9, "iv": 4}.get(units)
    if value is None:
        value = 5 * ("v" in units) + units.count("i")
    return 10 * len(tens) + value


def _to_roman(number: int) -> str:
    units = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
    return "x" * (number // 10) + units[number % 10]


def read_aliases(path: Path, contigs: Iterable[str]) -> dict[str, str]:
    """Read other names of the reference's contigs.

    Parameters
    ----------
    path : Path
        A TSV whose first line has the columns `alias` and `contig`, or an NCBI
        `*_assembly_report.txt`; plain or gzip.
    contigs : iterable of str
        The reference's names. Rows about other contigs are passed over.

    Raises
    ------
    UserError
        Naming the line: unknown columns, one alias for two contigs, an alias that is another
        contig's own name, or no row that names a contig of the reference.
    """
    names = set(contigs)
    pairs = _alias_pairs(path, names)
    aliases: dict[str, str] = {}
    for line, alias, contig in pairs:
        if alias == contig:
            continue
        if alias in names:
            raise UserError(
                f"{path}, line {line}: the alias {alias!r} of {contig!r} is itself a contig of the "
                "reference; remove the line"
            )
        if aliases.setdefault(alias, contig) != contig:
            raise UserError(
                f"{path}, line {line}: the alias {alias!r} stands for {aliases[alias]!r} and for "
                f"{contig!r}; keep one"
            )
    if not pairs:
        raise UserError(
            f"{path}: no line names a contig of the reference ({first_few(names)}); "
            "are these the aliases of another assembly?"
        )
    return aliases


def _alias_pairs(path: Path, names: set[str]) -> list[tuple[int, str, str]]:
    """Return (line, alias, contig of the reference) of each usable row."""
    header: list[str] | None = None
    pairs = []
    for number, line in decoded_lines(path, "expected a text file of contig aliases"):
        row = line.split("\t")
        if not row[0].strip():
            continue
        if row[0].startswith("#") and header is None:
            columns = [row[0].lstrip("# "), *row[1:]]
            header = columns if columns[0] in ("Sequence-Name", "alias", "contig") else None
            continue
        if header is None:
            header = row
            if not {"alias", "contig"} <= set(header):
                raise UserError(
                    f"{path}, line {number}: found the columns {', '.join(row)[:80]!r}; expected "
                    "alias and contig, or an NCBI assembly report"
                )
            continue
        if len(row) < len(header):
            raise UserError(
                f"{path}, line {number}: {len(row)} columns, expected {len(header)}, separated by "
                "tabs"
            )
        fields = dict(zip(header, row, strict=False))
        if "alias" in fields:
            if fields["contig"] in names:
                pairs.append((number, fields["alias"], fields["contig"]))
            continue
        spelled = [fields.get(column, "na").strip() for column in _REPORT_COLUMNS]
        spelled = [name for name in dict.fromkeys(spelled) if name and name != "na"]
        known = [name for name in spelled if name in names]
        if len(known) > 1:
            raise UserError(
                f"{path}, line {number}: the reference has {' and '.join(map(repr, known))}, which "
                "this report calls one sequence; is it this reference's report?"
            )
        pairs += [(number, name, known[0]) for name in spelled if known]
    return pairs
