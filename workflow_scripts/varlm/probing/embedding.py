"""Rows of a probe's table and a model → embeddings, part by part; the torch of the step `embed`.

The model reads its own window around the middle of a row, on the row's strand alone, nothing
masked, in float32; of what it says, the row's own positions are kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.genome.windows import Bytes
from varlm.models.checkpoint import read_config
from varlm.models.language_model import LanguageModel
from varlm.models.loading import load_model
from varlm.models.prepared import PreparedModel
from varlm.models.preparing import identity_of
from varlm.models.tokens import PAD
from varlm.probing.parts import EmbeddingsRecord, Floats, Positions, shape_of
from varlm.probing.tables import ProbeTable
from varlm.probing.windows import ProbeRows, first_base, windows_of
from varlm.probing.writing import PartsWriter, part_slices
from varlm.run import heartbeat
from varlm.run.progress import Progress
from varlm.scoring.batch_size import default_batch, fitting_batch, take_device
from varlm.scoring.hardware import Hardware
from varlm.scoring.recipe import Recipe
from varlm.scoring.scorer import Scorer

log = logging.getLogger("varlm")

# Raise this when the code changes an embedding by more than rounding: parts of before are stale.
VERSION = 1


def read_width(model: PreparedModel, longest: int) -> int:
    """Return the bp that a model reads around a row: its window, or the row where that is longer.

    A network that loses bases at a window's ends reads so many more than the row.

    Raises
    ------
    UserError
        If the model has no embeddings, or cannot read a window as long as the row.
    """
    family = model.known_as
    if not family.embeddings:
        raise UserError(
            f"models.{model.name}: a {family.title} has no embeddings; leave it out of "
            "probe.NAME.models"
        )
    if family.tile is not None:
        return longest + model.window - 1
    if longest <= model.window:
        return model.window
    identity, config = identity_of(family), read_config(model.folder)
    tokens = identity.read_tokeniser(model.folder, config, model.options or {})
    problem = identity.window_problem(longest, config, tokens)
    if problem is not None:
        raise UserError(
            f"models.{model.name}: rows of {longest} bp are longer than its window ({model.window} "
            f"bp), and as a window: {problem}, or shorten the rows by probe.NAME.length"
        )
    return longest


def embed(
    table: ProbeTable,
    positions: Positions,
    genome: Genome,
    model: PreparedModel,
    hardware: Hardware,
    folder: Path,
) -> EmbeddingsRecord:
    """Write the embeddings of a table's rows into a folder, but for parts that it has.

    Parameters
    ----------
    table : ProbeTable
    positions : str
        What is stored of each row.
    genome : Genome
    model : PreparedModel
    hardware : Hardware
    folder : Path
        See `varlm.probing.parts`.

    Returns
    -------
    EmbeddingsRecord
        As it is in the folder.

    Raises
    ------
    UserError
        If the model has no embeddings, a row does not fit its window, or an embedding is no finite
        number.
    """
    rows = table.rows
    width = read_width(model, int(rows.sizes.max()))
    identity = identity_of_parts(rows, positions, genome, model, width)
    writer = PartsWriter(folder, identity)
    embedder = load_embedder(model, hardware, positions, width)
    channels = embedder.channels(rows, genome, width)
    shape = shape_of(rows.kind, positions, table.length, channels, 1)
    slices = part_slices(len(rows), max(4 * int(np.prod(shape)), 2 * width))
    _write_parts(embedder, rows, genome, width, writer, slices, shape)
    record = EmbeddingsRecord(
        model=model.name,
        kind=rows.kind,
        positions=positions,
        channels=channels,
        length=table.length,
        window=width,
        rows=len(rows),
        left_out=table.left_out,
        parts=writer.records(slices),
        table=table.digest,
        identity=identity,
        flanks=None if rows.flanks else False,
    )
    writer.finish(rows.frame, record)
    return record


def _write_parts(
    embedder: Embedder,
    rows: ProbeRows,
    genome: Genome,
    width: int,
    writer: PartsWriter,
    slices: list[slice],
    shape: tuple[int, ...],
) -> None:
    """Compute and write the parts that are not there; `shape` is that of one row."""
    axis = len(shape) - 3
    sizes = [part.stop - part.start for part in slices]
    shapes = [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]
    there = [writer.has(number, shape) for number, shape in enumerate(shapes)]
    done = sum(size for size, is_there in zip(sizes, there, strict=True) if is_there)
    if done:
        log.info("%d of %d rows are embedded already; going on with the others", done, len(rows))
    sides = 2 if rows.kind == "variants" else 1
    progress = Progress(sides * len(rows), "windows", sides * done)

    def batch_done(count: int) -> None:
        progress(count)
        heartbeat.beat()

    embedder.progress = batch_done
    for number, part in enumerate(slices):
        if not there[number]:
            writer.write(number, embedder.embed(rows[part], genome, width))


def identity_of_parts(
    rows: ProbeRows, positions: Positions, genome: Genome, model: PreparedModel, width: int
) -> str:
    """Return the digest of what decides embeddings: not labels, nor what the model is called."""
    columns = [pl.col(name).cast(pl.String).fill_null("") for name in _READ]
    lines = rows.frame.select(pl.concat_str(columns, separator="\t")).to_series()
    settings = {
        "version": VERSION,
        "files": model.files,
        "family": [model.known_as.name, model.known_as.version],
        "options": model.options or {},
        "width": width,
        "positions": positions,
        "kind": rows.kind,
        "genome": [] if rows.kind == "sequences" else [genome.names, genome.stored_as],
        **({} if rows.flanks else {"flanks": False}),
        "rows": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


_READ = ("chrom", "start", "end", "strand", "sequence", "alternate")


def load_embedder(
    model: PreparedModel, hardware: Hardware, positions: Positions, width: int
) -> Embedder:
    """Load a model in float32 on a device that is this job's alone, with a batch that fits."""
    torch.set_num_threads(hardware.threads)
    device = take_device(hardware.device)
    started = time.monotonic()
    loaded = load_model(
        model.folder, model.files, device, family=model.known_as.name, options=model.options
    )
    asked = hardware.batch_size or fitting_batch(
        loaded, width, default_batch(loaded, width, everywhere=True)
    )
    batch_size = max(asked >> heartbeat.halvings(), 1)
    log.info(
        "model %s (%s) loaded on %s in %.1f s; it reads %d bp around each row, %d windows a batch",
        model.name,
        loaded.describe(),
        device,
        time.monotonic() - started,
        width,
        batch_size,
    )
    heartbeat.beat()
    scorer = Embedder(loaded, "forward", batch_size, recipe=Recipe.of(model))
    scorer.positions = positions
    return scorer


@dataclass
class Embedder(Scorer):
    """A model, and how to run it; windows in, embeddings out.

    Attributes
    ----------
    positions : str
        What is kept of each row.
    """

    positions: Positions = "all"

    def channels(self, rows: ProbeRows, genome: Genome, width: int) -> int:
        """Return how many values an embedding has, of what the model says of a row."""
        return int(self.embed(rows[0:1], genome, width, filled=False).shape[-1])

    def embed(self, rows: ProbeRows, genome: Genome, width: int, *, filled: bool = True) -> Floats:
        """Return the embeddings of rows: shape as of `varlm.probing.parts.Part.values`.

        Parameters
        ----------
        rows : ProbeRows
        genome : Genome
        width : int
            `read_width`.
        filled : bool
            Whether a last batch of few windows is filled up, to be computed as the others are.

        Raises
        ------
        UserError
            If one is no finite number, naming the row.
        """
        sides = windows_of(rows, genome, width)
        sizes = np.tile(rows.sizes, len(sides))
        values = self._of_windows(np.concatenate(sides), sizes, filled)
        values = values.reshape(len(sides), len(rows), *values.shape[1:])
        finite = np.isfinite(values).all(axis=(0, 2, 3))
        if not finite.all():
            row = rows.frame["row"][int((~finite).argmax())]
            raise UserError(
                f"row {row} of the table (0 is the first): the model's hidden states are no finite "
                "numbers; the checkpoint is damaged: copy or download it again"
            )
        return values if len(sides) > 1 else values[0]

    def _of_windows(self, windows: Bytes, sizes: NDArray[np.int64], filled: bool) -> Floats:
        """Return the embeddings of the middle of windows, so many bp of each: (n, positions, C)."""
        values: Floats | None = None
        for chosen, left, right, size in self._alike(windows, sizes):
            whole = filled and len(chosen) == len(windows)
            part = windows[chosen, left : windows.shape[1] - right]
            start = int(first_base(np.array(size), windows.shape[1])) - left

            def forward(batch: Bytes, start: int = start, size: int = size) -> torch.Tensor:
                return self._kept(self.model, batch, start, size)

            some = self._run(forward, part, whole=whole)
            if values is None:
                values = np.empty((len(windows), *some.shape[1:]), np.float32)
            values[chosen] = some
        assert values is not None
        return values

    def _kept(self, model: LanguageModel, batch: Bytes, start: int, size: int) -> torch.Tensor:
        """Return what is kept of a row that begins at `start`: (n, positions, C)."""
        if self.positions == "centre":
            middle = start + size // 2
            return model.base_embeddings(batch, middle, middle + 1)
        states = model.base_embeddings(batch, start, start + size)
        return states.mean(1, keepdim=True) if self.positions == "mean" else states

    def _alike(
        self, windows: Bytes, sizes: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.intp], int, int, int]]:
        """Yield windows of which as much is cut off and kept: rows, left, right, bp of a row.

        Where a family's windows are not clipped nothing is cut off.
        """
        outside = (windows == PAD) & self.recipe.clipped
        left = np.where(outside[:, 0], (~outside).argmax(axis=1), 0)
        right = np.where(outside[:, -1], (~outside[:, ::-1]).argmax(axis=1), 0)
        kinds, which = np.unique(
            np.stack([left, right, sizes], axis=1), axis=0, return_inverse=True
        )
        for number, (cut, end, size) in enumerate(kinds.tolist()):
            yield np.flatnonzero(which.ravel() == number), cut, end, size
