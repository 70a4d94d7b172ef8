"""Windows a second from the encoded genome, against pyfaidx and pysam in the same run.

    taskset -c 0 python benchmarks/windows.py [--windows 200000] [--megabases 12]

One core, 512 bp, random positions of a random genome. Ours is timed with what scoring does with
a window as well: the reverse complement, and the token ids of both strands.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow_scripts"))

from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.genome.windows import reverse_complement, site_windows

WIDTH = 512


def rate(function, count: int) -> float:
    """Windows a second, the best of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return count / min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=200_000)
    parser.add_argument("--megabases", type=int, default=12)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    length = args.megabases * 1_000_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bases = rng.choice(np.frombuffer(b"ACGT", np.uint8), length).reshape(-1, 80)
        lines = np.concatenate([bases, np.full((len(bases), 1), ord("\n"), np.uint8)], axis=1)
        fasta = folder / "genome.fa"
        fasta.write_bytes(b">chr1\n" + lines.tobytes())
        index_reference(fasta, folder / "reference")
        positions = rng.integers(WIDTH, length - WIDTH, args.windows)
        sequence = Genome.open(folder / "reference").sequence("chr1")
        table = np.zeros(256, np.uint8)

        def ours(then) -> None:
            for start in range(0, len(positions), 4096):
                then(site_windows(sequence, positions[start : start + 4096], WIDTH))

        def tokens(windows) -> None:
            np.take(table, windows)
            np.take(table, reverse_complement(windows))

        import pyfaidx
        import pysam

        with pyfaidx.Fasta(str(fasta)) as slow, pysam.FastaFile(str(fasta)) as fast:
            half, some = WIDTH // 2, positions[:20_000]
            rates = {
                "varlm": rate(lambda: ours(lambda _: None), len(positions)),
                "varlm, both strands as ids": rate(lambda: ours(tokens), len(positions)),
                "pyfaidx": rate(
                    lambda: [slow["chr1"][int(p) - half : int(p) + half].seq for p in some],
                    len(some),
                ),
                "pysam": rate(
                    lambda: [fast.fetch("chr1", int(p) - half, int(p) + half) for p in some],
                    len(some),
                ),
            }
    for name, value in rates.items():
        print(f"{name:28} {value:12,.0f} windows/s   {value / rates['pysam']:6.1f} × pysam")


if __name__ == "__main__":
    main()
