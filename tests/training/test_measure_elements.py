"""The step measure_elements and the card: known truths on small chains, tables, errors."""

import json
import random

import polars as pl
import pytest

from making import dnabert2, nucleotide_transformers
from making.toy_models import CONFIGS, make_checkpoint
from making.training import SETTINGS, bases, command, make_corpus, write_genome
from varlm.cli import main
from varlm.tables.model_schemas import ELEMENTS, MOTIFS

SITE = "TTACCCGAGC"


def with_sites(length, seed):
    """Random sequence, every third stretch of ten bases is the site, on either strand."""
    draw = random.Random(seed)
    reverse = SITE[::-1].translate(str.maketrans("ACGT", "TGCA"))
    stretches = [
        draw.choice([SITE, reverse]) if index % 3 == 0 else "".join(draw.choices("ACGT", k=10))
        for index in range(length // 10)
    ]
    return "".join(stretches)


CONTIGS = {"a": with_sites(6000, 1), "h": with_sites(3000, 2)}
BED = "".join(f"h\t{start}\t{start + 40}\n" for start in range(60, 2900, 60)) + "a\t5\t45\n"
SITES = {"REB1": SITE, "other": "GATTGCAACT", "run": "AAAAAA"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Chains of several orders that learnt from sequence with sites, a BED and a MEME file."""
    folder = tmp_path_factory.mktemp("trained")
    make_corpus(folder, {"g": CONTIGS}, "--held-out", "h", "--keep-similar", "--keep-copies")
    for order in (0, 1, 6):
        out = folder / f"chain{order}"
        out.mkdir()
        chain = {"family": "markov", "order": order}
        assert main([str(a) for a in command(folder, out, chain)]) == 0
    write_genome(folder / "genome.fa", CONTIGS)
    (folder / "elements.bed").write_text(BED)
    (folder / "motifs.meme").write_text(
        "MEME version 4\nALPHABET= ACGT\n"
        + "".join(
            f"MOTIF {name}\nletter-probability matrix: alength= 4 w= {len(site)}\n"
            + "".join(" ".join(str(int(b == base)) for b in "ACGT") + "\n" for base in site)
            for name, site in SITES.items()
        )
    )
    return folder


def words(folder, *options, orders=(0, 1, 6), out="elements.tsv", contig="H"):
    return [
        *("measure_elements", "--fasta", folder / "genome.fa", "--contig", contig),
        *("--length", 60, "--device", "cpu", "--out", folder / out),
        *(
            word
            for order in orders
            for word in ("--checkpoint", f"chain{order}={folder}/chain{order}")
        ),
        *("--motifs-out", folder / f"motifs.{out}", *options),
    ]


def checkpoints(arguments):
    return [f"{word}/checkpoint" if "=" in str(word) else str(word) for word in map(str, arguments)]


def measured(folder, *options, **changes):
    """Run the step; return both tables."""
    arguments = words(folder, *options, **changes)
    assert main(checkpoints(arguments)) == 0
    out = changes.get("out", "elements.tsv")
    return tuple(
        pl.read_csv(folder / name, separator="\t", schema=table.schema)
        for name, table in ((out, ELEMENTS), (f"motifs.{out}", MOTIFS))
    )


def test_a_chain_that_learnt_a_motif_sees_its_elements_and_its_footprint(trained):
    both = ("--bed", trained / "elements.bed", "--motifs", trained / "motifs.meme")
    elements, motifs = measured(trained, *both, "--windows", 30)
    assert elements.select("model", "likelihood", "pairs").rows() == [
        (order, "causal", 48) for order in ("chain0", "chain1", "chain6")
    ]
    shares = dict(elements.select("model", "share").iter_rows())
    assert shares["chain0"] == shares["chain1"] == 0.5
    assert shares["chain6"] > 0.9
    low, p = elements.filter(pl.col("model") == "chain6").select("share_low", "p").row(0)
    assert low > 0.8
    assert p < 1e-6
    assert elements["ties"].to_list()[:2] == [48, 48]

    assert motifs.select("model", "motif", "consensus", "pairs").rows() == [
        (order, name, SITES[name], 30)
        for order in ("chain0", "chain1", "chain6")
        for name in ("REB1", "other")
    ]
    columns = motifs.select("model", "motif", "share", "difference", "q")
    of = {(model, motif): row for model, motif, *row in columns.iter_rows()}
    assert of["chain0", "REB1"] == [0.5, 0, 1]  # the same bases, in whatever order
    assert of["chain6", "REB1"][0] > 0.95
    assert of["chain6", "REB1"][1] > 0.5
    assert of["chain6", "REB1"][2] < 1e-5
    assert 0.1 < of["chain6", "other"][0] < 0.9
    assert of["chain6", "other"][2] > 1e-3


def test_one_of_the_two_files_is_enough(trained):
    elements, motifs = measured(trained, "--bed", trained / "elements.bed", orders=[1], out="e.tsv")
    assert (elements.height, motifs.height) == (1, 0)
    elements, motifs = measured(
        trained, "--motifs", trained / "motifs.meme", orders=[1], out="m.tsv"
    )
    assert (elements.height, motifs.height) == (0, 2)


def test_the_seed_decides_and_fewer_pairs_are_some_of_them(trained):
    bed = ("--bed", trained / "elements.bed", "--pairs", 20)
    tables = [measured(trained, *bed, "--seed", seed, orders=[6])[0] for seed in (3, 3, 4)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    assert {table["pairs"].item() for table in tables} == {20}


def test_a_model_of_the_registry_takes_part(trained):
    """As prepare_model wrote it; without an orientation of its own, so on the forward strand."""
    model = trained / "published.json"
    prepare = ["prepare_model", "--name", "published", "--path", trained / "chain6/checkpoint"]
    prepare += ["--window", 64, "--strands", "both", "--precision", "float32", "--model", model]
    assert main(list(map(str, prepare))) == 0
    bed = ("--bed", trained / "elements.bed", "--model", model)
    elements, _ = measured(trained, *bed, orders=[6])
    assert elements["model"].to_list() == ["chain6", "published"]
    assert elements.drop("model").row(0) == elements.drop("model").row(1)


@pytest.mark.parametrize(
    ("family", "make", "message"),
    [
        ("dnabert2", dnabert2.make_checkpoint, "is a DNABERT-2, which does not answer every base"),
        (
            "nucleotide_transformer",
            nucleotide_transformers.make_checkpoint,
            "tokens of other leave 2 of 62 bp over; set elements.length to 60",
        ),
    ],
)
def test_a_model_that_does_not_answer_every_base_is_an_error(
    trained, tmp_path, capsys, family, make, message
):
    model = tmp_path / "other.json"
    prepare = ["prepare_model", "--name", "other", "--path", make(tmp_path / "other")]
    prepare += ["--family", family, "--window", 66, "--model", model]
    prepare += ["--strands", "published", "--precision", "float32"]
    assert main(list(map(str, prepare))) == 0
    options = ("--bed", trained / "elements.bed", "--model", model, "--length", 62)
    assert main(checkpoints(words(trained, *options, orders=[6]))) == 2
    assert message in capsys.readouterr().err


def test_contigs_that_the_genome_lacks(trained, capsys):
    arguments = words(trained, "--bed", trained / "elements.bed", contig="XX")
    assert main(checkpoints(arguments)) == 2
    assert "elements: none of the contigs XX is in the FASTA, which has" in capsys.readouterr().err


def test_the_card_says_what_was_measured(trained):
    both = ("--bed", trained / "elements.bed", "--motifs", trained / "motifs.meme")
    elements, motifs = measured(trained, *both, orders=[6], out="card.tsv")
    out = trained / "chain6"
    describe = ["describe_training", "--name", "mine", "--corpus", trained / "corpus/corpus.json"]
    describe += ["--checkpoint", out / "checkpoint", "--settings", json.dumps(SETTINGS)]
    describe += ["--curve", out / "curve.tsv", "--card", out / "card.md"]
    describe += ["--figure", out / "curve.svg", "--elements", trained / "card.tsv"]
    describe += ["--motifs", trained / "motifs.card.tsv"]
    assert main(list(map(str, describe))) == 0
    card = (out / "card.md").read_text()
    row = elements.row(0, named=True)
    share = f"{row['share']:.3f} ({row['share_low']:.3f}–{row['share_high']:.3f})"
    assert f"| chain6 | causal | 48 | {share} | {row['difference']:+.4f} |" in card
    assert "beside the same with their dinucleotides shuffled" in card
    seen = int((motifs["q"] <= 0.05).sum())
    assert f"| chain6 | causal | {seen} of 2 | {motifs['share'].mean():.3f} |" in card
    describe = [word for word in map(str, describe) if "card.tsv" not in word]
    describe = [word for word in describe if word not in ("--elements", "--motifs")]
    assert main(describe) == 0
    assert "shuffled" not in (out / "card.md").read_text()


def test_a_window_longer_than_a_model_reads_is_an_error(tmp_path, capsys):
    """GPN's RoFormer of the tests reads 96 bp."""
    folder = make_checkpoint(tmp_path / "roformer", CONFIGS["roformer"])
    write_genome(tmp_path / "genome.fa", {"h": bases(400, 1)})
    arguments = ["measure_elements", "--fasta", tmp_path / "genome.fa", "--contig", "h"]
    arguments += ["--length", 100, "--checkpoint", f"r={folder}", "--device", "cpu"]
    arguments += ["--bed", tmp_path / "elements.bed", "--out", tmp_path / "e.tsv"]
    arguments += ["--motifs-out", tmp_path / "m.tsv"]
    (tmp_path / "elements.bed").write_text("h\t50\t90\n")
    assert main(list(map(str, arguments))) == 2
    assert "elements: r reads 96 bp at most, windows have 100 bp" in capsys.readouterr().err


@pytest.mark.real_data
def test_the_shipped_yeast_model_on_promoters_and_a_motif_of_held_out_contigs(
    root, shared_data, tmp_path
):
    """200 bp before genes, and Rpn4's site: both are likelier than shuffled, far from certainly."""
    yeast = shared_data / "yeast"
    columns = ["contig", "source", "type", "start", "end", "score", "strand"]
    genes = pl.read_csv(
        yeast / "annotation.gff3.gz",
        separator="\t",
        has_header=False,
        comment_prefix="#",
        columns=range(7),
        new_columns=columns,
        schema_overrides={"column_1": pl.String},
    ).filter(pl.col("contig").is_in(["IV", "IX", "XV"]), type="gene", strand="+")
    promoters = genes.select("contig", pl.col("start") - 201, end=pl.col("start") - 1)
    promoters.filter(pl.col("start") >= 0).write_csv(
        tmp_path / "promoters.bed", separator="\t", include_header=False
    )
    site = "GGTGGCAAA"
    (tmp_path / "rpn4.meme").write_text(
        f"MEME version 4\nMOTIF RPN4\nletter-probability matrix: w= {len(site)}\n"
        + "".join(" ".join(str(int(b == base)) for b in "ACGT") + "\n" for base in site)
    )
    arguments = ["measure_elements", "--fasta", yeast / "genome.fa.gz", "--device", "cpu"]
    arguments += ["--checkpoint", f"shipped={root / 'resources/models/saccharomyces'}"]
    arguments += ["--contig", "IV", "--contig", "IX", "--contig", "XV", "--length", 512]
    arguments += ["--bed", tmp_path / "promoters.bed", "--pairs", 40, "--windows", 20]
    arguments += ["--motifs", tmp_path / "rpn4.meme", "--out", tmp_path / "elements.tsv"]
    arguments += ["--motifs-out", tmp_path / "motifs.tsv"]
    assert main(list(map(str, arguments))) == 0
    elements, motifs = (
        pl.read_csv(tmp_path / f"{name}.tsv", separator="\t") for name in ("elements", "motifs")
    )
    assert elements["pairs"].to_list() == [40]
    assert 0.6 < elements["share"].item() < 1
    assert elements["p"].item() < 1e-3
    assert motifs["share"].item() > 0.7
    assert motifs["p"].item() < 1e-3
