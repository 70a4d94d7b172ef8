"""HyenaDNA: what it answers by the definition, and what a prefix shared by four suffixes saves."""

import csv
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from making.hyenas import CONFIG, answer, make_hyena, rewrite
from varlm.errors import UserError
from varlm.genome.windows import reverse_complement
from varlm.models.families.hyenadna import read_tokeniser, window_problem
from varlm.models.loading import load_model
from varlm.models.networks import hyena_operator, hyenadna
from varlm.models.networks.hyena_operator import fast_size

VARIANTS = {
    "plain": {},
    "tied": {"tie_word_embeddings": True},
    "untrained sines": {"train_freq": False},
    "other sizes": {"d_model": 7, "d_inner": 40, "n_layer": 1, "emb_dim": 3, "filter_order": 4},
    "shallow filter": {"num_inner_mlps": 0},
    "deep filter": {"num_inner_mlps": 3, "emb_dim": 7},
    "short filter of 2": {"short_filter_order": 2},
    "short filter of 1": {"short_filter_order": 1},
    "epsilon": {"layer_norm_epsilon": 0.5},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_hyena(tmp_path_factory.mktemp("hyena") / "model")


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder)


def _windows(seed, *shape, letters=b"ACGTN"):
    rng = np.random.default_rng(seed)
    return rng.choice(np.frombuffer(letters, np.uint8), shape)


def _ids(model, windows):
    return torch.from_numpy(model.encode(windows))


def _whole_windows(model, windows, index):
    """Log-likelihoods of windows with each base at `index`: (n, 4), four whole windows each."""
    answers = []
    for base in b"ACGT":
        changed = windows.copy()
        changed[:, index] = base
        answers.append(model.log_likelihood(_ids(model, changed)))
    return torch.stack(answers, 1)


def _less_shared(numbers):
    return numbers - numbers.mean(1, keepdims=True)


@pytest.mark.parametrize("name", VARIANTS)
def test_logits_are_those_of_the_definition(tmp_path, name):
    folder = make_hyena(tmp_path / "model", seed=3, **VARIANTS[name])
    model = load_model(folder)
    ids = _ids(model, _windows(1, 2, 40))
    assert ids.shape == (2, 41)
    assert np.abs(model.logits(ids).numpy() - answer(folder, ids.numpy())).max() < 2e-5


def test_the_longest_window(folder, model):
    ids = _ids(model, _windows(2, 1, model.max_window))
    assert ids.shape[1] == CONFIG["max_seq_len"]
    assert np.abs(model.logits(ids).numpy() - answer(folder, ids.numpy())).max() < 2e-5


@given(st.data())
def test_a_shared_prefix_changes_no_number(model, data):
    window = data.draw(st.integers(1, model.max_window))
    index = data.draw(st.integers(0, window - 1))
    rows = data.draw(st.integers(1, 5))
    windows = _windows(data.draw(st.integers(0, 99)), rows, window)
    numbers = model.site_logits(_ids(model, windows), index)
    assert numbers.shape == (rows, 4)
    whole = _less_shared(_whole_windows(model, windows, index))
    torch.testing.assert_close(_less_shared(numbers), whole, rtol=0, atol=3e-5)


def test_only_nucleotides_count_where_the_model_is_told_so(folder):
    model = load_model(folder, options={"counted": "nucleotides"})
    windows = _windows(4, 3, 30)
    ids = _ids(model, windows)
    assert model.counts(ids).tolist() == [29] * 3  # an N among them, but no [SEP]
    numbers = _less_shared(model.site_logits(ids, 12))
    whole = _less_shared(_whole_windows(model, windows, 12))
    torch.testing.assert_close(numbers, whole, rtol=0, atol=3e-5)
    every = load_model(folder)
    assert every.counts(ids).tolist() == [30] * 3
    assert (_less_shared(every.site_logits(ids, 12)) - whole).abs().max() > 1e-3


@given(st.integers(0, 39), st.integers(0, 99))
def test_what_comes_later_changes_nothing(model, at, seed):
    ids = _ids(model, _windows(seed, 2, 40))
    changed = ids.clone()
    changed[:, at] = 11 - (changed[:, at] == 11).long()
    before, after = model.logits(ids), model.logits(changed)
    torch.testing.assert_close(before[:, :at], after[:, :at], rtol=0, atol=2e-5)
    assert (before[:, at] - after[:, at]).abs().max() > 1e-3


def test_logits_and_hidden_states_at_tokens(model):
    ids = _ids(model, _windows(5, 3, 33))
    for every, at in ((model.logits(ids), model.logits), (model.hidden(ids), model.hidden)):
        torch.testing.assert_close(at(ids, [20, 3]), every[:, [20, 3]], rtol=0, atol=2e-5)
        torch.testing.assert_close(at(ids, [33]), every[:, [33]], rtol=0, atol=2e-5)
    assert model.hidden(ids).shape == (3, 34, CONFIG["d_model"])


def test_base_logits_are_shifted_by_one(model):
    ids = _ids(model, _windows(6, 2, 20))
    bases = model.base_logits(ids)
    assert bases.shape == (2, 20, 4)
    assert not bases[:, 0].any()
    torch.testing.assert_close(bases[:, 1:], model.logits(ids)[:, :19, 7:11])


@pytest.mark.parametrize("group", [1, 45, 90, 1 << 20])
def test_rows_read_at_once_change_no_number(model, monkeypatch, group):
    windows = _windows(7, 5, 40)
    ids = _ids(model, windows)
    alone = torch.cat([model.site_logits(row[None], 19) for row in ids])
    monkeypatch.setattr(hyenadna, "_GROUP", group)
    torch.testing.assert_close(model.site_logits(ids, 19), alone, rtol=0, atol=2e-5)
    torch.testing.assert_close(
        model.logits(ids), torch.cat([model.logits(row[None]) for row in ids]), rtol=0, atol=2e-5
    )


def test_a_state_serves_again(model):
    ids = _ids(model, _windows(8, 3, 30))
    state, _ = model.prefix(ids[:, :9])
    ways = ids[:, None, 9:].repeat(1, 2, 1)
    ways[:, 1, 0] = 9
    first = model.suffixes(state, ways)
    model.suffixes(state, ways[:, :1, :5])
    assert torch.equal(model.suffixes(state, ways), first)


def test_spectra_are_kept_within_bounds(model, monkeypatch):
    long = model._backbone.layers[0].mixer.filter_fn
    long._spectra.clear()
    for length in (10, 12, 20, 30):
        long.convolve(torch.zeros(12, 1, length))
    kept = dict(long._spectra)
    assert {size for _, size in kept} == {20, 24, 40, 60}
    monkeypatch.setattr(hyena_operator, "_KEPT", kept[20, 40].nbytes + kept[30, 60].nbytes)
    long.convolve(torch.zeros(12, 1, 8))
    assert {size for _, size in long._spectra} == {60, 16}
    monkeypatch.setattr(hyena_operator, "_KEPT", 0)
    long.convolve(torch.zeros(12, 1, 8))
    long.convolve(torch.zeros(12, 1, 9))
    assert not long._spectra


@given(st.integers(1, 5000))
def test_fast_sizes(size):
    fast = fast_size(size)
    assert fast >= size
    assert fast % 2 == 0
    rest = fast
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    assert rest == 1
    smaller = range(size + size % 2, fast, 2)
    assert all(any(number % prime == 0 for prime in _PRIMES) for number in smaller)


_PRIMES = [number for number in range(7, 5001) if all(number % by for by in range(2, number))]


def _one_copy(tensors):
    return {n: t for n, t in tensors.items() if not n.endswith(("3.freq", "5.freq"))}


def _last_copy(tensors):
    return {n: t for n, t in tensors.items() if not n.endswith(("1.freq", "3.freq"))}


@pytest.mark.parametrize("copies", [_one_copy, _last_copy])
def test_one_copy_of_the_frequencies_is_enough(tmp_path, model, copies):
    folder = make_hyena(tmp_path / "model")
    rewrite(folder, copies)
    ids = _ids(model, _windows(9, 1, 30))
    torch.testing.assert_close(load_model(folder).logits(ids), model.logits(ids))


def _differing(tensors):
    name = "hyena.backbone.layers.1.mixer.filter_fn.implicit_filter.3.freq"
    return tensors | {name: tensors[name] + 1}


def _without(suffix):
    return lambda tensors: {n: t for n, t in tensors.items() if not n.endswith(suffix)}


def _more(tensors):
    return tensors | {"hyena.backbone.layers.0.mixer.filter_fn.scale": np.ones(1, np.float32)}


def _wide(tensors):
    return tensors | {"lm_head.weight": np.ones((24, 12), np.float32)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_differing, "freq and .* differ"),
        (_without("freq"), "it lacks .*implicit_filter.1.fr"),
        (_without("pos_emb.z"), "it lacks .*pos_emb.z"),
        (_without("lm_head.weight"), "it lacks lm_head.weight"),
        (_without("layers.2.norm2.bias"), "it lacks .*norm2.bias"),
        (_more, "scale too many"),
        (_wide, r"lm_head.weight has the shape \(24, 12\), expected \(16, 12\)"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, change, message):
    folder = make_hyena(tmp_path / "model")
    rewrite(folder, change)
    with pytest.raises(UserError, match=message):
        load_model(folder)


def test_half_precision_and_pickles(tmp_path):
    folder = make_hyena(tmp_path / "model")
    halves = {}

    def halve(tensors):
        halves.update({n: t.astype(np.float16) for n, t in tensors.items()})
        return {n: t.astype(np.float32) for n, t in halves.items()}

    rewrite(folder, halve)
    expected = load_model(folder)
    (folder / "model.safetensors").unlink()
    torch.save(
        {name: torch.from_numpy(tensor) for name, tensor in halves.items()},
        folder / "pytorch_model.bin",
    )
    ids = _ids(expected, _windows(10, 1, 30))
    torch.testing.assert_close(load_model(folder).logits(ids), expected.logits(ids))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hyena_order": 3}, "hyena_order is 3; only 2 exists"),
        ({"short_filter_order": 4}, "short_filter_order is 4.*expected 3"),
        ({"d_model": 0}, "d_model is 0"),
        ({"n_layer": "2"}, "n_layer is '2'"),
        ({"num_inner_mlps": None}, "does not describe a HyenaDNA"),
        ({"pad_vocab_size_multiple": 0}, "pad_vocab_size_multiple is 0"),
        ({"vocab_size": 5}, "ids up to 11, but the model knows only 8"),
    ],
)
def test_configs_that_make_no_model_are_refused(tmp_path, changes, message):
    folder = make_hyena(tmp_path / "model")
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    with pytest.raises(UserError, match=message):
        load_model(folder)


def test_windows_that_are_too_long(folder, model):
    tokeniser = read_tokeniser(folder, CONFIG, {})
    assert model.max_window == 65
    assert window_problem(65, CONFIG, tokeniser) is None
    assert "67 tokens" in window_problem(66, CONFIG, tokeniser)
    assert "at most 65 bp" in window_problem(66, CONFIG, tokeniser)
    assert window_problem(1023, {}, tokeniser) is None
    assert "max_seq_len" in window_problem(1024, {}, tokeniser)


def test_ids_are_the_files(tmp_path):
    tokens = {"characters": ["T", "A", "N", "G", "C"]}
    model = load_model(make_hyena(tmp_path / "model", tokens=tokens))
    assert model.encode(np.frombuffer(b"ACGTN", np.uint8)[None]).tolist() == [[8, 11, 10, 7, 9, 1]]
    windows = _windows(11, 2, 25)
    numbers = _less_shared(model.site_logits(_ids(model, windows), 11))
    whole = _less_shared(_whole_windows(model, windows, 11))
    torch.testing.assert_close(numbers, whole, rtol=0, atol=3e-5)


def test_it_says_what_it_is(model):
    assert model.describe().startswith("HyenaDNA, 0.0")
    assert model.modes() == ("float32",)
    with pytest.raises(ValueError, match="no mode"):
        model.set_mode("bfloat16")


# The authors' own code: logits, and scores of sites of a genome.


@pytest.fixture(scope="module")
def families(shared_data):
    folder = shared_data.parent / "families"
    if not folder.is_dir():
        pytest.skip(f"checkpoints with their authors' answers not found at {folder}")
    return folder


@pytest.fixture(scope="module")
def published(families):
    return load_model(families / "hyenadna")


@pytest.fixture(scope="module")
def genome(families):
    contigs: dict[str, str] = {}
    for part in (families / "genome.fa").read_text().split(">")[1:]:
        name, *lines = part.split("\n")
        contigs[name.split()[0]] = "".join(lines).upper()
    return {name: np.frombuffer(text.encode(), np.uint8) for name, text in contigs.items()}


def _rows(path):
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _strands(sequence, start, window):
    """Return the window, clipped, on each strand, and where `start` is in it."""
    begin, end = max(start - window // 2, 0), min(start + window // 2, len(sequence))
    forward = sequence[None, begin:end]
    index = start - begin
    return (forward, index), (reverse_complement(forward), end - begin - 1 - index)


@pytest.mark.real_data
def test_published_logits(families, published):
    answers = np.load(families / "hyenadna" / "logits.npz")
    numbers = [name.removeprefix("ids_") for name in answers if name.startswith("ids_")]
    assert len(numbers) == 4
    for number in numbers:
        ids, sequence = answers[f"ids_{number}"], str(answers[f"seq_{number}"])
        if sequence.isupper():
            window = np.frombuffer(sequence.encode(), np.uint8)[None]
            assert published.encode(window)[0].tolist() == ids.tolist()
        logits = published.logits(torch.from_numpy(ids)[None])[0].numpy()
        assert np.abs(logits - answers[f"logits_{number}"]).max() < 1e-4


@pytest.mark.real_data
def test_published_scores(families, published, genome):
    worst = 0.0
    rows = _rows(families / "hyenadna" / "scores.tsv")
    for row in rows:
        sides = []
        alleles = [row["ref"], row["alt"]]
        for windows, index in _strands(genome[row["chrom"]], int(row["pos"]) - 1, 128):
            ids = _ids(published, windows)
            numbers = published.site_logits(ids, index)[0] / published.counts(ids)[0]
            ref, alt = ("ACGT".index(base) for base in alleles)
            sides.append(float(numbers[alt] - numbers[ref]))
            alleles = [base.translate(str.maketrans("ACGT", "TGCA")) for base in alleles]
        for name, value in zip(("fwd", "rev", "mean"), (*sides, sum(sides) / 2), strict=True):
            worst = max(worst, abs(value - float(row[name])))
    assert len(rows) == 60
    assert worst < 1e-4


@pytest.mark.real_data
def test_published_scores_of_indels(families, published, genome):
    for row in _rows(families / "hyenadna" / "scores_indel.tsv"):
        sequence, start = genome[row["chrom"]], int(row["pos"]) - 1
        begin, end = start - 64, start + 64
        alt = np.frombuffer(row["alt"].encode(), np.uint8)
        after = sequence[start + len(row["ref"]) : end]
        pair = [sequence[begin:end], np.concatenate([sequence[begin:start], alt, after])]
        for strand in ("fwd", "rev"):
            ids = [
                _ids(published, bases[None] if strand == "fwd" else reverse_complement(bases[None]))
                for bases in pair
            ]
            sums = [float(published.log_likelihood(one)) for one in ids]
            means = [
                total / int(published.counts(one)) for total, one in zip(sums, ids, strict=True)
            ]
            assert abs(sums[1] - sums[0] - float(row[f"sum_{strand}"])) < 1e-4
            assert abs(means[1] - means[0] - float(row[f"mean_{strand}"])) < 1e-4
