"""Contigs on one line, so that arrays of places hold many of them.

The contig of number n begins at n * `STRIDE`. Lengths have 32 bits (`schemas.CONTIGS`), so that no
contig, and nothing that lies within 2**35 bp of one, reaches the next.
"""

from __future__ import annotations

STRIDE = 1 << 36
FAR = STRIDE // 2  # bp: what is as far away as that lies on another contig
