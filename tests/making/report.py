"""Made-up inputs of a report: a genome, an annotated table of any length, the JSON beside it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from making.records import (
    accounted_contig,
    accounting,
    commit_record,
    plan,
    prepared_model,
    shard_run,
)
from varlm.files.whole import write_digest
from varlm.report.distributions import bins_for, of_values
from varlm.report.summaries import ClassHistogram, CohortSummary, ModelSummary
from varlm.scoring.plan_record import Counts
from varlm.tables.columns import kinds_of
from varlm.tables.parquet import ROW_GROUP, Column, write_pieces, write_table
from varlm.tables.schemas import (
    BACKGROUND,
    LOGIT_COLUMNS,
    PICTURES,
    REJECTED,
    annotated,
)
from varlm.tables.score_kinds import SCORE_KINDS, ScoreKind, score_columns
from varlm.variants.accounting import AccountedFile, Accounting
from varlm.variants.rejected import write_rejected

# Class → share of the alleles, mean and spread of its LLR, impact, and a protein change.
CLASSES = {
    "intergenic_variant": (0.10, -0.9, 1.3, "MODIFIER", False),
    "upstream_gene_variant": (0.14, -1.1, 1.4, "MODIFIER", False),
    "downstream_gene_variant": (0.07, -1.0, 1.4, "MODIFIER", False),
    "synonymous_variant": (0.33, -0.8, 1.5, "LOW", True),
    "missense_variant": (0.30, -2.6, 2.0, "MODERATE", True),
    "5_prime_UTR_variant": (0.02, -1.4, 1.5, "MODIFIER", False),
    "3_prime_UTR_variant": (0.02, -1.2, 1.4, "MODIFIER", False),
    "stop_gained": (0.005, -4.6, 2.2, "HIGH", True),
    "start_lost": (0.002, -5.0, 2.3, "HIGH", True),
    "frameshift_variant": (0.005, -4.2, 3.0, "HIGH", False),
    "splice_region_variant": (0.004, -1.9, 1.8, "LOW", False),
    "intron_variant": (0.003, -1.2, 1.4, "MODIFIER", False),
    "stop_lost": (0.0007, -3.3, 2.3, "HIGH", True),
    "splice_donor_variant": (0.0003, -6.0, 2.0, "HIGH", False),
}
YEAST = {
    "chrI": 230_218,
    "chrII": 813_184,
    "chrIII": 316_620,
    "chrIV": 1_531_933,
    "chrV": 576_874,
    "chrVI": 270_161,
    "chrVII": 1_090_940,
    "chrVIII": 562_643,
    "chrIX": 439_888,
    "chrX": 745_751,
    "chrXI": 666_816,
    "chrXII": 1_078_177,
    "chrXIII": 924_431,
    "chrXIV": 784_333,
    "chrXV": 1_091_291,
    "chrXVI": 948_066,
    "chrM": 85_779,
}
EXTRA = (
    Column("info_CLNSIG", pl.String(), "INFO/CLNSIG: clinical significance"),
    Column("repeats_overlap", pl.Boolean(), "whether a stretch of the BED file repeats has it"),
    Column("phylop", pl.Float32(), "mean of the bigWig phylop over the allele"),
)

# Kind of score → what models/{model}.json says of a model that has it.
FAMILIES: dict[str, dict[str, Any]] = {
    "probability": {"family": "splicebert", "model_type": "bert"},
    "cosine": {
        "family": "dnabert2",
        "model_type": "dnabert2",
        "options": {"embedding": "variant"},
    },
    "likelihood": {
        "family": "hyenadna",
        "model_type": "hyenadna",
        "options": {"counted": "all"},
    },
    **{
        score: {"family": "nucleotide_transformer", "model_type": "esm"}
        for score in ("marginal", "dense", "euclidean", "inner_product", "influence", "divergence")
    },
    "mean_likelihood": {"family": "llama", "model_type": "llama"},
}


@dataclass
class ReportInputs:
    """The files of a report and the command line that names them."""

    folder: Path
    cohort: str
    models: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    browsers: list[str] = field(default_factory=list)
    top_hits: int = 200
    pictures: int = 4
    flank: int = 12
    with_rejected: bool = True
    annotation: Path | None = None

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    def arguments(self) -> list[str]:
        """Return the command line after `varlm`."""
        f = self.folder
        (f / "settings.json").write_text(json.dumps(self.settings))
        words = ["report", "--annotated", f / "annotated.parquet"]
        if self.annotation:
            words += ["--annotation-summary", self.annotation]
        if self.with_rejected:
            words += ["--rejected", f / "rejected.tsv.gz"]
        words += ["--accounting", f / "accounting.json", "--reference", f / "reference"]
        for model in self.models:
            words += ["--model", f / "models" / f"{model}.json"]
            words += ["--plan", f / "plan" / model / "plan.json"]
            words += ["--committed", f / "commits" / f"{model}.json"]
            words += ["--background", f / "background" / f"{model}.parquet"]
            words += ["--pictures", f / "pictures" / f"{model}.parquet"]
            if (dense := f / "dense" / f"{model}.json").exists():
                words += ["--dense", dense]
        for browser in self.browsers:
            words += ["--browser", browser]
        words += ["--results", f, "--cohort", self.cohort, "--settings", f / "settings.json"]
        words += ["--top-hits", self.top_hits, "--pictures-count", self.pictures]
        words += ["--flank", self.flank, "--report", self.report]
        words += ["--figures", f / "figures", "--multiqc", f / f"{self.cohort}_mqc.json"]
        words += ["--summary", f / "report.json"]
        return [str(value) for value in words]

    def make(self) -> str:
        """Run the step and return the page."""
        from varlm.cli import main

        assert main(self.arguments()) == 0
        return self.report.read_text(encoding="utf-8")


def make_inputs(
    folder: Path,
    rows: int = 3000,
    models: tuple[str, ...] | dict[str, str] = ("gpn",),
    lengths: dict[str, int] | None = None,
    seed: int = 0,
    with_consequences: bool = True,
    with_af: bool = True,
    strands: str = "both",
    background_rows: int = 3000,
    rejected: pl.DataFrame | None = None,
    edit: Any = None,
    cohort: str = "cohort",
) -> ReportInputs:
    """Write all inputs of a report; `edit` may change the annotated table's pieces.

    `models` are names, all of masked LLRs, or name → kind of score.
    """
    kinds = kinds_of(
        {model: SCORE_KINDS[score] for model, score in models.items()}
        if isinstance(models, dict)
        else models
    )
    rng = np.random.default_rng(seed)
    lengths = lengths or {"chr1": 30_000, "chr2": 12_000}
    write_reference(folder / "reference", lengths, rng)
    table = annotated(kinds, EXTRA)
    write_pieces(
        (
            edit(piece) if edit else piece
            for piece in _pieces(
                folder, rows, kinds, lengths, rng, with_consequences, with_af, strands
            )
        ),
        folder / "annotated.parquet",
        table,
        {f"varlm.column.{column.name}": column.meaning for column in table.columns},
    )
    write_digest(folder / "annotated.parquet")
    alleles = pl.read_parquet(folder / "annotated.parquet", columns=["chrom", "kind"])
    if rejected is None:
        rejected = some_rejected()
    write_rejected(rejected, folder / "rejected.tsv.gz")
    entry = make_accounting(cohort, alleles, rejected, lengths)
    entry.write(folder / "accounting.json")
    for name in ("models", "commits", "background", "pictures", "plan"):
        (folder / name).mkdir(exist_ok=True)
    for i, (model, kind) in enumerate(kinds.items()):
        _write_model(folder, model, kind, i, entry, rng, lengths, background_rows, strands)
    return ReportInputs(folder, cohort, list(models))


def write_reference(folder: Path, lengths: dict[str, int], rng: np.random.Generator) -> None:
    """Write a random genome with an N stretch at the start of its first contig."""
    from varlm.genome.encoding import index_reference

    folder.mkdir(parents=True, exist_ok=True)
    fasta = folder.parent / "input.fa"
    with fasta.open("w") as out:
        for i, (name, length) in enumerate(lengths.items()):
            letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, length)].copy()
            if i == 0:
                letters[:20] = ord("N")
            out.write(f">{name}\n{letters.tobytes().decode()}\n")
    index_reference(fasta, folder)


def some_rejected() -> pl.DataFrame:
    """Return a few rejected alleles of three reasons."""
    rows = [
        *(("chr1", str(100 + i), ".", "A", "<DEL>", "symbolic", "ALT <DEL>") for i in range(7)),
        ("chr9", "5", "rs1", "A", "C", "contig_unknown", "CHROM 'chr9'"),
        ("chr1", "77", ".", "G", "T", "ref_mismatch", "REF G, the reference has A"),
    ]
    return pl.DataFrame(
        [(*row, 0, i, 1) for i, row in enumerate(rows)], schema=REJECTED.schema, orient="row"
    )


def make_accounting(
    cohort: str, alleles: pl.DataFrame, rejected: pl.DataFrame, lengths: dict[str, int]
) -> Accounting:
    """Return an accounting that adds up."""
    records = dict(alleles["chrom"].value_counts().iter_rows())
    snv = int((alleles["kind"] == "snv").sum())
    total = alleles.height + rejected.height
    file = AccountedFile(
        path=f"data/{cohort}.vcf.gz",
        format="vcf.bgzip",
        records=total,
        alleles=total,
        sha256="0" * 64,
    )
    return accounting(
        cohort=cohort,
        files=(file,),
        alleles_in=total,
        accepted=alleles.height,
        rejected=rejected.height,
        by_reason=dict(rejected["reason"].value_counts(sort=True).sort("reason").iter_rows()),
        sites=snv,
        other_alleles=alleles.height - snv,
        contigs=tuple(
            accounted_contig(
                chrom,
                chrom if chrom in lengths else next(iter(lengths)),
                records=n,
                how="same name" if chrom in lengths else "alias",
                ref_checked=n,
            )
            for chrom, n in records.items()
        ),
        contigs_without_records=tuple(name for name in lengths if name not in records),
    )


def _write_model(folder, model, kind, i, entry, rng, lengths, background_rows, strands):
    key = f"{i}" * 32
    more = {} if kind.name == "masked" else {"score": kind.name, **FAMILIES[kind.name]}
    prepared = prepared_model(
        name=model,
        path=f"models/{model}",
        folder=Path(f"models/{model}"),
        window=512,
        strands=strands,
        precision="auto",
        key=key,
        **more,
    )
    prepared.write(folder / "models" / f"{model}.json")
    (folder / "plan" / model).mkdir(exist_ok=True)
    others = entry.other_alleles if kind.alleles else 0
    counts = Counts(
        sites=entry.sites,
        sites_from_store=entry.sites // 4,
        sites_scored=entry.sites - entry.sites // 4,
        alleles=others,
        alleles_scored=others,
    )
    background = Counts(sites=1000, sites_scored=1000)
    plan(model, (entry.cohort,), counts, key=key, background=background, damaged={}).write(
        folder / "plan" / model / "plan.json"
    )
    rows = {"sites": counts.sites_scored + 1000, "alleles": counts.alleles}
    run = shard_run(
        **rows,
        arithmetic="bfloat16 products, float32 sums",
        seconds=12.5 + (entry.sites + entry.other_alleles) / 400,
    )
    commit = commit_record(model=model, key=key, **rows, runs=(run,))
    commit.write(folder / "commits" / f"{model}.json")
    llr = scores_like(rng.normal(-1.4, 1.7, background_rows), kind)
    background = pl.DataFrame(
        {
            "contig": ["SQ.x"] * background_rows,
            "pos": np.arange(background_rows) + 1,
            "ref": ["A"] * background_rows,
            "alt": ["C"] * background_rows,
            "llr": llr,
        }
    ).cast(BACKGROUND.schema)
    write_table(background, folder / "background" / f"{model}.parquet", BACKGROUND)
    if kind.distribution:
        write_pictures(folder, model, rng, lengths, strands)
    else:
        write_table(PICTURES.empty(), folder / "pictures" / f"{model}.parquet", PICTURES)


def write_pictures(folder, model, rng, lengths, strands="both", count=24, flank=30):
    """Write logits around the model's lowest alleles, as score_pictures would."""
    from varlm.genome.reference import Genome
    from varlm.results.top_hits import picture_positions, pictured, top_hits

    genome = Genome.open(folder / "reference")
    contigs = Accounting.read(folder / "accounting.json").contig_of_chrom
    positions: dict[str, set[int]] = {}
    hits = pictured(top_hits(folder / "annotated.parquet", [model], count)[model], count)
    for row in hits.iter_rows(named=True):
        contig = contigs[row["chrom"]]
        positions.setdefault(contig, set()).update(
            picture_positions(genome, contig, row["pos"], row["ref"], flank).tolist()
        )
    frames = [PICTURES.empty()]
    for contig in sorted(positions):
        pos = np.array(sorted(positions[contig]))
        letters = genome.sequence(contig)[pos - 1]
        logits = rng.normal(0, 0.7, (len(pos), 2, 4))
        known = np.searchsorted(np.frombuffer(b"ACGT", np.uint8), letters)
        sure = rng.gamma(1.2, 2.2, len(pos))
        logits[np.arange(len(pos)), :, known] += sure[:, None]
        columns = dict(zip(LOGIT_COLUMNS, logits.reshape(-1, 8).T, strict=True))
        frame = pl.DataFrame({"contig": [contig] * len(pos), "pos": pos, **columns})
        if strands == "forward":
            frame = frame.with_columns(pl.lit(None).alias(name) for name in LOGIT_COLUMNS[4:])
        frames.append(frame.cast(PICTURES.schema))
    write_table(pl.concat(frames), folder / "pictures" / f"{model}.parquet", PICTURES)


def scores_like(llr: np.ndarray, kind: ScoreKind) -> np.ndarray:
    """Return scores of a kind that rank as LLRs do, from the harmful end."""
    match kind.column:
        case "llr":
            return llr
        case "probability":
            return np.tanh(llr / 4)
        case "inner_product":
            return 310 + llr
    return (0.002 if kind.column == "cosine" else 1.5) * np.exp(-0.5 * llr)


def _pieces(folder, rows, kinds, lengths, rng, with_consequences, with_af, strands):
    """Yield the annotated table in pieces, in genome order; shares per contig by length."""
    from varlm.genome.reference import Genome

    genome = Genome.open(folder / "reference")
    total = sum(lengths.values())
    table = annotated(kinds, EXTRA)
    names = list(CLASSES)
    shares = np.array([CLASSES[name][0] for name in names])
    shares /= shares.sum()
    done, before = 0, 0
    for contig, length in lengths.items():
        before += length
        first, done = done, rows * before // total
        n = done - first
        pos = np.sort(rng.integers(25, length - 60, n))
        letters = genome.sequence(contig)
        for start in range(0, n, ROW_GROUP):
            at = pos[start : start + ROW_GROUP]
            yield _piece(
                contig,
                letters,
                at,
                first + start,
                kinds,
                table,
                rng,
                names,
                shares,
                with_consequences,
                with_af,
                strands,
            )


def _piece(
    contig,
    letters,
    pos,
    record,
    kinds,
    table,
    rng,
    names,
    shares,
    with_consequences,
    with_af,
    strands,
):
    n = len(pos)
    bases = np.array(list("ACGT"))
    ref = np.searchsorted(np.frombuffer(b"ACGT", np.uint8), letters[pos - 1])
    alt = (ref + rng.integers(1, 4, n)) % 4
    kind = np.where(rng.random(n) < 0.04, np.where(rng.random(n) < 0.5, "ins", "del"), "snv")
    refs, alts = bases[ref].astype(object), bases[alt].astype(object)
    longer = rng.integers(1, 6, n)
    for i in np.flatnonzero(kind == "ins"):
        alts[i] = refs[i] + "".join(bases[rng.integers(0, 4, longer[i])])
    for i in np.flatnonzero(kind == "del"):
        alts[i] = refs[i]
        refs[i] = letters[pos[i] - 1 : pos[i] + longer[i]].tobytes().decode()
    which = rng.choice(len(names), n, p=shares)
    mean = np.array([CLASSES[name][1] for name in names])[which]
    spread = np.array([CLASSES[name][2] for name in names])[which]
    gene = np.char.add("G", (pos // 2000).astype(str)).astype(object)
    af = np.clip(rng.beta(0.25, 2.5, n), 1e-5, 1)
    columns: dict[str, Any] = {
        "chrom": [contig] * n,
        "pos": pos,
        "id": [f"rs{p}" if p % 3 else None for p in pos],
        "ref": refs.tolist(),
        "alt": alts.tolist(),
        "input_pos": pos,
        "input_ref": refs.tolist(),
        "input_alt": alts.tolist(),
        "kind": kind,
        "af": af if with_af else [None] * n,
        "info_CLNSIG": [None if p % 50 else "Pathogenic" for p in pos],
        "repeats_overlap": rng.random(n) < 0.1,
        "phylop": rng.normal(0.4, 1.0, n),
        "file": [0] * n,
        "record": np.arange(record, record + n),
        "allele": [1] * n,
    }
    if with_consequences:
        terms = [names[i] for i in which]
        change = np.array([CLASSES[name][4] for name in names])[which]
        columns |= {
            "consequence": terms,
            "impact": [CLASSES[term][3] for term in terms],
            "gene": gene,
            "gene_id": gene,
            "transcript": [f"{g}_T1" for g in gene],
            "biotype": ["protein_coding"] * n,
            "strand": np.where(pos % 4000 < 2000, "+", "-"),
            "protein_change": [
                f"{p % 500}A>{p % 500}V" if c else None for p, c in zip(pos, change, strict=True)
            ],
            "nearest_gene": gene,
            "tss_distance": pos % 2000,
        }
    for model, of_kind in kinds.items():
        llr = rng.normal(mean, spread) - 0.25 * (af < 0.01)
        noise = rng.normal(0, 0.5, n)
        p_ref = 1 / (1 + np.exp(llr))
        forward, reverse = scores_like(llr + noise, of_kind), scores_like(llr - noise, of_kind)
        score = llr if of_kind.is_llr else (forward + reverse) / 2
        values = {
            of_kind.column: score,
            f"{of_kind.column}_fwd": forward,
            f"{of_kind.column}_rev": reverse,
            "entropy": np.clip(1.38 * rng.beta(2, 1, n), 0, np.log(4)),
            "p_ref": p_ref * 0.9,
            "p_alt": (1 - p_ref) * 0.9,
            "percentile": 100 / (1 + np.exp(-(llr + 1.4) / 0.95)),
        }
        if strands == "forward":
            one = scores_like(llr, of_kind)
            values |= dict.fromkeys((of_kind.column, f"{of_kind.column}_fwd"), one)
            values[f"{of_kind.column}_rev"] = np.full(n, np.nan)
        if of_kind.alleles is None:
            values = {name: np.where(kind == "snv", v, np.nan) for name, v in values.items()}
        columns |= {f"{model}_{name}": values[name] for name, _ in score_columns(of_kind)}
    frame = pl.DataFrame(
        {name: columns.get(name, [None] * n) for name in table.names}, strict=False
    )
    frame = frame.cast(table.schema)
    scores = [
        f"{m}_{name}"
        for m, of_kind in kinds.items()
        if of_kind.distribution
        for name in ("entropy", "p_ref", "p_alt")
    ]
    return frame.with_columns(pl.col(pl.Float32).fill_nan(None)).with_columns(
        pl.when(pl.col("kind") == "snv").then(pl.col(name)) for name in scores
    )


def summary(cohort, llrs, **changes) -> CohortSummary:
    """What a report leaves: one class a key of `llrs`, whose values are LLRs."""
    classes = tuple(
        ClassHistogram.of(name, of_values(np.array(values))) for name, values in llrs.items()
    )
    planned = Counts(sites_scored=3, alleles_scored=1, sites_from_store=40, alleles_from_store=2)
    total = sum(map(len, llrs.values()))
    entry = CohortSummary(
        cohort=cohort,
        alleles_in=total + 5,
        accepted=total,
        rejected=5,
        rejected_by_reason={"symbolic": 5},
        class_column="consequence",
        models={"m": ModelSummary(planned=planned, classes=classes)},
    )
    return replace(entry, **changes)


def scaled_summary(cohort, score, scores, background) -> CohortSummary:
    """As `summary`, of another kind of score: its bins are made to `background`."""
    kind = SCORE_KINDS[score]
    bins = bins_for(kind, np.array(background))
    classes = tuple(
        ClassHistogram.of(name, of_values(np.array(values), bins))
        for name, values in scores.items()
    )
    of_model = ModelSummary(planned=Counts(), classes=classes, score=score, bins=bins)
    return summary(cohort, {}, models={"m": of_model})


def block(html, name):
    """Return a JSON data block of a page."""
    match = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html, re.S)
    return json.loads(match[1])


def words(html):
    """Return the page's markup without scripts and style sheets."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.S)
