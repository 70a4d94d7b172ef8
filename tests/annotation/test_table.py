"""The join of alleles and store, one allele at a time; the step runs in tests/test_export.py."""

import math
import random

import numpy as np
import polars as pl
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from varlm.annotation import table as annotation
from varlm.annotation.bigwigs import BigWigColumns
from varlm.annotation.intervals import IntervalColumns
from varlm.annotation.scores import Model
from varlm.annotation.table import Beside, Sources, annotate
from varlm.errors import UserError
from varlm.genome.contig_names import ContigNames
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.scoring.background import Percentiles
from varlm.store import ALLELE_SCHEMA, SITE_SCHEMA
from varlm.tables.parquet import Column, Table
from varlm.tables.schemas import CONSEQUENCES, VARIANTS, annotated
from varlm.tables.score_kinds import SCORE_KINDS, score_columns

LENGTH = 60
KINDS = {(1, 1): "snv", (2, 2): "mnv", (1, 2): "ins", (2, 1): "del"}


class MadeStore:
    """Any site's and any allele's score, computed from its name; notes what was asked."""

    def __init__(self, genome, strands=2, wrong=()):
        self.contigs = {genome[name].digest: name for name in genome.names}
        self.strands, self.wrong, self.asked = strands, dict(wrong), []

    def logits(self, key, contig, pos):
        rng = np.random.default_rng([len(key), len(contig), pos])
        values = rng.normal(size=8).astype("f4")
        return [float(v) for v in values[: 4 * self.strands]] + [None] * (8 - 4 * self.strands)

    def llr(self, key, contig, pos, ref, alt):
        rng = random.Random(f"{key} {contig} {pos} {ref} {alt}")
        return [np.float32(rng.gauss(0, 1)).item() for _ in range(self.strands)] + [None] * (
            2 - self.strands
        )

    def read_sites(self, key, contig, start, end):
        self.asked.append((self.contigs[contig], start, end))
        rows = [
            (pos, *self.wrong.get(pos, self.logits(key, self.contigs[contig], pos)))
            for pos in range(start, end + 1)
            if self.wrong.get(pos, True) is not None
        ]
        return pl.DataFrame(rows, schema=SITE_SCHEMA, orient="row")

    def read_alleles(self, key, contig, start, end):
        rows = [
            (pos, ref, alt, *self.llr(key, self.contigs[contig], pos, ref, alt))
            for pos in range(start, end + 1)
            for ref in ("A", "C", "AC")
            for alt in ("AT", "GT", "G")
        ]
        return pl.DataFrame(rows, schema=ALLELE_SCHEMA, orient="row")

    def rows_of(self, key, kind, keys):
        self.asked.append(kind.name)
        read = self.read_sites if kind.name == "sites" else self.read_alleles
        rows = pl.concat(
            read(key, contig, pos, pos).select(pl.lit(contig).alias("contig"), pl.all())
            for contig, pos in keys.select("contig", "pos").unique().iter_rows()
        )
        return rows.join(keys, on=keys.columns, how="semi").sample(fraction=1, shuffle=True, seed=1)


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    contigs = {"c1": "A" * LENGTH, "contig2": "C" * LENGTH}
    (folder / "g.fa").write_text("".join(f">{n}\n{s}\n" for n, s in contigs.items()))
    index_reference(folder / "g.fa", folder / "reference")
    return Genome.open(folder / "reference")


def variants_of(alleles):
    """A table of alleles, sorted as normalise sorts; `record` is the allele's place in the list."""
    rows = []
    for index, (contig, pos, ref, alt) in enumerate(alleles):
        kind = KINDS[len(ref), len(alt)]
        spelled = (f"chr{contig}", contig, pos, None, ref, alt, pos, ref, alt)
        rows.append((*spelled, kind, None, 0, index, 1))
    frame = pl.DataFrame(rows, schema=VARIANTS.schema, orient="row")
    return frame.sort("contig", "pos", "ref", "alt", "file", "record", "allele")


SNV = st.permutations("ACGT").map(lambda bases: tuple(bases[:2]))
OTHER = st.sampled_from([("A", "AT"), ("C", "GT"), ("AC", "G"), ("AC", "GT")])
ALLELES = st.lists(
    st.builds(
        lambda contig, pos, allele: (contig, pos, *allele),
        st.sampled_from(["c1", "contig2"]),
        st.integers(1, LENGTH - 1),
        st.one_of(SNV, OTHER),
    ),
    max_size=30,
)


def by_hand(store, key, row, kind):
    """One allele's scores, from the formulas of docs/design.md."""
    column = kind.column
    if row["kind"] != "snv":
        if kind.alleles is None:
            return {}
        fwd, rev = store.llr(key, row["contig"], row["pos"], row["ref"], row["alt"])
        mean = fwd if rev is None else (fwd + rev) / 2
        return {column: mean, f"{column}_fwd": fwd, f"{column}_rev": rev}
    logits = store.logits(key, row["contig"], row["pos"])
    strands = [dict(zip("ACGT", logits[i : i + 4], strict=True)) for i in (0, 4)]
    scored = [s for s in strands if s["A"] is not None]
    by_strand = [s[row["alt"]] - (s[row["ref"]] if kind.difference else 0) for s in scored]
    scores = {
        column: sum(by_strand) / len(by_strand),
        f"{column}_fwd": by_strand[0],
        f"{column}_rev": by_strand[1] if len(by_strand) > 1 else None,
    }
    if not kind.distribution:
        return scores
    mean = {base: sum(s[base] for s in scored) / len(scored) for base in "ACGT"}
    total = sum(math.exp(value) for value in mean.values())
    p = {base: math.exp(value) / total for base, value in mean.items()}
    return {
        **scores,
        "entropy": -sum(value * math.log(value) for value in p.values()),
        "p_ref": p[row["ref"]],
        "p_alt": p[row["alt"]],
    }


BACKGROUND = np.array([-1.5, -0.5, 0.0, 0.25, 2.0])


@given(
    ALLELES,
    st.sampled_from([1, 2]),
    st.integers(1, 10),
    st.integers(1, 40),
    st.sampled_from(list(SCORE_KINDS.values())),
)
def test_every_score_is_that_of_the_allele_alone(
    genome, tmp_path_factory, alleles, strands, rows, span, kind
):
    path = tmp_path_factory.mktemp("v") / "variants.parquet"
    variants = variants_of(alleles)
    variants.write_parquet(path)
    store = MadeStore(genome, strands)
    ranks = Percentiles(BACKGROUND, kind.harmful)
    models = [Model("m", "key"), Model("other", "another key", ranks, kind)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotation, "ROWS", rows)
        patch.setattr(annotation, "SPAN", span)
        pieces = list(annotate(path, genome, store, models))
    assert all(piece.height <= rows for piece in pieces)
    assert all(end - start < span for _, start, end in store.asked)
    table_rows = [row for piece in pieces for row in piece.iter_rows(named=True)]
    assert [row["record"] for row in table_rows] == variants["record"].to_list()
    for row, variant in zip(table_rows, variants.iter_rows(named=True), strict=True):
        assert row["consequence"] is None
        for model in models:
            expected = by_hand(store, model.key, variant, model.kind)
            score = row[f"{model.name}_{model.kind.column}"]
            if model.percentiles is not None and score is not None:
                before = score < BACKGROUND if kind.harmful == "high" else score > BACKGROUND
                expected["percentile"] = 100 * (before + (score == BACKGROUND) / 2).mean()
            for name, _ in score_columns(model.kind):
                value = expected.get(name)
                # float32 in the table, float64 here
                assert row[f"{model.name}_{name}"] == (
                    value if value is None else pytest.approx(value, rel=1e-5, abs=1e-6)
                )


NAN = [float("nan")] * 8
INFINITE = [float("inf"), *[0.0] * 7]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "1 scores of model m are not in the store, the first of c1:7 A>C"),
        (NAN, "1 scores of model m in the store are no finite numbers, the first of c1:7 A>C"),
        (INFINITE, "no finite numbers, the first of c1:7 A>C"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_score_that_is_missing_or_no_number_is_named_never_null(genome, tmp_path, wrong, message):
    alleles = [("c1", 5, "A", "C"), ("c1", 6, "A", "AT"), ("c1", 7, "A", "C")]
    variants_of(alleles).write_parquet(tmp_path / "v.parquet")
    store = MadeStore(genome, wrong={7: wrong})
    with pytest.raises(LookupError, match=message):
        list(annotate(tmp_path / "v.parquet", genome, store, [Model("m", "key")]))


def test_of_a_site_alone_indels_have_nulls_and_a_missing_site_is_named_all_the_same(
    genome, tmp_path
):
    alleles = [("c1", 5, "A", "AT"), ("c1", 6, "AC", "GT"), ("c1", 7, "A", "C")]
    variants_of(alleles).write_parquet(tmp_path / "v.parquet")
    cosine = Model("m", "key", Percentiles(BACKGROUND), SCORE_KINDS["cosine"])
    store = MadeStore(genome)
    store.read_alleles = None  # nobody plans alleles, so nobody may ask for them
    table = pl.concat(annotate(tmp_path / "v.parquet", genome, store, [cosine]))
    names = [f"m_{name}" for name, _ in score_columns(cosine.kind)]
    assert table[names].null_count().row(0) == (2,) * len(names)
    with pytest.raises(LookupError, match=r"1 scores of model m are not in .* c1:7 A>C"):
        list(annotate(tmp_path / "v.parquet", genome, MadeStore(genome, wrong={7: None}), [cosine]))


class MadeTrack:
    """A track whose value tells contig, start and end, and which spans it was asked for."""

    columns = (Column("where", pl.String(), "the span"),)

    def __init__(self):
        self.asked = []

    def series(self, contig, start, end):
        self.asked.append((contig, start.tolist()))
        spans = [f"{contig}:{s}-{e}" for s, e in zip(start, end, strict=True)]
        return [pl.Series("where", spans, dtype=pl.String)]


def beside_of(variants, folder):
    """Consequences and an INFO column that name their row's record."""
    info = Table("info", (Column("info_R", pl.Int64(), "the record"),))
    variants.select(pl.col("record").cast(pl.Int64).alias("info_R")).write_parquet(folder / "i")
    consequences = variants.select(
        pl.format("gene {}", "record").alias(name)
        if name == "gene"
        else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in CONSEQUENCES.schema.items()
    )
    consequences.write_parquet(folder / "c")
    return Beside(folder / "c", CONSEQUENCES), Beside(folder / "i", info)


@given(ALLELES, st.integers(1, 10), st.integers(1, 40))
def test_what_lies_beside_stays_with_its_row(genome, tmp_path_factory, alleles, rows, span):
    folder = tmp_path_factory.mktemp("v")
    variants = variants_of(alleles)
    variants.write_parquet(folder / "variants.parquet")
    track = MadeTrack()
    sources = Sources(*beside_of(variants, folder), [track])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotation, "ROWS", rows)
        patch.setattr(annotation, "SPAN", span)
        store, models = MadeStore(genome), [Model("m", "key")]
        pieces = list(annotate(folder / "variants.parquet", genome, store, models, sources))
    table = annotated(["m"], sources.columns)
    assert all(piece.schema == pl.Schema(table.schema) for piece in pieces)
    assert all(starts == sorted(starts) for _, starts in track.asked)
    table_rows = [row for piece in pieces for row in piece.iter_rows(named=True)]
    assert len(table_rows) == variants.height
    for row, variant in zip(table_rows, variants.iter_rows(named=True), strict=True):
        assert row["info_R"] == row["record"] == variant["record"]
        assert row["gene"] == f"gene {variant['record']}"
        start = variant["pos"] - 1
        assert row["where"] == f"{variant['contig']}:{start}-{start + len(variant['ref'])}"


def test_a_table_beside_with_other_rows_is_refused(genome, tmp_path):
    variants = variants_of([("c1", 5, "A", "C"), ("c1", 7, "A", "C")])
    variants.write_parquet(tmp_path / "v.parquet")
    consequences, info = beside_of(variants[:1], tmp_path)
    for sources in (Sources(consequences=consequences), Sources(info=info)):
        with pytest.raises(UserError, match=r"1 rows, but .*v\.parquet has 2"):
            list(annotate(tmp_path / "v.parquet", genome, MadeStore(genome), [], sources))


SCAFFOLDS = [f"s{number}" for number in range(300)]


@pytest.fixture(scope="module")
def scaffolds(tmp_path_factory):
    """A genome of scaffolds, alleles on some, intervals and values on others."""
    folder = tmp_path_factory.mktemp("scaffolds")
    (folder / "g.fa").write_text("".join(f">{name}\n{'A' * LENGTH}\n" for name in SCAFFOLDS))
    index_reference(folder / "g.fa", folder / "reference")
    genome = Genome.open(folder / "reference")
    draw = random.Random(9)
    alleles, bed, values = [], [], []
    for number, name in enumerate(SCAFFOLDS):
        if number % 3 < 2:
            for allele in draw.sample([("A", "C"), ("C", "G"), ("A", "AT"), ("AC", "G")], 2):
                alleles.append((name, draw.randrange(1, LENGTH - 2), *allele))
        if number % 4 < 3:
            for _ in range(draw.randrange(1, 4)):
                start = draw.randrange(LENGTH - 9)
                label = draw.choice([".", "n1", "n2"])
                bed.append(f"{name}\t{start}\t{start + draw.randrange(1, 9)}\t{label}\n")
        if number % 5 < 3:
            values.append((name, 5, 40, draw.random()))
    # As a last contig of many alleles.
    alleles += [(SCAFFOLDS[-1], pos, "A", alt) for pos in range(1, LENGTH) for alt in "CG"]
    order = {name: number for number, name in enumerate(SCAFFOLDS)}
    variants = variants_of(alleles)
    variants = variants.sort(pl.col("contig").replace_strict(order), "pos", "ref", "alt", "record")
    variants.write_parquet(folder / "v.parquet")
    (folder / "t.bed").write_text("".join(bed))
    lengths = {name: LENGTH for name, *_ in values}
    writer = pyBigWig.open(str(folder / "t.bw"), "w")
    writer.addHeader(list(lengths.items()))
    for name, start, end, value in values:
        writer.addEntries([name], [start], ends=[end], values=[value])
    writer.close()
    names = ContigNames(genome.lengths)
    tracks = [
        IntervalColumns("bed", folder / "t.bed", names, "annotate.intervals.bed"),
        BigWigColumns("bw", folder / "t.bw", names, "annotate.bigwigs.bw"),
    ]
    return genome, folder / "v.parquet", Sources(tracks=tracks)


def _annotated(scaffolds, store):
    genome, variants, sources = scaffolds
    models = [Model("m", "key"), Model("other", "longer")]
    return pl.concat(annotate(variants, genome, store, models, sources))


@pytest.mark.parametrize(("small", "rows"), [(1000, 100_000), (2, 100_000), (1000, 37)])
def test_contigs_that_share_a_piece_are_told_what_each_is_alone(
    scaffolds, monkeypatch, small, rows
):
    store = MadeStore(scaffolds[0])
    monkeypatch.setattr(annotation, "MANY", 10**9)
    alone = _annotated(scaffolds, store)
    assert not {"sites", "alleles"} & set(map(str, store.asked))
    monkeypatch.setattr(annotation, "MANY", 1)
    monkeypatch.setattr(annotation, "SMALL", small)
    monkeypatch.setattr(annotation, "ROWS", rows)
    together = _annotated(scaffolds, store)
    assert_frame_equal(together, alone, check_exact=True)
    counts = alone.select(pl.col("bed_name", "bed_distance", "bw").null_count()).row(0)
    assert all(0 < count < alone.height for count in counts)
    assert alone["bed_overlap"].n_unique() == 2


def test_the_store_is_asked_by_alleles_not_by_contigs(scaffolds):
    class Strict(MadeStore):
        def rows_of(self, key, kind, keys):
            self.asked.append(kind.name)
            inner = MadeStore(scaffolds[0], self.strands)
            return inner.rows_of(key, kind, keys)

    store = Strict(scaffolds[0])
    _annotated(scaffolds, store)
    assert store.asked == ["sites", "alleles"] * 2  # once a kind and model


def test_a_missing_score_among_many_contigs_is_named(scaffolds):
    genome, variants, _ = scaffolds
    first = pl.read_parquet(variants).filter(pl.col("kind") == "snv").row(0, named=True)
    store = MadeStore(genome, wrong={first["pos"]: None})
    where = f"{first['contig']}:{first['pos']} {first['ref']}>{first['alt']}"
    with pytest.raises(LookupError, match=f"not in the store, the first of {where}"):
        _annotated(scaffolds, store)
