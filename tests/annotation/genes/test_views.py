"""Genes over an origin, ribosomes that slip, and codons that read otherwise, against the hand."""

import json
import logging
import random
import re

import pytest

import making.gff as making
from making.gff import called, entries, index
from varlm.annotation.genes import codons, csq

AMINO = dict(
    zip(
        (a + b + c for a in "TCAG" for b in "TCAG" for c in "TCAG"),
        "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG",
        strict=True,
    )
)
PAIRS = str.maketrans("ACGT", "TGCA")
SPLICE = {"splice_donor_variant", "splice_acceptor_variant", "splice_region_variant"}


def line(contig, kind, start, end, strand, attributes, phase="."):
    """A line of GFF3 or GTF; start 0-based."""
    columns = (contig, "x", kind, start + 1, end, ".", strand, phase, attributes)
    return "\t".join(map(str, columns)) + "\n"


def phases(pieces, strand, first=0):
    """The phases of coding pieces (start, end), in their genomic order."""
    ordered = pieces if strand == "+" else pieces[::-1]
    ordered_phases, done = [], -first
    for start, end in ordered:
        ordered_phases.append(-done % 3)
        done += end - start
    return ordered_phases if strand == "+" else ordered_phases[::-1]


def reading(pieces, strand):
    """Positions of the coding bases as the ribosome takes them."""
    if strand == "+":
        return [p for start, end in pieces for p in range(start, end)]
    return [p for start, end in pieces[::-1] for p in range(end - 1, start - 1, -1)]


def protein(sequence, places, strand, letters=(), table=AMINO):
    """Translate bases; `letters`: residue → amino acid of codons that are as they were."""
    bases = "".join(sequence[p] for p in places)
    bases = bases.translate(PAIRS) if strand == "-" else bases
    text = [table[bases[i : i + 3]] for i in range(0, len(bases) - 2, 3)]
    for residue, letter in dict(letters).items():
        text[residue - 1] = letter
    return text


def without_stops(sequence, places, strand):
    """Return the sequence with a sense codon for each stop in the reading."""
    while "*" in (text := protein(sequence, places, strand)):
        p = places[3 * text.index("*")]
        sequence = sequence[:p] + ("C" if strand == "+" else "G") + sequence[p + 1 :]
    return sequence


def expected(sequence, places, strand, pos, alt, letters=(), table=AMINO):
    """{(residue, before, after)} of an exchanged base at `pos`, 0-based."""
    before = protein(sequence, places, strand, letters, table)
    altered = sequence[:pos] + alt + sequence[pos + 1 :]
    hit = {n // 3 + 1 for n, p in enumerate(places) if p == pos}
    kept = {k: v for k, v in dict(letters).items() if k not in hit}
    after = protein(altered, places, strand, kept, table)
    return {(n, b, a) for n, (b, a) in enumerate(zip(before, after, strict=True), 1) if b != a}


def changes_of(text):
    """{(residue, before, after)} of a protein_change."""
    match = re.fullmatch(r"(\d+)([A-Z*]+)(?:>(\d+)([A-Z*]+))?", text)
    if match[4] is None:
        return set()
    assert (match[1], len(match[2])) == (match[3], len(match[4])), text
    pairs = enumerate(zip(match[2], match[4], strict=True), int(match[1]))
    return {(n, b, a) for n, (b, a) in pairs if b != a}


@pytest.fixture
def world(tmp_path, make_reference):
    """A function: contigs, text of an annotation, alleles → (contig, pos, ref, alt) → entries."""
    numbers = iter(range(100))

    def make(contigs, text, alleles, *options, upstream=100, downstream=100):
        name = f"w{next(numbers)}"
        reference = make_reference(contigs, name)
        (tmp_path / f"{name}.gff").write_text(text)
        make.summary = index(tmp_path / f"{name}.a", tmp_path / f"{name}.gff", reference, *options)
        variants = tmp_path / f"{name}.variants.parquet"
        rows = making.write_variants(variants, alleles, contigs)
        make.table = called(
            tmp_path / f"{name}.parquet",
            variants,
            reference,
            tmp_path / f"{name}.a",
            upstream,
            downstream,
        )
        calls = {allele: {} for allele in rows}
        for (row, transcript), call in entries(make.table).items():
            calls[rows[row]][transcript] = call
        make.rows = dict(zip(rows, make.table.iter_rows(named=True), strict=True))
        return {
            allele: {
                e["transcript"]: (e["consequence"], e["protein_change"])
                for e in make.rows[allele]["consequences"]
            }
            for allele in rows
        }

    return make


def snvs(contig, sequence, positions):
    """Every exchange of one base, as (contig, pos, ref, alt)."""
    return [
        (contig, p + 1, sequence[p], alt)
        for p in sorted(set(positions))
        for alt in "ACGT"
        if alt != sequence[p]
    ]


# The origin of circular contigs ---------------------------------------------------------------


def _circle(draw, contig):
    """A random circular contig with one or two genes: sequence, [(name, strand, exons, cds)]."""
    length = draw.randrange(500, 700)
    sequence = "".join(draw.choices("ACGT", k=length))
    genes, at = [], draw.randrange(20, 60)
    for number in range(draw.randrange(1, 3)):
        exons = []
        for _ in range(draw.randrange(1, 4)):
            size = draw.randrange(25, 70)
            exons.append((at, at + size))
            at += size + draw.randrange(20, 40)
        low, high = exons[0][0] + draw.randrange(9), exons[-1][1] - draw.randrange(9)
        cds = [(max(a, low), min(b, high)) for a, b in exons]
        strand = draw.choice("+-")
        spare = sum(b - a for a, b in cds) % 3  # the coding sequence has whole codons
        if strand == "+":
            cds[-1] = (cds[-1][0], cds[-1][1] - spare)
        else:
            cds[0] = (cds[0][0] + spare, cds[0][1])
        genes.append((f"{contig}.t{number}", strand, exons, cds))
        at += draw.randrange(20, 60)
    return sequence[: max(at, length)], genes


def _pieces(start, end, length, form):
    """A span on a rotated circle, in the positions that a file has for it."""
    start, end = (start - length, end - length) if start >= length else (start, end)
    if end <= length or form == "past the end":
        return [(start, end)]
    return [(start, length), (0, end - length)]


def _circular_gff(contig, length, genes, turn, form):
    """GFF3 of genes on a circle whose origin was moved to `turn`."""
    text = line(contig, "region", 0, length, "+", f"ID={contig};Is_circular=true")

    def lines(kind, start, end, strand, attributes, phase="."):
        gff_lines, done = "", 0
        pieces = _pieces(
            (start - turn) % length, (start - turn) % length + end - start, length, form
        )
        for a, b in pieces if strand == "+" else pieces[::-1]:
            own = phase if phase == "." else (phase - done) % 3
            gff_lines += line(contig, kind, a, b, strand, attributes, own)
            done += b - a
        return gff_lines

    for name, strand, exons, cds in genes:
        span = exons[0][0], exons[-1][1], strand
        text += lines("gene", *span, f"ID=g-{name};gene_biotype=protein_coding")
        text += lines("mRNA", *span, f"ID={name};Parent=g-{name}")
        for n, (start, end) in enumerate(exons):
            text += lines("exon", start, end, strand, f"ID=e-{name}-{n};Parent={name}")
        for (start, end), phase in zip(cds, phases(cds, strand), strict=True):
            text += lines("CDS", start, end, strand, f"ID=c-{name};Parent={name}", phase)
    return text


@pytest.mark.parametrize("form", ["past the end", "in pieces"])
def test_calls_do_not_depend_on_where_a_circle_is_cut(world, form):
    draw = random.Random(11)
    straight, turned, text, turned_text = {}, {}, "", ""
    alleles, mapped, over = [], {}, 0
    for number in range(12):
        contig = f"c{number}"
        sequence, genes = _circle(draw, contig)
        length = len(sequence)
        _, _, exons, _ = genes[number % len(genes)]
        # Within a gene, in its exons and its introns.
        turn = draw.randrange(exons[0][0] + 1, exons[-1][1])
        over += 1
        straight[contig], turned[contig] = sequence, sequence[turn:] + sequence[:turn]
        text += _circular_gff(contig, length, genes, 0, form)
        turned_text += _circular_gff(contig, length, genes, turn, form)
        for p in range(1, length - 14):
            kind, size = draw.choice("smdi"), draw.choice((1, 2, 3, 6, 12))
            ref = sequence[p]
            alt = draw.choice([b for b in "ACGT" if b != ref])
            if kind == "m":
                ref = sequence[p : p + 2]
                alt = ref.translate(str.maketrans("ACGT", "CGTA"))
            elif kind == "d":
                ref = sequence[p : p + 1 + size]
                alt = ref[0]
            elif kind == "i":
                alt = ref + "".join(draw.choices("ACGT", k=size))
            if p < turn < p + len(ref):
                continue  # no VCF has an allele over the origin
            allele = (contig, p + 1, ref, alt)
            alleles.append(allele)
            mapped[allele] = (contig, (p - turn) % length + 1, ref, alt)
    first = world(straight, text, alleles, upstream=90, downstream=40)
    near = {
        allele: (row["nearest_gene"], row["tss_distance"]) for allele, row in world.rows.items()
    }
    second = world(turned, turned_text, list(mapped.values()), upstream=90, downstream=40)
    for allele, calls in first.items():
        other = mapped[allele]
        assert second[other] == calls, (allele, other)
        row = world.rows[other]
        assert (row["nearest_gene"], row["tss_distance"]) == near[allele], (allele, other)
    seen = {
        term for calls in second.values() for sets, _ in calls.values() for term in sets.split("&")
    }
    assert len(seen) > 15
    assert over == 12


@pytest.mark.parametrize("strand", "+-")
def test_a_gene_over_the_origin_by_hand(world, strand):
    draw = random.Random(5)
    length, low, high = 400, 310, 490  # as HBV's polymerase: one line, its end past the contig's
    sequence = "".join(draw.choices("ACGT", k=length))
    places = [p % length for p in reading([(low, high)], strand)]
    text = line("v", "region", 0, length, "+", "ID=v:1..400;Is_circular=true")
    text += line("v", "gene", low, high, strand, "ID=gene-P;Name=P;gene_biotype=protein_coding")
    text += line("v", "CDS", low, high, strand, "ID=cds-P;Parent=gene-P", 0)
    alleles = snvs("v", sequence, range(length))
    calls = world({"v": sequence}, text, alleles, upstream=20, downstream=10)
    starts = 0
    for (_, pos, _, alt), call in calls.items():
        if pos - 1 in places:
            said, change = call["P"]
            assert changes_of(change) == expected(sequence, places, strand, pos - 1, alt)
            assert not SPLICE & set(said.split("&"))
            starts += pos in (length, 1)
    assert starts == 6
    # What lies beside it, and nothing else, is said of the rest.
    beside = {
        pos: call["P"][0]
        for (_, pos, _, _), call in calls.items()
        if "P" in call and pos - 1 not in places
    }
    up, down = "upstream_gene_variant", "downstream_gene_variant"
    left, right = ((20, up), (10, down)) if strand == "+" else ((10, down), (20, up))
    assert beside == {
        **dict.fromkeys(range(low - left[0] + 1, low + 1), left[1]),
        **dict.fromkeys(range(high - length + 1, high - length + right[0] + 1), right[1]),
    }
    assert "v" in world.summary["circular"]


def test_a_contig_is_circular_by_the_option_too(world):
    sequence = "".join(random.Random(2).choices("ACGT", k=300))
    text = line("p", "gene", 240, 330, "+", "ID=g") + line(
        "p", "CDS", 240, 330, "+", "ID=c;Parent=g", 0
    )
    alleles = snvs("p", sequence, [10, 250])
    calls = world({"p": sequence}, text, alleles, "--circular", "p")
    assert all(call["g"][1] for call in calls.values())
    with pytest.raises(Exception, match=r"line 1.*300 bp"):
        world({"p": sequence}, text, alleles)
    with pytest.raises(Exception, match=r"reference\.circular: 'q'"):
        world({"p": sequence}, text, alleles, "--circular", "q")


def test_pieces_at_both_ends_of_a_contig_hint_at_a_circle(world, caplog):
    sequence = "".join(random.Random(2).choices("ACGT", k=300))
    text = line("p", "gene", 0, 300, "+", "ID=g")
    text += line("p", "CDS", 240, 300, "+", "ID=c;Parent=g", 0)
    text += line("p", "CDS", 0, 30, "+", "ID=c;Parent=g", 0)
    caplog.set_level(logging.WARNING)
    world({"p": sequence}, text, snvs("p", sequence, [10]))
    assert "'g' has coding pieces at both ends of contig 'p'" in caplog.text
    caplog.clear()
    calls = world({"p": sequence}, text, snvs("p", sequence, [10, 100]), "--circular", "p")
    assert "both ends" not in caplog.text
    # The 11th base of the contig is the 71st of the coding sequence.
    assert all(call["g"][1].startswith("24") for allele, call in calls.items() if allele[1] == 11)
    assert all(
        "g" not in call or call["g"][1] is None
        for allele, call in calls.items()
        if allele[1] == 101
    )


def test_a_feature_longer_than_its_circle_is_left_out_with_a_warning(world, caplog):
    sequence = "".join(random.Random(2).choices("ACGT", k=300))
    text = line("p", "region", 0, 300, "+", "ID=p;Is_circular=true")
    text += line("p", "gene", 10, 320, "+", "ID=long") + line("p", "gene", 100, 130, "+", "ID=g")
    caplog.set_level(logging.WARNING)
    world({"p": sequence}, text, snvs("p", sequence, [110]))
    assert "1 features are longer than their circular contig" in caplog.text
    assert world.summary["left_out"]["longer than its circular contig"]["first"] == ["long"]


def test_a_folder_of_the_code_before_goes_on(world, tmp_path):
    sequence = "".join(random.Random(2).choices("ACGT", k=300))
    pieces = [(50, 150), (149, 250)]
    text = line("v", "gene", 50, 250, "+", "ID=g")
    for (start, end), phase in zip(pieces, phases(pieces, "+"), strict=True):
        text += line("v", "CDS", start, end, "+", "ID=c;Parent=g", phase)
    alleles = snvs("v", sequence, [100, 200])
    calls = world({"v": sequence}, text, alleles)
    folder = tmp_path / "w0.a"
    (folder / "recoded.parquet").unlink()
    summary = json.loads((folder / "annotation.json").read_text())
    del summary["circular"]
    (folder / "annotation.json").write_text(json.dumps(summary))
    table = called(
        tmp_path / "again.parquet", tmp_path / "w0.variants.parquet", tmp_path / "w0", folder
    )
    assert len(calls) == table.height == 6
    assert list(table.iter_rows()) == list(world.table.iter_rows())


# Ribosomes that slip --------------------------------------------------------------------------


@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize("exon_lines", [True, False])
@pytest.mark.parametrize(
    "pieces",
    [
        [(50, 150), (149, 250)],  # −1: coronaviruses
        [(50, 150), (148, 250)],  # −2
        [(50, 150), (151, 250)],  # +1: antizyme
        [(50, 150), (152, 250)],  # +2
        [(50, 110), (109, 170), (171, 250)],  # −1, then +1
        [(50, 130), (130, 250)],  # cut for nothing
    ],
)
def test_slippage_is_no_splice_site(world, strand, exon_lines, pieces):
    sequence = "".join(random.Random(len(pieces) + pieces[1][0]).choices("ACGT", k=400))
    pieces = [*pieces, (300, 360)]
    spare = sum(b - a for a, b in pieces) % 3
    if strand == "+":
        pieces[-1] = (pieces[-1][0], pieces[-1][1] - spare)
    else:
        pieces[0] = (pieces[0][0] + spare, pieces[0][1])
    places = reading(pieces, strand)
    sequence = without_stops(sequence, places, strand)
    text = line("v", "gene", pieces[0][0], 360, strand, "ID=g")
    text += line("v", "mRNA", pieces[0][0], 360, strand, "ID=t;Parent=g")
    if exon_lines:
        text += line("v", "exon", pieces[0][0], 250, strand, "ID=e1;Parent=t")
        text += line("v", "exon", 300, 360, strand, "ID=e2;Parent=t")
    for (start, end), phase in zip(pieces, phases(pieces, strand), strict=True):
        text += line("v", "CDS", start, end, strand, "ID=c;Parent=t", phase)
    alleles = snvs("v", sequence, range(pieces[0][0], 360))
    calls = world({"v": sequence}, text, alleles)
    for (_, pos, _, alt), call in calls.items():
        said, change = call["t"]
        # The intron from 250 to 300 has sites, the slips have none.
        assert bool(SPLICE & set(said.split("&"))) == (247 <= pos - 1 < 258 or 292 <= pos - 1 < 303)
        if pos - 1 in places:
            assert changes_of(change) == expected(sequence, places, strand, pos - 1, alt), pos
        elif pos - 1 < 250:
            assert (said, change) == ("coding_sequence_variant", None)


def test_indels_beside_a_slip_shift_the_frame_and_within_it_are_not_guessed(world):
    sequence = "".join(random.Random(4).choices("ACGT", k=300))
    text = line("v", "gene", 50, 230, "+", "ID=g")
    for start, end in ((50, 150), (148, 230)):
        text += line(
            "v",
            "CDS",
            start,
            end,
            "+",
            "ID=c;Parent=g",
            phases([(50, 150), (148, 230)], "+")[start == 148],
        )

    def gone(start, end):
        return ("v", start, sequence[start - 1 : end], sequence[start - 1])

    before, behind, across, within = gone(140, 141), gone(152, 153), gone(145, 155), gone(149, 151)
    calls = world({"v": sequence}, text, [before, behind, across, within])
    assert calls[before]["g"][0] == "frameshift_variant"
    assert calls[before]["g"][1].startswith("30")  # csq counts the base before
    assert calls[behind]["g"][1].startswith("35")
    assert calls[across]["g"][0].startswith("inframe_deletion")  # ten bases, two of them twice
    assert calls[within]["g"] == ("coding_sequence_variant", None)


def test_a_gap_of_a_few_bases_between_exons_is_no_intron(world):
    sequence = "".join(random.Random(4).choices("ACGT", k=300))
    pieces = [(50, 121), (123, 200)]
    text = line("v", "gene", 40, 210, "+", "ID=g;biotype=protein_coding")
    text += line("v", "mRNA", 40, 210, "+", "ID=t;Parent=g;biotype=protein_coding")
    for start, end in ((40, 121), (123, 210)):
        text += line("v", "exon", start, end, "+", "Parent=t")
    for (start, end), phase in zip(pieces, phases(pieces, "+"), strict=True):
        text += line("v", "CDS", start, end, "+", "ID=c;Parent=t", phase)
    places = reading(pieces, "+")
    calls = world({"v": sequence}, text, snvs("v", sequence, range(100, 140)))
    for (_, pos, _, alt), call in calls.items():
        said, change = call["t"]
        assert not SPLICE & set(said.split("&"))
        if pos - 1 in places and pos < 190:
            assert changes_of(change) == expected(sequence, places, "+", pos - 1, alt)


# Codons that read otherwise -------------------------------------------------------------------


def _seleno(strand, split, stop="TGA", codon=11):
    """A gene of 30 codons: sequence, pieces, reading order, the codon's pieces (start, end).

    `split`: the codon lies over an intron.
    """
    draw = random.Random(8)
    sense = [c for c, a in AMINO.items() if a != "*"]
    coding = ["ATG", *draw.choices(sense, k=28), "TAA"]
    coding[codon - 1] = stop
    bases = "".join(coding)
    cut = 3 * codon - 2 if split else 66
    low, high = draw.choices("ACGT", k=40), draw.choices("ACGT", k=40)
    intron = "GT" + "".join(draw.choices("ACGT", k=36)) + "AG"
    sequence = "".join(low) + bases[:cut] + intron + bases[cut:] + "".join(high)
    pieces = [(40, 40 + cut), (40 + cut + 40, 40 + 90 + 40)]
    if strand == "-":
        size = len(sequence)
        sequence = sequence[::-1].translate(PAIRS)
        pieces = [(size - b, size - a) for a, b in pieces][::-1]
    places = reading(pieces, strand)
    spots = sorted(places[3 * codon - 3 : 3 * codon])
    runs = [[spots[0], spots[0] + 1]]
    for p in spots[1:]:
        if p == runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([p, p + 1])
    return sequence, pieces, places, runs


def _annotated(form, strand, pieces, runs, means="Sec"):
    """The text of a gene whose codon at `runs` reads otherwise."""
    low, high = pieces[0][0] - 10, pieces[-1][1] + 10
    ranges = [f"{a + 1}..{b}" if b - a > 1 else f"{a + 1}" for a, b in runs]
    where = ranges[0] if len(ranges) == 1 else f"join({','.join(ranges)})"
    where = f"complement({where})" if strand == "-" else where
    exons = [(low, pieces[0][1]), (pieces[1][0], high)]
    text = ""
    if form == "gtf":
        ids = 'gene_id "g"; transcript_id "t"; gene_type "protein_coding";'
        text += line("v", "transcript", low, high, strand, ids + ' tag "seleno";')
        for a, b in runs:
            text += line("v", "Selenocysteine", a, b, strand, ids)
        for a, b in exons:
            text += line("v", "exon", a, b, strand, ids)
        coding = list(pieces)  # without the stop codon
        coding = (
            [coding[0], (coding[1][0], coding[1][1] - 3)]
            if strand == "+"
            else [(coding[0][0] + 3, coding[0][1]), coding[1]]
        )
        for (a, b), phase in zip(coding, phases(coding, strand), strict=True):
            text += line("v", "CDS", a, b, strand, ids, phase)
        stop = (
            (pieces[1][1] - 3, pieces[1][1]) if strand == "+" else (pieces[0][0], pieces[0][0] + 3)
        )
        return text + line("v", "stop_codon", *stop, strand, ids, 0)
    extra = {
        "gencode": "",
        "tag": ";tag=seleno",
        "readthrough": ";exception=stop codon readthrough",
        "ncbi": f";transl_except=(pos:{where}%2Caa:{means})".replace(",", "%2C"),
    }[form]
    text += line("v", "gene", low, high, strand, "ID=g;gene_biotype=protein_coding")
    text += line("v", "mRNA", low, high, strand, "ID=t;Parent=g")
    if form == "gencode":
        for a, b in runs:
            text += line("v", "stop_codon_redefined_as_selenocysteine", a, b, strand, "Parent=t")
    for a, b in exons:
        text += line("v", "exon", a, b, strand, "Parent=t")
    for (a, b), phase in zip(pieces, phases(pieces, strand), strict=True):
        text += line("v", "CDS", a, b, strand, f"ID=c;Parent=t{extra}", phase)
    return text


@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("form", ["gtf", "gencode", "tag", "ncbi"])
def test_selenocysteine_is_an_amino_acid(world, caplog, form, split, strand):
    caplog.set_level(logging.WARNING)
    sequence, pieces, places, runs = _seleno(strand, split)
    text = _annotated(form, strand, pieces, runs)
    calls = world({"v": sequence}, text, snvs("v", sequence, places))
    kinds = set()
    for (_, pos, _, alt), call in calls.items():
        said, change = call["t"]
        changes = expected(sequence, places, strand, pos - 1, alt, {11: "U"})
        assert changes_of(change) == changes, (pos, alt, said)
        if any(residue == 11 for residue, _, _ in changes):
            ((_, before, after),) = changes
            assert before == "U"
            term = "stop_gained" if after == "*" else "missense_variant"
            assert term in said.split("&")
            assert bool(SPLICE & set(said.split("&"))) == split
            kinds.add(term)
    assert kinds == {"stop_gained", "missense_variant"}
    assert "coding calls" not in caplog.text


@pytest.mark.parametrize("strand", "+-")
def test_indels_of_a_selenoprotein(world, strand):
    sequence, pieces, places, runs = _seleno(strand, False)
    text = _annotated("gencode", strand, pieces, runs)
    ((low, high),) = runs
    codon = ("v", low, sequence[low - 1 : high], sequence[low - 1])
    within = ("v", low + 1, sequence[low], sequence[low] + "C")
    first = min(places) + 9
    early = ("v", first, sequence[first - 1 : first + 1], sequence[first - 1])
    calls = world({"v": sequence}, text, [codon, within, early])
    said, change = calls[codon]["t"]
    assert said == "inframe_deletion"
    assert "U" in change.split(">")[0]
    assert "U" not in change.split(">")[1]
    for allele in (within, early):
        _, pos, ref, alt = allele
        said, change = calls[allele]["t"]
        assert said == "frameshift_variant"
        # The whole of the new protein, by hand.
        keep = {p: n for n, p in enumerate(places)}
        bases = [sequence[p] for p in places]
        if strand == "-":
            bases = [b.translate(PAIRS) for b in bases]
        if len(alt) > len(ref):
            at = keep[pos - 1] + (strand == "+")
            bases[at:at] = ["C" if strand == "+" else "G"]
        else:
            del bases[keep[pos]]
        new = "".join(AMINO["".join(bases[i : i + 3])] for i in range(0, len(bases) - 2, 3))
        start = int(re.match(r"\d+", change)[0])
        before, after = re.fullmatch(r"\d+(\D+)>\d+(\D+)", change).groups()
        assert before == "".join(protein(sequence, places, strand, {11: "U"}))[start - 1 :]
        until = new.find("*", start - 1)
        assert after == new[start - 1 : None if until < 0 else until + 1]


@pytest.mark.parametrize(
    ("means", "stop", "letter"),
    [("Pyl", "TAG", "O"), ("Trp", "TGA", "W"), ("OTHER", "TAG", "X"), ("Sec", "TGA", "U")],
)
def test_what_transl_except_names(world, means, stop, letter):
    sequence, pieces, places, runs = _seleno("-", False, stop)
    text = _annotated("ncbi", "-", pieces, runs, means)
    calls = world({"v": sequence}, text, snvs("v", sequence, places))
    for (_, pos, _, alt), call in calls.items():
        said, change = call["t"]
        changes = expected(sequence, places, "-", pos - 1, alt, {11: letter})
        assert changes_of(change) == changes
        if letter == "X" and any(after == "*" and n == 11 for n, _, after in changes):
            assert said == "coding_sequence_variant"  # another stop: read through, or not
        elif changes and 11 in {n for n, _, _ in changes}:
            assert said in ("missense_variant", "stop_gained")


def test_a_stop_that_is_read_through_needs_no_position(world):
    sequence, pieces, places, runs = _seleno("+", False, "TAG")
    text = _annotated("readthrough", "+", pieces, runs)
    calls = world({"v": sequence}, text, snvs("v", sequence, places[30:33]))
    for (_, pos, _, alt), (said, change) in ((a, c["t"]) for a, c in calls.items()):
        assert changes_of(change) == expected(sequence, places, "+", pos - 1, alt, {11: "X"})
        assert "stop_lost" not in said


def test_a_stop_codon_that_polyadenylation_completes(world):
    draw = random.Random(3)
    sequence = "".join(draw.choices("ACGT", k=40)) + "ATG" + "GCA" * 10 + "T" + "GTTTCCGG" * 5
    text = line("v", "gene", 40, 74, "+", "ID=g")
    text += line(
        "v",
        "CDS",
        40,
        74,
        "+",
        "ID=c;Parent=g;transl_except=(pos:74..74%2Caa:TERM);transl_table=2",
        0,
    )
    calls = world({"v": sequence}, text, snvs("v", sequence, range(40, 74)))
    assert {calls[allele]["g"] for allele in calls if allele[1] == 74} == {
        ("stop_lost", "12*>12K"),
        ("stop_lost", "12*>12Q"),
        ("stop_lost", "12*>12E"),
    }
    assert calls["v", 71, "G", "C"]["g"] == ("missense_variant", "11A>11P")


def test_a_statement_outside_of_the_coding_sequence_warns(world, caplog):
    sequence, pieces, places, _ = _seleno("+", False)
    text = _annotated("ncbi", "+", pieces, [[2, 5]])
    caplog.set_level(logging.WARNING)
    world({"v": sequence}, text, snvs("v", sequence, places[:1]))
    assert "recoded outside of their coding sequence" in caplog.text


# Genetic codes and starts ---------------------------------------------------------------------


def _started(start, code=None, utr=10, strand="+"):
    """A gene that begins with a codon: sequence and text."""
    coding = start + "GCAGATAAAGCTGGTCCA" + "TAA"
    sequence = "ACGTTGCATCAGGCATTCGA" + coding + "CTTGACCGTAACGTTACGAT"
    low, high = 20, 20 + len(coding)
    if strand == "-":
        size = len(sequence)
        sequence = sequence[::-1].translate(PAIRS)
        low, high = size - high, size - low
    extra = "" if code is None else f";transl_table={code}"
    text = line("v", "gene", low - utr, high + utr, strand, "ID=g;gene_biotype=protein_coding")
    text += line("v", "mRNA", low - utr, high + utr, strand, "ID=t;Parent=g")
    text += line("v", "exon", low - utr, high + utr, strand, "Parent=t")
    return sequence, text + line("v", "CDS", low, high, strand, f"ID=c;Parent=t{extra}", 0)


@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize("start", ["GTG", "TTG", "ATG", "CTG", "ATT"])
def test_the_starts_of_a_default_code_start(world, start, strand):
    sequence, text = _started(start, utr=0, strand=strand)
    places = reading([(20, 44)], strand)
    calls = world(
        {"v": sequence}, text, snvs("v", sequence, places[:6]), "--genetic-codes", "default=11"
    )
    assert world.summary["genetic_codes"] == {"v": 11}
    bacterial = {"ATG", "GTG", "TTG", "CTG", "ATT", "ATC", "ATA"}
    for (_, pos, _, alt), call in calls.items():
        n = places.index(pos - 1)
        if n >= 3:
            assert call["t"][1].startswith("2A")
            continue
        base = alt.translate(PAIRS) if strand == "-" else alt
        codon = start[:n] + base + start[n + 1 :]
        if codon in bacterial:
            assert call["t"] == ("start_retained_variant", "1M"), codon
        else:
            gained = "stop_gained&" if AMINO[codon] == "*" else ""
            assert call["t"] == (f"{gained}start_lost", f"1M>1{AMINO[codon]}"), codon


def test_a_eukaryotic_protein_may_start_at_ctg(world):
    for utr, kept, lost in (
        (10, ("start_retained_variant", "1M"), ("start_lost", "1M>1P")),
        (0, ("missense_variant", "1L>1M"), ("missense_variant", "1L>1P")),
    ):
        sequence, text = _started("CTG", utr=utr)
        alleles = [("v", 21, "C", "A"), ("v", 22, "T", "C"), ("v", 24, "G", "C")]
        calls = world({"v": sequence}, text, alleles)
        # A transcript that begins with its coding sequence may be a fragment.
        assert [calls[allele]["t"] for allele in alleles[:2]] == [kept, lost]
        assert calls[alleles[2]]["t"] == ("missense_variant", "2A>2P")


@pytest.mark.parametrize(
    ("stated", "options", "code"),
    [
        (None, [], 1),
        (None, ["default=11"], 11),
        (4, ["default=11"], 4),
        (4, ["default=11", "v=25"], 25),
        (4, [], 4),
    ],
)
def test_contig_over_annotation_over_default(world, stated, options, code):
    sequence, text = _started("ATG", stated)
    flags = [word for option in options for word in ("--genetic-codes", option)]
    world({"v": sequence}, text, snvs("v", sequence, [25]), *flags)
    assert world.summary["genetic_codes"] == {"v": code}


def test_a_contig_named_default_has_the_default(world):
    sequence, text = _started("ATG")
    text = text.replace("v\t", "default\t")
    both = text + text.replace("default\t", "w\t").replace("=g", "=h").replace("=t", "=u")
    world(
        {"default": sequence, "w": sequence},
        both,
        snvs("w", sequence, [25]),
        *("--genetic-codes", "default=11"),
    )
    assert world.summary["genetic_codes"] == {"default": 11, "w": 11}


@pytest.mark.parametrize("code", sorted(csq.GENETIC_CODES))
def test_the_tables_are_csqs(world, code):
    triplets = ["".join((a, b, c)) for a in "ACGT" for b in "ACGT" for c in "ACGT"]
    sequence = "A" * 20 + "ATG" + "".join(triplets) + "TAA" + "A" * 20
    text = line("v", "gene", 20, 218, "+", "ID=g")
    text += line("v", "CDS", 20, 218, "+", f"ID=c;Parent=g;transl_table={code or 1}", 0)
    options = ["--genetic-codes", f"v={code}"] if code > 1 else []
    calls = world({"v": sequence}, text, snvs("v", sequence, range(23, 215)), *options)
    table = codons.amino_acids(code)
    for (_, pos, _, alt), call in calls.items():
        n = pos - 24
        codon = triplets[n // 3]
        other = codon[: n % 3] + alt + codon[n % 3 + 1 :]
        letters = f"{n // 3 + 2}{table[codon]}>{n // 3 + 2}{table[other]}"
        if table[codon] != table[other]:
            assert call["g"][1] == letters
