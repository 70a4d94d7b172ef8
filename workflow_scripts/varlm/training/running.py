"""One training from its corpus to its tensors: a network's, or a Markov chain's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from varlm.errors import UserError
from varlm.models.corruption import Corruption
from varlm.models.markov import MODEL_TYPE, order_of, table_name
from varlm.training.batches import CORRUPTION
from varlm.training.corpus import Corpus
from varlm.training.families import new_network
from varlm.training.loop import Row, Training, identity
from varlm.training.markov import fit
from varlm.training.processes import Processes
from varlm.training.settings import Settings
from varlm.training.starting import start_from

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What a training made.

    Attributes
    ----------
    config : dict
        For config.json.
    tensors : dict
        Name → tensor.
    curve : list of dict
        The rows of the learning curve.
    hidden : Corruption or None
        How the bases were hidden that it learnt to predict; None where none were.
    """

    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    curve: list[Row]
    hidden: Corruption | None = None


def count_chain(corpus: Corpus, model: Mapping[str, Any], start: Path | None) -> Trained:
    """Make a Markov chain: one pass over the genomes.

    Parameters
    ----------
    corpus : Corpus
    model : mapping
        `family` and `order` of the config.
    start : Path or None

    Raises
    ------
    UserError
        If it is to start from a checkpoint, or has another option than its order.
    """
    if start is not None:
        raise UserError(
            "train.<name>.start: a Markov chain is counted anew from its genomes; remove the key"
        )
    surplus = set(model) - {"family", "order"}
    if surplus:
        raise UserError(
            f"train.<name>.model: {', '.join(sorted(surplus))}: no option of a Markov chain, which "
            "has only its order"
        )
    config = {"model_type": MODEL_TYPE, "order": model.get("order", 8)}
    tables, curve = fit(corpus, order_of(config, Path("train.<name>.model")))
    tensors = {table_name(k): torch.from_numpy(table) for k, table in enumerate(tables)}
    return Trained(config, tensors, curve)


def train_network(
    corpus: Corpus,
    model: Mapping[str, Any],
    settings: Settings,
    *,
    start: Path | None,
    device: Callable[[], torch.device],
    state: Path,
    on_row: Callable[[list[Row]], None],
) -> Trained | None:
    """Train a network, as one of the training's processes.

    Parameters
    ----------
    corpus : Corpus
    model : mapping
        `family` and its options, of the config.
    settings : Settings
    start : Path or None
        Checkpoint folder with the first weights.
    device : callable
        Returns one for this process alone, which may mean to wait: it is called once the model is
        made, and not where the config is wrong.
    state : Path
        File to go on from.
    on_row : callable
        Called with the learning curve, in the first process, after each new row.

    Returns
    -------
    Trained or None
        None in all processes but the first.
    """
    torch.manual_seed(settings.seed)
    family = new_network(model, corpus.window)
    made_of = identity(family.config, corpus, settings)
    if start is not None:
        made_of["start"] = start_from(family, start)
    processes = Processes.join(device())
    training = Training(family.network, corpus, settings, processes, made_of)
    count = sum(p.numel() for p in family.network.parameters())
    log.info("%s, %.3g M parameters, on %s", family.name, count / 1e6, processes.device)
    training.run(state, on_row=lambda _: on_row(training.curve))
    hidden = None if family.network.causal else CORRUPTION
    trained = Trained(family.config, training.best_tensors(), training.curve, hidden)
    processes.leave()
    return trained if processes.first else None
