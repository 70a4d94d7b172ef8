"""One set of genes in every dialect, and variants to ask about."""

import json
import random
import subprocess
import sys
from dataclasses import dataclass, field

import polars as pl

from varlm.annotation.genes import terms
from varlm.files.whole import write_digest
from varlm.steps import call_consequences, index_annotation
from varlm.tables.parquet import read_table, write_table
from varlm.tables.schemas import CONSEQUENCES, VARIANTS

_CSQ = "import sys, pysam.bcftools\npysam.bcftools.csq(*sys.argv[1:], catch_stdout=False)\n"


@dataclass(frozen=True)
class Transcript:
    """A transcript; intervals 0-based half-open, in genomic order; `coding` is the CDS' span."""

    name: str
    gene: str
    contig: str
    strand: str
    exons: tuple[tuple[int, int], ...]
    coding: tuple[int, int] | None = None
    biotype: str = "protein_coding"
    symbol: str = ""
    table: int | None = None
    phase: int = 0
    extra: dict = field(default_factory=dict)

    @property
    def start(self):
        return self.exons[0][0]

    @property
    def end(self):
        return self.exons[-1][1]

    def cds(self, stop=True):
        """(start, end, phase) of the coding pieces in genomic order; `stop`: the stop codon too."""
        if not self.coding:
            return []
        low, high = self.coding
        if not stop:
            low, high = (low, high - 3) if self.strand == "+" else (low + 3, high)
        pieces = [(max(a, low), min(b, high)) for a, b in self.exons if a < high and b > low]
        if self.strand == "-":
            pieces.reverse()
        found, done = [], -self.phase
        for a, b in pieces:
            found.append((a, b, -done % 3))
            done += b - a
        return found[::-1] if self.strand == "-" else found

    def utrs(self):
        """(type, start, end)."""
        if not self.coding:
            return []
        low, high = self.coding
        left, right = "five_prime_UTR", "three_prime_UTR"
        if self.strand == "-":
            left, right = right, left
        return [(left, a, min(b, low)) for a, b in self.exons if a < low] + [
            (right, max(a, high), b) for a, b in self.exons if b > high
        ]

    def stop_codon(self):
        low, high = self.coding
        return (high - 3, high) if self.strand == "+" else (low, low + 3)


GENES = (
    Transcript(
        "tA", "gA", "chr1", "+", ((100, 220), (300, 401), (500, 640)), (150, 584), symbol="ALPHA"
    ),
    Transcript("tB", "gB", "chr1", "-", ((700, 820), (900, 1020)), (730, 980), symbol="BETA"),
    Transcript("tC", "gC", "chr1", "+", ((1100, 1160), (1230, 1300)), None, "lncRNA", "GAMMA"),
    Transcript("tD", "gD", "chr1", "-", ((520, 670),), (520, 670), symbol="DELTA"),
    Transcript("tE", "gE", "chr2", "+", ((60, 360),), (60, 360), symbol="EPSILON"),
)
LENGTHS = {"chr1": 1500, "chr2": 600, "chr3": 200}


def genome(seed=1, lengths=LENGTHS):
    """Random contigs."""
    draw = random.Random(seed)
    return {name: "".join(draw.choices("ACGT", k=length)) for name, length in lengths.items()}


def _line(t, kind, start, end, attributes, phase=".", source="test"):
    return "\t".join(
        map(str, (t.contig, source, kind, start + 1, end, ".", t.strand, phase, attributes))
    )


def ensembl_gff3(genes=GENES, utrs=True):
    lines = ["##gff-version 3"]
    for t in genes:
        kind = "mRNA" if t.coding else "lnc_RNA"
        lines += [
            _line(
                t,
                "gene" if t.coding else "ncRNA_gene",
                t.start,
                t.end,
                f"ID=gene:{t.gene};Name={t.symbol};biotype={t.biotype};gene_id={t.gene}",
            ),
            _line(
                t,
                kind,
                t.start,
                t.end,
                f"ID=transcript:{t.name};Parent=gene:{t.gene};"
                f"biotype={t.biotype};transcript_id={t.name}",
            ),
        ]
        parent = f"Parent=transcript:{t.name}"
        lines += [_line(t, "exon", a, b, f"{parent};rank=1") for a, b in t.exons]
        lines += [_line(t, "CDS", a, b, f"ID=CDS:p{t.name};{parent}", p) for a, b, p in t.cds()]
        if utrs:
            lines += [_line(t, k, a, b, parent) for k, a, b in t.utrs()]
    return "\n".join(lines) + "\n"


def gtf(genes=GENES, gencode=False, lines_of=("gene", "transcript")):
    kind = "type" if gencode else "biotype"
    lines = ["#!genome-build test"]
    for t in genes:
        of_gene = f'gene_id "{t.gene}"; gene_name "{t.symbol}"; gene_{kind} "{t.biotype}";'
        every = f'{of_gene} transcript_id "{t.name}"; transcript_{kind} "{t.biotype}"; level 2;'
        if "gene" in lines_of:
            lines.append(_line(t, "gene", t.start, t.end, of_gene))
        if "transcript" in lines_of:
            lines.append(_line(t, "transcript", t.start, t.end, every))
        lines += [_line(t, "exon", a, b, f"{every} exon_number 1;") for a, b in t.exons]
        lines += [_line(t, "CDS", a, b, every, p) for a, b, p in t.cds(stop=False)]
        if t.coding:
            lines.append(_line(t, "stop_codon", *t.stop_codon(), every, 0))
            lines += [
                _line(t, "UTR" if gencode else k.replace("UTR", "utr"), a, b, every)
                for k, a, b in t.utrs()
            ]
    return "\n".join(lines) + "\n"


def gencode_gff3(genes=GENES):
    lines = ["##gff-version 3"]
    for t in genes:
        names = f"gene_id={t.gene};gene_type={t.biotype};gene_name={t.symbol}"
        more = f"{names};transcript_id={t.name};transcript_type={t.biotype}"
        lines.append(_line(t, "gene", t.start, t.end, f"ID={t.gene};{names}", source="HAVANA"))
        lines.append(_line(t, "transcript", t.start, t.end, f"ID={t.name};Parent={t.gene};{more}"))
        lines += [
            _line(t, "exon", a, b, f"ID=exon:{t.name}:1;Parent={t.name};{more}") for a, b in t.exons
        ]
        lines += [
            _line(t, "CDS", a, b, f"ID=CDS:{t.name};Parent={t.name};{more}", p)
            for a, b, p in t.cds()
        ]
        if t.coding:
            lines.append(_line(t, "stop_codon", *t.stop_codon(), f"Parent={t.name};{more}", 0))
            lines += [_line(t, k, a, b, f"Parent={t.name};{more}") for k, a, b in t.utrs()]
    return "\n".join(lines) + "\n"


def refseq(genes=GENES):
    lines = ["##gff-version 3", "#!processor NCBI annotwriter"]
    for contig in dict.fromkeys(t.contig for t in genes):
        length = LENGTHS.get(contig, 1)
        lines.append(f"##sequence-region {contig} 1 {length}")
        lines.append(
            f"{contig}\tRefSeq\tregion\t1\t{length}\t.\t+\t.\tID={contig}:1..{length};gbkey=Src"
        )
    for t in genes:
        common = f"Dbxref=GeneID:1;gene={t.symbol}"
        code = f";transl_table={t.table}" if t.table else ""
        kind = "mRNA" if t.coding else "lnc_RNA"
        lines += [
            _line(
                t,
                "gene",
                t.start,
                t.end,
                f"ID=gene-{t.gene};{common};gbkey=Gene;gene_biotype={t.biotype}",
                source="BestRefSeq",
            ),
            _line(
                t,
                kind,
                t.start,
                t.end,
                f"ID=rna-{t.name};Parent=gene-{t.gene};{common};gbkey=mRNA;transcript_id={t.name}",
            ),
        ]
        exons = t.exons if t.strand == "+" else t.exons[::-1]
        lines += [
            _line(t, "exon", a, b, f"ID=exon-{t.name}-1;Parent=rna-{t.name};gbkey=mRNA")
            for a, b in exons
        ]
        pieces = t.cds() if t.strand == "+" else t.cds()[::-1]
        lines += [
            _line(t, "CDS", a, b, f"ID=cds-{t.name};Parent=rna-{t.name};gbkey=CDS{code}", p)
            for a, b, p in pieces
        ]
    return "\n".join(lines) + "\n"


def sgd(genes=GENES):
    """No exon lines; introns, those of untranslated ends too, are lines of their own; ##FASTA."""
    lines = ["##gff-version 3"]
    for t in genes:
        common = f"Name={t.gene};gene={t.symbol}"
        lines.append(
            _line(
                t,
                "gene" if t.coding else "ncRNA_gene",
                t.start,
                t.end,
                f"ID={t.gene};{common}",
                source="SGD",
            )
        )
        kind = "mRNA" if t.coding else "lnc_RNA"
        lines.append(_line(t, kind, t.start, t.end, f"ID={t.name};Name={t.name};Parent={t.gene}"))
        gaps = [(a[1], b[0]) for a, b in zip(t.exons, t.exons[1:], strict=False)]
        if t.coding:
            lines += [
                _line(t, "CDS", a, b, f"Parent={t.name};Name={t.name}_CDS", p)
                for a, b, p in t.cds()
            ]
            lines += [_line(t, "intron", a, b, f"Parent={t.name}") for a, b in gaps]
        else:
            lines += [_line(t, "noncoding_exon", a, b, f"Parent={t.name}") for a, b in t.exons]
    return "\n".join(lines) + "\n###\n##FASTA\n>chr1\nACGT\n"


def maker(genes=GENES):
    """Bare GFF3: exon and CDS lines alone, two dialects of contig-wide matches besides."""
    lines = [
        "##gff-version 3",
        "chr1\tblastx\tprotein_match\t1\t90\t.\t+\t.\tID=m;Name=x",
        "chr1\tblastx\tmatch_part\t1\t90\t.\t+\t.\tID=m1;Parent=m",
    ]
    for t in genes:
        lines += [
            _line(t, "gene", t.start, t.end, f"ID={t.gene};Name={t.symbol}", source="maker"),
            _line(
                t,
                "mRNA" if t.coding else "lnc_RNA",
                t.start,
                t.end,
                f"ID={t.name};Parent={t.gene};Name={t.name};_AED=0.1",
            ),
        ]
        lines += [
            _line(t, "exon", a, b, f"ID={t.name}:e{i};Parent={t.name}")
            for i, (a, b) in enumerate(t.exons)
        ]
        lines += [
            _line(t, "CDS", a, b, f"ID={t.name}:cds;Parent={t.name}", p) for a, b, p in t.cds()
        ]
    return "\n".join(lines) + "\n"


DIALECTS = {
    "Ensembl GFF3": ensembl_gff3,
    "Ensembl GFF3 without UTR lines": lambda genes=GENES: ensembl_gff3(genes, utrs=False),
    "Ensembl GTF": gtf,
    "GTF of parts alone": lambda genes=GENES: gtf(genes, lines_of=()),
    "GENCODE GTF": lambda genes=GENES: gtf(genes, gencode=True),
    "GENCODE GFF3": gencode_gff3,
    "RefSeq GFF3": refseq,
    "SGD GFF3": sgd,
    "MAKER GFF3": maker,
}


def every_snv(contigs, step=1):
    """Every SNV, as (contig, pos, ref, alt)."""
    return [
        (name, i + 1, seq[i], alt)
        for name, seq in contigs.items()
        for i in range(0, len(seq), step)
        for alt in "ACGT"
        if alt != seq[i]
    ]


def indels(contigs, step=3, lengths=(1, 2, 3, 9, 40)):
    """Deletions and insertions, anchored, not left-aligned, as (contig, pos, ref, alt)."""
    draw = random.Random(2)
    found = []
    for name, seq in contigs.items():
        for i in range(0, len(seq) - 60, step):
            n = draw.choice(lengths)
            found.append((name, i + 1, seq[i : i + 1 + n], seq[i]))
            insert = "".join(draw.choices("ACGT", k=n))
            found.append((name, i + 1, seq[i], seq[i] + insert))
    return found


def write_variants(path, alleles, contigs):
    """Write variants.parquet of (contig, pos, ref, alt), sorted by the reference's order."""
    order = {name: n for n, name in enumerate(contigs)}
    alleles = sorted(alleles, key=lambda a: (order[a[0]], *a[1:]))
    rows = [
        {
            "chrom": c,
            "contig": c,
            "pos": p,
            "id": None,
            "ref": r,
            "alt": a,
            "input_pos": p,
            "input_ref": r,
            "input_alt": a,
            "kind": "snv" if len(r) == len(a) == 1 else "delins",
            "af": None,
            "file": 0,
            "record": n,
            "allele": 1,
        }
        for n, (c, p, r, a) in enumerate(alleles)
    ]
    write_table(pl.DataFrame(rows, schema=VARIANTS.schema), path, VARIANTS)
    write_digest(path)
    return alleles


def run_step(step, *arguments):
    """Run a step in this process."""
    import argparse

    parser = argparse.ArgumentParser()
    step.add_arguments(parser)
    step.run(parser.parse_args(list(map(str, arguments))))


def index(folder, annotation, reference, *options):
    """Run index_annotation; return what annotation.json says."""
    run_step(
        index_annotation,
        "--annotation",
        annotation,
        "--reference",
        reference,
        "--out",
        folder,
        *options,
    )
    return json.loads((folder / "annotation.json").read_text())


def called(out, variants, reference, annotation, upstream=100, downstream=100):
    """Run call_consequences; return its table."""
    run_step(
        call_consequences,
        "--variants",
        variants,
        "--reference",
        reference,
        "--annotation",
        annotation,
        "--upstream",
        upstream,
        "--downstream",
        downstream,
        "--consequences",
        out,
    )
    return read_table(out, CONSEQUENCES)


def _lines(path):
    return path.read_text().splitlines()


def csq_by_hand(folder, variants, fasta, gff3, code=0):
    """`bcftools csq -l` on an Ensembl-style GFF3: (row, transcript) → (terms, protein change)."""
    rows = pl.read_parquet(variants).with_row_index("row")
    contigs = [line.split("\t")[:2] for line in _lines(fasta.with_name(f"{fasta.name}.fai"))]
    vcf, out = folder / "hand.vcf", folder / "hand.out.vcf"
    with vcf.open("w") as file:
        file.write("##fileformat=VCFv4.2\n")
        file.writelines(f"##contig=<ID={name},length={n}>\n" for name, n in contigs)
        file.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        file.writelines(
            f"{c}\t{p}\t{row}\t{r}\t{a}\t.\t.\t.\n"
            for c, p, row, r, a in rows.select("contig", "pos", "row", "ref", "alt").iter_rows()
        )
    # --force: contigs without a gene are no error.
    options = ["-l", "--force", "-v", "0", "-C", str(code), "-f", fasta, "-g", gff3, "-o", out, vcf]
    subprocess.run(
        [sys.executable, "-c", _CSQ, *map(str, options)], check=True, capture_output=True
    )
    found = {}
    for line in _lines(out):
        fields = line.rstrip("\n").split("\t")
        if line.startswith("#") or not fields[7].startswith("BCSQ="):
            continue
        for entry in fields[7].removeprefix("BCSQ=").split(","):
            words = [*entry.split("|"), "", "", ""][:6]
            if words[2]:
                key = (int(fields[2]), words[2])
                before = found.get(key, (0, None))
                said = terms.from_csq(words[0], ">" in words[5])
                found[key] = (before[0] | said, words[5] or before[1])
    return found


def entries(table):
    """The nested column as (row, transcript) → (terms, protein change)."""
    flat = (
        table.select("consequences")
        .with_row_index("row")
        .explode("consequences", empty_as_null=True)
    )
    flat = flat.select("row", pl.col("consequences").struct.unnest())
    return {
        (row, transcript): (terms.bits(said.split("&")), protein)
        for row, transcript, said, protein in flat.select(
            "row", "transcript", "consequence", "protein_change"
        ).iter_rows()
        if transcript is not None
    }


CODING = terms.bits(
    [
        "stop_gained",
        "frameshift_variant",
        "stop_lost",
        "start_lost",
        "inframe_insertion",
        "inframe_deletion",
        "missense_variant",
        "protein_altering_variant",
        "start_retained_variant",
        "stop_retained_variant",
        "synonymous_variant",
    ]
)
