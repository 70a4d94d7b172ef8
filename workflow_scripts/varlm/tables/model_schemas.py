"""Schemas of what is measured of models by themselves: after a training, and by probes."""

from __future__ import annotations

import polars as pl

from varlm.tables.parquet import Column, Table

_STRING = pl.String()
_U32 = pl.UInt32()
_F64 = pl.Float64()

PERPLEXITY = Table(
    "perplexity",
    (
        Column("model", _STRING, "of the key train; `, one side`: seeing only what is before"),
        Column("strands", _STRING, "forward, reverse, mean (of probabilities) or product"),
        Column("region", _STRING, "region class of the sites, or a group of classes"),
        Column("sites", pl.Int64(), "sites of unseen sequence that were masked, one at a time"),
        Column("perplexity", pl.Float64(), "exp of the mean loss; 4 is a guess, 1 is certain"),
        Column("perplexity_low", pl.Float64(), "its 95 % bootstrap interval"),
        Column("perplexity_high", pl.Float64(), "upper end"),
        Column("ratio", pl.Float64(), "of the perplexity to the first model's (mean), same sites"),
        Column("ratio_low", pl.Float64(), "its 95 % bootstrap interval, paired by site"),
        Column("ratio_high", pl.Float64(), "upper end"),
    ),
)

MUTATED = Table(
    "mutated",
    (
        Column("model", _STRING, "of the key train"),
        Column(
            "likelihood",
            _STRING,
            "causal: each base given those before it; pseudo: given all, in one pass, none masked",
        ),
        Column("most", pl.Int64(), "mutations of a sequence: 1 to so many, at random"),
        Column(
            "kinds", _STRING, "all (insertions, deletions, swaps, substitutions) or substitutions"
        ),
        Column(
            "decision",
            _STRING,
            "what has to be higher for the real sequence: mean, a base's log-likelihood on the "
            "average; sum, the whole sequence's",
        ),
        Column("pairs", pl.Int64(), "real sequences, each with its mutated one"),
        Column("recognised", pl.Int64(), "of them, those whose real sequence is the likelier one"),
        Column("share", pl.Float64(), "recognised / pairs; 0.5 is a guess"),
        Column("share_low", pl.Float64(), "its 95 % interval (Wilson's, binomial)"),
        Column("share_high", pl.Float64(), "upper end"),
    ),
)

_LIKELIHOOD = (
    "causal: each base given those before it; pseudo: given all, in one pass, none masked; masked: "
    "given all others, each base masked in a pass of its own"
)
_LIKELIER = (
    Column("ties", pl.Int64(), "of them, those whose two likelihoods are the same"),
    Column("likelier", _F64, "those whose real bases are the likelier ones, and half of the ties"),
    Column("share", _F64, "of those; 0.5 is a guess"),
    Column("share_low", _F64, "its 95 % interval (Wilson's, binomial)"),
    Column("share_high", _F64, "upper end"),
    Column(
        "difference", _F64, "mean log-likelihood of the real bases less the controls', nats a base"
    ),
    Column("p", _F64, "that it is no higher: one-sided Wilcoxon signed-rank test over the pairs"),
)

ELEMENTS = Table(
    "elements",
    (
        Column("model", _STRING, "of the key train, or of models"),
        Column("likelihood", _STRING, _LIKELIHOOD),
        Column("pairs", pl.Int64(), "elements, each with its dinucleotides shuffled beside it"),
        *_LIKELIER,
    ),
)

MOTIFS = Table(
    "motifs",
    (
        Column("model", _STRING, "of the key train, or of models"),
        Column("likelihood", _STRING, _LIKELIHOOD),
        Column("motif", _STRING, "its identifier in the MEME file"),
        Column("other_name", _STRING, "its alternative name; empty where it has none"),
        Column("consensus", _STRING, "the likeliest base of each position: what is inserted"),
        Column("pairs", pl.Int64(), "windows, each with the motif and with its bases shuffled"),
        *_LIKELIER,
        Column("q", _F64, "Benjamini-Hochberg, over the motifs of this model and likelihood"),
    ),
)

PROBE = Table(
    "probe",
    (
        Column("probe", _STRING, "name in the config"),
        Column("input", _STRING, "model; or one-hot, k-mers, GC: the sequence alone"),
        Column("features", _STRING, "positions (all of them), mean, centre, counts or share"),
        Column("method", _STRING, "ridge, logistic or cnn"),
        Column(
            "metric",
            _STRING,
            "pearson, spearman, auroc or auprc: the mean over folds, weighted by their rows; with "
            "_pooled over all rows at once; null: not measured",
        ),
        Column("rows", _U32, "of the folds that are large enough"),
        Column("folds", _U32, "of whole chromosomes, each predicted by a model of the others"),
        Column("value", _F64, "the metric; null: not measured, see note"),
        Column("low", _F64, "lower end of its 95 % interval (overlapping rows are drawn as one)"),
        Column("high", _F64, "upper end"),
        Column("difference", _F64, "value less that of the reference, the CNN on one-hot sequence"),
        Column("difference_low", _F64, "lower end of its 95 % interval (paired bootstrap)"),
        Column("difference_high", _F64, "upper end"),
        Column("seconds", _F64, "to fit all folds and predict them"),
        Column("note", _STRING, "what else is to be known, for a human"),
    ),
)
