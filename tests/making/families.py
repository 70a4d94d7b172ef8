"""Checkpoints with their authors' answers: how each is scored, and which columns those are."""

import csv
from dataclasses import dataclass, field

CHECKED = (
    *("nt_v1", "nt_v2", "specieslm_k1", "specieslm_k6", "splicebert", "dnabert2", "hyenadna"),
    *("caduceus_ph", "caduceus_ps", "phylogpn", "gpt2_char", "llama_char"),
)


@dataclass
class Entry:
    """An entry of `models`: its checkpoint, its keys, and file → our column → the file's."""

    checkpoint: str
    keys: dict
    files: dict = field(default_factory=dict)

    def config(self, families):
        return {"path": str(families / self.checkpoint), **self.keys}


def strands(column, forward, reverse=None, mean=None):
    columns = {f"{column}_fwd": forward}
    columns |= {f"{column}_rev": reverse} if reverse else {}
    return columns | ({column: mean} if mean else {})


def llr(prefix=""):
    return strands("llr", f"{prefix}fwd", f"{prefix}rev", f"{prefix}mean")


def entries(families):
    """Name in the config → entry. `species` is looked up in the checkpoint's files."""
    both = {"strands": "both"}
    scores = "scores.tsv"
    result = {
        "nt1": Entry("nt_v1", {"window": 198}, {scores: llr()}),
        "nt2": Entry("nt_v2", {"window": 198}, {scores: llr()}),
        "k1": Entry(
            "specieslm_k1",
            {"family": "species_lm", "window": 128},
            {scores: strands("llr", "marginal_fwd", "marginal_rev")},
        ),
        "k6": Entry(
            "specieslm_k6",
            {"family": "species_lm", "window": 128},
            {scores: strands("llr", "marginal_fwd", "marginal_rev")},
        ),
        "k6_joint": Entry(
            "specieslm_k6",
            {"family": "species_lm", "window": 128, "score": "masked"},
            {scores: llr("joint_")},
        ),
        "k6_wide": Entry(
            "specieslm_k6",
            {"family": "species_lm", "window": 2000, "score": "masked"},
            {"scores_w2000.tsv": llr("joint_")},
        ),
        "splice": Entry(
            "splicebert",
            {"family": "splicebert", "window": 128, **both},
            {scores: strands("probability", "prob_diff_fwd", "prob_diff_rev")},
        ),
        "splice_llr": Entry(
            "splicebert",
            {"family": "splicebert", "window": 128, "score": "masked", **both},
            {scores: strands("llr", "llr_fwd", "llr_rev")},
        ),
        "splice_kl": Entry(
            "splicebert",
            {"family": "splicebert", "window": 128, "score": "divergence", **both},
            {scores: strands("divergence", "kl_mean_fwd", "kl_mean_rev")},
        ),
        "bpe": Entry(
            "dnabert2",
            {"window": 129, **both},
            {scores: strands("cosine", "cosine_centre_fwd", "cosine_centre_rev")},
        ),
        "bpe_first": Entry(
            "dnabert2",
            {"window": 129, "embedding": "first"},
            {scores: strands("cosine", "cosine_idx0_fwd")},
        ),
        "bpe_l2": Entry(
            "dnabert2",
            {"window": 129, "score": "euclidean"},
            {scores: strands("euclidean", "l2_centre_fwd")},
        ),
        "hyena": Entry(
            "hyenadna", {"window": 128}, {scores: llr(), "scores_indel.tsv": llr("mean_")}
        ),
        "hyena_sum": Entry(
            "hyenadna",
            {"window": 128, "score": "likelihood"},
            {"scores_indel.tsv": strands("llr", "sum_fwd", "sum_rev")},
        ),
        "cad_ph": Entry("caduceus_ph", {"window": 127}, {scores: llr()}),
        "cad_ps": Entry("caduceus_ps", {"window": 127}, {scores: llr()}),
        "plant_ph": Entry(
            "caduceus_ph",
            {"family": "plantcaduceus", "window": 128},
            {scores: strands("llr", "plantcad")},
        ),
        "plant_ps": Entry(
            "caduceus_ps",
            {"family": "plantcaduceus", "window": 128},
            {scores: strands("llr", "plantcad")},
        ),
        "phylo": Entry("phylogpn", {"window": 49, **both}, {scores: llr()}),
    }
    for name, short in (("gpt2_char", "gpt"), ("llama_char", "llama")):
        for score, prefix in (("likelihood", "sum"), ("mean_likelihood", "mean")):
            for counted, what in (("nucleotides", "nt"), ("all", "all")):
                columns = llr(f"{prefix}_{what}_")
                result[f"{short}_{prefix}_{what}"] = Entry(
                    name,
                    {"window": 128, "score": score, "counted": counted},
                    {scores: columns, "scores_indel.tsv": columns},
                )
    if families is not None:
        for entry in result.values():
            if entry.checkpoint.startswith("specieslm"):
                entry.keys["species"] = species_of(families / entry.checkpoint)
    return result


def species_of(folder):
    """The species that the answers are of, as the folder's README names it."""
    text = (folder / "README.md").read_text()
    return text.split("species used: ")[1].split(" ")[0]


def sites_of(folder):
    """The SNVs of a checkpoint's answers: (chrom, pos, ref, alt)."""
    rows = set()
    for file in sorted(folder.glob("scores*.tsv")):
        if file.name != "scores_indel.tsv":
            rows |= _rows(file)
    return rows


def _rows(file):
    with file.open() as handle:
        return {
            (row["chrom"], int(row["pos"]), row["ref"], row["alt"])
            for row in csv.DictReader(handle, delimiter="\t")
        }


def genome_of(families):
    """The one contig that the answers are of."""
    lines = (families / "genome.fa").read_text().splitlines()
    return "".join(line for line in lines if not line.startswith(">")).upper()


def indels_as_normalised(folder):
    """Those of a checkpoint's indels and MNVs that are written in their normal form."""
    file = folder / "scores_indel.tsv"
    if not file.is_file():
        return set()
    genome = genome_of(folder.parent)
    return {row for row in _rows(file) if _is_normal(genome, row)}


def _is_normal(genome, row):
    """Whether an allele is parsimonious, and cannot be moved to the left (Tan et al. 2015)."""
    from varlm.variants.normalisation import left_align, trim

    _, pos, ref, alt = row
    import numpy as np

    sequence = np.frombuffer(genome.encode(), np.uint8)
    start, normal_ref, normal_alt, _ = left_align(
        sequence, trim(pos - 1, ref.encode(), alt.encode())
    )
    return (start, normal_ref.decode(), normal_alt.decode()) == (pos, ref, alt)
