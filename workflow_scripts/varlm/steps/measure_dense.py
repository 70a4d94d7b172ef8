"""Measure how well a model's dense scores stand for its masked ones, on random sites."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from varlm.annotation.genes.annotation import Annotation
from varlm.annotation.site_classes import site_classes
from varlm.genome.reference import Genome
from varlm.models.corruption import Corruption
from varlm.models.prepared import PreparedModel
from varlm.scoring import dense_scale
from varlm.scoring.dense_scale import DenseScale
from varlm.scoring.stored_sites import Positions, sites_through_store
from varlm.steps.options import (
    add_hardware_options,
    add_model_options,
    add_store_option,
    hardware,
)
from varlm.store import Store

log = logging.getLogger("varlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the step's options."""
    add_model_options(parser)
    add_store_option(parser)
    parser.add_argument("--sites", type=int, required=True, help="random sites; 0: none")
    parser.add_argument(
        "--least-spearman", type=float, required=True, help="rank correlation that needs no warning"
    )
    parser.add_argument("--annotation", type=Path, help="folder of index_annotation")
    parser.add_argument("--upstream", type=int, required=True, help="bp before a transcript")
    parser.add_argument("--scale", type=Path, required=True, help="output: dense/{model}.json")
    add_hardware_options(parser)


def run(args: argparse.Namespace) -> None:
    """Score the sites both ways, where the store lacks them, and write what they say."""
    chosen = hardware(args)
    model, genome = PreparedModel.read(args.model), Genome.open(args.reference)
    masked = dense_scale.masked_model(model)
    said = Corruption.of(model.folder)
    known = None if said is None or masked is None else said.constant
    sites = dense_scale.sample(genome, args.sites)
    if masked is None or not any(map(len, sites.values())):
        scale = dense_scale.unmeasured(model, masked, known)
    else:
        store = Store(args.store)
        scored = [
            sites_through_store(sites, genome, store, which, chosen) for which in (model, masked)
        ]
        llrs = [dense_scale.snv_llrs(rows.sites, genome) for rows in scored]
        classes = _classes(args, sites, genome)
        scale = dense_scale.measured(model, masked, known, (llrs[0], llrs[1]), classes)
        log.info(
            "model %s: %d sites, of them in the store %d dense and %d masked ones",
            model.name,
            len(llrs[0]),
            *(rows.from_store for rows in scored),
        )
    scale.write(args.scale)
    if masked is not None:
        _tell(scale, args.least_spearman, masked.kind.name)


def _classes(args: argparse.Namespace, sites: Positions, genome: Genome) -> NDArray[np.str_] | None:
    if args.annotation is None:
        return None
    return site_classes(sites, Annotation.open(args.annotation), genome, args.upstream)


def _tell(scale: DenseScale, least: float, kind: str) -> None:
    """Log what was measured; warn of what it leaves open. `kind` is that of masked scores."""
    overall = scale.overall
    if overall is None:
        if scale.origin == "none":
            log.warning(
                "model %s: scoring.dense.sites is 0 and the checkpoint does not say how its "
                "training hid bases: the dense LLRs are on another scale than masked ones (lower "
                "by a constant that nobody knows); ranks and percentiles are right",
                scale.model,
            )
        return
    log.info(
        "model %s: dense LLRs + %.3f nats (%s) against masked ones: Spearman %s, RMSE %.3f nats",
        scale.model,
        scale.constant,
        scale.origin,
        _shown(overall.spearman),
        overall.rmse,
    )
    if overall.spearman is None or overall.spearman < least:
        log.warning(
            "model %s: dense scores stand badly for masked ones: their rank correlation "
            "(Spearman) over %d SNVs is %s, less than scoring.dense.least_spearman (%g); score "
            "masked sites (models.%s.score: %s), or look at %s by region before using them",
            scale.model,
            overall.snvs,
            _shown(overall.spearman),
            least,
            scale.model,
            kind,
            f"dense/{scale.model}.json",
        )


def _shown(correlation: float | None) -> str:
    return "not defined" if correlation is None else f"{correlation:.3f}"
