"""The families of language models: how each is recognised and scored, as plain data.

The code of a family is two short modules of one name: `varlm.models.families` (what identifies a
checkpoint: its tokeniser and longest window; no torch) and `varlm.models.networks` (torch). The
defaults are those of its authors' own scores; docs/models.md says where they are published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

# Kinds of score: of one pass over a site; of four, each with another base there; of whole windows.
_MASKED = ("masked", "dense", "probability")
_COMPARED = ("cosine", "euclidean", "inner_product", "influence", "divergence")
_CAUSAL = ("mean_likelihood", "likelihood")


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of models.

    Attributes
    ----------
    name : str
        Value of the config key `models.NAME.family`.
    title : str
        For humans.
    model_types : tuple of str
        `model_type` of config.json by which it is recognised; several families may share one.
    auto_map : str
        What values of `auto_map` in a config.json begin with; such goes before model_type.
    scores : tuple of str
        Kinds of score (`varlm.tables.score_kinds`), the published one first.
    window : int
        bp; published.
    strands : str
        both, forward or transcript; published.
    centre : str
        Where the site lies in an even window of W bp: right (index W//2) or left (W//2 − 1).
    ends : str
        What a window past an end of the contig is there: padded, or clipped.
    tile : int or None
        bp that one pass of dense scoring answers, of a network that reads a window on each side of
        them; None: the middle half of a window.
    alleles : bool
        Whether it scores indels and MNVs, of kinds that can: k-mers and single answers do not.
    embeddings : bool
        Whether it has hidden states of bases.
    options : mapping
        Option → its default; keys below `models.NAME`. None: has to be given.
    network : str
        Module of `varlm.models` that loads it; `networks.{name}` unless it says another.
    identity : str
        Module of `varlm.models.families`; the name unless it says another.
    typed : bool
        Whether its code reads `model_type`, so that config.json has to name one of `model_types`.
    effort : float
        Time that a bp takes on a CPU for each weight, in that of a matrix product: what the first
        shards' size is estimated by. Tokens of several bp take less, scans more.
    bare_key : bool
        Whether masked scores have the store's key of before there were families and kinds of score,
        which names neither.
    version : int
        Raise this when the code changes a score of this family by more than rounding.
    """

    name: str
    title: str
    model_types: tuple[str, ...] = ()
    auto_map: str = "\0"
    scores: tuple[str, ...]
    window: int = 512
    strands: Literal["both", "forward", "transcript"] = "both"
    centre: Literal["right", "left"] = "right"
    ends: Literal["padded", "clipped"] = "padded"
    options: Mapping[str, str | int | None] = field(default_factory=dict)
    tile: int | None = None
    alleles: bool = True
    embeddings: bool = True
    network: str = ""
    identity: str = ""
    typed: bool = False
    effort: float = 1.0
    bare_key: bool = False
    version: int = 1

    def option_defaults(self, score: str) -> dict[str, str | int | None]:
        """Return every option of the family with a kind of score → its default."""
        own = {n: v for n, v in self.options.items() if n != "counted" or score in _CAUSAL}
        return {**own, **KIND_OPTIONS.get(score, {})}

    def problems(self, score: str, options: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Yield what a model's keys say that the family does not have: key, and what is wrong.

        Parameters
        ----------
        score : str
            Kind of score.
        options : mapping
            Option → value, of those that are set.
        """
        if score not in self.scores:
            known = ", ".join(self.scores)
            yield (
                "score",
                f"found {score!r}; {self.title} has {known}: set one of these, or remove the key",
            )
            return
        defaults = self.option_defaults(score)
        for name, value in options.items():
            values = OPTION_VALUES[name]
            if name not in defaults:
                of_it = f"the options {', '.join(defaults)}" if defaults else "no options"
                yield (
                    name,
                    f"found {value!r}; {self.title} with the score {score} has {of_it}: remove the "
                    "key",
                )
            elif values is not None and value not in values:
                yield (
                    name,
                    f"found {value!r}, expected one of {', '.join(values)}: set one of these, or "
                    "remove the key",
                )
        for name, default in defaults.items():
            if default is None and name not in options:
                yield name, f"missing; {self.title} needs it: set it"

    @property
    def module(self) -> str:
        """Module of `varlm.models` that loads it."""
        return self.network or f"networks.{self.name}"


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="gpn",
            title="GPN",
            model_types=("GPN", "ConvNet", "GPNRoFormer"),
            network="gpn.model",
            identity="single_bases",
            bare_key=True,
            typed=True,
            scores=(*_MASKED, *_COMPARED[3:]),
        ),
        Family(
            name="lstm",
            title="LSTM of varlm",
            model_types=("VarlmLSTM",),
            network="causal",
            identity="single_bases",
            bare_key=True,
            typed=True,
            scores=("masked", "likelihood", "mean_likelihood"),
        ),
        Family(
            name="gpt",
            title="GPT of varlm",
            model_types=("VarlmGPT",),
            network="causal",
            identity="single_bases",
            bare_key=True,
            typed=True,
            scores=("masked", "likelihood", "mean_likelihood"),
        ),
        Family(
            name="markov",
            title="Markov chain of varlm",
            model_types=("VarlmMarkov",),
            network="markov",
            embeddings=False,
            identity="single_bases",
            bare_key=True,
            typed=True,
            scores=("masked", "likelihood", "mean_likelihood"),
        ),
        Family(
            name="nucleotide_transformer",
            title="Nucleotide Transformer, AgroNT",
            model_types=("esm",),
            auto_map="modeling_esm",
            scores=("masked", "marginal", "dense", *_COMPARED),
            window=5994,
            effort=1 / 6,
            alleles=False,
        ),
        Family(
            name="species_lm",
            title="SpeciesLM",
            model_types=("bert",),
            scores=("marginal", "masked", "dense", *_COMPARED),
            window=1000,
            alleles=False,
            options={"species": None},
        ),
        Family(
            name="splicebert",
            title="SpliceBERT",
            model_types=("bert",),
            scores=("probability", "masked", "dense", *_COMPARED),
            window=510,
            strands="transcript",
        ),
        Family(
            name="dnabert2",
            title="DNABERT-2",
            auto_map="bert_layers",
            scores=_COMPARED[:3],
            window=513,
            effort=1 / 5,
            strands="forward",
        ),
        Family(
            name="hyenadna",
            title="HyenaDNA",
            model_types=("hyenadna",),
            scores=(*_CAUSAL, *_COMPARED[:3]),
            window=1024,
            ends="clipped",
            options={"counted": "all"},
        ),
        Family(
            name="caduceus",
            title="Caduceus",
            model_types=("caduceus",),
            effort=6,  # of 256 channels
            network="networks.caduceus",  # as that of plantcaduceus: the same network
            scores=(*_MASKED, *_COMPARED),
            window=1024,
        ),
        Family(
            name="plantcaduceus",
            title="PlantCaduceus",
            effort=2,
            network="networks.caduceus",
            identity="caduceus",
            scores=(*_MASKED, *_COMPARED),
            window=512,
            strands="forward",
            centre="left",
        ),
        Family(
            name="phylogpn",
            title="PhyloGPN",
            model_types=("phylogpn",),
            scores=("dense",),
            window=481,
            tile=512,
            alleles=False,
            strands="forward",
        ),
        *(
            Family(
                name=name,
                title=f"{title} over nucleotides",
                model_types=(name,),
                network="networks.causal_transformer",
                identity="causal_transformer",
                scores=("likelihood", "mean_likelihood", *_COMPARED[:3]),
                ends="clipped",
                options={"counted": "nucleotides"},
                typed=True,
            )
            for name, title in (("gpt2", "GPT-2"), ("llama", "Llama"), ("mistral", "Mistral"))
        ),
    )
}

# Options of a kind of score, whatever the family: option → its default.
KIND_OPTIONS: dict[str, Mapping[str, str | int | None]] = {
    "cosine": {"embedding": "variant"},
    "euclidean": {"embedding": "variant"},
    "inner_product": {"embedding": "variant"},
    "influence": {"definition": "gagneur"},
    "divergence": {"flank": 50},
}

# Of each option, the values that it may have; None: any that the checkpoint knows.
OPTION_VALUES: dict[str, tuple[str, ...] | None] = {
    "species": None,
    "counted": ("all", "nucleotides"),
    "embedding": ("variant", "first"),
    "definition": ("songlab", "gagneur"),
    "flank": None,
}


def families_like(config: Mapping[str, object]) -> list[Family]:
    """Return the families that a config.json may be of, by its auto_map or its model_type.

    The former goes first: saved again by transformers, a config without model_type has one, of
    the class that the checkpoint's own code builds upon.
    """
    mapped = config.get("auto_map")
    classes = mapped.values() if isinstance(mapped, Mapping) else ()
    # OWNER/NAME--module.Class, where a checkpoint was saved again.
    modules = [name.split("--")[-1] for name in classes if isinstance(name, str)]
    families = FAMILIES.values()
    coded = [f for f in families if any(name.startswith(f.auto_map) for name in modules)]
    return coded or [f for f in families if config.get("model_type") in f.model_types]


def family_problem(config: Mapping[str, object], family: str | None) -> str | None:
    """Return what is wrong between a config.json and a family, or None.

    Parameters
    ----------
    config : mapping
        Of config.json.
    family : str, optional
        A key of `FAMILIES`, as the config says; None: config.json has to tell.
    """
    likely, model_type = families_like(config), config.get("model_type")
    names = " and ".join(row.name for row in likely)
    by_code = any(row.model_types == () or model_type not in row.model_types for row in likely)
    sign = "auto_map names the code" if by_code else f"model_type is {model_type!r}, that"
    if family is not None:
        row = FAMILIES[family]
        if likely and row not in likely and not _is_variant(row, likely):
            return (
                f"{sign} of {names}, but the config says models.NAME.family: {family}; correct or "
                "remove that key, or name another checkpoint"
            )
        if row.typed and not likely:
            return (
                f"model_type is {model_type!r}, expected {' or '.join(row.model_types)} of the "
                f"family {family} that the config says: is it another model's?"
            )
        return None
    if len(likely) > 1:
        return (
            f"{sign} of {names}; say in the config which it is, models.NAME.family: "
            f"{' or '.join(row.name for row in likely)}"
        )
    if not likely:
        return (
            f"model_type is {model_type!r}, of no family that varlm knows by it; it scores "
            f"{', '.join(FAMILIES)}: if the model is one of these, say so in the config, "
            "models.NAME.family"
        )
    return None


def _is_variant(row: Family, likely: Sequence[Family]) -> bool:
    """Whether a family that no config.json tells is scored by the code of a likely one."""
    return not row.model_types and any(row.module == other.module for other in likely)
