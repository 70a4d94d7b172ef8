"""Checkpoints and keys of models that do not fit: one clear error each, before anything is scored.

What config and config.json tell, Snakemake says before any job; the rest, the step prepare_model.
"""

import json
import re
import shutil

import polars as pl
import pytest
from safetensors.torch import load_file, save_file

from making import berts, causal_transformers, nucleotide_transformers, phylogpns
from making.workflow import made_genome, snakemake, vcf_text, write_config, write_fasta, write_sheet
from varlm import cli
from varlm.models.prepared import PreparedModel

SPECIES = ("--family", "species_lm", "--option", "species=homo_sapiens")
SPLICE = ("--family", "splicebert")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Name → folder of a made-up checkpoint; tests change copies."""
    folder = tmp_path_factory.mktemp("models")
    berts.species_lm(folder / "species", k=3)
    berts.splicebert(folder / "splice", max_position_embeddings=600)
    nucleotide_transformers.make_checkpoint(folder / "nt")
    causal_transformers.write_causal(folder / "gpt2", "gpt2")
    causal_transformers.write_causal(folder / "llama", "llama", prefix=("[BOS]",))
    phylogpns.write_phylogpn(folder / "phylo", phylogpns.random_tensors())
    return folder


@pytest.fixture
def demo(root):
    return root / "resources/demo/model"


@pytest.fixture
def refused(tmp_path, capsys):
    """A function: the step prepare_model of a folder → its one line; it must fail."""

    def run(folder, *options, window=64):
        output = tmp_path / "out.json"
        arguments = ["--name", "mine", "--path", str(folder), "--window", str(window)]
        arguments += ["--strands", "published", "--precision", "float32", "--model", str(output)]
        assert cli.main(["prepare_model", *arguments, *options]) == 2
        assert not output.exists()
        said = capsys.readouterr().err.strip()
        assert said.startswith("error: ")
        assert len(said.splitlines()) == 1
        return said

    return run


def test_what_config_and_config_json_tell_is_said_before_any_job(tmp_path, models, demo):
    (tmp_path / "a.vcf").write_text("x")
    (tmp_path / "genome.fa.gz").write_bytes(b"x")
    write_sheet(tmp_path, {"a": ["a.vcf"]})
    strange = shutil.copytree(models / "splice", tmp_path / "strange")
    document = json.loads((strange / "config.json").read_text())
    (strange / "config.json").write_text(json.dumps({**document, "model_type": "xlnet"}))
    entries = {
        "bert": {"path": str(models / "splice")},
        "plant": {"path": str(demo), "family": "plantcaduceus"},
        "llama": {"path": str(models / "gpt2"), "family": "llama"},
        "strange": {"path": str(strange)},
        "masked": {"path": str(models / "phylo"), "score": "masked"},
        "likely": {"path": str(models / "splice"), "family": "splicebert", "score": "likelihood"},
        "option": {"path": str(models / "nt"), "species": "x"},
        "species": {"path": str(models / "species"), "family": "species_lm"},
        "short": {"path": str(demo), "window": 32},
    }
    write_config(tmp_path, models=entries)
    output = snakemake(tmp_path, "--dry-run", check=False)
    assert f"{len(entries)} errors in the config:" in output
    for line in (
        "models.bert.path: {}: model_type is 'bert', that of species_lm and splicebert; say in the "
        "config which it is, models.bert.family: species_lm or splicebert",
        "models.plant.path: {}: model_type is 'GPN', that of gpn, but the config says "
        "models.plant.family: plantcaduceus; correct or remove that key",
        "models.llama.path: {}: model_type is 'gpt2', that of gpt2, but the config says "
        "models.llama.family: llama; correct",
        "models.strange.path: {}: model_type is 'xlnet', of no family that varlm knows by it; it "
        "scores gpn, ",
        "models.masked.score: found 'masked'; PhyloGPN has dense: set one of these, or remove",
        "models.likely.score: found 'likelihood'; SpliceBERT has probability, masked, dense, ",
        "models.option.species: found 'x'; Nucleotide Transformer, AgroNT with the score masked "
        "has no options: remove the key",
        "models.species.species: missing; SpeciesLM needs it: set it",
        "normalise.max_allele_length: 10 is more than a quarter of the window of model short "
        "(32 bp), which leaves too little context; lower it to 8 or less, set models.short.window "
        "to 40 or more, or set scoring.indels: skip",
    ):
        name = line.split(".")[1]
        path = entries[name]["path"] if name in entries else ""
        assert f"  - {line.format(f'{path}/config.json')}" in output
    assert "Traceback" not in output
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("model", "window", "message"),
    [
        ("nt", 200, "; expected 6 more than a multiple of 12, .*: set 198 or 210 "),
        ("nt", 12000, "; the model reads at most 282 bp .*: set 282, or less by a multiple of 12 "),
        ("species", 5000, "; the model reads at most 47 bp: .*: set 47 or less "),
        ("gpt2", 300, r"; the model reads at most 64 bp .*: set 64 or less "),
        ("phylo", 16, "; the model loses 8 bp on each side .*: set it to 17 "),
        ("gpt2", "published", "; the model reads at most 64 bp .* else the 512 bp that are publi"),
    ],
)
def test_windows_that_a_model_cannot_read(models, refused, model, window, message):
    said = refused(models / model, *(SPECIES if model == "species" else ()), window=window)
    number = 512 if window == "published" else window
    assert re.search(rf"error: models\.mine\.window: found {number}{message}", said), said


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "models.mine.species: missing; expected one of the 3 species"),
        ("Homo sapiens", "models.mine.species: found 'Homo sapiens'; .*the closest are homo_sapi"),
        ("human", "found 'human'; expected one of the 3 species .*: homo_sapiens, drosophila_"),
    ],
)
def test_species_that_the_model_does_not_have(models, refused, value, message):
    options = SPECIES[:2] if value is None else (*SPECIES[:3], f"species={value}")
    assert re.search(message, refused(models / "species", *options, window=32))


def rewrite(file, change):
    """Change each line of a vocab.txt; None leaves one out."""
    lines = map(change, file.read_text().splitlines())
    file.write_text("".join(f"{line}\n" for line in lines if line is not None))


@pytest.mark.parametrize(
    ("model", "options", "change", "message"),
    [
        ("nt", (), str.lower, r"vocab\.txt: lacks AAAAAA, .*; expected each of the 4096 6-mers"),
        ("nt", (), lambda token: token.replace("<mask>", "q"), r"vocab\.txt: lacks <mask>; "),
        ("nt", (), lambda token: token.replace("ACGTAC", "ACGTAA"), "lacks ACGTAC; expected each"),
        (
            "species",
            SPECIES,
            lambda token: token.replace("ACG", "q"),
            "and lacks ACG; expected all",
        ),
        (
            "species",
            SPECIES,
            lambda token: token.replace("[MASK]", "q"),
            r"no \[MASK\] among the 7",
        ),
        ("splice", SPLICE, str.lower, r"no \[UNK\] among the 10 tokens .* download the checkpoin"),
    ],
)
def test_vocabularies_that_do_not_fit(models, refused, tmp_path, model, options, change, message):
    folder = shutil.copytree(models / model, tmp_path / "model")
    rewrite(folder / "vocab.txt", change)
    assert re.search(message, refused(folder, *options, window=198 if model == "nt" else 32))


@pytest.mark.parametrize("model", ["nt", "species"])
def test_a_vocabulary_that_is_not_there(models, refused, tmp_path, model):
    folder = shutil.copytree(models / model, tmp_path / "model")
    (folder / "vocab.txt").unlink()
    options = SPECIES if model == "species" else ()
    assert f"{folder / 'vocab.txt'}: not found" in refused(folder, *options, window=198)


@pytest.mark.parametrize("letters", ["CGTN", "TGC"])
def test_a_base_that_a_tokeniser_does_not_know(models, refused, tmp_path, letters):
    folder = shutil.copytree(models / "gpt2", tmp_path / "model")
    tokens = (*causal_transformers.SPECIALS, *letters)
    causal_transformers.write_tokeniser(folder, {token: i for i, token in enumerate(tokens)})
    said = refused(folder, window=32)
    assert "A, C, G, T become [" in said
    assert "(a letter of no vocabulary [1]); expected one token for each base" in said


@pytest.mark.parametrize(
    ("model", "document", "message"),
    [
        (
            "gpt2",
            "gptneo",
            "model_type is 'gptneo', expected gpt2 of the family gpt2 that the conf",
        ),
        ("demo", "xlnet", "model_type is 'xlnet', expected GPN or ConvNet or GPNRoFormer of the"),
        ("demo", "VarlmLSTM", "that of lstm, but the config says models.mine.family: gpn; correct"),
    ],
)
def test_a_family_whose_code_needs_a_model_type(
    models, demo, refused, tmp_path, model, document, message
):
    folder = shutil.copytree(demo if model == "demo" else models / model, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": document}))
    family = "gpn" if model == "demo" else model
    assert message in refused(folder, "--family", family)


def test_values_that_an_option_does_not_have(models, refused):
    said = refused(models / "gpt2", "--option", "counted=none", window=32)
    assert "models.mine.counted: found 'none', expected one of all, nucleotides: set" in said


def test_damaged_weights_are_known_before_scoring(models, refused, tmp_path):
    folder = shutil.copytree(models / "splice", tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    said = refused(folder, *SPLICE)
    assert f"{weights}: not readable as safetensors" in said
    assert "copy or download it again" in said


@pytest.fixture
def project(tmp_path):
    """A user's folder with a genome and a cohort of twenty records."""
    genome = made_genome()
    write_fasta(tmp_path / "genome.fa.gz", genome)
    (tmp_path / "a.vcf").write_text(vcf_text(genome, "chr1", "1", 1, 20))
    write_sheet(tmp_path, {"a": ["a.vcf"]})
    return tmp_path


SCORING = {
    **{"window": 64, "precision": "float32", "background_sites": 0},
    "dense": {"sites": 0},  # which would be rows of the plan
}
SHARDS = {"sites_per_shard": 10_000}  # of dense scores there are whole tiles


@pytest.mark.slow
def test_a_model_or_kind_that_is_added_is_scored_in_that_run_and_nothing_else(project, demo):
    first = {"Mine": {"path": str(demo)}}
    write_config(project, models=first, scoring=SCORING, shards=SHARDS)
    assert snakemake(project).count("rule score:") == 1
    assert "Nothing to be done" in snakemake(project)
    kinds = {**first, "dense": {"path": str(demo), "score": "dense"}}
    write_config(project, models=kinds, scoring=SCORING, shards=SHARDS)
    output = snakemake(project)
    assert output.count("rule score:") == 1
    assert "results/scores/dense/0/sites.parquet" in output
    assert {"Mine_llr", "dense_llr"} <= columns(project)
    # One checkpoint by another name has the same rows: none is scored again.
    write_config(
        project, models={**kinds, "other": {"path": str(demo)}}, scoring=SCORING, shards=SHARDS
    )
    assert "rule score:" not in snakemake(project)
    assert "other_llr" in columns(project)
    keys = {name: PreparedModel.read(project / f"results/models/{name}.json").key for name in kinds}
    other = PreparedModel.read(project / "results/models/other.json").key
    assert other == keys["Mine"] != keys["dense"]


def columns(project):
    return set(pl.read_parquet_schema(project / "results/cohorts/a/annotated.parquet"))


@pytest.mark.slow
def test_weights_of_another_model_score_nothing(project, models):
    """And once the key is mended, the same folder goes on."""
    folder = shutil.copytree(models / "splice", project / "my models" / "Splice")
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {**tensors, "more.weight": tensors["cls.predictions.bias"].clone()},
        folder / "x.safetensors",
    )
    (folder / "x.safetensors").replace(folder / "model.safetensors")
    entry = {"path": "my models/Splice", "family": "splicebert", "strands": "both"}
    write_config(project, models={"Splice": {**entry, "window": 700}}, scoring=SCORING)
    output = snakemake(project, check=False)
    assert "error: models.Splice.window: found 700; the model reads at most 598 bp" in output
    write_config(project, models={"Splice": entry}, scoring=SCORING)
    output = snakemake(project, check=False)
    assert "the weights do not fit config.json: it has more.weight too many; expected the" in output
    assert "Traceback" not in (project / "results/logs/score/Splice/0.log").read_text()
    assert not list((project / "results").glob("store/**/*.parquet"))
    save_file(tensors, folder / "model.safetensors")
    assert "rule score:" in snakemake(project)
    assert "Splice_probability" in columns(project)
