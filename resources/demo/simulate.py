"""Simulate the demo's genome, its genes and two cohorts; the same seed gives the same bytes.

    python resources/demo/simulate.py --out resources/demo

The genome is a toy yeast: genes on both strands with a promoter (two motifs and a TATA box at
fixed spacing), UTRs, codons drawn from a biased code, introns with splice sites and a branch
point, and a neutral background between them. Mutations have a cost by what they break. The cohort
`segregating` holds what selection let through, `denovo` unselected mutations with the truth in
INFO. All genomes share the grammar and differ in the draws, so that a model trained on other
seeds (train.py) has never seen this one.
"""

import argparse
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pysam

SEED = 7
LENGTHS = {"chr1": 180_000, "chr2": 120_000, "chr3": 60_000}
BASES = "ACGT"
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
MOTIFS = ("TGACTCA", "CACGTG", "TATAAA")
DONOR, BRANCH, ACCEPTOR = "GTATGT", "TACTAAC", "TTTTCAG"
POLY_A = "AATAAA"

AMINO_ACIDS = "KNKNTTTTRSRSIIMIQHQHPPPPRRRRLLLLEDEDAAAAGGGGVVVV*Y*YSSSS*CWCLFLF"
CODE = {"".join(c): a for c, a in zip(itertools.product(BASES, repeat=3), AMINO_ACIDS, strict=True)}
SIMILAR = [set(group) for group in ("ILVM", "FWY", "KR", "DE", "ST", "NQ", "AG")]

# Cost of a mutation by class, and the chance to survive selection: exp(-STRENGTH · cost).
COST = {
    "stop_gained": 1.0,
    "start_lost": 1.0,
    "stop_lost": 0.9,
    "splice": 1.0,
    "frameshift": 1.0,
    "inframe_indel": 0.6,
    "missense": 0.6,
    "missense_similar": 0.25,
    "promoter": 0.6,
    "synonymous": 0.0,
    "utr": 0.0,
    "intron": 0.0,
    "intergenic": 0.0,
}
STRENGTH = 6


class Grammar:
    """What all simulated genomes share: background, codon usage, order of amino acids."""

    def __init__(self) -> None:
        rng = np.random.default_rng(2026)
        # Order-2 background: P(base | two before), AT-rich.
        self.background = rng.dirichlet([6, 4, 4, 6], size=16)
        self.codons: dict[str, tuple[list[str], np.ndarray]] = {}
        for amino in sorted(set(AMINO_ACIDS)):
            choices = [codon for codon in CODE if CODE[codon] == amino]
            weights = np.full(len(choices), 0.12)
            weights[rng.integers(len(choices))] = 1.0
            self.codons[amino] = (choices, weights / weights.sum())
        # First-order chain of amino acids, sparse enough that a model can learn it.
        self.aminos = "".join(sorted(set(AMINO_ACIDS) - {"*"}))
        self.chain = rng.dirichlet(np.full(len(self.aminos), 0.25), size=len(self.aminos))

    def neutral(self, rng: np.random.Generator, length: int) -> str:
        """Draw background sequence."""
        state, out = int(rng.integers(16)), []
        cumulative = self.background.cumsum(axis=1)
        for draw in rng.random(length):
            base = min(int(np.searchsorted(cumulative[state], draw)), 3)
            out.append(BASES[base])
            state = (state * 4 + base) % 16
        return "".join(out)

    def protein(self, rng: np.random.Generator, length: int) -> str:
        """Draw the codons of a protein, start and stop included."""
        state, out = int(rng.integers(len(self.aminos))), ["ATG"]
        for _ in range(length):
            state = int(rng.choice(len(self.aminos), p=self.chain[state]))
            choices, weights = self.codons[self.aminos[state]]
            out.append(choices[rng.choice(len(choices), p=weights)])
        choices, weights = self.codons["*"]
        return "".join([*out, choices[rng.choice(len(choices), p=weights)]])


@dataclass
class Gene:
    """A gene on its contig: 0-based half-open parts in genome order, and its strand."""

    contig: str
    strand: str
    start: int = 0
    end: int = 0
    parts: list[tuple[str, int, int]] = field(default_factory=list)  # (class, start, end)


@dataclass
class Genome:
    """Sequences, genes and, per contig, the class of every base and its place in the CDS."""

    sequences: dict[str, str]
    genes: list[Gene]
    classes: dict[str, np.ndarray]
    coding: dict[str, dict[int, tuple[int, int]]]  # contig → position → (gene, index in CDS)
    cds: list[list[int]]  # gene → positions of its CDS, 5' to 3' of the gene


def make_gene(grammar: Grammar, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Return a gene as (class, sequence) from 5' to 3'."""
    spacer = lambda length: grammar.neutral(rng, length)  # noqa: E731
    parts = [
        ("promoter", MOTIFS[0]),
        ("intergenic", spacer(10)),
        ("promoter", MOTIFS[1]),
        ("intergenic", spacer(12)),
        ("promoter", MOTIFS[2]),
        ("intergenic", spacer(24)),
        ("utr", spacer(int(rng.integers(25, 50))) + "AAAA"),
    ]
    cds = grammar.protein(rng, int(rng.integers(60, 160)))
    cuts = sorted(rng.integers(20, len(cds) - 20, size=int(rng.integers(0, 3))).tolist())
    for start, end in itertools.pairwise([0, *cuts, len(cds)]):
        if start:
            parts += [
                ("splice", DONOR),
                ("intron", spacer(int(rng.integers(30, 70)))),
                ("splice", BRANCH),
                ("intron", spacer(int(rng.integers(8, 16)))),
                ("splice", ACCEPTOR),
            ]
        parts.append(("cds", cds[start:end]))
    tail = spacer(int(rng.integers(25, 50)))
    return [*parts, ("utr", tail), ("promoter", POLY_A), ("utr", spacer(15))]


def simulate_genome(seed: int, lengths: dict[str, int]) -> Genome:
    """Return a genome of about these contig lengths."""
    grammar, rng = Grammar(), np.random.default_rng(seed)
    genome = Genome({}, [], {}, {}, [])
    for contig, length in lengths.items():
        pieces: list[tuple[str, str]] = []
        size, spans = 0, []
        while size < length:
            gap = grammar.neutral(rng, int(rng.integers(60, 220)))
            pieces.append(("intergenic", gap))
            size += len(gap)
            parts = make_gene(grammar, rng)
            strand = "+" if rng.random() < 0.5 else "-"
            if strand == "-":
                parts = [(kind, text.translate(COMPLEMENT)[::-1]) for kind, text in parts[::-1]]
            gene = Gene(contig, strand, start=size)
            for kind, text in parts:
                gene.parts.append((kind, size, size + len(text)))
                size += len(text)
            gene.end = size
            spans.append(gene)
            pieces += parts
        genome.sequences[contig] = "".join(text for _, text in pieces)
        genome.classes[contig] = np.repeat(
            [kind for kind, _ in pieces], [len(text) for _, text in pieces]
        )
        genome.coding[contig] = {}
        for gene in spans:
            positions = [p for kind, a, b in gene.parts if kind == "cds" for p in range(a, b)]
            if gene.strand == "-":
                positions.reverse()
            index = len(genome.genes)
            genome.genes.append(gene)
            genome.cds.append(positions)
            genome.coding[contig].update({p: (index, i) for i, p in enumerate(positions)})
    return genome


def classify(genome: Genome, contig: str, start: int, ref: str, alt: str) -> str:
    """Return the class of a mutation: REF at 0-based `start` becomes ALT."""
    kinds = set(genome.classes[contig][start : start + len(ref)].tolist())
    if len(ref) != len(alt):
        touched = set(genome.classes[contig][start + 1 : start + max(len(ref), 2)].tolist())
        if "cds" in touched:
            return "inframe_indel" if (len(ref) - len(alt)) % 3 == 0 else "frameshift"
        kinds = touched
    if "cds" in kinds:
        found = {_coding(genome, contig, start + i, a) for i, a in enumerate(alt) if a != ref[i]}
        return max(found, key=lambda kind: COST[kind])
    return next(k for k in ("splice", "promoter", "utr", "intron", "intergenic") if k in kinds)


def _coding(genome: Genome, contig: str, position: int, alt: str) -> str:
    place = genome.coding[contig].get(position)
    if place is None:
        return str(genome.classes[contig][position])
    gene, index = place
    positions = genome.cds[gene][index - index % 3 : index - index % 3 + 3]
    sequence = genome.sequences[contig]
    codon = [sequence[p] for p in positions]
    changed = list(codon)
    changed[index % 3] = alt
    if genome.genes[gene].strand == "-":
        codon, changed = ([b.translate(COMPLEMENT) for b in c] for c in (codon, changed))
        changed[index % 3] = alt.translate(COMPLEMENT)
    before, after = CODE["".join(codon)], CODE["".join(changed)]
    if index < 3:
        return "start_lost"
    if before == after:
        return "synonymous"
    if after == "*":
        return "stop_gained"
    if before == "*":
        return "stop_lost"
    alike = any({before, after} <= group for group in SIMILAR)
    return "missense_similar" if alike else "missense"


@dataclass(frozen=True)
class Mutation:
    """A mutation: 0-based start, alleles, class."""

    contig: str
    start: int
    ref: str
    alt: str
    kind: str


def mutate(genome: Genome, rng: np.random.Generator) -> Mutation:
    """Draw a mutation anywhere: nine in ten are SNVs, the rest indels and MNVs."""
    names = list(genome.sequences)
    sizes = np.array([len(genome.sequences[name]) for name in names])
    contig = names[rng.choice(len(names), p=sizes / sizes.sum())]
    sequence = genome.sequences[contig]
    start = int(rng.integers(10, len(sequence) - 20))
    draw, ref = rng.random(), sequence[start]
    if draw < 0.9:
        alt = BASES.replace(ref, "")[rng.integers(3)]
    elif draw < 0.935:
        ref = sequence[start : start + 1 + int(rng.integers(1, 7))]
        alt = ref[0]
    elif draw < 0.97:
        alt = ref + "".join(BASES[i] for i in rng.integers(4, size=int(rng.integers(1, 7))))
    else:
        ref = sequence[start : start + 2]
        alt = "".join(BASES.replace(base, "")[rng.integers(3)] for base in ref)
    return Mutation(contig, start, ref, alt, classify(genome, contig, start, ref, alt))


def draw_cohort(
    genome: Genome, rng: np.random.Generator, size: int, select: bool
) -> list[Mutation]:
    """Draw `size` distinct mutations in genome order; with `select`, only what survives."""
    found: dict[tuple[str, int, str, str], Mutation] = {}
    while len(found) < size:
        new = mutate(genome, rng)
        if not select or rng.random() < np.exp(-STRENGTH * COST[new.kind]):
            found[new.contig, new.start, new.ref, new.alt] = new
    order = {name: index for index, name in enumerate(genome.sequences)}
    return sorted(found.values(), key=lambda m: (order[m.contig], m.start, m.ref, m.alt))


def segregating_vcf(genome: Genome, mutations: list[Mutation], rng: np.random.Generator) -> str:
    """Return the selected cohort: four samples, AF, contigs without 'chr', and some odd records."""
    samples = ["s1", "s2", "s3", "s4"]
    lines = ["##fileformat=VCFv4.3"]
    lines += [
        f"##contig=<ID={name.removeprefix('chr')},length={len(text)}>"
        for name, text in genome.sequences.items()
    ]
    lines += [
        "##contig=<ID=plasmid>",
        '##INFO=<ID=AF,Number=A,Type=Float,Description="Allele frequency">',
        '##ALT=<ID=DEL,Description="Deletion">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "\t".join(
            ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]
        ),
    ]
    sites = itertools.groupby(mutations, key=lambda m: (m.contig, m.start, m.ref))
    for number, ((contig, start, ref), group) in enumerate(sites):
        alts = [m.alt for m in group]
        frequencies = [round(float(f), 4) for f in rng.beta(0.3, 3, size=len(alts)) + 1e-3]
        if number % 400 == 50:
            alts, frequencies = [*alts, "*"], [*frequencies, 0.01]
        if number % 400 == 60:
            alts, frequencies = ["<DEL>"], [0.01]
        if number == 70:  # a record of another assembly
            ref, alts = BASES.replace(ref[0], "")[0], [ref[0]]
            frequencies = frequencies[:1]
        weights = np.array([max(1 - sum(frequencies), 0.01), *frequencies])
        genotypes = [
            "/".join(map(str, sorted(rng.choice(len(weights), 2, p=weights / weights.sum()))))
            for _ in samples
        ]
        fields = [contig.removeprefix("chr"), str(start + 1), f"seg{number}", ref, ",".join(alts)]
        af = ",".join(f"{f:g}" for f in frequencies)
        lines.append("\t".join([*fields, ".", "PASS", f"AF={af}", "GT", *genotypes]))
    lines.append(
        "\t".join(["plasmid", "12", ".", "A", "C", ".", "PASS", "AF=0.1", "GT", *["0/1"] * 4])
    )
    return "\n".join(lines) + "\n"


def denovo_vcf(genome: Genome, mutations: list[Mutation]) -> str:
    """Return the unselected cohort: sites only, the truth in INFO."""
    lines = ["##fileformat=VCFv4.3"]
    lines += [f"##contig=<ID={n},length={len(text)}>" for n, text in genome.sequences.items()]
    lines += [
        '##INFO=<ID=CLASS,Number=1,Type=String,Description="What the mutation breaks">',
        '##INFO=<ID=COST,Number=1,Type=Float,Description="Its simulated fitness cost">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]),
    ]
    for number, m in enumerate(mutations):
        info = f"CLASS={m.kind};COST={COST[m.kind]:g}"
        fields = [m.contig, str(m.start + 1), f"new{number}", m.ref, m.alt, ".", "PASS", info]
        lines.append("\t".join(fields))
    return "\n".join(lines) + "\n"


def fasta(genome: Genome, masked: bool = True) -> str:
    """Return the genome as FASTA; introns in lower case, and a run of N in an intergenic gap."""
    lines = []
    for name, sequence in genome.sequences.items():
        text = np.array(list(sequence))
        if masked:
            text[genome.classes[name] == "intron"] = np.char.lower(
                text[genome.classes[name] == "intron"]
            )
        whole = "".join(text)
        lines.append(f">{name} simulated, see simulate.py")
        lines += [whole[i : i + 80] for i in range(0, len(whole), 80)]
    return "\n".join(lines) + "\n"


def gff_row(gene: Gene, kind: str, start: int, end: int, attributes: str, phase: str = ".") -> str:
    """Return a line of GFF3; start and end are 0-based, half-open."""
    place = [str(start + 1), str(end), ".", gene.strand, phase, attributes]
    return "\t".join([gene.contig, "simulated", kind, *place])


def gff(genome: Genome) -> str:
    """Return the genes as GFF3 in Ensembl's dialect."""
    lines = ["##gff-version 3"]
    for number, gene in enumerate(genome.genes):
        utr = [(a, b) for kind, a, b in gene.parts if kind == "utr"]
        cds = [(a, b) for kind, a, b in gene.parts if kind == "cds"]
        start, end = min(a for a, _ in utr), max(b for _, b in utr)
        name, transcript = f"g{number}", f"Parent=transcript:t{number}"
        kind = "biotype=protein_coding"
        lines.append(gff_row(gene, "gene", start, end, f"ID=gene:{name};Name={name};{kind}"))
        parent = f"ID=transcript:t{number};Parent=gene:{name};{kind}"
        lines.append(gff_row(gene, "mRNA", start, end, parent))
        spliced = [
            (a, b) for k, a, b in gene.parts if k in ("utr", "cds", "promoter") and start <= a < end
        ]
        exons: list[list[int]] = []
        for a, b in spliced:
            if exons and exons[-1][1] == a:
                exons[-1][1] = b
            else:
                exons.append([a, b])
        lines += [gff_row(gene, "exon", a, b, transcript) for a, b in exons]
        done = 0
        rows = []
        for a, b in cds if gene.strand == "+" else cds[::-1]:
            rows.append(gff_row(gene, "CDS", a, b, transcript, str(-done % 3)))
            done += b - a
        lines += rows
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write genome.fa, genome.gff3, segregating.vcf.gz + .tbi and denovo.vcf."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=1500, help="mutations in each cohort")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    genome = simulate_genome(SEED, LENGTHS)
    # A gap in the assembly, in the middle of an intergenic stretch of chr1.
    gap = next(
        g.end + 20
        for g, h in itertools.pairwise(genome.genes)
        if h.contig == g.contig and h.start - g.end > 150
    )
    text = genome.sequences["chr1"]
    rng = np.random.default_rng(SEED + 1)
    kept = draw_cohort(genome, rng, args.size, select=True)
    new = draw_cohort(genome, rng, args.size, select=False)
    hidden = range(gap, gap + 80)
    kept, new = (
        [m for m in c if not (m.contig == "chr1" and hidden.start - 8 < m.start < hidden.stop)]
        for c in (kept, new)
    )
    genome.sequences["chr1"] = text[:gap] + "N" * 80 + text[gap + 80 :]
    (args.out / "genome.fa").write_text(fasta(genome))
    (args.out / "genome.gff3").write_text(gff(genome))
    (args.out / "denovo.vcf").write_text(denovo_vcf(genome, new))
    path = args.out / "segregating.vcf.gz"
    with pysam.BGZFile(str(path), "wb") as out:
        out.write(segregating_vcf(genome, kept, rng).encode())
    pysam.tabix_index(str(path), preset="vcf", force=True)


if __name__ == "__main__":
    main()
