"""bigWig files of values at single positions, made by pybigtools in child processes.

What pybigtools 0.3.0 gets wrong, and why it is used this way (all of it tried):

- its `write` returns as if all were well after an error of the iterator, an entry out of order,
  past the contig's end or on an unknown contig, and leaves a file without a header. So every file
  is read back and compared with what it was made of, value by value.
- on a full disk it panics, with an exception that is no `Exception`, and does not say why;
- it keeps about 8 kB for each contig until the process ends, and never gives it back;
- its zoom levels are wrong wherever values have gaps between them: `zoom_levels` replaces
  them. They pass through TMPDIR, which may be another, smaller disk: here, the spool's folder.

It is twice as fast in its own process as beside other threads of one. It cannot write very many
contigs: `bigwig_file` makes the files of these.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path

import pybigtools

from varlm.errors import UserError
from varlm.tracks import bigwig_file
from varlm.tracks.spool import Spool, blocks_of, mixed_blocks, sections_of
from varlm.tracks.zoom_levels import replace_summaries, summarise

_PACKAGES = str(Path(__file__).resolve().parents[2])
_CHILD = (
    "import sys\n"
    "sys.path.insert(0, sys.argv[1])\n"
    "from varlm.tracks.bigwig import write_spooled\n"
    "from varlm.tracks.read_back import fault\n"
    "write_spooled(*sys.argv[2:])\n"
    "sys.exit(fault(*sys.argv[2:]))\n"
)


def write_bigwigs(spool: Spool, processes: int = 1) -> dict[str, Path]:
    """Make a bigWig of each track of a spool, read it back, and return where it lies.

    Parameters
    ----------
    spool : Spool
        Written to its end, with at least one position: a bigWig cannot be empty.
    processes : int
        Tracks that are written at a time.

    Returns
    -------
    dict
        Track → its file, in the spool's folder.

    Raises
    ------
    UserError
        If a file does not hold exactly the values of the spool: most often, the disk is full.
    """
    if not spool.count:
        raise ValueError("a bigWig must hold at least one value")

    def write(track: str) -> Path:
        path = spool.folder / f"{track}.bw"
        arguments = [_PACKAGES, str(spool.folder), track, str(path)]
        child = subprocess.run(
            [sys.executable, "-P", "-c", _CHILD, *arguments],
            env={**os.environ, "TMPDIR": str(spool.folder), "RUST_BACKTRACE": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if child.returncode:
            said = [line for line in child.stderr.splitlines() if line and line[0] != " "]
            free = shutil.disk_usage(spool.folder).free // 10**6
            need = spool.count * 20 // 10**6 + 1
            raise UserError(
                f"{path.name} in {spool.folder.parent}: not written as it should be "
                f"({'; '.join(said[-3:]) or f'exit status {child.returncode}'}); most often the "
                f"disk is full: {free} MB are free there now, about {need} MB are needed for each "
                "track; free some space and run again"
            )
        return path

    with ThreadPoolExecutor(processes) as pool:
        return dict(zip(spool.tracks, pool.map(write, spool.tracks), strict=True))


def write_spooled(folder: str, track: str, path: str) -> None:
    """Write the bigWig of one track of a finished spool; runs in a process of its own.

    It may fail without an exception (see above): `fault` tells.
    """
    lengths = {section.contig: section.length for section in sections_of(Path(folder))}
    if len(lengths) > bigwig_file.MANY:
        bigwig_file.write(Path(path), list(lengths.items()), mixed_blocks(Path(folder), track))
        replace_summaries(Path(path), summarise(mixed_blocks(Path(folder), track)))
        return
    entries = chain.from_iterable(
        zip(repeat(contig), (pos - 1).tolist(), pos.tolist(), values.tolist(), strict=False)
        for contig, pos, values in blocks_of(Path(folder), track)
    )
    pybigtools.open(path, "w").write(lengths, entries)
    numbers = {contig: number for number, contig in enumerate(lengths)}
    blocks = blocks_of(Path(folder), track)
    replace_summaries(
        Path(path), summarise((numbers[contig], pos, values) for contig, pos, values in blocks)
    )
