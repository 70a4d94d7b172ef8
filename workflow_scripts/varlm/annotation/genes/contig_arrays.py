"""What the alleles of a piece are looked up in: features, flanks and transcription starts."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from varlm.annotation.genes import overlaps
from varlm.annotation.genes.overlaps import Ints
from varlm.annotation.genes.starts import Starts, on_turns


class ContigArrays:
    """The arrays of a piece's contigs, on one line."""

    def __init__(
        self,
        numbers: dict[str, int],
        transcripts: pl.DataFrame,
        exons: pl.DataFrame,
        upstream: int,
        downstream: int,
        circular: Mapping[str, int],
    ):
        """Make them; `circular`: the circular contigs' lengths in bp."""
        self.numbers = numbers
        self.features = overlaps.transcript_features(transcripts, exons)
        self.beside = overlaps.neighbourhoods(transcripts, upstream, downstream)
        rings = {
            numbers[contig]: length for contig, length in circular.items() if contig in numbers
        }
        if rings:
            self.features = overlaps.around(self.features, rings)
            self.beside = overlaps.around(self.beside, rings)
            transcripts = on_turns(transcripts, rings)
        self.starts = Starts(transcripts)

    def nearest_starts(self, start: Ints, end: Ints) -> pl.DataFrame:
        """Return the columns nearest_gene and tss_distance."""
        which, distance = self.starts.nearest(start, end)
        place = pl.Series(which)
        place = place.set(place < 0, None)
        return pl.DataFrame(
            {
                "nearest_gene": self.starts.gene.gather(place),
                "tss_distance": pl.Series(distance).set(place.is_null(), None).cast(pl.Int32),
            }
        )
