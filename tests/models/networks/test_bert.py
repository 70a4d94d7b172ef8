"""SpeciesLM and SpliceBERT: what transformers' own class says, from every layout of their files."""

import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from making import berts
from varlm.errors import UserError
from varlm.genome.windows import centre, reverse_complement
from varlm.models import kmers
from varlm.models.families import species_lm, splicebert
from varlm.models.loading import load_model
from varlm.models.preparing import describe, prepare
from varlm.run.checkpoint_folders import files_of

HUMAN = {"species": "homo_sapiens"}
PREPARE = {"name": "m", "path": "x", "revision": None, "precision": "float32"}


def ascii_windows(*texts: str) -> np.ndarray:
    return np.array([list(text.encode()) for text in texts], np.uint8)


def drawn(width: int, count: int = 2, letters: bytes = b"ACGTN") -> np.ndarray:
    letters = np.frombuffer(letters, np.uint8)
    return np.random.default_rng(width).choice(letters, (count, width))


@pytest.mark.parametrize(
    ("family", "k"), [*(("species_lm", k) for k in (1, 2, 3)), ("splicebert", 1)]
)
def test_it_answers_as_the_class_of_transformers(family, k, tmp_path):
    write, options = (berts.species_lm, HUMAN) if family == "species_lm" else (berts.splicebert, {})
    theirs = write(tmp_path, k=k)
    ours = load_model(tmp_path, family=family, options=options)
    ids = torch.from_numpy(ours.encode(drawn(30)))
    said = theirs(input_ids=ids, output_hidden_states=True)
    assert said.logits.std() > 1
    assert torch.allclose(ours.logits(ids), said.logits, atol=1e-4)
    assert torch.allclose(ours.hidden(ids), said.hidden_states[-1], atol=1e-5)
    for at in ([0], [7, 3, 20], range(2, 9)):
        assert torch.allclose(ours.logits(ids, at), said.logits[:, list(at)], atol=1e-4)
        assert torch.allclose(ours.hidden(ids, at), said.hidden_states[-1][:, list(at)], atol=1e-5)


def test_lower_precision_stays_near(tmp_path):
    berts.splicebert(tmp_path)
    model = load_model(tmp_path, family="splicebert")
    ids = torch.from_numpy(model.encode(drawn(30)))
    exact = model.hidden(ids)
    model.set_mode("bfloat16")
    assert 0 < (model.hidden(ids) - exact).abs().mean() < 0.1
    model.set_mode("float32")
    assert torch.equal(model.hidden(ids), exact)


def _rewrite(folder, tensors, layout):
    weights = folder / "model.safetensors"
    weights.unlink()
    if layout == "pickle":
        torch.save(tensors, folder / "pytorch_model.bin")
    elif layout == "half":
        floating = {n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}
        save_file({name: t.contiguous() for name, t in floating.items()}, weights)
    elif layout == "sharded":
        names = {name: f"model-{i % 2 + 1}-of-2.safetensors" for i, name in enumerate(tensors)}
        for file in set(names.values()):
            save_file({n: t for n, t in tensors.items() if names[n] == file}, folder / file)
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": names}))
    else:
        save_file(tensors, weights)


@pytest.mark.parametrize("layout", ["whole", "pickle", "half", "sharded"])
def test_checkpoints_of_a_class_with_more_heads(layout, tmp_path):
    """Tied copies, position ids, a pooler, a head for pairs of sentences: of BertForPreTraining."""
    theirs = berts.species_lm(tmp_path)
    if layout == "half":
        theirs = theirs.half().float()
    _rewrite(tmp_path, berts.pretraining_tensors(theirs), layout)
    ours = load_model(tmp_path, family="species_lm", options=HUMAN)
    ids = torch.from_numpy(ours.encode(drawn(20)))
    assert torch.allclose(ours.logits(ids), theirs(input_ids=ids).logits, atol=1e-4)


@pytest.mark.parametrize("left_out", [None, "cls.predictions.bias", "cls.predictions.decoder.bias"])
def test_embeddings_that_are_not_tied(left_out, tmp_path):
    """Transformers 5 frees the decoder's bias with its weight, the versions before tie it."""
    theirs = berts.splicebert(tmp_path, tie_word_embeddings=False)
    tensors = berts.tensors(theirs)
    assert "cls.predictions.decoder.weight" in tensors
    if left_out is not None:
        bias = tensors["cls.predictions.decoder.bias"]
        tensors |= {name: bias.clone() for name in ("cls.predictions.bias",)}
        del tensors[left_out]
    _rewrite(tmp_path, tensors, "whole")
    ours = load_model(tmp_path, family="splicebert")
    ids = torch.from_numpy(ours.encode(drawn(20)))
    assert torch.allclose(ours.logits(ids), theirs(input_ids=ids).logits, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bert.pooler.extra": torch.zeros(1)}, "1 too many|bert.pooler.extra"),
        ({"cls.predictions.decoder.weight": torch.zeros(10, 24)}, "differ, but config.json ties"),
        ({"cls.predictions.bias": torch.zeros(11)}, r"expected \(10,\)"),
        ({"bert.encoder.layer.1.output.dense.bias": None}, "lacks bert.encoder.layer.1.output"),
    ],
)
def test_tensors_that_do_not_fit(change, message, tmp_path):
    tensors = berts.tensors(berts.splicebert(tmp_path)) | change
    _rewrite(tmp_path, {n: t for n, t in tensors.items() if t is not None}, "whole")
    with pytest.raises(UserError, match=message):
        load_model(tmp_path, family="splicebert")


def test_relative_positions_are_refused(tmp_path):
    """The class of transformers 5 would leave them out without a word."""
    berts.splicebert(tmp_path, position_embedding_type="relative_key")
    with pytest.raises(UserError, match="position_embedding_type is 'relative_key'"):
        load_model(tmp_path, family="splicebert")


def test_tokens_of_species_lm(tmp_path):
    berts.species_lm(tmp_path, k=3)
    tokens = describe(tmp_path, "species_lm", {"species": "drosophila_melanogaster"}).tokens
    lines = (tmp_path / "vocab.txt").read_text().split("\n")
    text = "ACGTTNACCA"
    words = [text[i : i + 3] for i in range(len(text) - 2)]
    expected = [lines.index(word) if "N" not in word else 1 for word in words]
    assert tokens.encode(ascii_windows(text)).tolist() == [[2, 5 + 64 + 1, *expected, 3]]
    assert (tokens.k, tokens.stride, tokens.mask, tokens.unknown) == (3, 1, 4, 1)


def test_tokens_of_splicebert(tmp_path):
    berts.splicebert(tmp_path)
    tokens = describe(tmp_path, "splicebert").tokens
    assert tokens.encode(ascii_windows("NACGT-RA")).tolist() == [[2, 5, 6, 7, 8, 9, 5, 5, 6, 3]]
    assert tokens.mask == 4


def test_tokens_of_another_order_and_case(tmp_path):
    berts.write_vocabulary(tmp_path, ["t", "g", "[SEP]", "[MASK]", "c", "a", "[CLS]", "[UNK]"])
    config = {"vocab_size": 8}
    tokens = species_lm.read_tokeniser(tmp_path, config, {"species": "none"})
    assert tokens.encode(ascii_windows("ACGTN")).tolist() == [[6, 5, 4, 1, 0, 7, 2]]
    # SpliceBERT without a token for N
    assert splicebert.read_tokeniser(tmp_path, config, {}).unknown == 7


@pytest.mark.parametrize("where", ["tokenizer.json", "tokenizer_config.json", "vocab.txt"])
def test_species_wherever_the_files_have_them(where, tmp_path):
    berts.species_lm(tmp_path)
    expected = describe(tmp_path, "species_lm", HUMAN).tokens.mapping()
    added = json.loads((tmp_path / "added_tokens.json").read_text())
    (tmp_path / "added_tokens.json").unlink()
    words = (tmp_path / "vocab.txt").read_text().split()
    if where == "vocab.txt":
        berts.write_vocabulary(tmp_path, [*words, *added])
    elif where == "tokenizer.json":
        (tmp_path / "vocab.txt").unlink()
        tokens = [{"id": number, "content": name} for name, number in added.items()]
        vocabulary = {word: number for number, word in enumerate(words)}
        document = {"added_tokens": tokens, "model": {"type": "WordPiece", "vocab": vocabulary}}
        (tmp_path / where).write_text(json.dumps(document))
    else:
        decoder = {str(number): {"content": name} for name, number in added.items()}
        (tmp_path / where).write_text(json.dumps({"added_tokens_decoder": decoder}))
    assert describe(tmp_path, "species_lm", HUMAN).tokens.mapping() == expected


def test_special_tokens_by_other_names(tmp_path):
    berts.write_vocabulary(tmp_path, ["<unk>", "<cls>", "<sep>", "<m>", *"ACGT"])
    roles = {"unk_token": "<unk>", "cls_token": {"content": "<cls>"}, "sep_token": "<sep>"}
    settings = {**roles, "mask_token": "<m>", "bos_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    tokens = species_lm.read_tokeniser(tmp_path, {}, {"species": "none"})
    assert (tokens.prefix, tokens.suffix, tokens.mask, tokens.unknown) == ((1,), (2,), 3, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"species": "homo_sapient"}, "one of the 3 species .*the closest are homo_sapiens"),
        ({"species": "Homo_sapiens"}, "found 'Homo_sapiens'.*closest are homo_sapiens"),
        ({"species": "AC"}, "found 'AC'; expected one of the 3 species"),
        ({"species": "[MASK]"}, "one of the 3 species"),
        ({"species": "none"}, "found 'none'; expected one of the 3 species"),
        ({}, "species: missing; expected one of the 3 species.*homo_sapiens, drosophila"),
    ],
)
def test_species_that_the_vocabulary_does_not_name(options, message, tmp_path):
    berts.species_lm(tmp_path)
    with pytest.raises(UserError, match=message):
        describe(tmp_path, "species_lm", options)


def test_a_vocabulary_without_species(tmp_path):
    """As DNABERT's: [CLS] k-mers [SEP]."""
    berts.write_vocabulary(tmp_path, [*berts.SPECIALS, *berts.kmers(2)])
    theirs = berts.write_model(tmp_path, 21, seed=0)
    with pytest.raises(UserError, match=r"no species, only k-mers: .* set it to none"):
        load_model(tmp_path, family="species_lm", options=HUMAN)
    ours = load_model(tmp_path, family="species_lm", options={"species": "none"})
    ids = torch.from_numpy(ours.encode(drawn(12)))
    assert ids.shape == (2, 13)
    assert torch.allclose(ours.logits(ids), theirs(input_ids=ids).logits, atol=1e-4)


PAIRS = [*berts.SPECIALS, *berts.kmers(2)]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (PAIRS[:-1], "AA, AT, AC.* and lacks GG; expected all 4.k k-mers"),
        ([*PAIRS, *"ACGT"], "expected all 4.k k-mers of A, C, G, T of one length"),
        (["[MASK]", "x"], "its vocabulary has no tokens of nucleotides; expected all"),
        ([token for token in PAIRS if token != "[MASK]"], r"no \[MASK\] among the 20 tokens"),
        ([*PAIRS, "more"] * 2, "reach 43, but the model has 21"),
        ([], "vocab.txt: not found, nor a tokenizer.json"),
    ],
)
def test_vocabularies_of_no_bert(tokens, message, tmp_path):
    if tokens:
        berts.write_vocabulary(tmp_path, tokens)
    options = {"species": "more" if "more" in tokens else "none"}
    with pytest.raises(UserError, match=message):
        species_lm.read_tokeniser(tmp_path, {"vocab_size": 21}, options)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("added_tokens.json", '{"AA": 7}', "'AA' has the id 7, but 5"),
        ("added_tokens.json", '{"mus_musculus": 7}', "'mus_musculus' .*both have the id 7"),
        ("added_tokens.json", "[1]", "found a list, expected a JSON object"),
        ("tokenizer_config.json", "{", "not readable as JSON"),
        ("added_tokens.json", '{"mus_musculus": "x"}', "'mus_musculus' has the id 'x', expected a"),
        ("tokenizer.json", '{"added_tokens": [3]}', "added_tokens is not a list of tokens"),
        ("tokenizer.json", '{"model": {"vocab": {"x": null}}}', "'x' has the id None, expected a"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": "y"}}', "is not token ids with"),
    ],
)
def test_files_that_disagree(file, content, message, tmp_path):
    berts.species_lm(tmp_path)
    (tmp_path / file).write_text(content)
    with pytest.raises(UserError, match=message):
        describe(tmp_path, "species_lm", HUMAN)


@pytest.mark.parametrize("family", ["hyenadna", "caduceus", "gpn"])
def test_a_bert_of_another_family_is_refused_before_anything_is_scored(family, tmp_path):
    berts.splicebert(tmp_path)
    with pytest.raises(UserError, match="that of species_lm and splicebert, but the config"):
        describe(tmp_path, family)


def test_kmers_are_not_splicebert(tmp_path):
    berts.species_lm(tmp_path)
    with pytest.raises(UserError, match="has 2-mers; SpliceBERT has a token a base"):
        describe(tmp_path, "splicebert")


@pytest.mark.parametrize(("k", "longest"), [(1, 45), (3, 47)])
def test_the_longest_window(k, longest, tmp_path):
    berts.species_lm(tmp_path, k)
    files = describe(tmp_path, "species_lm", HUMAN)
    model = load_model(tmp_path, family="species_lm", options=HUMAN)
    ids = model.encode(drawn(longest))
    assert model.logits(torch.from_numpy(ids)).shape == (2, 48, 5 + 4**k + 3)
    assert model.max_window == longest
    assert species_lm.window_problem(longest, files.config, files.tokens) is None
    problem = species_lm.window_problem(longest + 1, files.config, files.tokens)
    assert re.search(f"at most {longest} bp: .*is 48.* has 49 tokens", problem)
    if k > 1:
        assert "k-mer of 3" in species_lm.window_problem(2, files.config, files.tokens)


def test_species_and_kind_of_score_are_part_of_the_key(tmp_path):
    berts.species_lm(tmp_path)
    keys = set()
    for species in berts.SPECIES:
        for score in (None, "masked"):
            options = {"species": species}
            model = prepare(
                tmp_path, window=40, family="species_lm", score=score, options=options, **PREPARE
            )
            keys.add(model.key)
            assert model.options["species"] == species
    assert len(keys) == 6


def test_defaults_are_what_is_published(tmp_path):
    berts.splicebert(tmp_path, max_position_embeddings=1026)
    model = prepare(tmp_path, family="splicebert", **PREPARE)
    assert (model.window, model.strands, model.score) == (510, "transcript", "probability")
    with pytest.raises(UserError, match="window: found 1025; the model reads at most 1024 bp"):
        prepare(tmp_path, family="splicebert", window=1025, **PREPARE)


def test_a_vocabulary_that_changed_is_noticed(tmp_path):
    berts.splicebert(tmp_path)
    assert str(tmp_path / "vocab.txt") in files_of(str(tmp_path))  # of which Snakemake knows
    files = describe(tmp_path, "splicebert").files
    load_model(tmp_path, files, family="splicebert")
    berts.write_vocabulary(tmp_path, [*berts.SPECIALS, "N", *"ACTG"])
    with pytest.raises(UserError, match=r"vocab\.txt: SHA-256"):
        load_model(tmp_path, files, family="splicebert")


def test_probabilities_are_of_all_tokens(tmp_path):
    theirs = berts.splicebert(tmp_path)
    ours = load_model(tmp_path, family="splicebert")
    ids = torch.from_numpy(ours.encode(drawn(21)))
    masked = ids.clone()
    masked[:, 1 + 10] = 4
    expected = theirs(input_ids=masked).logits[:, 1 + 10].softmax(-1)[:, 6:]
    p = ours.site_probabilities(ids, 10)
    assert torch.allclose(p, expected, atol=1e-6)
    assert (p.sum(-1) < 1).all()
    berts.species_lm(tmp_path / "pairs")
    pairs = load_model(tmp_path / "pairs", family="species_lm", options=HUMAN)
    with pytest.raises(ValueError, match="no single base to mask"):
        pairs.site_probabilities(ids, 10)


def test_marginals_of_single_bases_are_their_softmax(tmp_path):
    berts.species_lm(tmp_path, k=1)
    model = load_model(tmp_path, family="species_lm", options=HUMAN)
    windows = drawn(21)
    ids = torch.from_numpy(model.encode(windows))
    marginal = kmers.marginal(model, ids, 10)
    assert torch.allclose(marginal, model.site_logits(ids, 10).log_softmax(-1), atol=1e-5)


# The authors' own numbers


PUBLISHED = {
    "specieslm_k1": ("species_lm", "kazachstania_africana_cbs_2517_gca_000304475"),
    "specieslm_k6": ("species_lm", "homo_sapiens"),
    "splicebert": ("splicebert", None),
}


@pytest.fixture
def families(shared_data):
    return shared_data.parent / "families"


def published_model(families, name):
    family, species = PUBLISHED[name]
    return load_model(
        families / name, family=family, options={"species": species} if species else {}
    )


@pytest.mark.real_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_logits(name, families):
    model = published_model(families, name)
    answers = np.load(families / name / "logits.npz")
    for i in range(4):
        text = str(answers[f"seq_{i}"])
        text = text.upper().replace("U", "T") if name == "splicebert" else text
        # Windows are upper case; a lower-case k-mer is an unknown one in SpeciesLM's tokeniser.
        windows = ascii_windows("".join("N" if c.islower() else c for c in text))
        ids = model.encode(windows)
        assert ids[0].tolist() == answers[f"ids_{i}"].tolist()
        logits = model.logits(torch.from_numpy(ids))[0].numpy()
        assert np.abs(logits - answers[f"logits_{i}"]).max() < 1e-4


def rows(families, name, file):
    """Return a table's rows as dictionaries, each with the site's window of `width` bp."""
    genome, contig = {}, ""
    for line in (families / "genome.fa").read_text().splitlines():
        if line.startswith(">"):
            contig = line[1:].split()[0]
            genome[contig] = []
        else:
            genome[contig].append(line.upper())
    sequences = {contig: "".join(lines) for contig, lines in genome.items()}
    width = 2000 if "2000" in file else 128
    header, *lines = (families / name / f"{file}.tsv").read_text().splitlines()
    for line in lines:
        row = dict(zip(header.split("\t"), line.split("\t"), strict=True))
        start = int(row["pos"]) - 1 - width // 2
        text = sequences[row["chrom"]][max(start, 0) : start + width]
        text = text.rjust(width, "N") if start < 0 else text.ljust(width, "N")
        yield row, ascii_windows(text)


def strand_numbers(row, windows, strand):
    """Return the windows on a strand, the index of the site, and REF's and ALT's codes there."""
    ref, alt = ("ACGT".index(row[key]) for key in ("ref", "alt"))
    if strand == "fwd":
        return windows, centre(windows.shape[1]), ref, alt
    return reverse_complement(windows), centre(windows.shape[1], "reverse"), 3 - ref, 3 - alt


def log_ratios(model, windows, ids, index, strand):
    k = model.tokeniser.k
    middle = k // 2 - 1 if strand == "fwd" else k // 2
    yield "marginal", lambda: kmers.marginal(model, ids, index)
    yield "joint", lambda: kmers.joint(model, windows, ids, index, middle)
    yield "prob_diff", lambda: model.site_probabilities(ids, index)
    yield "llr", lambda: model.site_logits(ids, index)


@pytest.mark.real_data
@pytest.mark.parametrize("strand", ["fwd", "rev"])
@pytest.mark.parametrize(
    ("name", "file"), [(name, "scores") for name in PUBLISHED] + [("specieslm_k6", "scores_w2000")]
)
def test_published_scores(name, file, strand, families):
    model = published_model(families, name)
    compared = 0
    for row, forward in rows(families, name, file):
        windows, index, ref, alt = strand_numbers(row, forward, strand)
        ids = torch.from_numpy(model.encode(windows))
        for column, numbers in log_ratios(model, windows, ids, index, strand):
            if f"{column}_{strand}" in row:
                score = numbers()[0]
                ratio = float(score[alt] - score[ref])
                assert ratio == pytest.approx(float(row[f"{column}_{strand}"]), abs=1e-4)
                compared += 1
    assert compared >= 6


@pytest.mark.real_data
@pytest.mark.parametrize("strand", ["fwd", "rev"])
def test_published_divergences(strand, families):
    model = published_model(families, "splicebert")
    answers = np.load(families / "splicebert" / "kl.npz")
    flank = int(answers["flank"])
    for site, (row, forward) in enumerate(rows(families, "splicebert", "scores")):
        windows, index, _, alt = strand_numbers(row, forward, strand)
        mutated = windows.copy()
        mutated[0, index] = ord("ACGT"[alt])
        wild, mutant = (
            model.base_logits(torch.from_numpy(model.encode(w))).double().log_softmax(-1)[0]
            for w in (windows, mutated)
        )
        kl = (mutant.exp() * (mutant - wild)).sum(-1)[index - flank : index + flank + 1].numpy()
        assert np.abs(kl - answers["flanking_kl"][site, int(strand == "rev")]).max() < 1e-4
        beside = np.delete(kl, flank).mean()
        assert beside == pytest.approx(float(row[f"kl_mean_{strand}"]), abs=1e-6)
