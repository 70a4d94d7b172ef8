"""BED files of many contigs: their regions, and a log that stays short."""

import logging

import numpy as np

from varlm.genome.contig_names import ContigNames
from varlm.genome.regions import read_regions

CONTIGS = [f"s{number}" for number in range(2000)]


def bed(path, rows):
    path.write_text("".join(f"{name}\t{start}\t{end}\n" for name, start, end in rows))
    return path


def test_the_regions_of_many_contigs(tmp_path):
    rng = np.random.default_rng(2)
    rows = []
    for name in CONTIGS[::2]:
        for start in rng.integers(0, 90, 3).tolist():
            rows.append((name, start, start + int(rng.integers(0, 9))))
    order = rng.permutation(len(rows)).tolist()
    names = ContigNames(dict.fromkeys(CONTIGS, 100))
    regions = read_regions(bed(tmp_path / "t.bed", [rows[n] for n in order]), names)
    inside_of = {name: np.zeros(100, bool) for name in CONTIGS}
    for name, start, end in rows:
        inside_of[name][start:end] = True
    for name, inside in inside_of.items():
        merged = np.zeros(100, bool)
        for start, end in regions.merged(name).tolist():
            merged[start:end] = True
        assert (merged == inside).all()
        assert (name in regions) == inside.any()


def test_unknown_contigs_are_named_up_to_a_number(tmp_path, caplog):
    names = ContigNames({"known": 100})
    path = bed(tmp_path / "t.bed", [(name, 1, 2) for name in ["known", *CONTIGS]])
    with caplog.at_level(logging.WARNING):
        read_regions(path, names)
    assert len(caplog.records) == 51
    assert "contig 's0': not in the reference; passed over" in caplog.messages[0]
    assert "1950 more contigs are passed over likewise" in caplog.messages[-1]


def test_lengths_that_contradict_are_told_up_to_a_number(caplog):
    names = ContigNames(dict.fromkeys(CONTIGS, 100))
    with caplog.at_level(logging.WARNING):
        assert all(names.match(name, dict.fromkeys(CONTIGS, 7)).contig for name in CONTIGS[:99])
    assert len(caplog.records) == 51
