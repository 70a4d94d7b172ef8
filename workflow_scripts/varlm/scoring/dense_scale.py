"""Dense scores beside masked ones: the constant between them, and how well they agree.

A model that sees a base holds it likelier than one that has to guess it; of a model trained with
BERT's corruption, by the same factor everywhere (`varlm.models.corruption`). So dense LLRs rank as
masked ones do, and are on their scale once a constant is added. Both are measured on random sites
that are scored both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.files.json_record import JsonRecord, absent_if_none
from varlm.genome.reference import Genome
from varlm.genome.sites import sample_sites
from varlm.models import preparing
from varlm.models.prepared import PreparedModel
from varlm.scoring import formulas
from varlm.scoring.background import SEED

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How dense LLRs of some SNVs are beside their masked ones; all strand means.

    Attributes
    ----------
    sites, snvs : int
    spearman, pearson : float or None
        Correlations; None where one of the two has a single value.
    rmse : float
        Root of the mean squared difference after the constant, nats.
    shift : float
        Mean of masked less dense, before it, nats.
    """

    sites: int
    snvs: int
    spearman: float | None
    pearson: float | None
    rmse: float
    shift: float


@dataclass(frozen=True, kw_only=True)
class DenseScale(JsonRecord):
    """What brings a model's dense scores to the scale of its masked ones: dense/{model}.json.

    Attributes
    ----------
    model : str
    key : str
        Of the dense scores in the store.
    masked_key : str or None
        Of the masked ones; None of a family that has none.
    constant : float
        Nats that are added to dense LLRs.
    origin : str
        Where it is from: the `checkpoint`, the sites that were `measured`, or `none`: it is 0,
        since there is nothing to know it by.
    overall : Agreement or None
        None where nothing was measured.
    by_class : dict
        Class of the site by the annotation → Agreement; empty without an annotation.
    """

    MADE_BY = "measure_dense"

    model: str
    key: str
    masked_key: str | None
    constant: float
    origin: Literal["checkpoint", "measured", "none"]
    overall: Agreement | None = absent_if_none()  # noqa: RUF009
    by_class: dict[str, Agreement]


def sample(genome: Genome, count: int) -> dict[str, NDArray[np.uint32]]:
    """Return the sites to score both ways: contig → 1-based positions, sorted.

    All of the genome where it has fewer. They are a part of the background's, if not more.
    """
    return sample_sites(genome, min(count, int(genome.contigs["acgt"].sum())), SEED)


def has_scale(model: PreparedModel) -> bool:
    """Whether a model's scores are dense ones that stand for masked ones of it."""
    return model.kind.name == "dense" and "masked" in model.known_as.scores


def masked_model(model: PreparedModel) -> PreparedModel | None:
    """Return the same checkpoint as it scores masked sites, or None where its family does not.

    Of tokens of several bases that is the kind `marginal`: as in dense scores, the four numbers are
    of bases, where those of the kind `masked` are of whole k-mers.

    Raises
    ------
    UserError
        If its files are not the ones that the model was prepared from.
    """
    if not has_scale(model):
        return None
    score = "marginal" if "marginal" in model.known_as.scores else "masked"
    known = model.known_as.option_defaults(score)
    masked = preparing.prepare(
        model.folder,
        name=model.name,
        path=model.path,
        revision=model.revision,
        precision=model.precision,
        window=model.window,
        strands=model.strands,
        family=model.known_as.name,
        score=score,
        options={name: v for name, v in (model.options or {}).items() if name in known},
    )
    if masked.files != model.files:
        names = sorted(n for n, digest in masked.files.items() if model.files.get(n) != digest)
        raise UserError(
            f"{model.folder}: {', '.join(names) or 'a file'} changed since the step prepare_model "
            "looked at it; run the workflow again"
        )
    return masked


def reference_bases(sites: pl.DataFrame, genome: Genome) -> NDArray[np.intp]:
    """Return the index 0…3 of the reference's base at each of some sites (`schemas.SITES`)."""
    letters = [
        genome.sequence(str(contig))[rows["pos"].to_numpy().astype(np.int64) - 1]
        for (contig,), rows in sites.group_by("contig", maintain_order=True)
    ]
    return formulas.base_index(np.concatenate(letters))


def snv_llrs(sites: pl.DataFrame, genome: Genome) -> Floats:
    """Return the LLRs of the three SNVs of each site, strand means: shape (sites, 3).

    Parameters
    ----------
    sites : polars.DataFrame
        `varlm.tables.schemas.SITES`.
    """
    ref, numbers = reference_bases(sites, genome), formulas.site_logits(sites)
    return np.stack(
        [
            formulas.strand_mean(formulas.llr_by_strand(numbers, ref, (ref + step) % 4))
            for step in (1, 2, 3)
        ],
        axis=1,
    )


def agreement(dense: Floats, masked: Floats, constant: float) -> Agreement:
    """Return how LLRs agree, each of shape (sites, 3), n > 0; the constant is added to `dense`."""
    difference = masked - dense
    return Agreement(
        sites=len(dense),
        snvs=dense.size,
        spearman=_correlation(_ranks(dense), _ranks(masked)),
        pearson=_correlation(dense.ravel(), masked.ravel()),
        rmse=float(np.sqrt(np.mean((difference - constant) ** 2))),
        shift=float(difference.mean()),
    )


def _ranks(values: Floats) -> Floats:
    return pl.Series(values.ravel()).rank("average").to_numpy()


def _correlation(one: Floats, other: Floats) -> float | None:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def measured(
    model: PreparedModel,
    masked: PreparedModel,
    known: float | None,
    llrs: tuple[Floats, Floats],
    classes: NDArray[np.str_] | None = None,
) -> DenseScale:
    """Return the constant, and how well dense scores stand for masked ones.

    Parameters
    ----------
    model : PreparedModel
    masked : PreparedModel
        The same checkpoint as it scores masked sites.
    known : float or None
        The constant, where the checkpoint says it; else it is the mean difference.
    llrs : tuple
        Dense and masked LLRs of the same SNVs, shape (sites, 3), n > 0.
    classes : str, shape (sites,), optional
    """
    dense, hidden = llrs
    constant = float((hidden - dense).mean()) if known is None else known
    names = [] if classes is None else list(dict.fromkeys(classes.tolist()))
    return DenseScale(
        model=model.name,
        key=model.key,
        masked_key=masked.key,
        constant=constant,
        origin="measured" if known is None else "checkpoint",
        overall=agreement(dense, hidden, constant),
        by_class={
            name: agreement(dense[classes == name], hidden[classes == name], constant)
            for name in names
        },
    )


def unmeasured(
    model: PreparedModel, masked: PreparedModel | None, known: float | None
) -> DenseScale:
    """Return what is known of the constant without a measurement."""
    return DenseScale(
        model=model.name,
        key=model.key,
        masked_key=None if masked is None else masked.key,
        constant=known or 0.0,
        origin="none" if known is None else "checkpoint",
        by_class={},
    )


def read_scales(paths: Iterable[Path]) -> dict[str, DenseScale]:
    """Return model → what its file says; errors as of `JsonRecord.read`."""
    return {scale.model: scale for scale in map(DenseScale.read, paths)}


def constants(models: Iterable[PreparedModel], paths: Iterable[Path]) -> Mapping[str, float]:
    """Return model → nats by which its reference's number is lowered; 0 of other than dense scores.

    Parameters
    ----------
    models : iterable of PreparedModel
    paths : iterable of Path
        `dense/{model}.json` of those that have one.

    Raises
    ------
    UserError
        If a model lacks its file, or the file is of other scores.
    """
    scales, by_model = read_scales(paths), {}
    for model in models:
        scale = scales.get(model.name) if has_scale(model) else None
        if has_scale(model) and (scale is None or scale.key != model.key):
            shown = "none is given" if scale is None else f"its own is of the key {scale.key}"
            raise UserError(
                f"model {model.name}: its dense scores (key {model.key}) need what brings them to "
                f"the scale of masked ones, dense/{model.name}.json, but {shown}; run the "
                "workflow again: the step measure_dense makes it"
            )
        by_model[model.name] = 0.0 if scale is None else scale.constant
    return by_model
