"""Alleles in, each accepted or set aside with its reason: the rules, and their order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.genome.regions import Regions
from varlm.variants.accepted import AcceptedAlleles
from varlm.variants.frequencies import allele_frequencies
from varlm.variants.normalisation import left_align, trim
from varlm.variants.options import NormaliseOptions
from varlm.variants.ref_check import (
    AMBIGUOUS,
    MASKED,
    SHOWN,
    WRONG,
    CohortContig,
    check_bases,
    check_texts,
    count_checks,
    has,
    rows_by_contig,
    wrong_ref,
)
from varlm.vcf.lines import VcfSource

_KINDS = pl.Enum(["snv", "mnv", "ins", "del", "delins"])
_MAX_ALTS = 65_535  # the ALT's index has 16 bits


@dataclass
class Sorter:
    """Sorts alleles into accepted and rejected; holds both.

    Attributes
    ----------
    genome, options, regions
        What an allele is held against.
    seen : mapping
        CHROM → contig, in the file that is being taken; every CHROM of its alleles is in it.
    accepted : AcceptedAlleles
    rejected : list
        Tables with the columns of `schemas.REJECTED`.
    af_unreadable : int
        Alleles whose AF, or AC and AN, is given but is no frequency.
    """

    genome: Genome
    options: NormaliseOptions
    regions: Regions | None
    seen: dict[str, CohortContig] = field(default_factory=dict)
    accepted: AcceptedAlleles = field(default_factory=AcceptedAlleles)
    rejected: list[pl.DataFrame] = field(default_factory=list)
    af_unreadable: int = 0
    file: int = field(default=0, init=False)
    source: VcfSource = field(init=False)
    records: pl.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        self._names = self.genome.names

    def take(self, records: pl.DataFrame, file: int, source: VcfSource) -> None:
        """Sort all alleles of some records (`varlm.vcf.columns.read_columns`) of one file.

        Raises
        ------
        UserError
            If `on_ref_mismatch` is `error` and a REF is not the reference's.
        """
        self.file, self.source, self.records = file, source, records
        alleles = split_alleles(records, source)
        frequency = allele_frequencies(alleles)
        self.af_unreadable += int(frequency.unreadable.sum())
        position = alleles["pos"].cast(pl.Int64, strict=False)  # null: more than 18 digits
        alleles = alleles.with_columns(
            frequency.af.alias("af"),
            position.alias("position"),
            pl.col("ref").str.to_uppercase().alias("REF"),
            pl.col("alt").str.to_uppercase().alias("ALT"),
            self._code_of(alleles["chrom"]).alias("code"),
        ).drop("info")
        bases = ["A", "C", "G", "T"]
        substitution = alleles["REF"].is_in(bases) & alleles["ALT"].is_in(bases)
        if substitution.all():
            self._take_substitutions(alleles)
            return
        self._take_substitutions(alleles.filter(substitution))
        self._take_others(alleles.filter(~substitution))

    def _code_of(self, chrom: pl.Series) -> pl.Series:
        names = chrom.unique()
        if len(names) == 1:
            return pl.repeat(self.seen[names[0]].code, len(chrom), dtype=pl.Int32(), eager=True)
        codes = [self.seen[name].code for name in names]
        return chrom.replace_strict(names, codes, return_dtype=pl.Int32)

    def _take_substitutions(self, alleles: pl.DataFrame) -> None:
        """Take single bases: no trimming or shifting, so all by columns."""
        alleles = self._reject(alleles, alleles["REF"] == alleles["ALT"], "alt_equals_ref")
        alleles = self._reject_by_site(alleles)
        alleles = self._reject_by_reference(check_bases(alleles, self.records, self.genome))
        self._accept(alleles.with_columns(pl.lit("snv", dtype=_KINDS).alias("kind")))

    def _take_others(self, alleles: pl.DataFrame) -> None:
        """Take what is no single-base substitution, at first sight: classify, trim, align."""
        alt = pl.col("ALT")
        acgt = "^[ACGT]+$"
        for reason, test in (
            ("missing_alt", alt == "."),
            ("spanning_deletion", alt == "*"),
            ("breakend", alt.str.contains(r"[\[\]]|^\.|\.$")),
            ("symbolic", alt.str.contains("[<>]")),
            ("ref_not_acgt", ~pl.col("REF").str.contains(acgt)),
            ("alt_not_acgt", ~alt.str.contains(acgt)),
            ("alt_equals_ref", alt == pl.col("REF")),
        ):
            alleles = self._reject(alleles, alleles.select(test).to_series(), reason)
        alleles = self._reject_by_site(alleles)
        if alleles.is_empty():
            return
        alleles = self._reject_by_reference(check_texts(alleles, self.records, self.genome))
        self._accept(self._trimmed_and_aligned(alleles))

    def _reject_by_site(self, alleles: pl.DataFrame) -> pl.DataFrame:
        """Reject by FILTER, contig and position; return the rest, `position` a valid one."""
        if self.options.filter == "pass":
            filtered = ~alleles["filter"].is_in(["PASS", "."])
            alleles = self._reject(alleles, filtered, "filtered")
        alleles = self._reject(alleles, alleles["code"] < 0, "contig_unknown")
        lengths = self.genome.contigs["length"].cast(pl.Int64)
        length = lengths.gather(alleles["code"])
        last = alleles["position"] + alleles["REF"].str.len_bytes().cast(pl.Int64) - 1
        outside = ~((alleles["position"] >= 1) & (last <= length)).fill_null(False)
        return self._reject(alleles.with_columns(length.alias("found")), outside, "out_of_bounds")

    def _reject_by_reference(self, alleles: pl.DataFrame) -> pl.DataFrame:
        """Reject the alleles that have a `problem`; count those that could be compared."""
        for reason in (MASKED, AMBIGUOUS):
            alleles = self._reject(alleles, has(alleles, reason), reason)
        count_checks(alleles, self.seen)
        wrong = has(alleles, WRONG)
        if self.options.on_ref_mismatch == "error" and wrong.any():
            row = alleles.filter(wrong).sort("record", "allele").row(0, named=True)
            where = self.source.where(row["record"])
            raise wrong_ref(row, where, self.seen[row["chrom"]].match.contig)
        return self._reject(alleles, wrong, WRONG)

    def _trimmed_and_aligned(self, alleles: pl.DataFrame) -> pl.DataFrame:
        """Return the alleles that are short enough, with `position`, `REF`, `ALT` and `kind`."""
        longest, skip = self.options.max_allele_length, self.options.indels != "score"
        starts = (alleles["position"] - 1).to_list()
        refs, alts = alleles["REF"].to_list(), alleles["ALT"].to_list()
        rows: list[tuple[int, str, str, str]] = [(0, "", "", "snv")] * alleles.height
        length = np.zeros(alleles.height, np.int64)
        skipped = np.zeros(alleles.height, dtype=bool)
        for contig, indices in rows_by_contig(alleles, self._names):
            sequence = self.genome.sequence(contig).view(np.ndarray)
            for row in indices.tolist():
                trimmed = trim(starts[row], refs[row].encode(), alts[row].encode())
                length[row] = trimmed.length
                skipped[row] = skip and trimmed.kind != "snv"
                if trimmed.length <= longest and not skipped[row]:
                    pos, ref, alt, kind = left_align(sequence, trimmed)
                    rows[row] = (pos, ref.decode(), alt.decode(), kind)
        aligned = pl.DataFrame(
            rows,
            schema={"position": pl.Int64, "REF": pl.String, "ALT": pl.String, "kind": _KINDS},
            orient="row",
        )
        alleles = alleles.with_columns(
            *aligned, pl.Series("found", length), pl.Series("skipped", skipped)
        )
        alleles = self._reject(alleles, alleles["found"] > longest, "too_long")
        why = "skipped" if self.options.indels == "skip" else "undefined"
        return self._reject(alleles, alleles["skipped"], f"indels_{why}")

    def _accept(self, alleles: pl.DataFrame) -> None:
        """Apply the limits on frequency and region, which see the normalised allele; keep it."""
        low, high = self.options.min_af, self.options.max_af
        if low is not None or high is not None:
            alleles = self._reject(alleles, alleles["af"].is_null(), "af_missing")
            # The limits in the column's own precision: AF=0.05 is not below a limit of 0.05.
            lowest = float(np.float32(0 if low is None else low))
            highest = float(np.float32(1 if high is None else high))
            within = alleles["af"].cast(pl.Float64).is_between(lowest, highest)
            alleles = self._reject(alleles, ~within, "af_out_of_range")
        if self.regions is not None and alleles.height:
            inside = np.zeros(alleles.height, dtype=bool)
            start = alleles["position"].to_numpy() - 1
            end = start + alleles["REF"].str.len_bytes().to_numpy().astype(np.int64)
            for contig, rows in rows_by_contig(alleles, self._names):
                inside[rows] = self.regions.overlap(contig, start[rows], end[rows])
            alleles = self._reject(alleles, pl.Series(~inside), "outside_regions")
        if alleles.is_empty():
            return
        kept = alleles.select(
            pl.col("chrom").cast(pl.Categorical),
            pl.col("code"),
            pl.col("position").cast(pl.UInt32).alias("pos"),
            pl.when(pl.col("id") != ".").then("id").alias("id"),
            pl.col("REF").alias("ref"),
            pl.col("ALT").alias("alt"),
            pl.col("pos").cast(pl.UInt32).alias("input_pos"),
            pl.col("ref").alias("input_ref"),
            pl.col("alt").alias("input_alt"),
            "kind",
            "af",
            pl.lit(self.file, pl.UInt16).alias("file"),
            "record",
            "allele",
        )
        self.accepted.add(kept)

    def _reject(self, alleles: pl.DataFrame, where: pl.Series, reason: str) -> pl.DataFrame:
        """Set the alleles of `where` aside with `reason`; return the others."""
        if not where.any():
            return alleles
        self.rejected.append(
            alleles.filter(where).select(
                "chrom",
                "pos",
                "id",
                pl.col("ref").str.slice(0, SHOWN),
                pl.col("alt").str.slice(0, SHOWN),
                pl.lit(reason).alias("reason"),
                self._detail(reason).alias("detail"),
                pl.lit(self.file, pl.UInt16).alias("file"),
                "record",
                pl.when((pl.col("alt") == ".") & (pl.col("n_alt") == 1))
                .then(0)
                .otherwise("allele")
                .cast(pl.UInt16)
                .alias("allele"),
            )
        )
        return alleles.filter(~where)

    def _detail(self, reason: str) -> pl.Expr:
        """Return what was found, for the table of rejected alleles."""
        options = self.options
        match reason:
            case "filtered":
                return pl.format("FILTER is {}", pl.col("filter").str.slice(0, SHOWN))
            case "contig_unknown":
                how = {name: contig.match.how for name, contig in self.seen.items()}
                return pl.col("chrom").replace_strict(how, return_dtype=pl.String)
            case "out_of_bounds":
                return pl.format("the contig has {} bp", "found")
            case "ref_mismatch":
                is_alt = (
                    pl.when(pl.col("found") == pl.col("ALT"))
                    .then(pl.lit(", as ALT"))
                    .otherwise(pl.lit(""))
                )
                return pl.format("the reference has {}{}", "found", is_alt)
            case "reference_n" | "reference_ambiguous":
                return pl.format("the reference has {}", "found")
            case "too_long":
                return pl.format(f"{{}} bp, the limit is {options.max_allele_length}", "found")
            case "af_out_of_range":
                low = 0 if options.min_af is None else options.min_af
                high = 1 if options.max_af is None else options.max_af
                return pl.format(f"AF is {{}}, the limits are {low} and {high}", "af")
        return pl.lit("")


def split_alleles(records: pl.DataFrame, source: VcfSource) -> pl.DataFrame:
    """Return one row per ALT: `alt`, its 1-based index `allele`, and `n_alt` of the record.

    Raises
    ------
    UserError
        If a record has more ALTs than an index can count.
    """
    commas = records["alt"].str.count_matches(",", literal=True)
    most = int(commas.to_numpy().max(initial=0))
    if not most:
        return records.with_columns(
            pl.lit(1, pl.UInt16).alias("allele"), pl.lit(1, pl.UInt32).alias("n_alt")
        )
    if most >= _MAX_ALTS:
        record = records.filter(commas == most)["record"][0]
        raise UserError(
            f"{source.where(record)}: {most + 1} ALT alleles, at most {_MAX_ALTS} are read; "
            "split the record with 'bcftools norm -m-'"
        )
    several = records.filter(commas > 0).with_columns(
        pl.col("alt").str.split(","), n_alt=commas.filter(commas > 0) + 1
    )
    several = several.with_columns(
        allele=pl.int_ranges(1, pl.col("n_alt").cast(pl.Int64) + 1, dtype=pl.UInt16)
    ).explode("alt", "allele", empty_as_null=False)
    single = records.filter(commas == 0).with_columns(
        pl.lit(1, pl.UInt16).alias("allele"), pl.lit(1, pl.UInt32).alias("n_alt")
    )
    return pl.concat([single, several.select(single.columns)])
