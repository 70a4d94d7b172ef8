"""The published files of hard VCFs, by a parser of their own, and genomes that they may be of."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import polars as pl

from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.tables.schemas import CONTIGS
from varlm.vcf import lines as vcf_input

LENGTH = 1 << 28  # every position that a real genome has


@cache
def random_bases():
    return np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), 1 << 20)


def crude_records(path):
    """The fields of each line, by a parser that shares nothing with the one under test."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b" or data[:3] == b"BCF":
        try:
            source = vcf_input.open_vcf(path)
            data = b"".join(chunk.data for chunk in source.chunks())
        except UserError:
            return []
    lines = [line.rstrip("\r") for line in data.decode("latin-1").split("\n")]
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def permissive_genome(folder, records):
    """A genome whose contigs are the file's, and whose bases are its REF alleles where it can."""
    data = np.zeros(LENGTH, np.uint8)  # pages that nothing touches cost no memory
    names = dict.fromkeys(fields[0] for fields in records if fields[0])
    spans = []
    for fields in records:
        if len(fields) > 3 and fields[1].isdecimal() and re.fullmatch("[ACGTacgt]+", fields[3]):
            start = int(fields[1]) - 1
            if 0 <= start < LENGTH - len(fields[3]) - 100:
                spans.append((start, fields[3].upper().encode()))
    for start, ref in spans:
        around = slice(max(0, start - 100), start + len(ref) + 100)
        data[around] = random_bases()[: around.stop - around.start]
    for start, ref in spans:
        data[start : start + len(ref)] = np.frombuffer(ref, np.uint8)
    contigs = pl.DataFrame(
        [(name, LENGTH, 0, "SQ.test", 0) for name in names or ["1"]],
        schema=CONTIGS.schema,
        orient="row",
    )
    genome = Genome(folder, contigs, data, {})
    genome._verified.update(genome.names)  # not hashed: a second for each of 1,900 files
    return genome


def hard_files(shared_data):
    """All that a user may take for a VCF: not the corpora's FASTA, GFF, indexes, documents."""
    files = sorted(
        path
        for path in (shared_data / "hard-vcf").rglob("*")
        if path.is_file()
        and path.suffix not in (".fa", ".fai", ".gff", ".gff3", ".md", ".tsv", ".txt-l", ".out")
    )
    return [path for path in files if path.name != "LICENSE"]
