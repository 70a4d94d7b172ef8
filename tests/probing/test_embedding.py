"""Embeddings of a table's rows: the model's own, where they should be, whatever stops the step."""

import numpy as np
import polars as pl
import pytest
import torch

from making import berts
from making.causal_transformers import write_causal
from making.nucleotide_transformers import make_checkpoint as nucleotide_transformer
from making.toy_models import CONFIGS, make_checkpoint
from varlm.errors import UserError
from varlm.genome.contig_names import ContigNames
from varlm.genome.reference import Genome
from varlm.genome.windows import reverse_complement
from varlm.models.loading import load_model
from varlm.models.preparing import prepare
from varlm.probing import writing
from varlm.probing.cnn import OneHot
from varlm.probing.embedding import embed, read_width
from varlm.probing.kmers import kmer_counts
from varlm.probing.parts import open_embeddings, part_path
from varlm.probing.running import sequence_codes
from varlm.probing.specification import ProbeLabel, ProbeSpec
from varlm.probing.tables import read_probe_table
from varlm.scoring.hardware import Hardware

CHR = "".join(np.random.default_rng(1).choice(list("ACGT"), 400))
WINDOW, SIZE = 64, 20
PREPARE = {"name": "m", "path": "x", "revision": None, "precision": "auto"}
# Convolutions of 3, the last of dilation 2: what a base changes ends after so many others.
SHALLOW = CONFIGS["convnet"] | {
    "num_hidden_layers": 2,
    "dilation_cycle": 2,
    "first_kernel_size": 3,
    "rest_kernel_size": 3,
}
REACH = 1 + 2


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def genome(make_reference):
    return Genome.open(make_reference({"chr1": CHR}))


@pytest.fixture
def run(tmp_path, genome):
    """A function: rows, and how they are embedded → the embeddings."""

    def run(
        rows,
        model,
        header="chrom start end strand y",
        folder="out",
        positions="all",
        genome=genome,
        **spec,
    ):
        lines = [header.split(), *rows]
        path = tmp_path / "table.tsv"
        path.write_text("\n".join("\t".join(map(str, row)) for row in lines) + "\n")
        spec = ProbeSpec(ProbeLabel("mpra", "y"), positions=positions, **spec)
        table = read_probe_table(path, spec, genome, ContigNames(genome.lengths))
        embed(table, positions, genome, model, Hardware("cpu", 4, 1), tmp_path / folder)
        return open_embeddings(tmp_path / folder)

    return run


@pytest.fixture
def gpn(tmp_path):
    return prepare(make_checkpoint(tmp_path / "gpn", CONFIGS["convnet"]), window=WINDOW, **PREPARE)


def ascii_windows(*texts):
    return np.array([list(text.encode()) for text in texts], np.uint8)


def rc(text):
    return reverse_complement(ascii_windows(text)).tobytes().decode()


INTERVALS = [("chr1", start, start + SIZE, "+", start) for start in range(40, 300, 13)]
BEFORE = WINDOW // 2 - SIZE // 2


def around(start):
    return CHR[start - BEFORE : start - BEFORE + WINDOW]


# -- values -----------------------------------------------------------------------------------


def test_intervals_have_their_genome_around_them(run, gpn):
    embeddings = run(INTERVALS, gpn)
    assert embeddings.record.shape(1) == (1, SIZE, 24)
    assert embeddings.record.window == WINDOW
    windows = ascii_windows(*(around(start) for _, start, *_ in INTERVALS))
    states = load_model(gpn.folder).base_embeddings(windows, 0, WINDOW)
    expected = states[:, BEFORE : BEFORE + SIZE].numpy()
    np.testing.assert_allclose(embeddings.features("all"), expected, atol=1e-5)
    for (_, start, *_), sequence in zip(INTERVALS, embeddings.rows["sequence"], strict=True):
        assert sequence[SIZE // 2] == CHR[start + SIZE // 2]


@pytest.mark.slow
def test_gpns_are_those_of_its_own_class(run, gpn):
    from gpn import register_auto_classes
    from transformers import AutoModel
    from transformers.utils import logging

    register_auto_classes("gpn")
    logging.disable_progress_bar()
    embeddings = run(INTERVALS, gpn)
    windows = ascii_windows(*(around(start) for _, start, *_ in INTERVALS))
    ids = torch.from_numpy(load_model(gpn.folder).encode(windows)).long()
    with torch.inference_mode():
        states = AutoModel.from_pretrained(gpn.folder)(input_ids=ids).last_hidden_state
    expected = states[:, BEFORE : BEFORE + SIZE].numpy()
    np.testing.assert_allclose(embeddings.features("all"), expected, atol=1e-5)


def test_berts_are_those_of_transformers(run, tmp_path):
    theirs = berts.splicebert(tmp_path / "bert")
    model = prepare(tmp_path / "bert", family="splicebert", window=44, **PREPARE)
    embeddings = run(INTERVALS, model)
    ours = load_model(tmp_path / "bert", family="splicebert")
    windows = ascii_windows(*(CHR[start - 12 : start + 32] for _, start, *_ in INTERVALS))
    with torch.inference_mode():
        ids = torch.from_numpy(ours.encode(windows))
        states = theirs(input_ids=ids, output_hidden_states=True).hidden_states[-1]
    first = len(ours.tokeniser.prefix) + 12
    expected = states[:, first : first + SIZE].numpy()
    np.testing.assert_allclose(embeddings.features("all"), expected, atol=1e-5)


def test_the_reverse_strand_is_read_as_its_complement(run, gpn):
    rows = [(*row[:3], "-", row[4]) for row in INTERVALS]
    embeddings = run(rows, gpn)
    # WINDOW and SIZE are even: what is before the interval on one strand is as much behind it.
    windows = ascii_windows(*(rc(around(start)) for _, start, *_ in INTERVALS))
    states = load_model(gpn.folder).base_embeddings(windows, BEFORE, BEFORE + SIZE)
    np.testing.assert_allclose(embeddings.features("all"), states.numpy(), atol=1e-5)
    assert embeddings.rows["sequence"][0] == rc(CHR[40:60])


@pytest.mark.parametrize("size", [20, 21])
@pytest.mark.parametrize("window", [63, 64])
def test_odd_sizes_have_their_middle_in_the_windows_middle(run, tmp_path, size, window):
    model = prepare(make_checkpoint(tmp_path / "gpn", CONFIGS["bytenet"]), window=window, **PREPARE)
    rows = [("chr1", 100, 100 + size, strand, 1) for strand in "+-"]
    values = run(rows, model).features("all")
    before = window // 2 - size // 2
    forward = CHR[100 - before : 100 - before + window]
    behind = rc(CHR[100 + size + before - window : 100 + size + before])
    states = load_model(model.folder).base_embeddings(
        ascii_windows(forward, behind), before, before + size
    )
    np.testing.assert_allclose(values, states.numpy(), atol=1e-5)


def test_variants_differ_where_they_should(run, tmp_path):
    model = prepare(make_checkpoint(tmp_path / "gpn", SHALLOW), window=WINDOW, **PREPARE)
    rows = [("chr1", 100 + i, CHR[99 + i], "ACGT"["CGTA".index(CHR[99 + i])], i) for i in range(9)]
    embeddings = run(rows, model, "chrom pos ref alt y", length=SIZE)
    values = embeddings.features("all")
    assert values.shape == (2, 9, SIZE, 24)
    differs = (np.abs(values[1] - values[0]).max(-1) > 1e-6).all(0)
    near = np.abs(np.arange(SIZE) - SIZE // 2) <= REACH
    np.testing.assert_array_equal(differs, near)
    windows = ascii_windows(*(around(99 + i - SIZE // 2) for i in range(9)))
    states = load_model(model.folder).base_embeddings(windows, BEFORE, BEFORE + SIZE)
    np.testing.assert_allclose(values[0], states.numpy(), atol=1e-5)


def test_an_insertion_moves_what_is_behind_it(run, tmp_path):
    model = prepare(make_checkpoint(tmp_path / "gpn", SHALLOW), window=WINDOW, **PREPARE)
    base = CHR[99]
    more = "GA" + ("T" if base != "T" else "C")
    rows = [("chr1", 100, base, base + more, 1)]
    reference, alternate = run(rows, model, "chrom pos ref alt y", length=SIZE).features("all")
    middle = SIZE // 2  # of the first base behind REF
    np.testing.assert_allclose(
        alternate[0, : middle - REACH], reference[0, : middle - REACH], atol=1e-5
    )
    behind = alternate[0, middle + 3 + REACH :]
    np.testing.assert_allclose(behind, reference[0, middle + REACH : -3], atol=1e-5)


@pytest.mark.parametrize("window", [63, 64])
def test_variants_on_the_reverse_strand_are_those_of_the_other_genome(
    run, tmp_path, make_reference, window
):
    """Embeddings of -, and all that reads sequence alone: as of + on the reverse complement."""
    model = prepare(make_checkpoint(tmp_path / "gpn", CONFIGS["convnet"]), window=window, **PREPARE)
    base = CHR[99]
    other = "ACGT"["CGTA".index(base)]
    end = next(end for end in range(103, 109) if CHR[end - 1] != base)
    pairs = [(base, other), (base, base + "GA" + other), (CHR[99:end], base)]
    header = "chrom pos ref alt strand y"
    behind = [("chr1", 100, *pair, "-", 1) for pair in pairs]
    turned = [("chr1", 402 - 100 - len(ref), rc(ref), rc(alt), "+", 1) for ref, alt in pairs]
    other_genome = Genome.open(make_reference({"chr1": rc(CHR)}, "turned"))
    ours = run(behind, model, header, length=SIZE)
    theirs = run(turned, model, header, folder="turned_out", genome=other_genome, length=SIZE)
    np.testing.assert_array_equal(ours.features("all"), theirs.features("all"))
    one, two = sequence_codes(ours.rows), sequence_codes(theirs.rows)
    np.testing.assert_array_equal(OneHot(one).take(np.arange(3)), OneHot(two).take(np.arange(3)))
    for codes, other_codes in zip(one, two, strict=True):
        np.testing.assert_array_equal(kmer_counts(codes, 3), kmer_counts(other_codes, 3))
    forward = run([(*row[:4], "+", 1) for row in behind], model, header, length=SIZE)
    assert np.abs(ours.features("all") - forward.features("all")).max() > 0.01


def test_variants_without_a_strand_are_those_of_before(run, gpn):
    """The same digest, too, so that parts that are there are kept."""
    rows = [("chr1", 100 + i, CHR[99 + i], "ACGT"["CGTA".index(CHR[99 + i])], i) for i in range(3)]
    embeddings = run(rows, gpn, "chrom pos ref alt y", length=SIZE)
    forward = [(*row[:4], "+", row[4]) for row in rows]
    again = run(forward, gpn, "chrom pos ref alt strand y", folder="again", length=SIZE)
    assert embeddings.record.identity == again.record.identity
    assert embeddings.rows["strand"].to_list() == ["+"] * 3


def test_sequences_are_read_as_contigs(run, gpn, tmp_path):
    """Of a family with padded windows N is around them, of one with clipped windows nothing."""
    texts = [CHR[at : at + SIZE] for at in range(0, 90, 10)]
    rows = [(text, 1, 1) for text in texts]
    header = "sequence y chrom"
    padded = ascii_windows(
        *("N" * BEFORE + text + "N" * (WINDOW - SIZE - BEFORE) for text in texts)
    )
    states = load_model(gpn.folder).base_embeddings(padded, BEFORE, BEFORE + SIZE)
    np.testing.assert_allclose(run(rows, gpn, header).features("all"), states.numpy(), atol=1e-5)

    write_causal(tmp_path / "llama", "llama")
    llama = prepare(tmp_path / "llama", window=32, **PREPARE)
    states = load_model(llama.folder).base_embeddings(ascii_windows(*texts), 0, SIZE)
    values = run(rows, llama, header, folder="llama").features("all")
    np.testing.assert_allclose(values, states.numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["convnet", "llama"])
def test_without_flanks_rows_are_read_as_sequences_of_their_own(run, gpn, tmp_path, kind):
    model = gpn
    if kind == "llama":
        write_causal(tmp_path / "llama", "llama")
        model = prepare(tmp_path / "llama", window=32, **PREPARE)
    base = CHR[99]
    alts = ["ACGT"["CGTA".index(base)], base + "GG"]
    variants = [("chr1", 100, base, alt, strand, 1) for alt in alts for strand in "+-"]
    header = "chrom pos ref alt strand y"
    intervals = [(*row[:3], "+-"[i % 2], 1) for i, row in enumerate(INTERVALS[:4])]
    tables = {"variants": (variants, header), "intervals": (intervals, "chrom start end strand y")}
    for name, (rows, columns) in tables.items():
        alone = run(rows, model, columns, folder=name, flanks=False, length=SIZE)
        around = run(rows, model, columns, folder=f"{name}_around", length=SIZE)
        assert alone.rows.equals(around.rows)
        assert alone.record.identity != around.record.identity
        assert (alone.record.flanks, around.record.flanks) == (False, None)
        sides = alone.features("all")
        for side, text in enumerate(
            ("sequence", "alternate")[: len(sides) if name == "variants" else 1]
        ):
            texts = [(sequence, 1, 1) for sequence in alone.rows[text]]
            own = run(texts, model, "sequence y chrom", folder=f"{name}_{text}").features("all")
            values = sides[side] if name == "variants" else sides
            np.testing.assert_allclose(values, own, atol=1e-6)
        assert np.abs(sides - around.features("all")).max() > 1e-3


def test_mean_and_centre_are_those_of_all(run, gpn):
    whole = run(INTERVALS, gpn)
    for positions in ("mean", "centre"):
        alone = run(INTERVALS, gpn, folder=positions, positions=positions)
        assert alone.record.shape(1) == (1, 1, 24)
        np.testing.assert_allclose(alone.features(positions), whole.features(positions), atol=1e-5)


def test_means_of_rows_of_any_length(run, gpn):
    rows = [("chr1", 100, 100 + size, "+", 1) for size in (7, 20, 33, 20)]
    embeddings = run(rows, gpn, positions="mean")
    assert embeddings.record.length is None
    model = load_model(gpn.folder)
    for (_, start, end, *_), vector in zip(rows, embeddings.features("mean"), strict=True):
        middle = (start + end) // 2 - WINDOW // 2
        windows = ascii_windows(CHR[middle : middle + WINDOW])
        states = model.base_embeddings(windows, start - middle, end - middle)
        np.testing.assert_allclose(vector, states[0].mean(0).numpy(), atol=1e-5)


# -- parts ------------------------------------------------------------------------------------


def parts(folder):
    return [path.read_bytes() for path in sorted(folder.glob("part-*.npy"))]


def test_a_step_that_was_stopped_goes_on(run, gpn, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(writing, "PART_ROWS", 4)
    expected = run(INTERVALS, gpn, folder="undisturbed").features("all")
    write = writing.PartsWriter.write

    def stopped(self, number, values):
        if number == 2:
            raise KeyboardInterrupt
        write(self, number, values)

    with monkeypatch.context() as patch:
        patch.setattr(writing.PartsWriter, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(INTERVALS, gpn)
    kept = [part_path(tmp_path / "out", number).stat().st_ino for number in range(2)]
    with pytest.raises(UserError, match=r"embeddings\.json: not found"):
        open_embeddings(tmp_path / "out")
    with caplog.at_level("INFO"):
        embeddings = run(INTERVALS, gpn)
    assert f"8 of {len(INTERVALS)} rows are embedded already" in caplog.text
    assert [part_path(tmp_path / "out", n).stat().st_ino for n in range(2)] == kept
    assert parts(tmp_path / "out") == parts(tmp_path / "undisturbed")
    np.testing.assert_array_equal(embeddings.features("all"), expected)


def test_other_labels_keep_the_parts_and_other_rows_or_models_do_not(run, gpn, tmp_path):
    first = run(INTERVALS, gpn)
    values = first.features("all")
    inode = part_path(tmp_path / "out", 0).stat().st_ino
    other = run([(*row[:4], -row[4]) for row in INTERVALS], gpn)
    assert part_path(tmp_path / "out", 0).stat().st_ino == inode
    assert other.rows["label"].to_list() == [-row[4] for row in INTERVALS]
    assert other.record.identity == first.record.identity
    assert other.record.table != first.record.table
    assert run(INTERVALS[1:], gpn).record.identity != first.record.identity
    seed = prepare(
        make_checkpoint(tmp_path / "two", CONFIGS["convnet"], seed=1), window=WINDOW, **PREPARE
    )
    again = run(INTERVALS, seed)
    assert again.record.identity != first.record.identity
    assert np.abs(again.features("all") - values).max() > 0.1


def test_the_table_beside_the_parts_has_their_rows(run, gpn):
    rows = [*INTERVALS[:3], ("chr1", 10, 10 + SIZE, "+", "NA"), ("chr9", 1, 1 + SIZE, "+", 4)]
    embeddings = run(rows, gpn)
    assert embeddings.record.rows == 3
    assert embeddings.record.left_out == {"no_label": 1, "contig_unknown": 1}
    expected = pl.DataFrame(
        {"row": [0, 1, 2], "label": [40.0, 53, 66]}, schema_overrides={"row": pl.UInt32}
    )
    assert embeddings.rows.select("row", "label").equals(expected)


# -- errors -----------------------------------------------------------------------------------


def test_rows_longer_than_the_window_are_read_whole(run, gpn):
    rows = [("chr1", 100, 180, "+", 1)]
    embeddings = run(rows, gpn)
    assert embeddings.record.window == 80
    states = load_model(gpn.folder).base_embeddings(ascii_windows(CHR[100:180]), 0, 80)
    np.testing.assert_allclose(embeddings.features("all"), states.numpy(), atol=1e-5)


def test_a_window_that_a_model_cannot_read_is_an_error(run, tmp_path):
    model = prepare(
        make_checkpoint(tmp_path / "roformer", CONFIGS["roformer"]), window=WINDOW, **PREPARE
    )
    with pytest.raises(UserError, match=r"models\.m: rows of 120 bp .* the model reads at most 96"):
        run([("chr1", 100, 220, "+", 1)], model)
    nucleotide_transformer(tmp_path / "nt")
    model = prepare(tmp_path / "nt", window=42, **PREPARE)
    assert read_width(model, 40) == 42
    with pytest.raises(UserError, match=r"models\.m: rows of 50 bp"):
        read_width(model, 50)


def test_a_markov_chain_has_no_embeddings(run, gpn):
    chain = type(gpn)(**{**vars(gpn), "model_type": "VarlmMarkov"})
    with pytest.raises(UserError, match=r"models\.m: a Markov chain of varlm has no embeddings"):
        run(INTERVALS, chain)


def test_hidden_states_that_are_not_finite_name_the_row(run, gpn, monkeypatch):
    from varlm.models.gpn.model import GPN

    states = GPN.base_embeddings

    def broken(self, windows, start, stop):
        values = states(self, windows, start, stop).clone()
        values[(windows == ascii_windows(around(66))).all(1), 3] = float("nan")
        return values

    monkeypatch.setattr(GPN, "base_embeddings", broken)
    with pytest.raises(UserError, match=r"row 2 of the table .* no finite numbers"):
        run(INTERVALS, gpn)
