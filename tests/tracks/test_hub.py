"""The folder of tracks, parsed back as each browser does: every path leads to a file."""

import json
import re
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from making.records import prepared_model
from varlm import cli
from varlm.tables.score_kinds import SCORE_KINDS
from varlm.tracks.hub import build_hub, hub_files
from varlm.tracks.jbrowse import jbrowse_config
from varlm.tracks.model_tracks import (
    COLOURS,
    DrawnTrack,
    DrawnTracks,
    ModelTracks,
    Stretch,
    display_limits,
    limits_of,
)
from varlm.tracks.sites import tracks_of
from varlm.tracks.ucsc import ucsc_hub

NAMES = [track.name for track in tracks_of(SCORE_KINDS["masked"])]
FIRST = Stretch(contig="chr1", start=9, end=30)
DRAWN = DrawnTracks(
    varlm="0.1.0",
    **{"model": "m", "path": "checkpoint", "revision": None, "key": "0" * 32},
    **{"window": 64, "strands": "both", "precision": "float32"},
    **{"sites": 0, "contigs": {}, "first": None, "tracks": {}},
)


@pytest.fixture
def folder(tmp_path):
    """Tracks of two models, a third without sites, and the reference beside them."""
    tracks = tmp_path / "results/tracks"
    for name in ("gpn", "gpn_logo"):
        (tracks / name).mkdir(parents=True)
        for track in NAMES:
            (tracks / name / f"{track}.bw").write_bytes(b"")
        drawn = {
            track: DrawnTrack(file=f"{track}.bw", unit="", meaning="", low=-4.44, max=1.9, min=-12)
            for track in NAMES
        }
        described = replace(DRAWN, model=name, sites=7, first=FIRST, tracks=drawn)
        described.write(tracks / name / "tracks.json")
    DRAWN.write(tracks / "none/tracks.json")
    reference = tmp_path / "results/reference"
    reference.mkdir()
    for name in ("genome.fa", "genome.fa.fai"):
        (reference / name).write_text("")
    return tracks


def run(folder, *options, models=("gpn", "gpn_logo", "none")):
    arguments = ["build_hub", "--reference", folder.parent / "reference", "--tracks", folder]
    for name in models:
        path = folder.parent / f"{name}.json"
        prepared_model(name=name).write(path)
        arguments += ["--model", path]
    return cli.main([str(argument) for argument in [*arguments, *options]])


def stanzas(text):
    """The stanzas of a UCSC hub: settings by key, each once."""
    parsed = []
    for block in re.split(r"\n\s*\n", text.strip()):
        pairs = [line.strip().split(" ", 1) for line in block.splitlines()]
        assert all(len(pair) == 2 for pair in pairs)
        assert len({key for key, _ in pairs}) == len(pairs)
        parsed.append(dict(pairs))
    return parsed


def test_the_ucsc_hub(folder):
    assert run(folder, "--genome", "sacCer3") == 0
    hub, genome, *tracks = stanzas((folder / "hub.txt").read_text())
    assert hub["useOneFile"] == "on"
    assert {"hub", "shortLabel", "longLabel", "email"} < hub.keys()
    assert genome == {"genome": "sacCer3"}
    names = [track["track"] for track in tracks]
    assert len(set(names)) == len(names) == 2 * 8
    for track in tracks:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", track["track"])
        assert len(track["shortLabel"]) <= 17
        assert len(track["longLabel"]) <= 80
        if "parent" in track:
            assert names.index(track["parent"]) < names.index(track["track"])
        if "bigDataUrl" in track:
            assert (folder / track["bigDataUrl"]).exists()
            low, high = map(float, track["type"].removeprefix("bigWig ").split())
            assert low < high
            assert all(0 <= int(part) <= 255 for part in track["color"].split(","))
    by_name = {track["track"]: track for track in tracks}
    assert by_name["llr_gpn"]["viewLimits"] == "-4.5:1.9"
    logo = by_name["logo_gpn"]
    assert (logo["container"], logo["aggregate"], logo["logo"]) == ("multiWig", "stacked", "on")
    letters = [track for track in tracks if track.get("parent") == "logo_gpn"]
    assert [track["bigDataUrl"] for track in letters] == [f"gpn/logo_{base}.bw" for base in "ACGT"]
    green, blue, orange, red = ((int(part) for part in t["color"].split(",")) for t in letters)
    assert [max(range(3), key=list(c).__getitem__) for c in (green, blue, orange, red)] == [
        1, 2, 0, 0,
    ]  # fmt: skip
    used = {track["bigDataUrl"] for track in tracks if "bigDataUrl" in track}
    assert used == {f"{model}/{name}.bw" for model in ("gpn", "gpn_logo") for name in NAMES}


def test_the_igv_session(folder):
    assert run(folder) == 0
    session = ET.parse(folder / "igv_session.xml").getroot()
    assert session.tag == "Session"
    assert (folder / session.get("genome")).exists()
    assert session.get("locus") == "chr1:10-30"
    resources = [entry.get("path") for entry in session.iter("Resource")]
    assert len(resources) == 2 * len(NAMES)
    assert all((folder / path).exists() for path in resources)
    bars = [t for t in session.iter("Track") if t.get("clazz").endswith("DataSourceTrack")]
    assert sorted(track.get("id") for track in bars) == sorted(resources)  # IGV joins them by it
    merged = [t for t in session.iter("Track") if t.get("clazz").endswith("MergedTracks")]
    assert [[t.get("id") for t in logo.findall("Track")] for logo in merged] == [
        [f"{model}/logo_{base}.bw" for base in "ACGT"] for model in ("gpn", "gpn_logo")
    ]
    for limits in session.iter("DataRange"):
        low, base, high = (float(limits.get(n)) for n in ("minimum", "baseline", "maximum"))
        assert low <= base <= high
        assert low < high


def locations(node):
    """Every location in a JBrowse configuration."""
    if isinstance(node, dict):
        if "uri" in node:
            yield node["uri"]
        for value in node.values():
            yield from locations(value)
    elif isinstance(node, list):
        for value in node:
            yield from locations(value)


def test_the_jbrowse_configuration(folder):
    assert run(folder) == 0
    config = json.loads((folder / "config.json").read_text())
    (assembly,) = config["assemblies"]
    adapter = assembly["sequence"]["adapter"]
    assert adapter["type"] == "IndexedFastaAdapter"
    assert adapter["faiLocation"]["uri"] == adapter["fastaLocation"]["uri"] + ".fai"
    assert all((folder / unquote(uri)).exists() for uri in locations(config))
    assert len(list(locations(config))) == 2 + 2 * len(NAMES)
    names = [track["trackId"] for track in config["tracks"]]
    assert len(set(names)) == len(names) == 6
    for track in config["tracks"]:
        assert track["assemblyNames"] == [assembly["name"]]
        (display,) = track["displays"]
        assert display["displayId"] == f"{track['trackId']}-{display['type']}"
        assert display["minScore"] < display["maxScore"]
        kinds = (track["type"], track["adapter"]["type"], display["type"])
        assert kinds in {
            ("QuantitativeTrack", "BigWigAdapter", "LinearWiggleDisplay"),
            ("MultiQuantitativeTrack", "MultiWiggleAdapter", "MultiLinearWiggleDisplay"),
        }
    logo = next(track for track in config["tracks"] if track["trackId"] == "logo_gpn")
    parts = logo["adapter"]["subadapters"]
    assert [(part["name"], part["source"]) for part in parts] == [(b, b) for b in "ACGT"]
    assert [part["color"] for part in parts] == ["#008000", "#0000ff", "#ffa600", "#ff0000"]


def test_the_readme_says_what_the_user_must_fill_in(folder):
    assert run(folder) == 0
    said = (folder / "README.txt").read_text()
    assert "replace ASSEMBLY" in said
    assert "genome ASSEMBLY\n" in (folder / "hub.txt").read_text()
    assert "../reference/genome.fa" in said
    assert "{" not in said
    assert all(f"{name}.bw" in said for name in NAMES)
    assert run(folder, "--genome", "hg38") == 0
    assert "ASSEMBLY" not in (folder / "README.txt").read_text()


def test_two_runs_write_the_same_bytes_and_nothing_else(folder):
    before = {path.name for path in folder.iterdir()}
    assert run(folder) == 0
    first = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert first.keys() == {"hub.txt", "igv_session.xml", "config.json", "README.txt"}
    assert run(folder) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == first
    assert {path.name for path in folder.iterdir()} == before | first.keys()


def test_moved_results_keep_working(folder, tmp_path):
    assert run(folder) == 0
    moved = tmp_path / "else where/é"
    moved.parent.mkdir()
    shutil.move(folder.parent, moved)
    config = json.loads((moved / "tracks/config.json").read_text())
    assert all((moved / "tracks" / unquote(uri)).exists() for uri in locations(config))


def test_a_reference_with_blanks_in_its_path(folder):
    away = folder.parent / "my refs & more"
    (folder.parent / "reference").rename(away)
    files = build_hub(folder, ["gpn"], away)
    uris = list(locations(json.loads(files["config.json"])))
    assert all(" " not in uri and "&" not in uri for uri in uris)
    assert all((folder / unquote(uri)).exists() for uri in uris)
    session = ET.fromstring(files["igv_session.xml"].split("\n", 1)[1])
    assert (folder / session.get("genome")).exists()


def test_no_sites_at_all(folder):
    assert run(folder, models=("none",)) == 0
    assert len(stanzas((folder / "hub.txt").read_text())) == 2
    assert json.loads((folder / "config.json").read_text())["tracks"] == []
    assert list(ET.parse(folder / "igv_session.xml").getroot().iter("Track")) == []
    assert "No tracks" in (folder / "README.txt").read_text()


@pytest.mark.parametrize("name", ["", "1a", "a b", "a/../b", "x\ntrack y", "é", "a-b"])
def test_names_that_are_no_model_names_are_refused(folder, name, capsys):
    path = folder.parent / "model.json"
    prepared_model(name=name).write(path)
    status = cli.main(
        ["build_hub", "--model", str(path), "--reference", str(folder), "--tracks", str(folder)]
    )
    assert status == 2
    assert "letters, digits and _" in capsys.readouterr().err
    assert not (folder / "hub.txt").exists()


@pytest.mark.parametrize("genome", ["", "a b", "hg38\ntrack x", "../x", "a/b"])
def test_genomes_that_are_no_names_are_refused(folder, genome, capsys):
    assert run(folder, "--genome", genome) == 2
    assert "expected the name of an assembly at UCSC" in capsys.readouterr().err


def test_missing_files_are_errors(folder, capsys):
    (folder / "gpn/logo_C.bw").unlink()
    assert run(folder) == 2
    assert "logo_C.bw: not found" in capsys.readouterr().err
    (folder / "gpn/tracks.json").unlink()
    assert run(folder) == 2
    assert (
        "tracks.json: not found; run the workflow again: the step draw_tracks makes it"
        in capsys.readouterr().err
    )


MODEL = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,39}", fullmatch=True)
LIMITS = st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)).map(sorted)


@given(st.lists(MODEL, unique=True, min_size=1, max_size=5), st.text(min_size=1), LIMITS)
def test_any_contig_and_model_name_keeps_the_files_well_formed(models, contig, limits):
    tracks = [
        ModelTracks(name, tuple(limits), Stretch(contig=contig, start=0, end=5)) for name in models
    ]
    files = hub_files(tracks, "../reference")
    session = ET.fromstring(files["igv_session.xml"].split("\n", 1)[1].encode())
    assert session.get("locus", f"{contig}:1-5") == f"{contig}:1-5"
    assert len(json.loads(files["config.json"])["tracks"]) == 3 * len(models)
    names = [stanza.get("track") for stanza in stanzas(files["hub.txt"])[2:]]
    assert len(set(names)) == 8 * len(models)


@given(LIMITS)
def test_limits_show_zero_and_are_never_empty(limits):
    below, above = display_limits(*limits)
    assert below <= 0 <= above
    assert below < above


@pytest.mark.parametrize(
    ("low", "highest", "expected"),
    [
        (-4.44, 1.9, (-4.5, 1.9)),
        (-4.44, 900.0, (-4.5, 4.5)),  # one odd site does not flatten the others
        (-4.44, -2.0, (-4.5, 0.0)),
        (0.5, 0.7, (0.0, 0.7)),
        (0.0, 0.0, (-1.0, 0.0)),
    ],
)
def test_limits(low, highest, expected):
    assert display_limits(low, highest) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "extremes", "expected"),
    [
        ("probability", {"min": -1.0, "low": -0.83, "max": 0.4}, (-0.9, 0.4)),
        ("cosine", {"min": 1e-5, "low": 2e-5, "max": 1.4, "high": 0.0031}, (0, 0.0031)),
        ("divergence", {"min": 0.2, "low": 0.3, "max": 9.0, "high": 4.31}, (0, 4.4)),
        # No distance, so that zero says nothing; a strip far from it.
        ("inner_product", {"min": 300.0, "low": 311.0, "max": 333.0}, (311, 333)),
        ("influence", {"min": 0.0, "low": 0.0, "max": 0.0, "high": 0.0}, (0, 0.1)),
        ("inner_product", {"min": 12.0, "low": 12.0, "max": 12.0}, (12, 13)),
    ],
)
def test_limits_of_other_kinds_are_to_their_scale(kind, extremes, expected):
    track = DrawnTrack(file="", unit="", meaning="", **extremes)
    assert limits_of(track, SCORE_KINDS[kind]) == pytest.approx(expected)


@pytest.mark.parametrize("kind", SCORE_KINDS.values(), ids=SCORE_KINDS)
@given(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4).map(sorted))
@example([-5e-324, 0.0, 0.0, 0.0])
def test_limits_of_any_kind_are_never_empty(kind, numbers):
    lowest, low, high, highest = numbers
    more = {"high": high} if kind.worst_first else {}
    track = DrawnTrack(file="", unit="", meaning="", min=lowest, low=low, max=highest, **more)
    below, above = limits_of(track, kind)
    assert below < above
    assert below <= (low if kind.harmful == "low" and not kind.is_llr else 0) + 1e-9
    if kind.difference:
        assert below <= 0 <= above


def mixed(folder):
    """Add a model of probabilities, one of distances and one of likelihoods to a folder."""
    for name, score in {"splice": "probability", "bert": "cosine", "hyena": "likelihood"}.items():
        kind = SCORE_KINDS[score]
        (folder / name).mkdir()
        more = {"high": 0.031} if kind.worst_first else {}
        drawn = {}
        for track in tracks_of(kind):
            (folder / name / f"{track.name}.bw").write_bytes(b"")
            drawn[track.name] = DrawnTrack(
                file=f"{track.name}.bw", unit="", meaning="", low=-0.4, max=0.4, min=-0.5, **more
            )
        described = replace(
            DRAWN, model=name, sites=7, first=FIRST, tracks=drawn, family="x", score=score
        )
        described.write(folder / name / "tracks.json")
    return ("gpn", "splice", "bert", "hyena")


def test_each_kind_of_score_has_its_own_tracks(folder):
    assert run(folder, models=mixed(folder)) == 0
    _, _, *tracks = stanzas((folder / "hub.txt").read_text())
    by_name = {track["track"]: track for track in tracks}
    assert len(by_name) == len(tracks) == 8 + 2 + 2 + 8
    assert all(len(track["shortLabel"]) <= 17 for track in tracks)
    assert all(len(track["longLabel"]) <= 80 for track in tracks)
    low, high = by_name["probability_splice"], by_name["cosine_bert"]
    assert low["bigDataUrl"] == "splice/worst_probability.bw"
    assert low["longLabel"] == "splice: lowest P(alt) − P(ref) of the three SNVs"
    assert (low["windowingFunction"], low["viewLimits"]) == ("minimum", "-0.4:0.4")
    assert high["longLabel"] == "bert: highest cosine distance of the three SNVs"
    assert (high["windowingFunction"], high["viewLimits"]) == ("maximum", "-0.5:0.04")
    assert by_name["llr_hyena"]["bigDataUrl"] == "hyena/worst_llr.bw"
    session = ET.parse(folder / "igv_session.xml").getroot()
    functions = {t.get("name"): t.get("windowFunction") for t in session.iter("Track")}
    assert functions["bert highest cosine distance"] == "max"
    assert functions["splice lowest P(alt) − P(ref)"] == "min"
    assert "bert entropy" not in functions
    assert len(list(session.iter("Resource"))) == 6 + 1 + 1 + 6
    config = json.loads((folder / "config.json").read_text())
    names = [track["name"] for track in config["tracks"] if "bert" in track["trackId"]]
    assert names == ["bert highest cosine distance"]
    assert all((folder / unquote(uri)).exists() for uri in locations(config))
    said = (folder / "README.txt").read_text()
    assert (
        "worst_cosine.bw\n                 highest score (mean of the strands that are scored)"
        in said
    )
    assert "Of gpn, hyena alone." in said
    assert max(map(len, said.splitlines())) <= 140


def test_a_model_without_entropy_opens_without_it(folder):
    mixed(folder)
    assert run(folder, models=("bert",)) == 0
    said = (folder / "README.txt").read_text()
    assert "&tracks=cosine_bert\n" in said
    assert "entropy" not in said.partition("IGV (desktop)")[0].replace("entropy_", "")
    assert run(folder, models=("splice", "gpn")) == 0


def test_tracks_of_another_kind_than_said_are_refused(folder, capsys):
    path = folder / "gpn/tracks.json"
    drawn = json.loads(path.read_text())
    path.write_text(json.dumps(drawn | {"score": "cosine"}))
    assert run(folder) == 2
    assert "has no track worst_cosine; delete the folder" in capsys.readouterr().err
    path.write_text(json.dumps(drawn | {"score": "magic"}))
    assert run(folder) == 2
    assert "found 'magic', expected one of masked" in capsys.readouterr().err


def test_colours_are_four_unlike_ones():
    assert len(set(COLOURS.values())) == 4
    model = ModelTracks("m", (-1.0, 0.0), FIRST)
    for colour in COLOURS.values():
        assert ",".join(map(str, colour)) in ucsc_hub([model], "hg38")
        assert "#{:02x}{:02x}{:02x}".format(*colour) in jbrowse_config([model], "g.fa", "hg38")
