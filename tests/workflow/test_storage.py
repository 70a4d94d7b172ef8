"""Inputs on a web server and in S3: the same tables as from a disk, and clear errors."""

import gzip
import http.server
import os
import re
import shutil
import threading
import time
from functools import partial

import boto3
import polars as pl
import pybigtools
import pytest
from moto.server import ThreadedMotoServer

import making.workflow as workflow_making
from making.config import load_cohorts, load_config
from making.made_tables import made_scores, write_tsv
from making.workflow import (
    GENE,
    made_genome,
    snakemake,
    vcf_text,
    write_config,
    write_fasta,
    write_sheet,
)
from varlm.errors import UserError
from varlm.run.config_keys import is_address
from varlm.run.inputs import addresses

pytestmark = pytest.mark.slow

TABLES = ["a/annotated.parquet", "a/annotated.tsv.gz", "regions/annotated.parquet"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What the servers hold."""
    folder = tmp_path_factory.mktemp("served")
    genome = made_genome()
    write_fasta(folder / "genome.fa.gz", genome)
    (folder / "genes.gff3.gz").write_bytes(gzip.compress((GENE + "\n").encode()))
    (folder / "one.vcf").write_text(vcf_text(genome, "chr1", "one", 1, 50))
    (folder / "two.vcf.gz").write_bytes(
        gzip.compress(vcf_text(genome, "chrM", "MT", 2, 20).encode())
    )
    (folder / "names.tsv").write_text("alias\tcontig\none\tchr1\n")
    (folder / "accepted.bed").write_text("chr1\t0\t2500\nchrM\t0\t400\n")
    (folder / "small.bed").write_text("chr1\t600\t605\n")
    (folder / "sites.bed").write_text("chr1\t0\t1000\tfirst\nchr1\t900\t1200\tsecond\n")
    writer = pybigtools.open(str(folder / "value.bw"), "w")
    writer.write({name: len(s) for name, s in genome.items()}, [("chr1", 0, 2000, 2.5)])
    write_tsv(folder / "cadd.tsv.gz", made_scores(genome))
    return folder


@pytest.fixture(scope="module")
def web(files):
    """A plain web server (HEAD and GET, no ranges): its address, and the requests it got."""
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def send_response(self, code, message=None):
            requests.append((self.command, self.path, code))
            super().send_response(code, message)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(files))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def s3(files):
    """A bucket with the cohorts, and the environment by which Snakemake's plugin finds it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    client.create_bucket(Bucket="lab")
    client.upload_file(str(files / "two.vcf.gz"), "lab", "cohorts/two.vcf.gz")
    yield {
        "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": endpoint,
        "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "x",
        "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "x",
    }
    client.close()
    server.stop()


def settings(place):
    """Config keys for inputs at `place`, which ends in a slash or is empty."""
    return {
        "reference": {
            "fasta": f"{place}genome.fa.gz",
            "annotation": f"{place}genes.gff3.gz",
            "aliases": f"{place}names.tsv",
        },
        "normalise": {"max_allele_length": 10, "regions": f"{place}accepted.bed"},
        "annotate": {
            "info": ["X"],
            "intervals": {"site": f"{place}sites.bed"},
            "bigwigs": {"value": f"{place}value.bw"},
            "scores": {"cadd": {"path": f"{place}cadd.tsv.gz", "columns": {"phred": "PHRED"}}},
        },
        "regions": f"{place}small.bed",
        "tracks": "none",
        "scoring": {"window": 64, "precision": "float32", "background_sites": 0},
    }


@pytest.fixture(scope="module")
def local(files, tmp_path_factory):
    """The run with all inputs on a disk."""
    folder = tmp_path_factory.mktemp("local") / "project"
    shutil.copytree(files, folder)
    write_sheet(folder, {"a": ["two.vcf.gz", "one.vcf"]})
    write_config(folder, **settings(""))
    snakemake(folder)
    return folder


@pytest.fixture(scope="module")
def remote(local, web, s3, tmp_path_factory):
    """The run with none there, on the same store."""
    address, requests = web
    folder = tmp_path_factory.mktemp("remote")
    write_sheet(folder, {"a": ["s3://lab/cohorts/two.vcf.gz", f"{address}/one.vcf"]})
    write_config(folder, store=str(local / "store"), **settings(f"{address}/"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            workflow_making, "BARE_ENVIRONMENT", {**workflow_making.BARE_ENVIRONMENT, **s3}
        )
        snakemake(folder)
        fetched = [(verb, path) for verb, path, _ in requests if verb == "GET"]
        yield folder, fetched


def test_the_tables_are_those_of_local_files(local, remote):
    folder, _ = remote
    for name in TABLES:
        here, there = (run / "results/cohorts" / name for run in (folder, local))
        if name.endswith(".parquet"):  # which says where the scores came from
            assert pl.read_parquet(here).equals(pl.read_parquet(there))
        else:
            assert here.read_bytes() == there.read_bytes()
    with gzip.open(folder / "results/cohorts/a/annotated.tsv.gz", "rt") as file:
        header = next(file).split("\t")
    assert {"site_overlap", "value", "info_X", "consequence", "cadd_phred"} <= set(header)
    for name in ("one.vcf", "genome.fa.gz"):
        assert not (folder / name).exists()


def test_copies_are_gone_after_the_run(remote):
    folder, fetched = remote
    left = [path for path in (folder / ".snakemake/storage").rglob("*") if path.is_file()]
    assert left == []
    # What several steps read is fetched once a run, not once a step.
    assert max(fetched.count(request) for request in fetched) == 1, fetched
    assert ("GET", "/genome.fa.gz") in fetched


def test_a_second_run_fetches_and_does_nothing(remote, web):
    folder, _ = remote
    requests = web[1]
    before = len(requests)
    assert "Nothing to be done" in snakemake(folder)
    assert {verb for verb, _, _ in requests[before:]} == {"HEAD"}


def test_a_file_that_changed_on_the_server_is_read_again(remote, files):
    folder, _ = remote
    later = time.time() + 5
    os.utime(files / "sites.bed", (later, later))
    try:
        planned = snakemake(folder, "--dry-run")
        assert "rule annotate:" in planned
        assert "rule normalise:" not in planned
    finally:
        os.utime(files / "sites.bed", (0, 0))


def test_a_file_that_is_not_there(remote, files, web):
    folder, _ = remote
    (files / "one.vcf").rename(files / "away.vcf")
    try:
        output = snakemake(folder, "--dry-run", check=False)
    finally:
        (files / "away.vcf").rename(files / "one.vcf")
    assert f"{web[0]}/one.vcf: input not found (the server has no such file)" in output
    assert "Traceback (most recent call last)" not in output


def test_a_bucket_that_is_not_there(remote, web):
    folder, _ = remote
    write_sheet(folder, {"a": ["s3://nobodys/one.vcf"]})
    output = snakemake(folder, "--dry-run", check=False)
    assert "s3://nobodys/one.vcf: input not found" in output


def test_a_server_that_is_not_there(remote):
    folder, _ = remote
    write_sheet(folder, {"a": ["http://127.0.0.1:9/one.vcf"]})
    output = snakemake(folder, "--dry-run", check=False)
    assert "http://127.0.0.1:9/one.vcf: cannot be looked up" in output
    assert "refused" in output


def test_a_local_input_that_is_not_there_though_the_results_are(local):
    write_config(local, "wrong.yaml", **settings("none/"))
    output = snakemake(local, "--dry-run", config="wrong.yaml", check=False)
    assert re.search(r"none/[a-z.]+: input not found \(relative to", output)
    assert "Traceback (most recent call last)" not in output


def test_all_addresses_that_nothing_can_fetch_are_told_at_once(tmp_path):
    write_sheet(
        tmp_path, {"a": ["gopher://there/one.vcf"], "b": ["https://me:secret@there/two.vcf"]}
    )
    write_config(tmp_path, reference={"fasta": "sftp://there/genome.fa"})
    output = snakemake(tmp_path, "--dry-run", check=False)
    assert "3 inputs that cannot be fetched" in output
    assert "reference.fasta: sftp://there/genome.fa cannot be fetched" in output
    assert "cohort a: gopher://there/one.vcf cannot be fetched" in output
    assert "snakemake-storage-plugin-" in output
    assert "cohort b: the address holds a user name or password" in output
    assert "secret" not in output


def test_what_is_written_and_the_sheet_are_on_a_disk(root):
    given = {
        "reference": {"fasta": "https://x/g.fa"},
        "cohorts": "s3://lab/cohorts.tsv",
        "models": {"m": {"path": "p"}},
        "store": "s3://lab/store",
        "results": "https://x/results",
    }
    with pytest.raises(UserError, match="3 errors in the config") as caught:
        load_config(given, root / "config/schemas/config.schema.yaml")
    assert "store: found 's3://lab/store'; this must be a folder on a disk" in str(caught.value)
    assert "cohorts: found 's3://lab/cohorts.tsv'; this must be a file on a disk" in str(
        caught.value
    )


def test_every_input_may_be_an_address(root):
    """No key of the config that names an input is forgotten."""
    given = settings("s3://lab/") | {"cohorts": "c.tsv", "models": {"m": {"path": "p"}}}
    config = load_config(given, root / "config/schemas/config.schema.yaml")
    found = dict(addresses(config, {}))
    assert list(found) == [
        "reference.fasta",
        "reference.annotation",
        "reference.aliases",
        "normalise.regions",
        "regions.bed",
        "annotate.intervals.site",
        "annotate.bigwigs.value",
        "annotate.scores.cadd.path",
    ]
    assert all(is_address(value) for value in found.values())


def test_an_address_twice_in_a_cohort(tmp_path):
    write_sheet(tmp_path, {"a": ["https://x/one.vcf", "https://x/one.vcf"]})
    with pytest.raises(UserError, match=r"one\.vcf is already a file of cohort a"):
        load_cohorts(tmp_path / "cohorts.tsv")


@pytest.mark.parametrize("path", ["a.vcf", "/a/b.vcf", "a:b.vcf", "C:/a.vcf", "a b://c", "", None])
def test_a_path_is_no_address(path):
    assert not is_address(path)
