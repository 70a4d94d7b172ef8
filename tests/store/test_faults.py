"""What goes wrong under a store: disks, kills, other writers, other people's files.

Each test is named by its row of docs/faults.md. Children run functions of this file: see `child`.
"""

import ast
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import polars as pl
import pytest

from making.records import plan, prepared_model
from making.store import (
    KEY,
    MODEL,
    add_unseen,
    all_rows,
    allele_rows,
    background_rows,
    files,
    make_store,
    same_rows,
    site_rows,
)
from varlm import cli
from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.scoring.commit_record import write_run
from varlm.store import KINDS, Store
from varlm.store.compaction import compact
from varlm.store.part_file import write_part
from varlm.store.repair import repair
from varlm.tables.parquet import write_table
from varlm.tables.schemas import ALLELES, SHARD, SITES

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "workflow_scripts"

OLD, NEW = range(1, 60, 2), range(1, 90, 3)  # positions of two commits, which overlap


def first_commit(folder):
    make_store(folder, [OLD])


def second_commit(folder):
    """Sites and alleles of two contigs: two parts, whose rows are there at once or not at all."""
    return Store(folder).commit(
        KEY, MODEL, [("SQ.a", site_rows(NEW))], [("SQ.b", allele_rows(NEW))]
    )


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """The rows of the first commit."""
    folder = tmp_path_factory.mktemp("old")
    first_commit(folder)
    return all_rows(folder)


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """The rows of both commits, when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("new")
    first_commit(folder)
    second_commit(folder)
    return all_rows(folder)


def stored_rows(folder):
    """How many rows lie in all parts together."""
    return sum(part.rows for part in Store(folder).parts(KEY))


def each_once(folder, rows):
    return stored_rows(folder) == sum(frame.height for frame in rows.values())


def temporary_files(folder):
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def parts_on_disk(folder):
    return sorted((folder / KEY).glob("SQ.*/*.parquet"))


def child(name, *arguments, prefix=(), **kwargs):
    """Start a process that runs a function of this file."""
    code = f"import sys, store.test_faults as t; t.{name}(*sys.argv[1:])"
    path = os.pathsep.join([str(SCRIPTS), str(ROOT / "tests")])
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        **kwargs,
    )


def run_cli(*arguments, prefix=()):
    return subprocess.run(
        [*prefix, sys.executable, str(SCRIPTS), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def one_line(result):
    """Return the one line of a command's error that the user can mend."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    return line


@pytest.fixture
def commit_step(tmp_path, make_reference):
    """A function: store → the arguments of the step commit with the scores of 40 sites."""
    reference = make_reference({"chr1": "ACGT" * 25})
    work = tmp_path / "work"
    scores = site_rows(range(1, 41)).insert_column(0, pl.lit("chr1").alias("contig"))
    shard = scores.select("contig", "pos").with_columns(
        ref=pl.lit(None, pl.String), alt=pl.lit(None, pl.String)
    )
    write_table(shard, work / "plan/shards/0.parquet", SHARD)
    digest = hashlib.sha256((work / "plan/shards/0.parquet").read_bytes()).hexdigest()
    (work / "plan/shards/0.parquet.sha256").write_text(f"{digest}  0.parquet\n")
    plan(shards=1).write(work / "plan/plan.json")
    write_table(scores, work / "scores/0/sites.parquet", SITES)
    write_table(ALLELES.empty(), work / "scores/0/alleles.parquet", ALLELES)
    write_run(None, work / "scores/0/run.json")
    prepared_model(key=KEY).write(work / "model.json")
    options = {
        "--model": work / "model.json",
        "--reference": reference,
        "--plan": work / "plan",
        "--scores": work / "scores",
        "--committed": work / "committed.json",
    }
    flags = [word for pair in options.items() for word in pair]
    return lambda store: ["commit", *flags, "--store", store]


# 26, 28: full disks


@pytest.fixture
def mount():
    """A function: folder and options of mount(8) → mounted there until the test ends."""
    mounted = []

    def mount_at(folder, *options):
        folder.mkdir(exist_ok=True)
        command = ["mount", *options, str(folder)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            pytest.skip(f"mount is refused here: {result.stderr.strip()}")
        mounted.append(folder)
        return folder

    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("mounting a small disk needs root")
    yield mount_at
    for folder in reversed(mounted):  # lazily: Polars may hold a file mapped for a moment
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(mount, tmp_path):
    return mount(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "tmpfs")


def resize(disk, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


PAGE = resource.getpagesize()  # what a file of a tmpfs takes at least


def leave_free(disk, size):
    """Fill the disk until `size` bytes are free, a multiple of the page size."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    free = os.statvfs(disk)
    with ballast.open("wb") as file:
        file.write(bytes(free.f_bavail * free.f_frsize - size))


def test_fault_26_a_full_disk_at_any_moment_of_a_commit(small_disk, old, new):
    store = small_disk / "store"
    first_commit(store)
    before = files(store)
    for pages in range(3):  # of two parts and the commit, a page each, the last does not fit
        leave_free(small_disk, pages * PAGE)
        with pytest.raises(OSError, match="No space left") as caught:
            second_commit(store)
        assert caught.value.errno == errno.ENOSPC
        assert str(store) in caught.value.filename
        assert files(store) == before
        assert same_rows(all_rows(store), old)
    leave_free(small_disk, 3 * PAGE)
    second_commit(store)
    assert same_rows(all_rows(store), new)
    assert each_once(store, new)


def test_fault_26_a_part_that_the_disk_does_not_hold(small_disk, old):
    store = small_disk / "store"
    first_commit(store)
    before = files(store)
    rows = site_rows(range(100, 60_000))
    with pytest.raises(OSError, match="No space left") as caught:
        Store(store).commit(KEY, MODEL, [("SQ.b", site_rows([1])), ("SQ.a", rows)])
    assert caught.value.errno == errno.ENOSPC
    assert files(store) == before
    assert same_rows(all_rows(store), old)
    resize(small_disk, "16m")
    Store(store).commit(KEY, MODEL, [("SQ.b", site_rows([1])), ("SQ.a", rows)])
    assert Store(store).read_sites(KEY, "SQ.a", 100).equals(rows)


def test_fault_26_the_commit_step_says_so_in_one_line(small_disk, old, commit_step):
    store = small_disk / "store"
    first_commit(store)
    before = files(store)
    leave_free(small_disk, 0)
    line = one_line(run_cli(*commit_step(store)))
    assert f"{store / KEY}" in line
    assert "No space left" in line
    assert "free some space" in line
    assert files(store) == before
    (small_disk / "ballast").unlink()
    assert run_cli(*commit_step(store)).returncode == 0
    assert stored_rows(store) == sum(rows.height for rows in old.values()) + 40


def test_fault_28_no_memory_map_is_written():
    """A full disk under a mapped file kills the process (SIGBUS), or leaves holes of zeros."""
    found = 0
    for path in sorted(SCRIPTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            where = f"{path.name}, line {node.lineno}"
            assert name != "open_memmap", where
            assert options.get("mmap_mode", "'r'") in ("'r'", "None"), where
            if name == "memmap":
                assert options.get("mode") == "'r'", where
                found += 1
            if name == "mmap":
                read_only = "ACCESS_READ" in options.get("access", "")
                assert read_only or options.get("prot", "").endswith("PROT_READ"), where
                found += 1
    assert found, "the encoded genome is mapped somewhere"


def test_fault_28_the_mapped_genome_cannot_be_written(make_reference):
    sequence = Genome.open(make_reference({"a": "ACGT"})).sequence("a")
    assert not sequence.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        sequence[0] = 0


def test_fault_28_a_full_disk_under_the_encoded_genome(small_disk, tmp_path, capsys):
    (tmp_path / "in.fa").write_text(">a\n" + "ACGT" * 500_000 + "\n")
    step = ["index_reference", "--fasta", tmp_path / "in.fa", "--reference", small_disk / "r"]
    line = one_line(run_cli(*step))
    assert "No space left" in line
    assert files(small_disk) == {}
    resize(small_disk, "8m")
    for pages in (0, 1, 2):  # the genome fits, its index or table of contigs does not
        leave_free(small_disk, 2_000_000 // PAGE * PAGE + (pages + 1) * PAGE)
        assert cli.main(list(map(str, step))) == 2
        assert "No space left" in capsys.readouterr().err
        assert not temporary_files(small_disk)
        assert not (small_disk / "r" / "reference.json").exists()
        shutil.rmtree(small_disk / "r")
    (small_disk / "ballast").unlink()
    assert run_cli(*step).returncode == 0
    assert Genome.open(small_disk / "r").sequence("a").tobytes() == b"ACGT" * 500_000


# 27, 32: a disk that fails, and kills


class _Writer:
    """A file whose writes are two system calls each."""

    def __init__(self, file, path, before):
        self.file, self.path, self.before = file, path, before
        self.flush, self.fileno = file.flush, file.fileno

    def write(self, data):
        for piece in (data[: len(data) // 2], data[len(data) // 2 :]):
            self.before("write", self.path)
            self.file.write(piece)
            self.file.flush()
        return len(data)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()


def intercept(patch, before, *, writes=lambda _: True):
    """Call `before` with name and arguments of each call by which a process changes files.

    `writes`: a function of the folder, whether the writes to its files count, too.
    """

    def wrap(name, real):
        def call(*args, **kwargs):
            before(name, *args)
            return real(*args, **kwargs)

        return call

    for name in ("mkdir", "open", "fsync", "chmod", "replace", "unlink"):
        patch.setattr(os, name, wrap(name, getattr(os, name)))
    real_open = Path.open

    def open_path(path, mode="r", *args, **kwargs):
        if "w" not in mode:
            return real_open(path, mode, *args, **kwargs)
        before("create", path)
        file = real_open(path, mode, *args, **kwargs)
        return _Writer(file, path, before) if writes(path.parent) else file

    patch.setattr(Path, "open", open_path)


@pytest.mark.parametrize("lasting", [False, True])
def test_fault_27_an_error_at_any_call_comes_out_and_changes_nothing(tmp_path, old, new, lasting):
    """Once, and from then on: then not even the clearing up works."""
    first_commit(tmp_path / "original")
    calls = []
    for number in count():
        store = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "original", store)
        calls.clear()

        def fail(name, *_, number=number):
            calls.append(name)
            if len(calls) == number + 1 or (lasting and len(calls) > number):
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        raised = None
        with pytest.MonkeyPatch.context() as patch:
            # A part's own writes go to the kernel past Python; see below.
            intercept(patch, fail, writes=lambda folder: folder.name == "commits")
            try:
                second_commit(store)
            except OSError as error:
                raised = error
        if len(calls) <= number:
            break
        found = all_rows(store)
        if raised is None:  # a lock that cannot be opened, a folder that is there
            assert calls[number] in ("open", "mkdir"), number
            assert same_rows(found, new), number
        else:
            assert raised.errno == errno.EIO, number
            assert same_rows(found, old) or same_rows(found, new), number
        assert lasting or calls[number] == "unlink" or not temporary_files(store), number
        repair(Store(store), KEY, MODEL)
        second_commit(store)
        assert same_rows(all_rows(store), new), number
        assert each_once(store, new), number
    assert raised is None
    assert len(calls) > 30
    assert {"create", "write", "fsync", "chmod", "replace", "open", "unlink"} <= set(calls)


@contextlib.contextmanager
def file_size_limit(size):
    """No file can grow beyond `size` bytes: the kernel refuses the write that would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_fault_27_a_write_that_fails_at_any_byte(tmp_path, old, new):
    first_commit(tmp_path / "whole")
    largest = max(part.bytes for part in second_commit(tmp_path / "whole").parts)
    store = tmp_path / "store"
    first_commit(store)
    before = files(store)
    for size in [0, 1, 4, *range(100, largest - 1, 150), largest - 1]:
        with pytest.raises(OSError, match="File too large") as caught, file_size_limit(size):
            second_commit(store)
        assert caught.value.errno == errno.EFBIG
        assert files(store) == before, size
    assert same_rows(all_rows(store), old)
    second_commit(store)
    assert same_rows(all_rows(store), new)


@pytest.mark.parametrize("number", range(3))
def test_fault_27_an_error_that_the_kernel_gives_a_write(tmp_path, old, new, monkeypatch, number):
    """Address 0 of a process is not mapped: writing it is EIO, whoever calls write(2)."""
    failing = Path("/proc/self/mem")
    with contextlib.suppress(OSError), failing.open("r+b", buffering=0) as file:
        with pytest.raises(OSError, match="Input/output"):
            file.write(b"x")
        failing = file.name
    if not isinstance(failing, (str, int)):
        pytest.skip("no file whose writes give EIO")
    store = tmp_path / "store"
    first_commit(store)
    before = files(store)
    real_open, opened = Path.open, []

    def open_path(path, mode="r", *args, **kwargs):
        if mode == "wb":
            opened.append(path)
            path = Path("/proc/self/mem") if len(opened) == number + 1 else path
        return real_open(path, mode, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_path)
        with pytest.raises(OSError, match="Input/output error") as caught:
            second_commit(store)
    assert caught.value.errno == errno.EIO
    assert opened[number].parent.name == ["SQ.a", "SQ.b", "commits"][number]
    assert str(opened[number].parent) in caught.value.filename
    assert files(store) == before
    assert same_rows(all_rows(store), old)
    second_commit(store)
    assert same_rows(all_rows(store), new)


def test_fault_32_each_file_is_on_disk_before_it_is_named_and_before_it_is_listed(tmp_path):
    """A kill leaves what the kernel has; after a power cut only what was synced is there."""
    first_commit(tmp_path)
    written, synced, named = set(), set(), []

    def look(name, *args):
        if name == "write":
            written.add(str(args[0]))
        elif name == "fsync":
            path = Path(f"/proc/self/fd/{args[0]}").resolve()
            if path.is_dir():
                assert named, path
                assert named[-1].parent == path
                synced.add(str(named[-1]))
            else:
                synced.add(str(path))
        elif name == "replace":
            assert str(args[0]) in synced & written
            assert {str(path) for path in named} <= synced, "the folder of one was not synced"
            named.append(Path(args[1]).resolve())

    with pytest.MonkeyPatch.context() as patch:
        intercept(patch, look)
        second_commit(tmp_path)
    assert {str(path) for path in named} <= synced
    assert [path.suffix for path in named] == [".parquet"] * 2 + [".json"]


def kill_at_each_stage(action, original, copies):
    """On a copy of the store each, kill an action at its first call, at its second, and so on.

    The parent never calls Polars, whose threads a fork does not take along.
    """
    status = 1
    for number in count():
        copy = Path(copies) / f"{number:03}"
        shutil.copytree(original, copy)
        pid = os.fork()
        if pid == 0:
            passed = iter(range(number))

            def die(*_, passed=passed):
                if next(passed, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)

            intercept(pytest.MonkeyPatch(), die)
            globals()[action](copy)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status in (0, -signal.SIGKILL), status
        if status == 0:
            return


def killed_copies(tmp_path, action, original):
    copies = tmp_path / "copies"
    copies.mkdir()
    assert child("kill_at_each_stage", action, original, copies).wait() == 0
    return sorted(copies.iterdir())


def test_fault_32_a_commit_killed_at_any_stage_is_there_or_not(tmp_path, old, new):
    first_commit(tmp_path / "original")
    copies = killed_copies(tmp_path, "second_commit", tmp_path / "original")
    assert len(copies) > 30
    states = []
    for store in copies:
        found = all_rows(store)
        assert same_rows(found, old) or same_rows(found, new), store
        states.append(same_rows(found, new))
        for path in parts_on_disk(store):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem, store
        assert repair(Store(store), KEY, MODEL).damaged == {}, store
        after = all_rows(store)
        for name, rows in found.items():
            assert after[name].filter(pl.col("pos").is_in(rows["pos"].implode())).equals(rows)
        second_commit(store)
        assert same_rows(all_rows(store), new), store
        assert each_once(store, new), store
    assert states == sorted(states)
    assert not states[0]
    assert states[-1]


def spoil(folder):
    """A flipped bit in a part, one in a commit, a lost part and a foreign file."""
    Store(folder).commit(KEY, MODEL, [("SQ.c", site_rows([1]))])
    damaged, lost = (
        part.path(folder / KEY) for part in Store(folder).parts(KEY) if part.contig != "SQ.a"
    )
    flip(damaged, 4000)
    lost.unlink()
    flip(sorted((folder / KEY / "commits").iterdir())[0], 100)
    (folder / KEY / "SQ.a" / "notes.txt").write_text("mine")


def repair_it(folder):
    repair(Store(folder), KEY, MODEL)


def test_fault_32_a_repair_killed_at_any_stage_loses_nothing(tmp_path, new):
    original = tmp_path / "original"
    first_commit(original)
    second_commit(original)
    spoil(original)
    sound = {name: rows for name, rows in new.items() if name[2] == "SQ.a"}
    copies = killed_copies(tmp_path, "repair_it", original)
    assert len(copies) > 15
    for store in copies:
        repair(Store(store), KEY, MODEL)
        assert same_rows(all_rows(store), sound), store
        second_commit(store)
        assert same_rows(all_rows(store), new), store
        assert each_once(store, new), store
        assert not repair(Store(store), KEY, MODEL).damaged


def commit_without_end(folder, told, seed):
    """Commit windows of sites one after the other; note in `told` what is stored for certain."""
    chance = random.Random(seed)
    note = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        start = chance.randrange(1, 50_000)
        positions = range(start, start + 60, chance.randrange(1, 4))
        Store(folder).commit(KEY, MODEL, [("SQ.a", site_rows(positions))])
        os.write(note, "".join(f"{pos}\n" for pos in positions).encode())


def kill_at_random(store, snapshots, seed):
    """Kill two writers at a random time, keep a copy of what there is, and start again."""
    chance = random.Random(int(seed))
    store, snapshots = Path(store), Path(snapshots)
    for number in range(15):
        writers = []
        for _ in range(2):
            writer_seed = chance.random()
            pid = os.fork()
            if pid == 0:
                commit_without_end(store, store / "told", writer_seed)
            writers.append(pid)
        time.sleep(chance.uniform(0.05, 0.3))
        for pid in writers:
            os.kill(pid, signal.SIGKILL)
            time.sleep(chance.choice([0, 0, 0.02]))
        for pid in writers:
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        shutil.copytree(store, snapshots / f"{number:02}")


@pytest.mark.slow
def test_fault_32_writers_killed_at_random_lose_nothing(tmp_path):
    store, snapshots = tmp_path / "store", tmp_path / "snapshots"
    store.mkdir()
    snapshots.mkdir()
    assert child("kill_at_random", store, snapshots, 32).wait() == 0
    before = set()
    for snapshot in sorted(snapshots.iterdir()):
        rows = Store(snapshot).read_sites(KEY, "SQ.a")
        assert rows.equals(site_rows(rows["pos"])), snapshot
        known = set(rows["pos"])
        told = {int(line) for line in (snapshot / "told").read_text().split()}
        assert known >= before | told, snapshot
        done = repair(Store(snapshot), KEY, MODEL)
        assert done.damaged == {}, snapshot
        if done.recovered:  # a kill between a part and its commit
            repaired = Store(snapshot).read_sites(KEY, "SQ.a")
            assert repaired.equals(site_rows(repaired["pos"])), snapshot
            assert set(repaired["pos"]) >= known, snapshot
        before = known
    assert len(before) > 500


# 34: two writers at once

SPACE, ROUNDS = 400, 20


def commit_windows(folder, seed):
    """Commit overlapping windows, and return the numbers of rows given, stored and known."""
    chance = random.Random(seed)
    given = stored = known = 0
    for _ in range(ROUNDS):
        start = chance.randrange(1, SPACE)
        positions = range(start, start + 40)
        done = Store(folder).commit(
            KEY, MODEL, [("SQ.a", site_rows(positions))], [("SQ.a", allele_rows(positions))]
        )
        given += 3 * len(positions)
        stored += sum(part.rows for part in done.parts)
        known += done.known
    assert given == stored + known
    return stored


def windows(seed):
    """The positions that `commit_windows` commits."""
    chance = random.Random(seed)
    starts = [chance.randrange(1, SPACE) for _ in range(ROUNDS)]
    return {pos for start in starts for pos in range(start, start + 40)}


def two_writers(folder, lock_error):
    """Two processes commit at once; `lock_error`: what flock(2) gives them, 0 for a lock."""
    if int(lock_error):

        def no_lock(*_):
            raise OSError(int(lock_error), os.strerror(int(lock_error)))

        fcntl.flock = no_lock
    writers = []
    for seed in (1, 2):
        pid = os.fork()
        if pid == 0:
            commit_windows(Path(folder), seed)
            os._exit(0)
        writers.append(pid)
    for pid in writers:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("lock_error", [0, errno.ENOSYS, errno.ENOLCK])
def test_fault_34_two_writers_at_once_lose_nothing(tmp_path, lock_error):
    store = tmp_path / "store"
    writers = child("two_writers", store, lock_error, stderr=subprocess.PIPE, text=True)
    before = set()
    while writers.poll() is None:
        rows = Store(store).read_sites(KEY, "SQ.a")
        assert rows.equals(site_rows(rows["pos"]))
        assert set(rows["pos"]) >= before
        before = set(rows["pos"])
    _, text = writers.communicate()
    assert writers.returncode == 0, text
    # No lock file in the lock's place, either: after a kill elsewhere it would be held for ever.
    assert ("no locks on this file system" in text) == bool(lock_error)
    every = windows(1) | windows(2)
    rows = all_rows(store)
    assert rows[KEY, "sites", "SQ.a"].equals(site_rows(every))
    assert rows[KEY, "alleles", "SQ.a"].equals(allele_rows(every))
    if lock_error:
        assert stored_rows(store) >= 3 * len(every)
    else:
        assert each_once(store, rows)
    assert not temporary_files(store)


def test_fault_34_a_lock_is_waited_for(tmp_path, new, caplog):
    """A commit that finds the lock held stores nothing before it is free."""
    caplog.set_level("INFO")
    first_commit(tmp_path)
    before = files(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        with (tmp_path / KEY / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            writer = pool.submit(second_commit, tmp_path)
            while "another run is writing; waiting for it" not in caplog.text:
                assert not writer.done()
                time.sleep(0.05)
            assert files(tmp_path) == before
        writer.result()
    assert same_rows(all_rows(tmp_path), new)


# 35: a store that cannot be written


def read_without_writing(folder, owned, damaged):
    """What a run does with a store that it may only read.

    `owned`: whether only the model's folder is another's; `damaged`: the names of bad files.
    """
    folder, damaged = Path(folder), set(damaged.split())
    store = Store(folder)
    assert store.writable() == (owned == "model")
    assert not store.writable(KEY)
    done = repair(store, KEY, MODEL)
    assert {Path(path).name for path in done.damaged} == damaged
    assert done.recovered == []
    assert store.read_sites(KEY, "SQ.a").equals(site_rows(OLD))
    assert store.sites_at(KEY, "SQ.a", site_rows(OLD)["pos"].to_numpy()).height == len(OLD)
    assert store.has_alleles(KEY, "SQ.a", allele_rows(OLD)).all()
    assert store.read_background(KEY, "BG.a").equals(background_rows([1]))
    assert store.read_sites(KEY, "SQ.b").is_empty() == bool(damaged)
    with pytest.raises(OSError, match=r"Read-only|Permission denied"):
        second_commit(folder)


@pytest.fixture(params=["mount", "permissions"])
def read_only(request):
    """A function: make a folder read-only, and return what a command needs before it."""
    changed = []

    def by_mount(folder):
        mount_at = request.getfixturevalue("mount")
        mount_at(folder, "--bind", str(folder))
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        return []

    def by_permissions(folder):
        for path in [folder, *folder.rglob("*")]:
            changed.append((path, path.stat().st_mode))
            path.chmod(path.stat().st_mode & 0o555)
        if os.geteuid():
            return []
        # Root passes over permissions, unless it is without that capability.
        prefix = ["setpriv", "--bounding-set=-dac_override"]
        if shutil.which("setpriv") is None or subprocess.run([*prefix, "true"]).returncode:
            pytest.skip("as root, setpriv is needed to go without root's rights")
        return prefix

    yield by_mount if request.param == "mount" else by_permissions
    for path, mode in changed:
        path.chmod(mode)


@pytest.mark.parametrize(
    ("owned", "state"), [("store", "sound"), ("store", "damaged"), ("model", "damaged")]
)
def test_fault_35_a_read_only_store_is_read(tmp_path, read_only, commit_step, owned, state):
    store = tmp_path / "store"
    first_commit(store)
    Store(store).commit(KEY, MODEL, background=[("BG.a", background_rows([1]))])
    done = Store(store).commit(KEY, MODEL, [("SQ.b", site_rows([1]))])
    damaged = []
    if state == "damaged":
        part = done.parts[0].path(store / KEY)
        commit = make_store(tmp_path / "other", [[7]]).commits(KEY)[0].path
        shutil.copy(commit, store / KEY / "commits")
        flip(store / KEY / "commits" / commit.name, 100)
        flip(part, 1000)
        (store / KEY / "SQ.a" / "notes.txt").write_text("mine")
        damaged = [part.name, commit.name, "notes.txt"]
        # Whole, and no commit lists it: it cannot be listed here.
        write_part(store, KEY, KINDS["sites"], "SQ.d", site_rows([1]))
    prefix = read_only(store / KEY if owned == "model" else store)
    before = files(store)
    reader = child("read_without_writing", store, owned, " ".join(damaged), prefix=prefix)
    assert reader.wait() == 0
    line = one_line(run_cli(*commit_step(store), prefix=prefix))
    assert str(store) in line
    assert "read-only" in line or "permissions" in line
    assert files(store) == before


# 43: damaged and foreign files


def flip(path, bit):
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    rewrite(path, bytes(content))


def rewrite(path, content):
    path.unlink()  # parts are read-only
    path.write_bytes(content)


@pytest.fixture
def two_parts(tmp_path):
    """A store, and the part of SQ.b in it; SQ.a has another."""
    store = tmp_path / "store"
    make_store(store, [OLD])
    done = Store(store).commit(KEY, MODEL, [("SQ.b", site_rows(OLD))])
    return store, done.parts[0].path(store / KEY)


def assert_never_read_and_made_again(store, path, fault):
    """The damaged part of SQ.b is refused, set aside and named; the rest stays known."""
    for read in (
        lambda found: found.read_sites(KEY, "SQ.b"),
        lambda found: found.has_sites(KEY, "SQ.b", site_rows(OLD)["pos"].to_numpy()),
        lambda found: found.sites_at(KEY, "SQ.b", site_rows(OLD)["pos"].to_numpy()),
    ):
        with pytest.raises(UserError, match=f"{path.name}: .*{fault}.*--forcerun plan"):
            read(Store(store))
    done = repair(Store(store), KEY, MODEL)
    assert list(done.damaged) == [str(path)]
    assert fault in done.damaged[str(path)]
    assert f"{len(OLD)} rows count as unknown" in done.damaged[str(path)]
    assert done.recovered == []
    assert not path.exists()
    assert (store / KEY / "damaged" / path.name).exists()
    found = Store(store)
    assert found.read_sites(KEY, "SQ.b").is_empty()
    assert found.read_sites(KEY, "SQ.a").equals(site_rows(OLD))
    assert found.read_alleles(KEY, "SQ.a").equals(allele_rows(OLD))
    assert repair(Store(store), KEY, MODEL).damaged == {}
    Store(store).commit(KEY, MODEL, [("SQ.b", site_rows(OLD))])
    assert Store(store).read_sites(KEY, "SQ.b").equals(site_rows(OLD))


def test_fault_43_every_flipped_bit_is_detected(two_parts):
    store, path = two_parts
    whole = path.read_bytes()
    bits = random.Random(43).sample(range(8 * len(whole)), 300)
    for number, bit in enumerate(bits):
        flip(path, bit)
        if number % 20 == 0:  # all ways to read it, and its way back
            assert_never_read_and_made_again(store, path, "damaged")
            assert path.read_bytes() == whole
            continue
        with pytest.raises(UserError, match=f"{path.name}: damaged"):
            Store(store).read_sites(KEY, "SQ.b")
        done = repair(Store(store), KEY, MODEL)
        assert list(done.damaged) == [str(path)], bit
        found = Store(store)
        assert found.read_sites(KEY, "SQ.b").is_empty(), bit
        assert found.has_alleles(KEY, "SQ.a", allele_rows(OLD)).all(), bit
        (store / KEY / "damaged" / path.name).unlink()
        path.write_bytes(whole)
    assert Store(store).read_sites(KEY, "SQ.b").equals(site_rows(OLD))


def another_part(path):
    """A sound part of other rows."""
    folder = path.parent.parent.parent.parent / "elsewhere"
    done = Store(folder).commit(KEY, MODEL, [("SQ.b", site_rows([1]))])
    return done.parts[0].path(folder / KEY).read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        lambda path: path.read_bytes()[:-1],
        lambda path: path.read_bytes()[:1000],
        lambda _: b"",
        lambda path: path.read_bytes() + b"\0",
        lambda _: b"no Parquet\n",
        another_part,
    ],
    ids=["last byte cut", "truncated", "emptied", "longer", "text", "another part"],
)
def test_fault_43_other_content_under_a_parts_name(two_parts, content):
    store, path = two_parts
    rewrite(path, content(path))
    assert_never_read_and_made_again(store, path, "damaged")


def test_fault_43_a_lost_part(two_parts):
    store, path = two_parts
    path.unlink()
    assert_never_read_and_made_again(store, path, "lost")


def test_fault_43_a_part_moved_to_another_contig(two_parts):
    store, path = two_parts
    path.rename(store / KEY / "SQ.a" / path.name)
    assert_never_read_and_made_again(store, path, "lost")


def test_fault_43_a_part_is_damaged_between_two_reads(two_parts):
    """A step that opens the store anew sees it; a part that is gone, every step."""
    store, path = two_parts
    reader = Store(store)
    assert reader.read_sites(KEY, "SQ.b").height == len(OLD)
    path.unlink()
    with pytest.raises(UserError, match="lost"):
        reader.read_sites(KEY, "SQ.b")


def parquet(path):
    pl.DataFrame({"a": [1]}).write_parquet(path)


def other_columns(path):
    """Our metadata over columns that are not ours."""
    about = json.dumps({"layout": 2, "key": KEY, "kind": "sites", "contig": "SQ.a"})
    rows = pl.DataFrame({"pos": [1], "score": [0.5]})
    rows.write_parquet(path, metadata={"varlm.store": about})


def without_rows(path):
    about = json.dumps({"layout": 2, "key": KEY, "kind": "sites", "contig": "SQ.a"})
    site_rows([]).write_parquet(path, metadata={"varlm.store": about})


def metadata_of_another(path):
    site_rows([1]).write_parquet(path, metadata={"varlm.store": '["no", "mapping"]'})


def of_another_model(path):
    store = Store(path.parent / "other")
    done = store.commit("other", MODEL, [("SQ.a", site_rows([1]))])
    shutil.copy(done.parts[0].path(store.root / "other"), path)


def of_another_contig(path):
    store = Store(path.parent / "other")
    done = store.commit(KEY, MODEL, [("SQ.b", site_rows([1]))])
    shutil.copy(done.parts[0].path(store.root / KEY), path)


def text(path):
    path.write_text("pos\n1\n")


FOREIGN = [
    text,
    parquet,
    other_columns,
    without_rows,
    metadata_of_another,
    of_another_model,
    of_another_contig,
]


@pytest.mark.parametrize("named", ["by its digest", "freely", "without suffix"])
@pytest.mark.parametrize("make", FOREIGN)
def test_fault_43_44_a_foreign_file_is_set_aside(tmp_path, old, make, named):
    store = tmp_path / "store"
    first_commit(store)
    make(tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    names = {
        "by its digest": f"{hashlib.sha256(content).hexdigest()}.parquet",
        "freely": "0000.parquet",
        "without suffix": "table",
    }
    path = store / KEY / "SQ.a" / names[named]
    path.write_bytes(content)
    assert same_rows(all_rows(store), old)
    done = repair(Store(store), KEY, MODEL)
    assert list(done.damaged) == [str(path)]
    assert "no part of this store" in done.damaged[str(path)]
    assert done.recovered == []
    assert not path.exists()
    (aside,) = (store / KEY / "damaged").iterdir()
    assert aside.read_bytes() == content
    assert same_rows(all_rows(store), old)
    assert repair(Store(store), KEY, MODEL).damaged == {}


def test_fault_43_a_copy_in_another_contigs_folder_does_not_harm_the_part(two_parts):
    """Neither while the part is listed, nor when the list is lost and both files are looked at."""
    store, path = two_parts
    shutil.copy(path, store / KEY / "SQ.a" / path.name)
    expected = all_rows(store)
    assert repair(Store(store), KEY, MODEL).damaged == {}
    assert same_rows(all_rows(store), expected)
    shutil.rmtree(store / KEY / "commits")
    done = repair(Store(store), KEY, MODEL)
    assert list(done.damaged) == [str(store / KEY / "SQ.a" / path.name)]
    assert same_rows(all_rows(store), expected)


def test_fault_43_repair_looks_at_the_contigs_that_it_is_told(two_parts):
    store, path = two_parts
    flip(path, 99)
    assert repair(Store(store), KEY, MODEL, ["SQ.a"]).damaged == {}
    assert list(repair(Store(store), KEY, MODEL, ["SQ.a", "SQ.b"]).damaged) == [str(path)]


def test_fault_43_a_damaged_background_is_set_aside_with_any_contig(two_parts):
    """`plan` and `commit` name the reference's contigs, and read the background, too."""
    store, _ = two_parts
    rows = background_rows([1, 2])
    done = Store(store).commit(KEY, MODEL, background=[("BG.a", rows)])
    path = done.parts[0].path(store / KEY)
    flip(path, 900)
    with pytest.raises(UserError, match="damaged"):
        Store(store).read_background(KEY, "BG.a")
    assert list(repair(Store(store), KEY, MODEL, ["SQ.a"]).damaged) == [str(path)]
    assert Store(store).read_background(KEY, "BG.a") is None
    Store(store).commit(KEY, MODEL, background=[("BG.a", rows)])
    assert Store(store).read_background(KEY, "BG.a").equals(rows)


# 44: other layouts


def write_layout_99(store):
    entry = {"layout": 99, "model": MODEL, "shards": "of some new kind"}
    content = json.dumps(entry).encode()
    name = f"{hashlib.sha256(content).hexdigest()}.json"
    (store / KEY / "commits" / name).write_bytes(content)
    return store / KEY / "commits" / name


@pytest.mark.parametrize("also_damaged", [False, True])
def test_fault_44_a_newer_layout_is_refused_and_nothing_changes(tmp_path, also_damaged):
    first_commit(tmp_path)
    second_commit(tmp_path)
    if also_damaged:
        for path in (tmp_path / KEY / "commits").iterdir():
            flip(path, 10)
        flip(parts_on_disk(tmp_path)[0], 10)
        (tmp_path / KEY / "SQ.a" / "notes.txt").write_text("mine")
    newer = write_layout_99(tmp_path)
    before = files(tmp_path)
    message = rf"{newer.name}: written with store layout 99, this varlm reads layouts 1 to 3"
    calls = [repair_it]
    if not also_damaged:
        calls += [second_commit, all_rows, lambda folder: compact(Store(folder), KEY)]
    for call in calls:
        with pytest.raises(UserError, match=message):
            call(tmp_path)
        assert files(tmp_path) == before


# 45: two values for one key


def test_fault_45_another_score_of_a_stored_row_stores_nothing(tmp_path, old):
    first_commit(tmp_path)
    before = files(tmp_path)
    for sites, alleles, row in (
        (site_rows([3, 4], 0.01), allele_rows([4]), "3 .fwd_a"),
        (site_rows([2, 4]), allele_rows([4, 5], 0.01), "5 A AC .llr_fwd"),
    ):
        with pytest.raises(UserError, match=f"the score of {row} .*on contig SQ.a .*nothing was"):
            Store(tmp_path).commit(
                KEY, MODEL, [("SQ.b", site_rows([1])), ("SQ.a", sites)], [("SQ.a", alleles)]
            )
        assert files(tmp_path) == before
    assert repair(Store(tmp_path), KEY, MODEL).recovered == []
    assert same_rows(all_rows(tmp_path), old)


def test_fault_45_two_parts_with_different_scores_are_an_error_that_names_both(tmp_path):
    first_commit(tmp_path)
    one = next(part for part in Store(tmp_path).parts(KEY) if part.kind == "sites")
    other = add_unseen(Store(tmp_path), [1, 3], 0.01)
    with pytest.raises(UserError, match=r"hold different scores of 1 \(fwd_a") as caught:
        Store(tmp_path).read_sites(KEY, "SQ.a")
    assert all(part.sha256 in str(caught.value) for part in (one, other))
    assert "delete one file" in str(caught.value)
    assert Store(tmp_path).read_sites(KEY, "SQ.a", 5).height == len(OLD) - 2
    other.path(tmp_path / KEY).unlink()
    repair(Store(tmp_path), KEY, MODEL)
    assert Store(tmp_path).read_sites(KEY, "SQ.a").equals(site_rows(OLD))


@pytest.mark.parametrize(("precision", "shift"), [("float32", 5e-4), ("auto", 0.1)])
def test_fault_45_within_the_tolerance_one_value_is_kept_always_the_same(
    tmp_path, precision, shift
):
    model = MODEL | {"precision": precision}
    pieces = {"one": (range(5, 15), 0.0), "other": (range(1, 11), shift)}
    found = []
    for number, commits in enumerate(
        [[["one"], ["other"]], [["other"], ["one"]], [["one", "other"]], [["other", "one"]]]
    ):
        store = Store(tmp_path / str(number))
        for names in commits:
            with store.committing(KEY, model) as commit:
                for name in names:
                    commit.write("SQ.a", KINDS["sites"], site_rows(*pieces[name]))
        whole = store.read_sites(KEY, "SQ.a")
        # Neither the range nor the way of reading matters.
        for pos in range(1, 15):
            row = whole.filter(pl.col("pos") == pos)
            assert store.read_sites(KEY, "SQ.a", pos, pos).equals(row)
            assert store.sites_at(KEY, "SQ.a", row["pos"].to_numpy()).equals(row)
        found.append(whole)
        compact(store, KEY)
        assert Store(store.root).read_sites(KEY, "SQ.a").equals(whole)
    assert found[0].height == 14
    assert all(whole.equals(found[0]) for whole in found)
    with pytest.raises(UserError, match="another value"):
        Store(tmp_path / "0").commit(KEY, model, [("SQ.a", site_rows([7], 3 * shift))])


# 46: strays, and lost lists


def test_fault_46_temporary_files_are_ignored(tmp_path, old):
    first_commit(tmp_path)
    for folder in ("commits", "SQ.a", "."):
        (tmp_path / KEY / folder / f".{'0' * 32}.tmp").write_bytes(b"{ half a")
    before = files(tmp_path)
    assert same_rows(all_rows(tmp_path), old)
    done = repair(Store(tmp_path), KEY, MODEL)
    assert (done.damaged, done.recovered) == ({}, [])
    assert files(tmp_path) == before
    second_commit(tmp_path)


def test_fault_46_a_commit_without_its_part(two_parts):
    store, path = two_parts
    shutil.rmtree(path.parent)
    with pytest.raises(UserError, match=rf"{path.name}: this part .* is lost; .*--forcerun plan"):
        Store(store).read_sites(KEY, "SQ.b")
    done = repair(Store(store), KEY, MODEL)
    assert "30 rows count as unknown" in done.damaged[str(path)]
    assert Store(store).read_sites(KEY, "SQ.b").is_empty()
    Store(store).commit(KEY, MODEL, [("SQ.b", site_rows(OLD))])
    assert Store(store).read_sites(KEY, "SQ.b").equals(site_rows(OLD))


def delete_commits(folder):
    for path in folder.iterdir():
        path.unlink()


def flip_a_commit(folder):
    flip(sorted(folder.iterdir())[0], 500)


def empty_a_commit(folder):
    rewrite(sorted(folder.iterdir())[0], b"")


def flip_all_commits(folder):
    for path in sorted(folder.iterdir()):
        flip(path, 77)


@pytest.mark.parametrize(
    "harm", [delete_commits, shutil.rmtree, flip_a_commit, flip_all_commits, empty_a_commit]
)
def test_fault_46_whole_parts_of_lost_commits_are_listed_again(tmp_path, new, harm):
    first_commit(tmp_path)
    second_commit(tmp_path)
    Store(tmp_path).commit(KEY, MODEL, background=[("BG.a", background_rows([1, 2]))])
    expected, parts = all_rows(tmp_path), set(Store(tmp_path).parts(KEY))
    commits = {path.name for path in (tmp_path / KEY / "commits").iterdir()}
    harm(tmp_path / KEY / "commits")
    damaged = harm in (flip_a_commit, flip_all_commits, empty_a_commit)
    if damaged:
        with pytest.raises(UserError, match=r"\.json: damaged, .*--forcerun plan"):
            all_rows(tmp_path)
    done = repair(Store(tmp_path), KEY, MODEL)
    assert {Path(path).name for path in done.damaged} <= commits
    assert bool(done.damaged) == damaged
    assert same_rows(all_rows(tmp_path), expected)
    assert set(Store(tmp_path).parts(KEY)) == parts
    assert done.recovered
    again = repair(Store(tmp_path), KEY, MODEL)
    assert (again.damaged, again.recovered) == ({}, [])


def test_fault_46_lost_commits_and_a_damaged_part_at_once(two_parts, old):
    """Only what cannot be right is lost."""
    store, path = two_parts
    flip(path, 4000)
    shutil.rmtree(store / KEY / "commits")
    done = repair(Store(store), KEY, MODEL)
    assert list(done.damaged) == [str(path)]
    assert same_rows(all_rows(store), old)
    Store(store).commit(KEY, MODEL, [("SQ.b", site_rows(OLD))])
    assert Store(store).read_sites(KEY, "SQ.b").equals(site_rows(OLD))


def test_fault_46_what_a_compaction_has_replaced_is_not_listed_again(tmp_path):
    make_store(tmp_path, [range(1, 10), range(10, 20)])
    before = {path: path.read_bytes() for path in parts_on_disk(tmp_path)}
    rows = all_rows(tmp_path)
    compact(Store(tmp_path), KEY)
    parts = Store(tmp_path).parts(KEY)
    for path, content in before.items():  # as a crash just before their removal leaves it
        path.write_bytes(content)
    done = repair(Store(tmp_path), KEY, MODEL)
    assert (done.damaged, done.recovered) == ({}, [])
    assert Store(tmp_path).parts(KEY) == parts
    assert same_rows(all_rows(tmp_path), rows)
    # Without the list of what was replaced they are only rows that are there twice.
    shutil.rmtree(tmp_path / KEY / "commits")
    repair(Store(tmp_path), KEY, MODEL)
    assert same_rows(all_rows(tmp_path), rows)
