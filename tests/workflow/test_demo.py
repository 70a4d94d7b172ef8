"""The demo's inputs: reproducible, valid, small, and a model that has learnt something."""

import contextlib
import gzip
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pysam
import pytest

WINDOW = 128  # as config/config.yaml gives it to the demo's model
BREAKING = {"stop_gained", "splice", "start_lost", "missense"}
NEUTRAL = {"synonymous", "intergenic"}
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


@pytest.fixture(scope="module")
def demo(root) -> Path:
    return root / "resources" / "demo"


def read_fasta(path: Path) -> dict[str, str]:
    sequences: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line.startswith(">"):
            name = line[1:].split()[0]
            sequences[name] = []
        else:
            sequences[name].append(line)
    return {name: "".join(parts) for name, parts in sequences.items()}


@pytest.fixture(scope="module")
def genome(demo) -> dict[str, str]:
    return read_fasta(demo / "genome.fa")


def records(path: Path) -> list[pysam.VariantRecord]:
    with pysam.VariantFile(str(path)) as file:
        return list(file)


def gff_rows(path: Path) -> list[tuple[list[str], dict[str, str]]]:
    rows = [line.split("\t") for line in path.read_text().splitlines() if line[0] != "#"]
    return [(row, dict(pair.split("=", 1) for pair in row[8].split(";"))) for row in rows]


def test_simulation_regenerates_the_committed_files(demo, tmp_path):
    subprocess.run(
        [sys.executable, demo / "simulate.py", "--out", tmp_path], check=True, timeout=300
    )
    for name in ("genome.fa", "genome.gff3", "denovo.vcf"):
        assert (tmp_path / name).read_bytes() == (demo / name).read_bytes(), name
    # The text, not the compressed bytes: those depend on how htslib was built.
    name = "segregating.vcf.gz"
    assert gzip.decompress((tmp_path / name).read_bytes()) == gzip.decompress(
        (demo / name).read_bytes()
    )


def test_genome_has_lower_case_and_one_run_of_n(genome):
    assert sorted(genome) == ["chr1", "chr2", "chr3"]
    whole = "-".join(genome.values())
    assert set(whole) == set("ACGTNacgt-")
    n = [i for i, base in enumerate(whole) if base == "N"]
    assert n[-1] - n[0] + 1 == len(n)


def test_denovo_refs_match_the_genome(demo, genome):
    found = records(demo / "denovo.vcf")
    assert len(found) > 1000
    wrong = [
        (r.chrom, r.pos, r.ref)
        for r in found
        if genome[r.chrom][r.start : r.start + len(r.ref)].upper() != r.ref
    ]
    assert wrong == []
    assert {len(r.samples) for r in found} == {0}
    kinds = {(len(r.ref) > 1, len(r.alts[0]) > 1) for r in found}
    assert kinds == {(False, False), (True, False), (False, True), (True, True)}


def test_segregating_has_the_deliberate_oddities_and_no_others(demo, genome):
    found = records(demo / "segregating.vcf.gz")
    assert len(found) > 1000
    assert {len(r.samples) for r in found} == {4}
    assert all(len(r.info["AF"]) == len(r.alts) for r in found)
    known = [r for r in found if f"chr{r.chrom}" in genome]
    assert {r.chrom for r in found} - {r.chrom for r in known} == {"plasmid"}
    wrong = [
        r for r in known if genome[f"chr{r.chrom}"][r.start : r.start + len(r.ref)].upper() != r.ref
    ]
    assert len(wrong) == 1
    alts = [alt for r in found for alt in r.alts]
    assert "<DEL>" in alts
    assert "*" in alts
    assert len(alts) > len(found)


def test_segregating_index_finds_every_record(demo):
    found = records(demo / "segregating.vcf.gz")
    with pysam.VariantFile(str(demo / "segregating.vcf.gz")) as file:
        fetched = [r.id for contig in ("1", "2", "3", "plasmid") for r in file.fetch(contig)]
    assert sorted(map(str, fetched)) == sorted(str(r.id) for r in found)


def test_gff_children_lie_within_their_parents(demo):
    rows = gff_rows(demo / "genome.gff3")
    spans = {
        attributes["ID"]: (row[0], row[6], int(row[3]), int(row[4]))
        for row, attributes in rows
        if "ID" in attributes
    }
    outside = []
    for row, attributes in rows:
        if "Parent" in attributes:
            contig, strand, start, end = spans[attributes["Parent"]]
            inside = start <= int(row[3]) <= int(row[4]) <= end
            if not inside or (row[0], row[6]) != (contig, strand):
                outside.append("\t".join(row))
    assert outside == []


def test_gff_cds_is_an_open_reading_frame(demo, genome):
    parts: dict[str, list[tuple[int, int, str, str]]] = {}
    for row, attributes in gff_rows(demo / "genome.gff3"):
        if row[2] == "CDS":
            part = (int(row[3]) - 1, int(row[4]), row[0], row[6])
            parts.setdefault(attributes["Parent"], []).append(part)
    assert len(parts) > 300
    assert {part[3] for cds in parts.values() for part in cds} == {"+", "-"}
    for name, cds in parts.items():
        text = "".join(genome[contig][a:b] for a, b, contig, _ in sorted(cds)).upper()
        if cds[0][3] == "-":
            text = text.translate(COMPLEMENT)[::-1]
        codons = [text[i : i + 3] for i in range(0, len(text), 3)]
        stops = [i for i, codon in enumerate(codons) if codon in ("TAA", "TAG", "TGA")]
        assert len(text) % 3 == 0, name
        assert codons[0] == "ATG", name
        assert stops == [len(codons) - 1], name


def test_files_are_small(demo):
    limits = {"genome.fa": 420_000, "genome.gff3": 400_000, "model/model.safetensors": 2_500_000}
    for name, limit in limits.items():
        assert (demo / name).stat().st_size <= limit, name


@pytest.fixture(scope="module")
def checkpoint(demo):
    """The model and the token ids of A, C, G, T, as a user of gpn and transformers loads them."""
    import gpn
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    gpn.register_auto_classes("gpn")
    tokenizer = AutoTokenizer.from_pretrained(demo / "model")
    with contextlib.redirect_stdout(io.StringIO()):  # gpn prints the dilations
        model = AutoModelForMaskedLM.from_pretrained(demo / "model").eval()
    return model, tokenizer


def test_tokeniser_is_gpns(checkpoint):
    _, tokenizer = checkpoint
    assert tokenizer("ACGTNacgt")["input_ids"] == [3, 4, 5, 6, 2, 3, 4, 5, 6]
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id, tokenizer.unk_token_id) == (0, 1, 2)


def test_varlm_loads_the_checkpoint(demo):
    import torch

    from varlm.models import preparing
    from varlm.models.loading import load_model

    model = load_model(demo / "model", preparing.describe(demo / "model").files)
    windows = np.frombuffer(b"ACGTN" * 25 + b"ACG", dtype=np.uint8)[None]
    logits = model.site_logits(torch.from_numpy(model.encode(windows)), WINDOW // 2)
    assert logits.shape == (1, 4)
    assert bool(torch.isfinite(logits).all())


def denovo_llr(checkpoint, demo: Path, genome: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Return LLR (nats, strand mean) and CLASS of the SNVs of denovo, through gpn's own class."""
    import torch

    model, tokenizer = checkpoint
    half = WINDOW // 2
    snvs = [r for r in records(demo / "denovo.vcf") if len(r.ref) == len(r.alts[0]) == 1]
    strands = []
    for flip in (False, True):
        texts, alleles = [], []
        for r in snvs:
            text = ("N" * half + genome[r.chrom].upper() + "N" * half)[r.start : r.start + WINDOW]
            pair = r.ref + r.alts[0]
            texts.append(text.translate(COMPLEMENT)[::-1] if flip else text)
            alleles.append(pair.translate(COMPLEMENT) if flip else pair)
        ids = torch.tensor(tokenizer(texts)["input_ids"])
        centre = half - 1 if flip else half
        assert [texts[i][centre] for i in range(9)] == [alleles[i][0] for i in range(9)]
        ids[:, centre] = tokenizer.mask_token_id
        with torch.inference_mode():
            chunks = [model(input_ids=part).logits[:, centre] for part in ids.split(256)]
        logits = torch.cat(chunks).numpy()
        assert np.isfinite(logits).all()
        index = np.array(tokenizer(alleles)["input_ids"])
        rows = np.arange(len(snvs))
        strands.append(logits[rows, index[:, 1]] - logits[rows, index[:, 0]])
    return np.mean(strands, axis=0), np.array([r.info["CLASS"] for r in snvs])


def test_model_tells_breaking_from_neutral_mutations(checkpoint, demo, genome):
    llr, classes = denovo_llr(checkpoint, demo, genome)
    breaking = llr[np.isin(classes, list(BREAKING))]
    neutral = llr[np.isin(classes, list(NEUTRAL))]
    below = (breaking[:, None] < neutral).mean() + 0.5 * (breaking[:, None] == neutral).mean()
    assert below >= 0.75
