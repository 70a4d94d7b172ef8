"""csq's calls of the alleles in views, and the letters of residues in its texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from varlm.annotation.genes import csq, csq_input, residues
from varlm.annotation.genes.coding import Sequences
from varlm.annotation.genes.overlaps import Ints
from varlm.annotation.genes.pieces import Piece, changed_span
from varlm.annotation.genes.views import Change, View, needing_views, views_of
from varlm.genome.line import STRIDE
from varlm.genome.reference import Genome

ASKED = {
    "contig": pl.UInt32,  # the view's number
    "pos": pl.Int64,
    "row": pl.Int64,
    "ref": pl.String,
    "alt": pl.String,
    "terms": pl.UInt32,  # of the protein, where csq's are not to be taken; else null
    "protein": pl.String,  # their text
    "twice": pl.Boolean,  # whether a changed base is read twice
    "shifted": pl.String,  # the protein behind a frameshift, where csq is shown other bases
}


class Views:
    """The views of an annotation, and what they are asked with.

    Parameters
    ----------
    transcripts, exons, cds, recoded : polars.DataFrame
        `tables.TRANSCRIPTS`, `EXONS`, `CDS`, `RECODED`.
    circular : sequence of str
        Contigs that are.

    Attributes
    ----------
    index : numpy.ndarray
        int64: the transcripts that have a view.
    circular : dict
        Circular contig → its length in bp.
    """

    def __init__(
        self,
        transcripts: pl.DataFrame,
        exons: pl.DataFrame,
        cds: pl.DataFrame,
        recoded: pl.DataFrame,
        circular: Sequence[str],
        genome: Genome,
    ):
        sequences = Sequences(genome)
        self.lengths = sequences.lengths
        self.circular = {contig: self.lengths[contig] for contig in circular}
        needing = needing_views(transcripts, exons, cds, recoded, self.lengths)
        self.index = needing["index"].to_numpy().astype(np.int64)
        self.of_contig: dict[str, list[tuple[int, View]]] = defaultdict(list)
        self.all: list[View] = []
        for (name,), rows in needing.partition_by(
            "contig", as_dict=True, maintain_order=True
        ).items():
            contig = str(name)
            own_exons, own_cds, own_recoded = (
                frame.join(rows.select("index"), on="index", how="semi")
                for frame in (exons, cds, recoded)
            )
            for view in views_of(
                contig,
                rows,
                own_exons,
                own_cds,
                own_recoded,
                sequences,
                circular=contig in self.circular,
            ):
                self.of_contig[contig].append((len(self.all), view))
                self.all.append(view)

    def write(self, folder: Path) -> ViewFiles | None:
        """Write what csq is given into an existing folder; None where there is no view."""
        return ViewFiles(self.all, folder) if self.all else None

    def near(self, piece: Piece) -> pl.DataFrame:
        """Return the alleles near coding transcripts that have a view: `ASKED`."""
        rows: list[tuple[object, ...]] = []
        known = [contig for contig in piece.contigs if contig in self.of_contig]
        if not known:
            return pl.DataFrame(schema=ASKED)
        start, end = changed_span(piece)
        spans = _Spans(piece)
        for contig in known:
            origin = piece.contigs[contig] * STRIDE
            length = self.circular.get(contig, 0)
            for number, view in self.of_contig[contig]:
                for turn in (0, length, -length) if length else (0,):
                    for n in spans.near(view, origin - turn):
                        low, high = int(start[n]) - origin + turn, int(end[n]) - origin + turn
                        anchored = bool(start[n] > piece.start[n])
                        bases = _new_bases(piece, int(n), anchored, int(end[n]))
                        if len(bases) == high - low:
                            change = view.swapped(low, bases)
                        else:
                            change = view.replaced(low, high, bases)
                        if change is not None:
                            asked = _asked(view, change, anchored)
                            rows.append((number, asked[0], int(piece.row[n]), *asked[1:]))
        return pl.DataFrame(rows, schema=ASKED, orient="row")


class _Spans:
    """Where the alleles of a piece lie on the line, with their anchors."""

    def __init__(self, piece: Piece):
        self.start = piece.start
        length = piece.ref.str.len_bytes().to_numpy().astype(np.int64)
        self.end = self.start + length
        self.longest = int(length.max())

    def near(self, view: View, origin: int) -> Ints:
        """Return which alleles lie within csq's reach of a view's exons.

        `origin`: where the view's contig, or a turn of it, begins on the line.
        """
        spans = view.exons.to_numpy() + np.array([-csq.REACH, csq.REACH])
        low = _on_contig(view, int(spans[:, 0].min())) + origin
        high = _on_contig(view, int(spans[:, 1].max())) + origin
        first, last = map(int, np.searchsorted(self.start, [low - self.longest, high]))
        return np.arange(first, last)[self.end[first:last] > low]


def _on_contig(view: View, position: int) -> int:
    """Return a point of the view on the contig; beyond its ends too."""
    n = max(n for n, at in enumerate(view.starts) if at <= max(position, 0))
    return view.segments[n][0] + position - view.starts[n]


def _new_bases(piece: Piece, n: int, anchored: bool, end: int) -> bytes:
    """Return what an allele puts in the place of its changed span, whose end is given."""
    alt = str(piece.alt[n])
    behind = int(piece.start[n]) + len(str(piece.ref[n])) - end
    return alt[int(anchored) : len(alt) - behind].encode()


def _asked(
    view: View, change: Change, anchored: bool
) -> tuple[int, str, str, int | None, str | None, bool, str | None]:
    """Return pos, ref, alt as csq is asked in the view, and what is known without it."""
    if change.swap:
        own = residues.exchanged(view, change)
        ref = view.shown[change.start : change.end].tobytes().decode()
        alt = change.bases.decode()
        if own is not None:  # for the splice sites alone; REF and ALT must differ
            alt = "".join(_other(r) if r == a else a for r, a in zip(ref, alt, strict=True))
            return change.start + 1, ref, alt, *own, False, None
        return change.start + 1, ref, alt, None, None, change.twice, None
    shifts = (len(change.bases) - (change.end - change.start)) % 3
    shifted = residues.shifted_protein(view, change) if view.masked and shifts else None
    change = change if shifts else _with_true_codon(view, change)
    low, high, alt = change.start, change.end, change.bases.decode()
    ref = view.shown[low:high].tobytes().decode()
    if anchored or not ref or not alt:
        if low:
            low -= 1
            base = chr(view.shown[low])
            ref, alt = base + ref, base + alt
        else:
            base = chr(view.shown[high])
            ref, alt = ref + base, alt + base
    return low + 1, ref, alt, None, None, False, shifted


def _other(base: str) -> str:
    return "A" if base == "T" else "T"


def _with_true_codon(view: View, change: Change) -> Change:
    """Extend a change within a codon of which csq is shown another base, to the true base."""
    for position in view.masked:
        low, high = change.start, change.end
        if view.strand == "-" and position < low < position + 3:
            true = view.bases[position:low].tobytes()
            return Change(position, high, true + change.bases, False)
        if view.strand == "+" and position - 2 < high <= position:
            true = view.bases[high : position + 1].tobytes()
            return Change(low, position + 1, change.bases + true, False)
    return change


class ViewFiles:
    """What csq reads of views, in a folder."""

    def __init__(self, views: Sequence[View], folder: Path):
        self.views = views
        self.folder = folder
        fasta = folder / "views.fa"
        sizes, offsets, at = [], [], 0
        with fasta.open("wb") as file:
            for n, view in enumerate(views):
                head = b">c%d\n" % n
                file.write(head + view.shown.tobytes() + b"\n")
                sizes.append(len(view.shown))
                offsets.append(at + len(head))
                at += len(head) + len(view.shown) + 1
        (folder / "views").mkdir()
        contigs = pl.DataFrame({"length": sizes, "offset": offsets})
        self.reference = csq_input.Reference(fasta, contigs, folder / "views")
        self.codes = sorted({view.code for view in views})
        for code in self.codes:
            _write_gff3(views, code, self.gff3(code))

    def gff3(self, code: int) -> Path:
        """Return where the transcripts of a genetic code are."""
        return self.folder / f"views.{code}.gff3"

    def call(self, asked: pl.DataFrame, stem: Path) -> csq.Calls:
        """Return the calls of alleles (`ASKED`), of all genetic codes."""
        code_of = np.array([view.code for view in self.views])
        codes = code_of[asked["contig"].to_numpy()]
        parts = [csq.EMPTY]
        for code in self.codes:
            of_code = asked.filter(codes == code).sort("contig", "pos", maintain_order=True)
            if of_code.height:
                alleles = of_code.select("contig", "pos", "row", "ref", "alt")
                said = csq.call(alleles, self.reference, self.gff3(code), code, stem)
                parts.append(_corrected(said, of_code, self.views))
        return csq.joined(parts)

    def try_out(self, stem: Path) -> None:
        """Let csq read what it will be given, so that it cannot fail on it later."""
        nothing = pl.DataFrame(schema=ASKED).select("contig", "pos", "row", "ref", "alt")
        for code in self.codes:
            csq.call(nothing, self.reference, self.gff3(code), code, stem)


def _write_gff3(views: Sequence[View], code: int, path: Path) -> None:
    """Write the transcripts of a genetic code, each on the contig of its view."""
    chosen = [(f"{n}", view) for n, view in enumerate(views) if view.code == code]
    transcripts = pl.DataFrame(
        [
            (
                *(view.index, contig, view.strand),
                *(view.exons["start"].min(), view.exons["end"].max()),
                *(view.cds["start"].min(), view.cds["end"].max()),
            )
            for contig, view in chosen
        ],
        schema=["index", "contig", "strand", "start", "end", "coding_start", "coding_end"],
        orient="row",
    )
    exons, cds = (
        pl.concat(
            [getattr(view, kind).with_columns(index=pl.lit(view.index)) for _, view in chosen]
        )
        for kind in ("exons", "cds")
    )
    names = [str(n) for n in range(len(views))]
    whose = transcripts["index"].dtype
    csq_input.write_gff3(
        transcripts,
        exons.with_columns(pl.col("index").cast(whose)),
        cds.with_columns(pl.col("index").cast(whose)),
        names,
        path,
    )


def _corrected(calls: csq.Calls, asked: pl.DataFrame, views: Sequence[View]) -> csq.Calls:
    """Put what is known of residues in the place of what csq says of their codons."""
    sets, protein = calls.terms.copy(), calls.protein.to_list()
    place = {pair: n for n, pair in enumerate(zip(calls.row, calls.transcript, strict=True))}
    shifted: dict[tuple[int, int], str] = {}
    added: list[tuple[int, int, int, str]] = []
    own: set[int] = set()
    for number, row, terms, text, twice, behind in asked.select(
        "contig", "row", "terms", "protein", "twice", "shifted"
    ).iter_rows():
        pair = (row, views[number].index)
        if behind is not None:
            shifted[pair] = behind
        n = place.get(pair)
        if twice and n is not None and protein[n] is not None:
            protein[n] = residues.trimmed(protein[n])
        if terms is None:
            continue
        if n is None:
            added.append((*pair, terms, text))
        else:
            sets[n], protein[n] = residues.joined(int(sets[n]), terms), text
            own.add(n)
    letters = {view.index: view.letters for view in views}
    for n, text in enumerate(protein):
        pair = (int(calls.row[n]), int(calls.transcript[n]))
        if text is not None and n not in own:
            protein[n] = residues.respelled(text, letters[pair[1]], shifted.get(pair))
    return csq.Calls(
        np.concatenate([calls.row, np.array([entry[0] for entry in added], np.int64)]),
        np.concatenate([calls.transcript, np.array([entry[1] for entry in added], np.int64)]),
        np.concatenate([sets, np.array([entry[2] for entry in added], np.uint32)]),
        pl.Series("protein", [*protein, *(entry[3] for entry in added)], pl.String),
    )
