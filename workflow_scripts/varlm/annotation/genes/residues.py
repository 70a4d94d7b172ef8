"""Protein changes where a codon does not read what the genetic code says.

csq knows the code alone. Here, exchanged bases in such a codon get their terms and their text, and
the text of every other change gets the letters of the residues it names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from varlm.annotation.genes import codons, terms
from varlm.annotation.genes.views import Change, View

_TEXT = re.compile(r"(\d+)([^>\d]+)(?:>(\d+)([^>\d]+))?")
_KEPT = terms.bits(  # of what csq says of an allele, where its protein terms are replaced
    (
        *("splice_acceptor_variant", "splice_donor_variant", "splice_region_variant"),
        *("5_prime_UTR_variant", "3_prime_UTR_variant", "NMD_transcript_variant"),
        *("intron_variant", "non_coding_transcript_exon_variant"),
    )
)


def exchanged(view: View, change: Change) -> tuple[int, str] | None:
    """Return the protein terms and text of exchanged bases in a codon that reads otherwise.

    None where the change touches no such codon: csq is right of it.
    """
    places = np.flatnonzero((view.coding >= change.start) & (view.coding < change.end))
    altered = view.bases.copy()
    altered[change.start : change.end] = np.frombuffer(change.bases, np.uint8)
    places = places[altered[view.coding[places]] != view.bases[view.coding[places]]]
    touched = set((places // 3 + 1).tolist())
    if not touched & _reread(view):
        return None
    first, last = min(touched), max(touched)
    before, after, sets = "", "", 0
    for residue in range(first, last + 1):
        old, new, said = _codon(view, residue, altered)
        before, after, sets = before + old, after + new, sets | said
    if before == after:
        return sets or terms.BIT["synonymous_variant"], f"{first}{before}"
    return sets, f"{first}{before}>{first}{after}"


def _reread(view: View) -> set[int]:
    """Return the residues whose codon csq would read wrongly; of several starts it knows one."""
    begun = view.cds["phase"][-1 if view.strand == "-" else 0] == 0
    return {*view.letters, *({1} if view.code and begun else ())}


def _codon(view: View, residue: int, altered: codons.Bases) -> tuple[str, str, int]:
    """Return a residue before and after a change, and the terms of it."""
    places = view.codon(residue)
    # A stop codon of which the messenger's tail is a part is completed by A.
    was, now = (view.read(places, bases).ljust(3, "A") for bases in (view.bases, altered))
    table = codons.amino_acids(view.code)
    old = view.letters.get(residue, table.get(was, "X"))
    if was == now:
        return old, old, 0
    new = table.get(now, "X")
    if residue == 1 and old == "M":
        if codons.kept_start(now, view.code):
            return old, old, terms.BIT["start_retained_variant"]
        return old, new, terms.BIT["start_lost"] | (terms.BIT["stop_gained"] if new == "*" else 0)
    if old == "*":
        return old, new, terms.BIT["stop_retained_variant" if new == "*" else "stop_lost"]
    if new == "*":
        # A stop that is read through, and now is another stop: nobody knows what that reads.
        unknown = old == "X" and table.get(was) == "*"
        return old, new, terms.BIT["coding_sequence_variant" if unknown else "stop_gained"]
    return old, new, 0 if old == new else terms.BIT["missense_variant"]


def joined(said: int, own: int) -> int:
    """Return csq's terms of an allele with the protein terms replaced by `exchanged`'s."""
    return (said & _KEPT) | own


def shifted_protein(view: View, change: Change) -> str | None:
    """Return what a frameshift within one coding piece makes of the protein, to its first stop."""
    inside = np.flatnonzero((view.coding >= change.start) & (view.coding < change.end))
    if len(inside) != change.end - change.start:
        return None
    if len(inside):
        first, last = int(inside[0]), int(inside[-1]) + 1
    else:
        behind = change.start - (view.strand == "-")
        place = np.flatnonzero(view.coding == behind)
        if not len(place):
            return None
        first = last = int(place[0])
    bases = np.frombuffer(change.bases, np.uint8)
    new = view.read(np.arange(len(bases))[:: -1 if view.strand == "-" else 1], bases)
    coding = view.read(view.coding)
    protein = codons.translated(coding[:first] + new + coding[last:], view.code)
    stop = protein.find("*", first // 3)
    return protein if stop < 0 else protein[: stop + 1]


def respelled(text: str, letters: Mapping[int, str], shifted: str | None = None) -> str:
    """Return csq's text of a change with the letters of residues that read otherwise.

    Parameters
    ----------
    text : str
        `50C>50W`, or `50C` where nothing changes.
    letters : mapping
        Residue → letter, of its transcript.
    shifted : str, optional
        Of a frameshift: `shifted_protein`.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        return text
    at, was = int(match[1]), match[2]
    named = {n - at: letter for n, letter in letters.items() if 0 <= n - at < len(was)}
    if not named and shifted is None:
        return text
    before, now = list(was), list(match[4] or "")
    for n, letter in named.items():
        before[n] = letter
        m = len(now) - (len(was) - n)
        if now and m >= 0 and now[m] == was[n] and now[m + 1 :] == list(was[n + 1 :]):
            now[m] = letter
        elif now[: n + 1] == list(was[: n + 1]):
            now[n] = letter
    if now and shifted is not None:
        now = list(shifted[int(match[3]) - 1 :]) or now
    if not now:
        return f"{at}{''.join(before)}"
    return f"{at}{''.join(before)}>{match[3]}{''.join(now)}"


def restarted(text: str, first: str) -> str:
    """Return csq's text of exchanged bases with M for the first residue, and what it becomes."""
    match = _TEXT.fullmatch(text)
    if match is None or match[1] != "1":
        return text
    before, after = "M" + match[2][1:], first + (match[4] or match[2])[1:]
    return f"1{before}" if before == after else f"1{before}>1{after}"


def trimmed(text: str) -> str:
    """Return a change of as many residues without those at its ends that stay.

    A base that is read twice is changed in two codons, of which one often reads what it read.
    """
    match = _TEXT.fullmatch(text)
    if match is None or match[4] is None or len(match[2]) != len(match[4]):
        return text
    different = [
        n for n, pair in enumerate(zip(match[2], match[4], strict=True)) if len(set(pair)) > 1
    ]
    if not different:
        return text
    kept = slice(different[0], different[-1] + 1)
    at = int(match[1]) + kept.start
    return f"{at}{match[2][kept]}>{at}{match[4][kept]}"
