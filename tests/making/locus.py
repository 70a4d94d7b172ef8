"""A contig with reading frames where a test wants them, and the lines of an annotation of it."""

import random

import numpy as np

from varlm.annotation.genes.gff import read_annotation
from varlm.annotation.genes.models import build
from varlm.genome.bases import COMPLEMENT
from varlm.genome.contig_names import ContigNames

LENGTH = 1200
SENSE = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT"]
SENSE = [codon for codon in SENSE if codon not in ("TAA", "TAG", "TGA", "ATG")]


class Locus:
    """A contig with genes on its forward strand, or turned round with all of them."""

    def __init__(self, strand="+", seed=1):
        self.draw = random.Random(seed)
        self.bases = self.draw.choices("ACGT", k=LENGTH)
        self.strand, self.lines = strand, []

    def write(self, *pieces, turned=False):
        """Write a reading frame, from ATG to a stop, over 0-based pieces; return them."""
        places = [at for start, end in pieces for at in range(start, end)]
        codons = self.draw.choices(SENSE, k=len(places) // 3)
        codons[0], codons[-1] = "ATG", "TAA"
        bases = "".join(codons).encode()
        if turned:
            bases = bytes(COMPLEMENT[list(bases[::-1])])
        for at, base in zip(places, bases.decode(), strict=True):
            self.bases[at] = base
        return pieces

    def add(self, kind, start, end, attributes, phase=".", turned=False):
        self.lines.append((kind, start, end, attributes, phase, turned))

    def cds(self, pieces, attributes, turned=False):
        """Add the coding pieces of a protein; {n} in the attributes is the piece's number."""
        done = 0
        for n, (start, end) in enumerate(pieces[::-1] if turned else pieces):
            self.add("CDS", start, end, attributes.format(n=n), -done % 3, turned)
            done += end - start

    def place(self, start, end):
        return (start, end) if self.strand == "+" else (LENGTH - end, LENGTH - start)

    @property
    def text(self):
        lines = []
        for kind, start, end, attributes, phase, turned in self.lines:
            low, high = self.place(start, end)
            strand = "-" if turned == (self.strand == "+") else "+"
            columns = ("c", "x", kind, low + 1, high, ".", strand, phase, attributes)
            lines.append("\t".join(map(str, columns)) + "\n")
        return "".join(lines)

    @property
    def sequence(self):
        bases = np.frombuffer("".join(self.bases).encode(), np.uint8)
        return bases if self.strand == "+" else COMPLEMENT[bases[::-1]]

    def models(self, tmp_path, with_genome=True):
        path = tmp_path / "a.gff"
        path.write_text(self.text)
        sequence = {"c": self.sequence}.__getitem__ if with_genome else None
        return build(read_annotation(path), path, ContigNames({"c": LENGTH}), {}, sequence)

    def proteins(self, gene_models):
        """Transcript → coding pieces, as written; those of several of one name in one list."""
        named = gene_models.cds.join(
            gene_models.transcripts.select("index", "transcript"), on="index"
        )
        return {
            name: sorted(self.place(*row) for row in rows.select("start", "end").rows())
            for (name,), rows in named.group_by("transcript")
        }
