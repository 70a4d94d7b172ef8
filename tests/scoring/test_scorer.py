"""Inference: closed-form answers, invariance to batches and shards, faults that must not pass."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from making.scoring import allele_ratios, ascii_array, site_logits
from making.toy_models import CONFIGS, VARIANTS, ToyModel, make_checkpoint
from varlm.errors import UserError
from varlm.genome.windows import allele_windows, reverse_complement, site_windows
from varlm.models.loading import load_model
from varlm.run.progress import Progress, duration
from varlm.scoring import batch_size as batch_size_module
from varlm.scoring import formulas, tuning
from varlm.scoring.scorer import Scorer
from varlm.scoring.tuning import tune

PAIRS = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}


def rc(text: str) -> str:
    return "".join(PAIRS[base] for base in reversed(text))


def cut(text: str, start: int, stop: int) -> str:
    return "".join(text[i] if 0 <= i < len(text) else "N" for i in range(start, stop))


def random_dna(seed: int, length: int) -> str:
    rng = np.random.default_rng(seed)
    return "".join(rng.choice(list("ACGTN"), length, p=[0.24] * 4 + [0.04]))


# A model in closed form: off-by-one, strand and prefix (faults 62 and 64)


@given(
    st.text("ACGTN", min_size=1, max_size=40),
    st.integers(3, 24),
    st.sampled_from([0, 1, 3]),
    st.data(),
)
def test_site_logits_are_the_definition(text, window, prefix, data):
    positions = data.draw(st.lists(st.integers(0, len(text) - 1), min_size=1, max_size=9))
    toy = ToyModel(prefix=prefix)
    found = site_logits(Scorer(toy, batch_size=4), ascii_array(text), np.array(positions), window)
    for logits, position in zip(found, positions, strict=True):
        start = position - window // 2
        around = cut(text, start, start + window)
        forward = toy.answer(around, window // 2, masked=True)
        index = window // 2 - 1 if window % 2 == 0 else window // 2
        assert rc(around)[index] == PAIRS[text[position]]
        reverse = toy.answer(rc(around), index, masked=True)
        np.testing.assert_allclose(logits[0], forward, atol=1e-5)
        np.testing.assert_allclose(logits[1], reverse[::-1], atol=1e-5)


def test_the_masked_base_itself_does_not_matter():
    toy = ToyModel()
    texts = [f"ACGTTG{base}CATTGA" for base in "ACGT"]
    found = [site_logits(Scorer(toy), ascii_array(t), np.array([6]), 8) for t in texts]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@given(st.text("ACGTN", min_size=8, max_size=40), st.integers(4, 19).map(lambda w: 2 * w + 1))
def test_the_reverse_complement_swaps_the_strands(text, window):
    """For odd windows, which are symmetric: the mean of both strands has no direction."""
    toy, positions = ToyModel(), np.arange(len(text))
    one = site_logits(Scorer(toy), ascii_array(text), positions, window)
    two = site_logits(Scorer(toy), ascii_array(rc(text)), positions[::-1], window)
    np.testing.assert_allclose(one, two[:, ::-1, ::-1], atol=1e-5)
    ref, alt = np.zeros(len(text), int), np.full(len(text), 2)  # A>G, T>C on the other strand
    np.testing.assert_allclose(
        formulas.snv_scores(one, ref, alt)["llr"],
        formulas.snv_scores(two, 3 - ref, 3 - alt)["llr"],
        atol=1e-5,
    )


def pseudo_log_likelihood(toy: ToyModel, text: str, scored: list[bool]) -> float:
    total = 0.0
    for index, (base, counted) in enumerate(zip(text, scored, strict=True)):
        if counted:
            logits = np.array(toy.answer(text, index, masked=False))
            total += logits["ACGT".index(base)] - np.log(np.exp(logits).sum())
    return total


@settings(deadline=None)
@given(
    st.integers(0, 50),
    st.integers(0, 39),
    st.integers(1, 5),
    st.text("ACGT", min_size=1, max_size=5),
    st.integers(12, 21),
)
def test_allele_scores_are_the_definition(seed, position, length, alt, window):
    text = random_dna(seed, 40).replace("N", "A")
    ref = text[position : position + length]
    if ref == alt:
        return
    toy = ToyModel(seed)
    found = allele_ratios(
        Scorer(toy), ascii_array(text), np.array([position]), [ref], [alt], window
    )
    both = allele_windows(ascii_array(text), np.array([position]), [ref], [alt], window)
    for strand in range(2):
        totals = []
        for row, scored in (
            (both.reference[0], both.reference_scored[0]),
            (both.alternate[0], both.alternate_scored[0]),
        ):
            bases, counted = row.tobytes().decode(), scored.tolist()
            if strand == 1:
                bases, counted = rc(bases), counted[::-1]
            totals.append(pseudo_log_likelihood(toy, bases, counted))
        assert found[0, strand] == pytest.approx(totals[1] - totals[0], abs=1e-4)


def test_an_insertions_anchor_is_not_what_is_scored():
    """The same insertion with a longer anchor, or with none but its own repeat, scores the same."""
    text = "ACGGTTACCATGCAAGTCCA"
    scorer, sequence = Scorer(ToyModel()), ascii_array(text)
    plain = allele_ratios(scorer, sequence, np.array([9]), ["A"], ["AGG"], 16)
    longer = allele_ratios(scorer, sequence, np.array([7]), ["CCA"], ["CCAGG"], 16)
    np.testing.assert_array_equal(plain, longer)


def test_swapping_ref_and_alt_negates_an_allele_score():
    """Fault 63."""
    one, two = "ACGGTTACCATGCAAGTCCA", "ACGGTTACCTTTTGCAAGTCCA"
    scorer = Scorer(ToyModel())
    found = allele_ratios(scorer, ascii_array(one), np.array([8]), ["CA"], ["CTTT"], 14)
    swapped = allele_ratios(scorer, ascii_array(two), np.array([8]), ["CTTT"], ["CA"], 14)
    np.testing.assert_allclose(found, -swapped, atol=1e-12)


def test_forward_strand_alone_leaves_the_reverse_nan():
    toy, sequence = ToyModel(), ascii_array("ACGTTGCATG")
    both = site_logits(Scorer(toy), sequence, np.arange(10), 6)
    found = site_logits(Scorer(toy, "forward"), sequence, np.arange(10), 6)
    np.testing.assert_array_equal(found[:, 0], both[:, 0])
    assert np.isnan(found[:, 1]).all()
    ratio = allele_ratios(Scorer(toy, "forward"), sequence, np.array([4]), ["T"], ["TA"], 6)
    assert np.isfinite(ratio[0, 0])
    assert np.isnan(ratio[0, 1])


def test_nothing_to_score():
    scorer, sequence = Scorer(ToyModel()), ascii_array("ACGT")
    assert site_logits(scorer, sequence, np.array([], int), 4).shape == (0, 2, 4)
    assert allele_ratios(scorer, sequence, np.array([], int), [], [], 4).shape == (0, 2)


# Real architectures: batches, shards, order (fault 60)


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return load_model(make_checkpoint(folder, CONFIGS[request.param]))


SEQUENCE = ascii_array(random_dna(3, 300))
POSITIONS = np.array([0, 1, 5, 31, 32, 60, 61, 62, 63, 90, 150, 149, 220, 250, 270, 298, 299])


@pytest.fixture(scope="module")
def expected(model):
    model.set_mode("float32")
    return site_logits(Scorer(model, batch_size=5), SEQUENCE, POSITIONS, 64)


@pytest.mark.parametrize("batch_size", [1, 7, 16])
def test_scores_do_not_depend_on_the_batch_size(model, expected, batch_size):
    model.set_mode("float32")
    found = site_logits(Scorer(model, batch_size=batch_size), SEQUENCE, POSITIONS, 64)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=8)
@given(st.permutations(range(len(POSITIONS))), st.integers(1, len(POSITIONS) - 1))
def test_scores_do_not_depend_on_shards_or_order(model, expected, order, split):
    model.set_mode("float32")
    scorer = Scorer(model, batch_size=5)
    positions = POSITIONS[list(order)]
    found = np.concatenate(
        [site_logits(scorer, SEQUENCE, part, 64) for part in (positions[:split], positions[split:])]
    )
    np.testing.assert_allclose(found, expected[list(order)], atol=1e-5, rtol=0)


def test_a_second_run_gives_the_same_bytes(model, expected):
    """Fault 65."""
    model.set_mode("float32")
    for _ in range(3):
        found = site_logits(Scorer(model, batch_size=5), SEQUENCE, POSITIONS, 64)
        assert found.tobytes() == expected.tobytes()


def test_both_strands_of_a_real_model(model, expected):
    """Odd windows: scoring the reverse complement swaps the strands (fault 62)."""
    model.set_mode("float32")
    one = site_logits(Scorer(model), SEQUENCE, POSITIONS, 63)
    two = site_logits(
        Scorer(model), reverse_complement(SEQUENCE[None])[0], len(SEQUENCE) - 1 - POSITIONS, 63
    )
    np.testing.assert_allclose(one, two[:, ::-1, ::-1], atol=1e-5, rtol=0)


def test_every_batch_has_the_same_shape():
    toy = ToyModel()
    site_logits(Scorer(toy, batch_size=4), SEQUENCE, POSITIONS, 64)
    assert set(toy.batches) == {(4, 64)}


def test_alleles_do_not_depend_on_the_batch_size(model):
    model.set_mode("float32")
    text = SEQUENCE.tobytes().decode()
    positions = np.array([p for p in (40, 80, 130, 200, 260) if "N" not in text[p : p + 3]])
    refs = [text[p : p + 3] for p in positions]
    alts = [ref[0] + "GATTACA" for ref in refs]
    found = [
        allele_ratios(Scorer(model, batch_size=size), SEQUENCE, positions, refs, alts, 64)
        for size in (1, 4)
    ]
    assert len(positions) > 1
    np.testing.assert_allclose(found[0], found[1], atol=1e-4, rtol=0)


# Faults


class Broken(ToyModel):
    """Answers something that is no number for one window."""

    def __init__(self, value: float, at: int):
        super().__init__()
        self.value, self.at, self.seen = value, at, 0

    def _logits(self, ids):
        logits = super()._logits(ids)
        for row in range(len(ids)):
            if self.seen == self.at:
                logits[row] = self.value
            self.seen += 1
        return logits


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("strands", ["both", "forward"])
def test_a_logit_that_is_no_number_is_an_error_naming_the_site(value, strands):
    """Fault 59."""
    scorer = Scorer(Broken(value, 2), strands, batch_size=1 if strands == "forward" else 4)
    with pytest.raises(UserError, match=r"^chr7:31: the model's answer is not a finite number"):
        site_logits(scorer, SEQUENCE, np.array([10, 20, 30, 40]), 16, contig="chr7")


def test_the_same_for_alleles():
    with pytest.raises(UserError, match=r"^chr7:5: "):
        allele_ratios(
            Scorer(Broken(float("nan"), 0)),
            ascii_array("ACGTACGTAC"),
            np.array([4]),
            ["A"],
            ["AC"],
            8,
            contig="chr7",
        )


def test_float16_that_overflows_is_an_error(tmp_path):
    """Fault 59: 70,000 does not fit in float16."""
    from safetensors.torch import load_file, save_file

    path = make_checkpoint(tmp_path, CONFIGS["convnet"]) / "model.safetensors"
    tensors = load_file(path)
    tensors["model.encoder.layer.2.ffn.3.weight"] *= 1e5
    save_file(tensors, path, metadata={"format": "pt"})
    model = load_model(tmp_path)
    assert np.isfinite(site_logits(Scorer(model), SEQUENCE, POSITIONS, 64)).all()
    model.set_mode("float16")
    with pytest.raises(UserError, match=r"not a finite number.*try float32"):
        site_logits(Scorer(model), SEQUENCE, POSITIONS, 64)


class Small(ToyModel):
    """Runs out of memory above `limit` windows a batch."""

    def __init__(self, limit: int, error: Exception):
        super().__init__()
        self.limit, self.error = limit, error

    def _logits(self, ids):
        if len(ids) > self.limit:
            raise self.error
        return super()._logits(ids)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_a_batch_that_does_not_fit_is_halved(error, caplog):
    expected = site_logits(Scorer(ToyModel()), SEQUENCE, POSITIONS, 64)
    scorer = Scorer(Small(3, error), batch_size=16)
    np.testing.assert_array_equal(site_logits(scorer, SEQUENCE, POSITIONS, 64), expected)
    assert scorer.batch_size == 2
    assert "going on with 2 windows a batch" in caplog.text


def test_one_window_that_does_not_fit_is_an_error():
    scorer = Scorer(Small(0, torch.OutOfMemoryError("CUDA out of memory")), batch_size=4)
    with pytest.raises(UserError, match="out of memory with one window a batch"):
        site_logits(scorer, SEQUENCE, POSITIONS, 64)


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    with pytest.raises(RuntimeError, match="shape mismatch"):
        site_logits(Scorer(Small(0, RuntimeError("shape mismatch"))), SEQUENCE, POSITIONS, 64)


def test_a_window_longer_than_the_model_reads_is_an_error(tmp_path):
    model = load_model(make_checkpoint(tmp_path, CONFIGS["roformer"]))
    with pytest.raises(UserError, match=r"scoring.window is 97, but the model reads at most 96"):
        site_logits(Scorer(model), SEQUENCE, POSITIONS, 97)


def test_a_device_that_is_not_there_is_an_error():
    missing = next(
        name
        for name, there in (
            ("cuda", torch.cuda.is_available()),
            ("mps", torch.backends.mps.is_available()),
            ("tpu", False),
        )
        if not there
    )
    with pytest.raises(UserError, match=rf"'{missing}' is not available here; available: .*cpu"):
        batch_size_module.choose_device(missing)


def test_choosing_a_device_switches_tf32_off():
    assert batch_size_module.choose_device("cpu").type == "cpu"
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    ("channels", "window", "size"), [(512, 512, 8), (64, 512, 32), (512, 6000, 1), (4096, 512, 1)]
)
def test_the_default_batch_depends_on_the_model_alone(channels, window, size):
    toy = ToyModel()
    toy.channels = channels
    assert batch_size_module.default_batch(toy, window) == size


# Precision (fault 61)


class Moody(ToyModel):
    """Modes that are faster by `sleep`, and off by a known amount."""

    def __init__(self, off: dict[str, float]):
        super().__init__()
        self.off = off
        self.sleep = {"float32": 0.02, "winograd": 0.01, "bfloat16": 0.002}

    def modes(self):
        return ("float32", *self.off)

    def set_mode(self, mode):
        self.mode = mode

    def _logits(self, ids):
        import time

        time.sleep(self.sleep[self.mode])
        logits = super()._logits(ids)
        logits[..., 1] += self.off.get(self.mode, 0.0)
        return logits


SAMPLE = site_windows(SEQUENCE, POSITIONS, 32)


def test_auto_takes_the_fastest_mode_that_agrees():
    model = Moody({"winograd": 1e-5, "bfloat16": 0.01})
    choice = tune(Scorer(model, "both", 8), SAMPLE, "auto")
    assert choice.mode == model.mode == "bfloat16"
    assert choice.differences["bfloat16"] == pytest.approx(0.01, rel=1e-3)
    assert choice.differences["winograd"] == pytest.approx(1e-5, rel=0.1)
    assert "bfloat16 differs from float32 by at most 0.01 nats" in choice.summary(len(SAMPLE))


def test_auto_refuses_a_mode_that_disagrees_and_takes_the_next(caplog):
    model = Moody({"winograd": 1e-5, "bfloat16": 0.2})
    choice = tune(Scorer(model, "both", 8), SAMPLE, "auto")
    assert choice.mode == model.mode == "winograd"
    assert choice.differences["bfloat16"] == pytest.approx(0.2, rel=1e-3)
    assert "bfloat16 differs from float32 by 0.2 nats" in caplog.text


def test_auto_falls_back_to_float32():
    for bad in (1.0, float("nan"), float("inf")):
        model = Moody({"winograd": bad, "bfloat16": bad})
        assert tune(Scorer(model, "both", 8), SAMPLE, "auto").mode == model.mode == "float32"


def test_auto_does_not_take_a_mode_that_is_no_faster():
    model = Moody({"winograd": 0.0})
    model.sleep["winograd"] = 0.03
    choice = tune(Scorer(model, "both", 8), SAMPLE, "auto")
    assert choice.mode == model.mode == "float32"
    assert choice.differences == {}


@pytest.mark.parametrize(("rows", "mode"), [(100, "bfloat16"), (10**6, "fused"), (None, "fused")])
def test_a_mode_that_is_compiled_is_tried_where_there_is_work_for_it(rows, mode):
    model = Moody({"bfloat16": 0.01, "fused": 0.01})
    model.sleep |= {"bfloat16": 0.01, "fused": 0.002}
    choice = tune(Scorer(model, "both", 8), SAMPLE, "auto", rows)
    assert choice.mode == model.mode == mode
    assert ("fused" in choice.rates) == (mode == "fused")


ALLELES = allele_windows(
    ascii_array("ACGTTGCATGACCAGTTACG"), np.array([7, 9]), ["A", "GA"], ["ACC", "TC"], 16
)


def test_alleles_go_back_to_float32_where_the_rounding_adds_up(caplog):
    """Sites agree within 0.05; a constant shift of one base's logit over a window does not."""
    model = Moody({"bfloat16": 0.04})
    assert tune(Scorer(model, "both", 8), SAMPLE, "auto").mode == "bfloat16"
    tuning.confirm_for_alleles(Scorer(model), lambda scorer: scorer.alleles(ALLELES, str))
    assert model.mode == "float32"
    assert "2 indels and MNVs, more than 0.05: not used" in caplog.text


@pytest.mark.parametrize("strands", ["both", "forward"])
def test_alleles_keep_a_mode_that_agrees(strands):
    model = Moody({"bfloat16": 1e-5})
    model.set_mode("bfloat16")
    tuning.confirm_for_alleles(Scorer(model, strands), lambda scorer: scorer.alleles(ALLELES, str))
    assert model.mode == "bfloat16"
    model.off["bfloat16"] = float("nan")
    tuning.confirm_for_alleles(Scorer(model, strands), lambda scorer: scorer.alleles(ALLELES, str))
    assert model.mode == "float32"


def test_a_precision_that_is_asked_for_is_taken(tmp_path):
    model = load_model(make_checkpoint(tmp_path, CONFIGS["legacy"]))
    for precision in ("float32", "bfloat16", "float16"):
        choice = tune(Scorer(model, "both", 8), SAMPLE, precision)
        assert choice.mode == model.mode == precision
        assert choice.rates == {}  # nothing to choose, nothing measured
    with pytest.raises(UserError, match=r"scoring.precision: a ConvNet has no mode 'int8'"):
        tune(Scorer(model, "both", 8), SAMPLE, "int8")


def test_bfloat16_is_only_tried_where_it_is_native(tmp_path):
    from varlm.models.gpn.model import has_bfloat16

    model = load_model(make_checkpoint(tmp_path, CONFIGS["legacy"]))
    assert ("bfloat16" in model.modes()) == has_bfloat16(model.device)
    assert (
        load_model(make_checkpoint(tmp_path / "depthwise", VARIANTS["convnet-depthwise"])).modes()[
            0
        ]
        == "float32"
    )


def test_winograd_agrees_with_float32_within_its_tolerance(tmp_path):
    for name in ("convnet", "bytenet", "legacy"):
        model = load_model(make_checkpoint(tmp_path / name, CONFIGS[name]))
        plain = site_logits(Scorer(model), SEQUENCE, POSITIONS, 64)
        model.set_mode("winograd")
        fast = site_logits(Scorer(model), SEQUENCE, POSITIONS, 64)
        assert tuning.largest_difference(plain, fast) < tuning.TOLERANCE["winograd"] / 10


def test_largest_difference_is_of_log_likelihood_ratios():
    a = np.zeros((3, 2, 4), dtype=np.float32)
    b = a + 5  # a constant is no difference
    assert tuning.largest_difference(a, b) == 0
    b[1, :, 2] += 0.5
    b[1, :, 3] -= 0.25
    assert tuning.largest_difference(a, b) == pytest.approx(0.75)
    a[:, 1] = b[:, 1] = np.nan
    assert tuning.largest_difference(a, b) == pytest.approx(0.75)


# Progress


def test_progress_counts_every_site_once(caplog):
    caplog.set_level(logging.INFO)
    counted = []
    scorer = Scorer(ToyModel(), batch_size=4, progress=counted.append)
    scorer.sites(site_windows(SEQUENCE, POSITIONS, 8), str)
    assert sum(counted) == len(POSITIONS)
    progress = Progress(17, "sites")
    for count in counted:
        progress(count)
    assert "17 of 17 sites (100 %)" in caplog.text


def test_progress_logs_early_then_ever_more_rarely(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    now = [0.0]
    monkeypatch.setattr("varlm.run.progress.time.monotonic", lambda: now[0])
    progress = Progress(100_000, "sites")
    times = []
    for _ in range(3600):
        now[0] += 1
        before = len(caplog.records)
        progress(10)
        if len(caplog.records) > before:
            times.append(now[0])
    assert times[:4] == [5, 10, 20, 40]
    assert np.diff(times).max() == 300
    assert caplog.messages[0] == "50 of 100000 sites (0 %), 10 a second, 2 h 46 min left"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7380, "2 h 3 min"), (100_000, "1 d 3 h")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
