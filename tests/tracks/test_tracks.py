"""bigWig tracks: another reader finds the annotated table's numbers, and no fault passes unseen."""

import json
import math
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from making.records import prepared_model
from making.store import KEY, MODEL
from varlm import cli
from varlm.annotation.scores import Model, score_columns
from varlm.annotation.table import pieces
from varlm.files.whole import write_digest
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.scoring import formulas, planning
from varlm.store import SITE_SCHEMA, Store
from varlm.tables.schemas import LOGIT_COLUMNS, VARIANTS
from varlm.tables.score_kinds import SCORE_KINDS
from varlm.tracks import bigwig
from varlm.tracks import snv_sites as snv_sites_module
from varlm.tracks.sites import draw_tracks, site_values, tracks_of
from varlm.tracks.snv_sites import snv_sites

MASKED = SCORE_KINDS["masked"]
NAMES = [track.name for track in tracks_of(MASKED)]
LOGO = NAMES[2:]
# Out of alphabetical order, and of the kinds of names that assemblies have.
CONTIGS = {
    "chr2": "NNACGTACGTTTGACNNRACGTAGCATGC" * 3,
    "HLA:A*01|x": "ACGTTGCA",
    "chr10": "TTGACCA" * 20,
    "chr1": "GATTACA" * 4,
    "unused": "ACGT",
}


def fill_store(folder, genome, *, forward=False, lacking=(), wrong=None):
    """A score, random but fixed, for every site of a genome but some (contig, pos)."""
    rng = np.random.default_rng(1)
    rows = []
    for contig in genome.names:
        pos = np.flatnonzero(np.isin(genome.sequence(contig), list(b"ACGT"))) + 1
        logits = rng.normal(scale=2, size=(len(pos), 8)).astype("f4")
        if forward:
            logits[:, 4:] = np.nan
        if wrong and contig == wrong[0]:
            logits[pos == wrong[1]] = np.inf
        keep = [(contig, p) not in lacking for p in pos]
        columns = {"pos": pos, **dict(zip(LOGIT_COLUMNS, logits.T, strict=True))}
        frame = pl.DataFrame(columns, schema=SITE_SCHEMA).filter(keep).fill_nan(None)
        rows.append((genome[contig].digest, frame))
    store = Store(folder)
    store.commit(KEY, MODEL, rows, [])
    return store


def write_variants(path, rows):
    """A table of (contig, pos, ref, alt) as normalise writes it; REF and ALT tell the kind."""
    kinds = {(1, 1): "snv", (1, 2): "ins"}
    table = []
    for number, (contig, pos, ref, alt) in enumerate(rows):
        spelled = (f"VCF {contig}", contig, pos, None, ref, alt, pos, ref, alt)
        table.append((*spelled, kinds[len(ref), len(alt)], None, 0, number, 1))
    path.parent.mkdir(exist_ok=True)
    pl.DataFrame(table, schema=VARIANTS.schema, orient="row").write_parquet(path)
    write_digest(path)
    return path


def saturate(reference, path, *options):
    """Every SNV of an area, as a variants table."""
    arguments = ["saturate", "--cohort", "regions", "--reference", reference, *options]
    arguments += ["--variants", path, "--accounting", path.with_suffix(".json")]
    assert cli.main([str(argument) for argument in arguments]) == 0
    return path


@pytest.fixture
def genome(make_reference):
    return Genome.open(make_reference(CONTIGS))


@pytest.fixture
def project(genome, tmp_path):
    """The genome, a store of it, the model's file, and every SNV but those of one contig."""
    model = prepared_model(**MODEL | {"folder": Path(MODEL["folder"])})
    model.write(tmp_path / "model.json")
    used = [option for name in CONTIGS if name != "unused" for option in ("--contig", name)]
    saturate(genome.folder, tmp_path / "variants.parquet", *used)
    fill_store(tmp_path / "store", genome)
    return tmp_path


def draw(folder, *variants, out="tracks", store="store", threads=1):
    """Run the step; return its exit status."""
    arguments = ["draw_tracks", "--model", folder / "model.json"]
    arguments += ["--reference", folder / "reference", "--store", folder / store]
    for path in variants or [folder / "variants.parquet"]:
        arguments += ["--variants", path]
    arguments += ["--threads", threads, "--tracks", folder / out]
    return cli.main([str(argument) for argument in arguments])


def read(path):
    """Contig → {position, 1-based: value}, as pyBigWig reads the file."""
    with pyBigWig.open(str(path)) as file:
        by_contig = {}
        for contig in file.chroms():
            entries = file.intervals(contig)
            assert all(end == start + 1 for start, end, _ in entries)
            by_contig[contig] = {end: np.float32(value) for _, end, value in entries}
        return by_contig


def bigwigs(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.bw")}


def table(variants, genome, store):
    """(contig, pos) → scores of its SNVs, one row each, as the annotated table has them."""
    by_site = {}
    for piece in pieces(variants):
        contig = piece["contig"][0]
        columns = score_columns(piece, store, Model("m", KEY), genome[contig].digest)
        rows = piece.with_columns(columns).filter(pl.col("kind") == "snv")
        for row in rows.iter_rows(named=True):
            by_site.setdefault((contig, row["pos"]), []).append(row)
    return by_site


def agrees(folder, expected):
    """Whether the tracks hold the numbers of a table's sites, and no others."""
    values = {name: read(folder / f"{name}.bw") for name in NAMES}
    for name in NAMES:
        sites = {(contig, pos) for contig, value_of in values[name].items() for pos in value_of}
        assert sites == expected.keys(), name
    for (contig, pos), rows in expected.items():
        at = {name: values[name][contig][pos] for name in NAMES}
        assert at["worst_llr"] == np.float32(min(row["m_llr"] for row in rows))
        assert at["entropy"] == np.float32(rows[0]["m_entropy"])
        bits = 2 - rows[0]["m_entropy"] / math.log(2)
        assert sum(float(at[name]) for name in LOGO) == pytest.approx(bits, abs=1e-6)
        p = {row["alt"]: row["m_p_alt"] for row in rows} | {rows[0]["ref"]: rows[0]["m_p_ref"]}
        for base, value in p.items():
            assert at[f"logo_{base}"] == pytest.approx(value * bits, abs=1e-6)
    return True


# The values


def slow_values(fwd, rev, ref):
    """One site's values, from the definitions."""
    llr = [((fwd[a] - fwd[ref]) + (rev[a] - rev[ref])) / 2 for a in range(4) if a != ref]
    mean = [(f + r) / 2 for f, r in zip(fwd, rev, strict=True)]
    powers = [math.exp(value - max(mean)) for value in mean]
    p = [power / sum(powers) for power in powers]
    bits = -sum(q * math.log2(q) for q in p if q)
    return [min(llr), bits * math.log(2), *(q * (2 - bits) for q in p)]


LOGITS = hnp.arrays(np.float32, (3, 2, 4), elements=st.floats(-50, 50, width=32, allow_nan=False))
REF = st.lists(st.integers(0, 3), min_size=3, max_size=3).map(np.array)


@given(LOGITS, REF)
def test_values_are_the_definitions(logits, ref):
    columns = site_values(logits, ref, MASKED)
    assert list(columns) == NAMES
    for row in range(3):
        fwd, rev = logits[row].astype(float).tolist()
        expected = slow_values(fwd, rev, ref[row])
        assert [columns[name][row] for name in NAMES] == pytest.approx(expected, abs=2e-5)


@given(LOGITS, REF)
def test_heights_are_a_logo_and_the_worst_is_one_of_the_three(logits, ref):
    columns = site_values(logits, ref, MASKED)
    assert all(column.dtype == np.float32 for column in columns.values())
    heights = np.array([columns[name] for name in LOGO], dtype=float)
    assert (heights >= -1e-6).all()
    assert (heights <= 2).all()
    np.testing.assert_allclose(
        heights.sum(axis=0), 2 - columns["entropy"].astype(float) / math.log(2), atol=1e-5
    )
    snvs = [formulas.snv_scores(logits, ref, (ref + step) % 4) for step in (1, 2, 3)]
    lowest = np.min([snv["llr"] for snv in snvs], axis=0).astype(np.float32)
    np.testing.assert_array_equal(columns["worst_llr"], lowest)
    np.testing.assert_array_equal(columns["entropy"], snvs[0]["entropy"].astype(np.float32))


def test_equal_logits_have_no_height():
    columns = site_values(np.zeros((1, 2, 4)), np.array([2]), MASKED)
    assert columns["entropy"] == pytest.approx(math.log(4))
    assert [float(columns[name][0]) for name in (*LOGO, "worst_llr")] == pytest.approx([0] * 5)


@pytest.mark.parametrize("kind", SCORE_KINDS.values(), ids=SCORE_KINDS)
@given(LOGITS, REF)
def test_the_worst_of_any_kind_is_the_most_harmful_of_three(kind, numbers, ref):
    columns = site_values(numbers, ref, kind)
    assert list(columns) == [track.name for track in tracks_of(kind)]
    assert (list(columns)[1:] == NAMES[1:]) == kind.distribution
    worst = max if kind.harmful == "high" else min
    for row in range(3):
        four = numbers[row].astype(float).mean(axis=0)
        less = four[ref[row]] if kind.difference else 0
        expected = worst(four[a] - less for a in range(4) if a != ref[row])
        assert columns[f"worst_{kind.column}"][row] == pytest.approx(expected, abs=2e-5)


# The step


def test_tracks_of_distances_show_the_highest(project, genome):
    assert draw(project, out="llr") == 0
    model = json.loads((project / "model.json").read_text())
    more = {"family": "dnabert2", "score": "cosine", "options": {"embedding": "variant"}}
    (project / "model.json").write_text(json.dumps(model | more))
    assert draw(project) == 0
    assert list(bigwigs(project / "tracks")) == ["worst_cosine.bw"]
    values = [v for by in read(project / "tracks/worst_cosine.bw").values() for v in by.values()]
    described = json.loads((project / "tracks/tracks.json").read_text())
    assert {name: described[name] for name in more} == more
    track = described["tracks"]["worst_cosine"]
    assert (track["min"], track["max"]) == (min(values), max(values))
    assert track["high"] == pytest.approx(np.quantile(values, 0.99))
    assert track["meaning"].startswith("highest cosine distance of the embeddings")
    # The same numbers taken for logits: what the other end of them is.
    lowest = read(project / "llr/worst_llr.bw")
    assert sum(sum(by.values()) for by in lowest.values()) < sum(values)


def test_tracks_are_the_tables_numbers(project, genome):
    assert draw(project) == 0
    expected = table(project / "variants.parquet", genome, Store(project / "store"))
    assert len(expected) > 200
    assert agrees(project / "tracks", expected)
    lengths = {name: len(sequence) for name, sequence in CONTIGS.items() if name != "unused"}
    for name in NAMES:
        with pyBigWig.open(str(project / "tracks" / f"{name}.bw")) as file:
            assert file.chroms() == lengths
            assert list(file.chroms()) == sorted(lengths)  # the order that UCSC's readers need


def test_forward_strand_only(project, genome):
    store = fill_store(project / "forward", genome, forward=True)
    assert draw(project, store="forward") == 0
    assert agrees(project / "tracks", table(project / "variants.parquet", genome, store))


def test_sites_are_the_union_of_snvs(project, genome, monkeypatch):
    monkeypatch.setattr(planning, "BLOCK", 3)  # rows: stretches end within a contig
    sequence = CONTIGS["chr10"]
    some = [("chr10", p, sequence[p - 1]) for p in (1, 2, 2, 2, 9, 70)]
    more = [("chr10", p, sequence[p - 1]) for p in (2, 8, 9, 100, 101)]
    first = write_variants(
        project / "a.parquet",
        [("chr2", 3, "A", "C"), ("chr2", 4, "C", "CA")]
        + [(contig, pos, ref, "C" if ref != "C" else "G") for contig, pos, ref in some]
        + [("chr10", 80, sequence[79], sequence[79] + "A")],
    )
    second = write_variants(
        project / "b.parquet",
        [(contig, pos, ref, "A" if ref != "A" else "G") for contig, pos, ref in more],
    )
    assert draw(project, first, second) == 0
    expected = {"chr2": {3}, "chr10": {1, 2, 8, 9, 70, 100, 101}}
    for name in NAMES:
        by_contig = read(project / "tracks" / f"{name}.bw")
        assert {contig: set(values) for contig, values in by_contig.items()} == expected
    described = json.loads((project / "tracks/tracks.json").read_text())
    assert described["sites"] == 8
    assert described["contigs"] == {"chr2": 1, "chr10": 7}
    assert described["first"] == {"contig": "chr2", "start": 2, "end": 3}


@pytest.fixture(scope="module")
def sixty(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sixty")
    (folder / "g.fa").write_text(">c\n" + "A" * 60 + "\n")
    index_reference(folder / "g.fa", folder / "reference")
    return Genome.open(folder / "reference")


@given(st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=40), st.integers(1, 20))
def test_stretches_of_any_size_hold_each_site_once(sixty, rows, block):
    halves = [sorted(rows[0::2]), sorted(rows[1::2])]
    files = [
        write_variants(
            sixty.folder / f"{n}.parquet", [("c", p, "A", "C" if snv else "AC") for p, snv in half]
        )
        for n, half in enumerate(halves)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "BLOCK", block)
        stretches = list(snv_sites(files, sixty))
    joined = [pos for sites in stretches for pos in sites.positions.tolist()]
    assert joined == sorted({pos for pos, snv in rows if snv})


@pytest.mark.parametrize("block", [1, 7, 500_000])
def test_many_contigs_at_once_are_drawn_as_one_by_one(project, monkeypatch, block):
    assert draw(project, out="alone") == 0
    monkeypatch.setattr(snv_sites_module, "MANY", 1)
    monkeypatch.setattr(snv_sites_module, "BLOCK", block)
    asked = []
    rows_of = Store.rows_of
    monkeypatch.setattr(Store, "rows_of", lambda *a: (asked.append(a[2]), rows_of(*a))[1])
    assert draw(project, project / "variants.parquet", project / "variants.parquet") == 0
    assert bigwigs(project / "tracks") == bigwigs(project / "alone")
    texts = [(project / out / "tracks.json").read_text() for out in ("tracks", "alone")]
    assert texts[0] == texts[1]
    assert len(asked) == (1 if block == 500_000 else 0)  # of all contigs


def test_a_lacking_site_among_many_contigs_is_named(project, genome, monkeypatch, capfd):
    monkeypatch.setattr(snv_sites_module, "MANY", 1)
    shutil.rmtree(project / "store")
    fill_store(project / "store", genome, lacking={("chr10", 3), ("chr1", 1)})
    assert draw(project) == 2
    assert "2 sites are not in the store, the first of them chr10:3" in capfd.readouterr().err


def test_what_tracks_json_says(project, genome):
    assert draw(project) == 0
    described = json.loads((project / "tracks/tracks.json").read_text())
    expected = table(project / "variants.parquet", genome, Store(project / "store"))
    assert described["sites"] == len(expected)
    assert list(described["contigs"]) == [name for name in CONTIGS if name != "unused"]
    assert sum(described["contigs"].values()) == len(expected)
    assert described["first"] == {"contig": "chr2", "start": 2, "end": 15}  # NN…NN around it
    assert {name: described[name] for name in ("model", "key", "window", "revision")} == {
        "model": "demo",
        "key": KEY,
        "window": MODEL["window"],
        "revision": MODEL["revision"],
    }
    assert list(described["tracks"]) == NAMES
    for name, track in described["tracks"].items():
        values = [
            value
            for value_of in read(project / "tracks" / track["file"]).values()
            for value in value_of.values()
        ]
        assert (track["min"], track["max"]) == (min(values), max(values)), name
        assert track["low"] == pytest.approx(np.quantile(values, 0.01))
    assert not list((project / "tracks").glob(".*"))


def test_two_runs_and_any_number_of_threads_give_the_same_bytes(project):
    assert draw(project) == 0
    assert draw(project, out="again", threads=4) == 0
    assert bigwigs(project / "tracks") == bigwigs(project / "again")
    assert len(bigwigs(project / "again")) == len(NAMES)
    first, second = (project / name / "tracks.json" for name in ("tracks", "again"))
    assert first.read_bytes() == second.read_bytes()


def test_blocks_of_any_size_give_the_same_bytes(project, genome, monkeypatch):
    assert draw(project) == 0
    monkeypatch.setattr(planning, "BLOCK", 50)
    assert draw(project, out="small") == 0
    assert bigwigs(project / "tracks") == bigwigs(project / "small")


def test_no_snv_is_no_bigwig(project, caplog):
    assert draw(project) == 0
    empty = write_variants(project / "empty.parquet", [("chr10", 1, "T", "TA")])
    assert draw(project, empty) == 0
    assert [path.name for path in (project / "tracks").iterdir()] == ["tracks.json"]
    described = json.loads((project / "tracks/tracks.json").read_text())
    assert described["sites"] == 0
    assert described["tracks"] == described["contigs"] == {}
    assert described["first"] is None


# What must not pass


def test_a_site_that_the_store_lacks_is_an_error_that_keeps_the_old_tracks(project, genome, capsys):
    assert draw(project) == 0
    old = bigwigs(project / "tracks")
    fill_store(project / "holes", genome, lacking={("chr10", 8), ("chr10", 9)})
    assert draw(project, store="holes") == 2
    said = capsys.readouterr().err
    assert "2 sites are not in the store, the first of them chr10:8" in said
    assert "--forcerun plan" in said
    assert bigwigs(project / "tracks") == old
    assert not (project / "tracks/.drawing").exists()


def test_a_score_that_is_no_number_is_an_error(project, genome, capsys):
    fill_store(project / "infinite", genome, wrong=("chr1", 5))
    with np.errstate(invalid="ignore"):
        assert draw(project, store="infinite") == 2
    assert "no finite scores, the first of them chr1:5" in capsys.readouterr().err
    assert bigwigs(project / "tracks") == {}


def test_variants_that_changed_or_lie_elsewhere_are_errors(project, capsys):
    elsewhere = write_variants(project / "other.parquet", [("chr9", 1, "A", "C")])
    assert draw(project, elsewhere) == 2
    assert "1 of 1 rows lie on contigs that are not in" in capsys.readouterr().err
    with (project / "variants.parquet").open("ab") as file:
        file.write(b"x")
    assert draw(project) == 2
    assert "changed since varlm wrote it" in capsys.readouterr().err


def test_a_child_that_dies_is_an_error(project, capsys, monkeypatch):
    monkeypatch.setattr(bigwig, "_CHILD", "import os; os.kill(os.getpid(), 9)")
    assert draw(project) == 2
    said = capsys.readouterr().err
    assert "worst_llr.bw" in said
    assert "exit status -9" in said
    assert bigwigs(project / "tracks") == {}


def test_fault_26_a_full_disk_under_the_tracks(project, capsys):
    disk = project / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("mounting a small tmpfs needs root")
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mount is refused here")
    try:
        assert draw(project, out="disk") == 0
        old = {path.name: path.read_bytes() for path in disk.iterdir()}
        free = os.statvfs(disk)
        page, size = free.f_frsize, free.f_bavail * free.f_frsize
        failures = 0
        for left in range(0, 100, 3):  # pages
            (disk / "ballast").write_bytes(bytes(size - left * page))
            status = draw(project, out="disk")
            said = capsys.readouterr().err
            (disk / "ballast").unlink()
            if status == 0:
                break
            assert status == 2
            assert "No space left" in said or "free some space" in said
            assert {path.name: path.read_bytes() for path in disk.iterdir()} == old
            failures += 1
        assert 3 < failures < 33
        assert {path.name: path.read_bytes() for path in disk.iterdir()} == old
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.real_data
def test_yeast_genes_with_made_scores(shared_data, tmp_path):
    reference = tmp_path / "reference"
    index_reference(shared_data / "yeast/genome.fa.gz", reference)
    genome = Genome.open(reference)
    regions = [(contig, genome[contig].length) for contig in genome.names]
    text = "".join(f"{c}\t{length // 2}\t{length // 2 + 700}\n" for c, length in regions)
    (tmp_path / "regions.bed").write_text(text)
    variants = saturate(reference, tmp_path / "variants.parquet", "--bed", tmp_path / "regions.bed")
    frames = []
    for number, contig in enumerate(genome.names):
        half = genome[contig].length // 2
        rows = np.random.default_rng(number).normal(scale=3, size=(700, 8)).astype("f4")
        columns = dict(zip(LOGIT_COLUMNS, rows.T, strict=True))
        pos = np.arange(half + 1, half + 701)
        frames.append(
            (genome[contig].digest, pl.DataFrame({"pos": pos, **columns}, schema=SITE_SCHEMA))
        )
    store = Store(tmp_path / "store")
    store.commit(KEY, MODEL, frames, [])
    drawn = draw_tracks(
        [variants], genome, store, prepared_model(key=KEY), tmp_path / "tracks", processes=2
    )
    assert drawn["sites"] == 700 * len(genome.names)
    assert agrees(tmp_path / "tracks", table(variants, genome, store))
