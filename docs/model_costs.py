"""What a site costs with the models of docs/models.md: operations, by the sizes in config.json.

Counted are those of matrix products and convolutions, two for each multiplication and addition, as
varlm computes them: the last layer and the head only where they are read, a causal model's prefix
once for all four bases. Tests hold each count to what torch counts on a small model. Beside them,
by formula alone, Fourier transforms and scans, which are no matrix products.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import scaling

from varlm.genome.tiles import Tiles
from varlm.models.families.phylogpn import Options as PhyloOptions
from varlm.run.model_families import FAMILIES

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Cost:
    """Operations of a site on one strand.

    Attributes
    ----------
    products : float
        Of matrix products and convolutions.
    others : int
        Of Fourier transforms and scans.
    """

    products: float
    others: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Return both."""
        return Cost(self.products + other.products, self.others + other.others)


def encoder(
    tokens: int, asked: int, *, width: int, inner: int, layers: int, gated: bool = False
) -> int:
    """Operations of a transformer whose last layer is read at some tokens.

    Parameters
    ----------
    tokens, asked : int
        Of a window, special ones too; those that are read.
    width, inner, layers : int
    gated : bool
        Whether the feed-forward has three matrices rather than two.
    """

    def layer(queries: int) -> int:
        around = 2 * queries * width**2 + 2 * tokens * width**2  # query, output; key, value
        attention = 2 * queries * tokens * width
        return around + attention + queries * (3 if gated else 2) * width * inner

    return 2 * ((layers - 1) * layer(tokens) + layer(asked))


def head(asked: int, width: int, vocabulary: int) -> int:
    """Operations of a transform and the logits of all tokens of the vocabulary."""
    return 2 * asked * (width**2 + width * vocabulary)


def _sizes(config: Config) -> dict[str, int]:
    names = {"width": "hidden_size", "inner": "intermediate_size", "layers": "num_hidden_layers"}
    return {name: config[key] for name, key in names.items()}


def nucleotide_transformer(config: Config, window: int, index: int) -> Cost:
    """Of one masked 6-mer."""
    del index
    sizes, gated = _sizes(config), "add_bias_fnn" in config
    answer = head(1, sizes["width"], config["vocab_size"])
    return Cost(encoder(1 + window // 6, 1, gated=gated, **sizes) + answer)


def species_lm(config: Config, window: int, index: int) -> Cost:
    """Of the masked k-mers over a base: [CLS], the species, k-mers of stride 1, [SEP]."""
    del index
    k, sizes = config["k"], _sizes(config)
    answer = head(k, sizes["width"], config["vocab_size"])
    return Cost(encoder(window - k + 1 + 3, k, **sizes) + answer)


def splicebert(config: Config, window: int, index: int) -> Cost:
    """Of one masked base, between [CLS] and [SEP]."""
    del index
    sizes = _sizes(config)
    return Cost(encoder(window + 2, 1, **sizes) + head(1, sizes["width"], config["vocab_size"]))


def dnabert2(config: Config, window: int, index: int) -> Cost:
    """Of the windows with each of the four bases; `bases` is that of a token, on average."""
    del index
    tokens = round(window / config["bases"]) + 2
    sizes = _sizes(config)
    # Wqkv is one matrix: in the last layer, too, queries are made of all tokens.
    queries = 2 * (tokens - 1) * sizes["width"] ** 2
    return Cost(4 * (encoder(tokens, 1, gated=True, **sizes) + queries))


def caduceus(config: Config, window: int, index: int) -> Cost:
    """Of one masked base; [SEP] follows the window."""
    del index
    sizes = _mamba(config)
    inner, states, rank = sizes["inner"], sizes["states"], sizes["rank"]
    strands = 2 if config["rcps"] else 1
    own = inner * (rank + 2 * states) + rank * inner + inner * states  # of a direction
    token = 3 * inner * config["d_model"] + 2 * own  # in, out: shared by both directions
    reads = strands * (window + 1) * config["n_layer"]
    answers = strands * config["d_model"] * config["vocab_size"]
    # Of each direction: the short convolution, and exp(Δ·A), ·h, +Δ·B·x of each state.
    beside = 2 * inner * (2 * sizes["taps"] + 5 * states)
    return Cost(2 * (reads * token + answers), reads * beside)


def _mamba(config: Config) -> dict[str, int]:
    options = config["ssm_cfg"]
    rank = options.get("dt_rank", "auto")
    return {
        "inner": options.get("expand", 2) * config["d_model"],
        "states": options.get("d_state", 16),
        "taps": options.get("d_conv", 4),
        "rank": math.ceil(config["d_model"] / 16) if rank == "auto" else rank,
    }


def hyenadna(config: Config, window: int, index: int) -> Cost:
    """Of the prefix, and four times what follows it, the site and [SEP] included."""
    before, after = index, window - index + 1
    width, layers = config["d_model"], config["n_layer"]
    inner, columns = config["d_inner"], config["vocab_size"]
    token = 4 * width**2 + 2 * width * inner
    tokens = before + 4 * after
    answers = (1 + 4 * after) * width * columns
    # Two transforms a convolution; what the prefix adds to what follows is one more.
    transforms = _transforms(2 * before) + 4 * _transforms(2 * after) + _transforms(before + after)
    return Cost(2 * (layers * tokens * token + answers), layers * width * transforms)


def _transforms(points: int) -> int:
    """Operations of a convolution by two Fourier transforms of real values."""
    size = 1 << (points - 1).bit_length()
    return round(2 * 2.5 * size * math.log2(size) + 3 * size)


def phylogpn(config: Config, window: int, index: int) -> Cost:
    """Of a site's share of a tile, of which all are answered at once, on one strand."""
    del index
    options = PhyloOptions(**config)
    size = Tiles.within(window, FAMILIES["phylogpn"].tile).size
    outer, inner, length = options.outer_dim, options.inner_dim, size + 2 * options.halo
    total = 0
    for dilation in options.dilations:
        total += length * outer * inner
        length -= dilation * (options.kernel_size - 1)
        total += length * (options.kernel_size * inner**2 + inner * outer)
    return Cost(2 * (total + length * outer * 4) / size)


def causal_transformer(config: Config, window: int, index: int) -> Cost:
    """Of the prefix, and four times what follows it; `around` special tokens come before, after."""
    first, last = config["around"]
    before, after = first + index, window - index + last
    width, keys = config["hidden_size"], config["key_width"]
    matrices = 3 if config["gated"] else 2
    token = 2 * width**2 + 2 * width * keys + matrices * width * config["intermediate_size"]
    attention = 2 * width * (before**2 + 4 * after * (before + after))
    layers = config["num_hidden_layers"] * ((before + 4 * after) * token + attention)
    return Cost(2 * (layers + (1 + 4 * after) * width * config["vocab_size"]))


def gpn(config: Config, window: int, index: int) -> Cost:
    """Of one masked base, as in docs/scaling.md."""
    return Cost(scaling.flops(dict(config), window, index))


COSTS: dict[str, Callable[[Config, int, int], Cost]] = {
    "gpn": gpn,
    "nucleotide_transformer": nucleotide_transformer,
    "species_lm": species_lm,
    "splicebert": splicebert,
    "dnabert2": dnabert2,
    "hyenadna": hyenadna,
    "caduceus": caduceus,
    "plantcaduceus": caduceus,
    "phylogpn": phylogpn,
    "gpt2": causal_transformer,
}


def _transformer(layers: int, width: int, inner: int, vocabulary: int, **more: Any) -> Config:
    return {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "intermediate_size": inner,
        "vocab_size": vocabulary,
        **more,
    }


def _caduceus(layers: int, width: int) -> Config:
    return {"n_layer": layers, "d_model": width, "vocab_size": 16, "rcps": True, "ssm_cfg": {}}


def _hyena(layers: int, width: int) -> Config:
    return {"n_layer": layers, "d_model": width, "d_inner": 4 * width, "vocab_size": 16}


_V2 = {"add_bias_fnn": False}

# Checkpoint → family, millions of parameters as its authors or its file's size say, config.json.
CHECKPOINTS: dict[str, tuple[str, float, Config]] = {
    "gpn-brassicales": ("gpn", 65.9, scaling.MODELS[scaling.MAIN]),
    "nucleotide-transformer-v2-50m": (
        "nucleotide_transformer",
        56,
        _transformer(12, 512, 2048, 4107, **_V2),
    ),
    "nucleotide-transformer-v2-500m": (
        "nucleotide_transformer",
        500,
        _transformer(29, 1024, 4096, 4107, **_V2),
    ),
    "nucleotide-transformer-500m": (
        "nucleotide_transformer",
        500,
        _transformer(24, 1280, 5120, 4105),
    ),
    "nucleotide-transformer-2.5b": (
        "nucleotide_transformer",
        2500,
        _transformer(32, 2560, 10240, 4105),
    ),
    "agro-nucleotide-transformer-1b": (
        "nucleotide_transformer",
        992,
        _transformer(40, 1500, 5120, 4105),
    ),
    "SpeciesLM, 6-mers, sizes of BERT base (assumed)": (
        "species_lm",
        90,
        _transformer(12, 768, 3072, 4200, k=6),
    ),
    "SpliceBERT": ("splicebert", 19.7, _transformer(6, 512, 2048, 10)),
    "DNABERT-2-117M, 5 bp a token (assumed)": (
        "dnabert2",
        117,
        _transformer(12, 768, 3072, 4096, bases=5),
    ),
    "hyenadna-tiny-1k (width 128)": ("hyenadna", 0.44, _hyena(2, 128)),
    "hyenadna-large-1m": ("hyenadna", 6.6, _hyena(8, 256)),
    "caduceus-ps, 131k": ("caduceus", 7.7, _caduceus(16, 256)),
    "PlantCaduceus_l20": ("plantcaduceus", 20, _caduceus(20, 384)),
    "PlantCaduceus_l32": ("plantcaduceus", 225, _caduceus(32, 1024)),
    "PhyloGPN": ("phylogpn", 83.2, {}),
    "a GPT-2 of 12 layers of 768": (
        "gpt2",
        86,
        _transformer(12, 768, 3072, 9, key_width=768, gated=False, around=(1, 0)),
    ),
}


def site(name: str) -> Cost:
    """Return the cost of a site with a checkpoint: window, strands and kind as published."""
    family, _, config = CHECKPOINTS[name]
    row = FAMILIES[family]
    index = row.window // 2 if row.centre == "right" else (row.window - 1) // 2
    cost = COSTS[family](config, row.window, index)
    if row.strands != "forward":  # transcript: both are scored
        cost += COSTS[family](config, row.window, row.window - 1 - index)
    return cost


def rows() -> list[tuple[str, ...]]:
    """Return the cells of the page's table."""
    first = site(next(iter(CHECKPOINTS))).products
    cells = []
    for name, (family, millions, _) in CHECKPOINTS.items():
        row, cost = FAMILIES[family], site(name)
        cells.append(
            (
                name,
                f"{millions:,g}",
                f"{row.window:,}",
                "1" if row.strands == "forward" else "2",
                scaling.number(cost.products / 1e9),
                scaling.number(cost.others / 1e9) if cost.others else "",
                scaling.number(cost.products / first),
            )
        )
    return cells


HEAD = (
    "model",
    "parameters, M",
    "window, bp",
    "strands",
    "products, GFLOP a site",
    "transforms and scans, GFLOP",
    "products, times those of the first",
)
