"""`varlm store`: one run of each subcommand, what it prints and its exit status."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from making.store import (
    KEY,
    MODEL,
    add_unseen,
    all_rows,
    allele_rows,
    files,
    make_store,
    same_rows,
    site_rows,
)
from varlm.store import KINDS, Store
from varlm.store.part_file import write_part


@pytest.fixture
def varlm(root):
    def run(*arguments):
        command = [sys.executable, str(root / "workflow_scripts"), "store", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_the_store_is_in_the_top_level_help(root):
    command = [sys.executable, str(root / "workflow_scripts"), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"tools:\n  store .*verify", shown)


def test_no_model_is_imported(root):
    code = "import sys, varlm.store.commands; print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(root / "workflow_scripts")}
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout == "False\n"


def test_ls_is_a_table_of_the_largest_contigs(varlm, tmp_path):
    store = make_store(tmp_path, [range(1, 9)])
    store.commit(KEY, MODEL, [(f"SQ.{n:02}", site_rows(range(1, n + 2))) for n in range(40)])
    lines = varlm("ls", tmp_path).stdout.splitlines()
    assert lines[0] == "demo  key key"
    assert lines[1].split("  ")[1:] == [
        "model_type GPN",
        "window 128",
        "strands both",
        "precision float32",
    ]
    assert lines[2] == f"  path owner/model  revision {'a' * 40}"
    assert lines[3].split() == ["contig", "sites", "alleles", "parts", "bytes"]
    assert len(lines) == 4 + 10 + 2
    assert len({len(line) for line in lines[3:]}) == 1  # aligned
    assert lines[-2].strip().startswith("31 more (--all)")
    assert lines[-1].split()[:4] == ["total", "828", "16", "42"]
    every = varlm("ls", tmp_path, "--all").stdout.splitlines()
    assert len(every) == 4 + 41 + 1


def test_ls_with_a_reference(varlm, tmp_path, make_reference):
    reference = make_reference({"chr1": "ACGTNN", "chr2": "ACGG"})
    digests = [
        json.loads(line)["digest"] for line in _contigs(reference).write_ndjson().splitlines()
    ]
    Store(tmp_path / "s").commit(KEY, MODEL, [(digests[0], site_rows([1, 2]))])
    text = varlm("ls", tmp_path / "s", "--reference", reference).stdout
    assert re.search(rf"{digests[0]} +chr1 +50\.00 % +2 ", text)
    assert re.search(r"total +25\.00 % +2 ", text)


def _contigs(reference):
    from varlm.genome.reference import Genome

    return Genome.open(reference).contigs


def test_ls_for_programs(varlm, tmp_path):
    make_store(tmp_path, [range(1, 9)])
    make_store(tmp_path, [range(1, 3)], key="other")
    found = json.loads(varlm("ls", tmp_path, "--json").stdout)
    assert [model["key"] for model in found["models"]] == ["key", "other"]
    assert found["models"][0]["contigs"][0]["sites"] == 8
    found = json.loads(varlm("ls", tmp_path, "--json", "--key", "oth").stdout)
    assert [model["key"] for model in found["models"]] == ["other"]


def test_ls_of_an_empty_folder_and_into_a_closed_pipe(varlm, root, tmp_path):
    assert varlm("ls", tmp_path).stdout == f"{tmp_path}: no scores\n"
    command = f"'{sys.executable}' '{root}/workflow_scripts' store ls '{tmp_path}' | true"
    shown = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True
    )
    assert shown.returncode == 0
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("command", ["ls", "verify", "compact", "export"])
def test_an_unknown_store_or_key_names_what_there_is(varlm, tmp_path, command):
    make_store(tmp_path / "mine", [range(1, 9)])
    out = [tmp_path / "a.tar"] if command == "export" else []
    result = varlm(command, tmp_path / "mime", *out)
    assert result.returncode == 2
    assert re.search(
        r"^error: .*mime: no such folder; .* has the stores mine; give ", result.stderr
    )
    result = varlm(command, tmp_path / "mine", *out, "--key", "nokey")
    assert result.returncode == 2
    assert re.search(r"no model has this key; there are: key \(demo\)$", result.stderr.strip())
    assert not (tmp_path / "a.tar").exists()
    assert not (tmp_path / "mime").exists()


def test_verify_tells_by_its_exit_status(varlm, tmp_path):
    store = make_store(tmp_path, [range(1, 9)])
    sound = varlm("verify", tmp_path)
    assert (sound.returncode, sound.stdout) == (0, "")
    path = store.parts(KEY)[0].path(tmp_path / KEY)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    before = files(tmp_path)
    result = varlm("verify", tmp_path)
    assert result.returncode == 1
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"{path}: damaged: its SHA-256 is ")
    assert "--repair" in line
    assert files(tmp_path) == before


def test_repair_sets_aside_lists_again_and_removes(varlm, tmp_path):
    store = make_store(tmp_path, [range(1, 9), range(20, 30)])
    expected = all_rows(tmp_path)
    damaged, *_ = store.parts(KEY)
    lost_commit = store.manifest.commit_files(KEY)[0]
    lost_commit.unlink()
    path = damaged.path(tmp_path / KEY)
    path.chmod(0o644)
    path.write_bytes(b"?")
    temporary = tmp_path / KEY / f".{'0' * 32}.tmp"
    temporary.touch()
    os.utime(temporary, (time.time() - 100_000,) * 2)
    result = varlm("verify", tmp_path, "--repair")
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) >= 3
    assert len(list((tmp_path / KEY / "damaged").glob(f"*{path.name}"))) == 1
    assert not temporary.exists()
    rows = all_rows(tmp_path)
    assert rows[KEY, "sites", "SQ.a"].equals(expected[KEY, "sites", "SQ.a"])
    assert rows[KEY, "alleles", "SQ.a"].height < expected[KEY, "alleles", "SQ.a"].height
    assert varlm("verify", tmp_path).returncode == 0


def test_repair_touches_no_folder_that_is_no_store(varlm, tmp_path):
    """The folder above the results, say, where files have names like the store's."""
    for name in ("commits/demo.json", "cohorts/demo/variants.parquet", "logs/plan.log"):
        (tmp_path / "results" / name).parent.mkdir(parents=True)
        (tmp_path / "results" / name).write_text("{}")
    temporary = tmp_path / f".{'0' * 32}.tmp"
    temporary.touch()
    os.utime(temporary, (time.time() - 100_000,) * 2)
    before = files(tmp_path)
    for folder in (tmp_path, tmp_path / "results", tmp_path / "results" / "cohorts"):
        result = varlm("verify", folder, "--repair")
        assert result.returncode == 2
        assert "no score store, or an empty one" in result.stderr
    assert files(tmp_path) == before


def test_what_repair_cannot_decide_stays_a_fault(varlm, tmp_path):
    store = make_store(tmp_path, [range(1, 9)])
    add_unseen(store, range(5, 12), shift=0.5)
    result = varlm("verify", tmp_path, "--repair")
    assert result.returncode == 1
    assert "delete one file" in result.stdout


def test_a_model_whose_commits_are_all_lost_is_listed_again(varlm, tmp_path):
    make_store(tmp_path, [range(1, 9), range(20, 30)])
    expected = all_rows(tmp_path)
    shutil.rmtree(tmp_path / KEY / "commits")
    assert varlm("verify", tmp_path).returncode == 1
    assert varlm("verify", tmp_path, "--repair").returncode == 0
    assert same_rows(all_rows(tmp_path), expected)


def test_compact_tells_before_and_after(varlm, tmp_path):
    make_store(tmp_path, [range(1, 9), range(20, 30)])
    expected = all_rows(tmp_path)
    result = varlm("compact", tmp_path)
    assert re.search(
        r"model key: 4 parts before, 2 after; .* 2 commits before, 1 after", result.stderr
    )
    assert result.stdout == ""
    assert same_rows(all_rows(tmp_path), expected)


def test_export_and_import(varlm, tmp_path):
    store = make_store(tmp_path / "s", [range(1, 9)])
    store.commit(KEY, MODEL, alleles=[("SQ.b", allele_rows([1]))])
    result = varlm("export", tmp_path / "s", tmp_path / "a.tar", "--contig", "SQ.b")
    assert "a.tar: 1 models, 1 parts, 2 rows" in result.stderr
    result = varlm("import", tmp_path / "t", tmp_path / "a.tar")
    assert "model key: 2 rows added in 1 parts, 0 rows were there" in result.stderr
    assert list(all_rows(tmp_path / "t")) == [(KEY, "alleles", "SQ.b")]
    result = varlm("export", tmp_path / "s", tmp_path / "b.tar", "--contig", "SQ.x")
    assert result.returncode == 2
    assert re.search(r"no scores of contig SQ\.x; .*there are: SQ\.a, SQ\.b ", result.stderr)
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:2000])
    result = varlm("import", tmp_path / "u", tmp_path / "a.tar")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert not (tmp_path / "u").exists()


def test_make_writes_a_varlm_that_runs_from_anywhere(root, tmp_path):
    checkout = tmp_path / "a checkout"
    checkout.mkdir()
    shutil.copy(root / "Makefile", checkout)
    shutil.copy(root / "requirements.lock", checkout)
    (checkout / "workflow_scripts").symlink_to(root / "workflow_scripts")
    fake = tmp_path / "python"  # stands for a Python that makes environments, and its pip
    fake.write_text(
        "#!/bin/sh\n"
        '[ "$1" = -c ] && exit\n'
        f'[ "$1" = -m ] || exec \'{sys.executable}\' "$@"\n'
        "mkdir -p .venv/bin\n"
        'cp "$0" .venv/bin/python\n'
        "ln -s /bin/true .venv/bin/pip\n"
    )
    fake.chmod(0o755)
    command = ["make", "-s", ".venv/.installed", f"PYTHON={fake}"]
    subprocess.run(command, cwd=checkout, check=True)
    varlm = checkout / ".venv/bin/varlm"
    assert len(varlm.read_text().splitlines()) == 2
    write_part(tmp_path / "a store", KEY, KINDS["sites"], "SQ.a", site_rows([1]))
    command = [varlm, "store", "verify", "a store"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert shown.returncode == 1
    assert "no commit lists it" in shown.stdout
