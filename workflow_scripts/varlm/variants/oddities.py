"""What is odd about a cohort, in sentences: the log of normalise and the report say the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varlm.variants.accounting import AccountedContig

_MISMATCHES = 10  # of a contig's REF alleles, and 1 % of them: fewer are not told of
_TOLD = 6  # contigs with mismatches
_NAMED = 5  # contigs in a sentence
_LONG = 60  # letters of a name
NOT_THERE = "not in the reference"


def contig_oddities(contigs: Sequence[AccountedContig]) -> Iterator[str]:
    """Yield what is odd about the contigs of a cohort: unknown ones, and many wrong REF alleles."""
    by_how: dict[str, list[AccountedContig]] = {}
    for entry in contigs:
        if entry.contig is None:
            by_how.setdefault(entry.how, []).append(entry)
    # A length of its own in the header makes a way of each contig.
    ways = sorted(by_how.items(), key=lambda way: -len(way[1]))
    if len(ways) > _TOLD:
        others = [entry for _, unknown in ways[_TOLD - 1 :] for entry in unknown]
        ways = [*ways[: _TOLD - 1], ("for reasons like these", others)]
    for how, unknown in ways:
        names = _first_names([entry.chrom for entry in unknown])
        why = "" if how == NOT_THERE else f" ({how})"
        yield (
            f"Contigs of the input that are not in the reference: {len(unknown):,} ({names}){why}. "
            f"Their records ({sum(entry.records for entry in unknown):,}) were rejected."
        )
    wrong = [
        entry
        for entry in contigs
        if entry.ref_mismatches >= _MISMATCHES and entry.ref_mismatches > 0.01 * entry.ref_checked
    ]
    for place, entry in enumerate(wrong[:_TOLD], 1):
        more = len(wrong) - _TOLD if place == _TOLD else 0
        yield _mismatches(entry) + (f" So it is with {more:,} more contigs." if more > 0 else "")


def _mismatches(entry: AccountedContig) -> str:
    share = 100 * entry.ref_mismatches / entry.ref_checked
    return (
        f"Contig {_cut(entry.chrom)}: {entry.ref_mismatches:,} of {entry.ref_checked:,} REF "
        f"alleles ({share:.1f} %) are not what the reference has. Was the cohort called against "
        "another assembly, or are REF and ALT swapped?"
    )


def frequency_oddity(alleles: int) -> str:
    """Say how many alleles have a frequency that is none."""
    return (
        f"Alleles with an AF (or AC, AN) that is no frequency: {alleles:,}. It is taken as missing."
    )


def _first_names(names: Sequence[str]) -> str:
    return ", ".join(map(_cut, names[:_NAMED])) + (", …" if len(names) > _NAMED else "")


def _cut(name: str) -> str:
    """Return a name without control characters, cut where it is long."""
    name = "".join(letter if letter.isprintable() else "\ufffd" for letter in name)
    return name if len(name) <= _LONG else name[: _LONG - 1] + "…"
