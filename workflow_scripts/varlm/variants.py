"""A cohort's VCF files → normalised alleles, each accepted, or rejected with a reason.

Every ALT allele of every record ends in exactly one of two tables; the counts are checked. (A
record whose ALT is '.' counts as one allele, rejected as `missing_alt`.)
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from varlm.contig_names import ContigNames, Match, read_aliases
from varlm.errors import UserError
from varlm.frequencies import allele_frequencies
from varlm.normalisation import left_align, trim
from varlm.reference import Genome
from varlm.regions import Regions, read_regions
from varlm.schemas import REJECTED, VARIANTS
from varlm.vcf_columns import read_columns
from varlm.vcf_input import VcfSource, open_vcf

log = logging.getLogger(__name__)

# Reason → meaning. An allele has the first that applies, in this order.
REASONS = {
    "missing_alt": "ALT is '.': the record has no alternate allele",
    "spanning_deletion": "ALT is '*': the base is deleted by another record's allele",
    "breakend": "ALT is a breakend ('A[chr2:5[', 'A.', '.A'): no small variant",
    "symbolic": "ALT is symbolic ('<DEL>', '<*>', '<NON_REF>'): its bases are not given",
    "ref_not_acgt": "REF has a letter other than A, C, G, T (upper or lower case)",
    "alt_not_acgt": "ALT has a letter other than A, C, G, T (upper or lower case)",
    "alt_equals_ref": "ALT is REF: nothing varies",
    "filtered": "FILTER is neither PASS nor '.', and normalise.filter is pass",
    "contig_unknown": "CHROM is not in the reference, by name, alias file or convention",
    "out_of_bounds": "POS is 0 (telomere), or REF reaches past the end of the contig",
    "ref_mismatch": "REF is not what the reference has there",
    "too_long": "longer than normalise.max_allele_length, without the bases REF and ALT share",
    "indels_skipped": "no single-base substitution, and scoring.indels is skip",
    "af_missing": "no readable AF or AC/AN, and normalise.min_af or max_af is set",
    "af_out_of_range": "allele frequency below normalise.min_af or above normalise.max_af",
    "outside_regions": "no base of the normalised REF is in normalise.regions",
}

# Fewer wrong REFs than this are reported, but are no sign of another assembly.
MIN_REF_MISMATCHES = 10

_KINDS = pl.Enum(["snv", "mnv", "ins", "del", "delins"])
_SHOWN = 60  # characters of an allele in the table of rejected ones, as its schema says
_BASE = pl.Series([chr(code) for code in range(128)], dtype=pl.String)


@dataclass(frozen=True)
class NormaliseOptions:
    """Which alleles are accepted; the keys of the config's `normalise`, and `scoring.indels`.

    Attributes
    ----------
    filter : str
        `pass`: only records whose FILTER is PASS or '.'; `all`: any.
    min_af, max_af : float or None
        Limits of the allele frequency, inclusive; with one set, alleles without a frequency are
        rejected (`af_missing`), for they cannot be shown to be within.
    regions : Path or None
        BED file; the normalised REF must share a base with a region.
    max_allele_length : int
        bp, of the longer of REF and ALT without the bases they share.
    on_ref_mismatch : str
        `reject` the allele, or `error`: stop.
    max_ref_mismatch : float
        Stop when a larger share of the cohort's alleles has a wrong REF, and at least
        `MIN_REF_MISMATCHES` have: the cohort was called against another assembly.
    indels : str
        `score` them, or `skip`: reject all but single-base substitutions.
    aliases : Path or None
        TSV of contig aliases, or NCBI assembly report.
    """

    filter: Literal["all", "pass"] = "all"
    min_af: float | None = None
    max_af: float | None = None
    regions: Path | None = None
    max_allele_length: int = 50
    on_ref_mismatch: Literal["reject", "error"] = "reject"
    max_ref_mismatch: float = 0.1
    indels: Literal["score", "skip"] = "score"
    aliases: Path | None = None


@dataclass(frozen=True)
class CohortVcf:
    """One file of a cohort, and what the cohort sheet says it must be (None: nothing)."""

    path: Path
    expected_records: int | None = None
    expected_sha256: str | None = None


@dataclass(frozen=True)
class NormalisedCohort:
    """`variants` (`schemas.VARIANTS`), `rejected` (`schemas.REJECTED`) and their `accounting`."""

    variants: pl.DataFrame
    rejected: pl.DataFrame
    accounting: dict[str, Any]


def normalise(
    cohort: str, files: Sequence[CohortVcf], genome: Genome, options: NormaliseOptions
) -> NormalisedCohort:
    """Read a cohort's files and return every allele, normalised or rejected.

    Raises
    ------
    UserError
        If a file is damaged, malformed or not the expected one; a file is given twice; no contig
        is the reference's; or REF mismatches say that the assembly is another one.
    """
    lengths = dict(genome.contigs.select("contig", "length").iter_rows())
    aliases = read_aliases(options.aliases, lengths) if options.aliases else {}
    names = ContigNames(lengths, aliases)
    regions = read_regions(options.regions, names) if options.regions else None
    intake = _Intake(genome, options, names, regions)
    _check_paths(cohort, files)
    for index, file in enumerate(files):
        intake.read(index, file)
    return intake.finish(cohort)


def _check_paths(cohort: str, files: Sequence[CohortVcf]) -> None:
    seen: dict[Path, Path] = {}
    for file in files:
        real = file.path.resolve()
        if real in seen:
            raise UserError(
                f"cohort {cohort!r}: {file.path} is listed twice (also as {seen[real]}); its "
                "alleles would count twice: remove one row of the cohort sheet"
            )
        seen[real] = file.path


@dataclass
class _Contig:
    """What was seen of one CHROM of the cohort."""

    match: Match
    code: int  # index of the contig in the reference; −1: unknown
    records: int = 0
    checked: int = 0  # alleles whose REF was compared with the reference
    mismatches: int = 0


@dataclass
class _Intake:
    """Takes the files one after the other; holds what they gave."""

    genome: Genome
    options: NormaliseOptions
    names: ContigNames
    regions: Regions | None
    seen: dict[str, _Contig] = field(default_factory=dict)  # CHROM → contig
    files: list[dict[str, Any]] = field(default_factory=list)
    accepted: dict[int, list[pl.DataFrame]] = field(default_factory=dict)  # code → tables
    rejected: list[pl.DataFrame] = field(default_factory=list)
    alleles_in: int = 0
    af_unreadable: int = 0

    def __post_init__(self) -> None:
        self.codes = {name: code for code, name in enumerate(self.genome.names)}
        self.file = 0
        self.source: VcfSource

    # -- files and records -------------------------------------------------------------------

    def read(self, index: int, file: CohortVcf) -> None:
        """Read one file and check that it is the one the cohort sheet expects."""
        self.file = index
        self.source = source = open_vcf(file.path, genotypes=False)
        before = self.alleles_in
        matched: set[str] = set()
        for chunk in source.chunks():
            records = read_columns(chunk, source)
            self._match_contigs(records)
            matched.update(records["chrom"].unique())
            self._take(_split(records))
            # Counted from the records, not from what became of their alleles.
            self.alleles_in += records.height + int(
                records["alt"].str.count_matches(",", literal=True).sum()
            )
        assert source.records is not None
        assert source.sha256 is not None
        _check_expected(file, source.records, source.sha256)
        for other in self.files:
            if source.records and other["sha256"] == source.sha256:
                raise UserError(
                    f"{file.path}: the same file as {other['path']}, byte for byte; its alleles "
                    "would count twice: remove one row of the cohort sheet"
                )
        if source.records and not any(self.seen[name].match.contig for name in matched):
            log.warning("%s: none of its contigs is in the reference", file.path)
        self.files.append(
            {
                "path": str(file.path),
                "format": source.format,
                "records": source.records,
                "alleles": self.alleles_in - before,
                "sha256": source.sha256,
            }
        )
        log.info(
            "%s: %s, %d records, %d alleles",
            file.path,
            source.format,
            source.records,
            self.alleles_in - before,
        )

    def _match_contigs(self, records: pl.DataFrame) -> None:
        counts = records.group_by("chrom", maintain_order=True).len()
        for name, count in counts.iter_rows():
            if name not in self.seen:
                match = self.names.match(name, self.source.contig_lengths)
                code = -1 if match.contig is None else self.codes[match.contig]
                self.seen[name] = _Contig(match, code)
                if match.contig is None:
                    log.warning("contig %r: %s; its alleles are rejected", name, match.how)
                elif match.contig != name:
                    log.info("contig %r is %r of the reference (%s)", name, match.contig, match.how)
            self.seen[name].records += count

    # -- alleles -----------------------------------------------------------------------------

    def _take(self, alleles: pl.DataFrame) -> None:
        """Sort the alleles of a chunk into accepted and rejected."""
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
        expected = _BASE.gather(self._reference_codes(alleles)) if alleles.height else _BASE.head(0)
        wrong = alleles["REF"] != expected
        self._count_ref_checks(alleles, wrong)
        alleles = self._reject(alleles.with_columns(expected.alias("found")), wrong, "ref_mismatch")
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
        found, wrong = self._reference_texts(alleles)
        self._count_ref_checks(alleles, wrong)
        alleles = self._reject(alleles.with_columns(found), wrong, "ref_mismatch")
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

    def _by_contig(self, alleles: pl.DataFrame) -> list[tuple[str, np.ndarray]]:
        """Return (contig of the reference, row numbers) of the contigs present."""
        codes = alleles["code"].to_numpy()
        present = np.unique(codes)
        if len(present) == 1:
            return [(self.genome.names[present[0]], np.arange(len(codes)))]
        return [(self.genome.names[code], np.flatnonzero(codes == code)) for code in present]

    def _reference_codes(self, alleles: pl.DataFrame) -> np.ndarray:
        """Return the reference's base at each position, as ASCII codes."""
        start = alleles["position"].to_numpy() - 1
        bases = np.empty(alleles.height, np.uint8)
        for contig, rows in self._by_contig(alleles):
            bases[rows] = self.genome.sequence(contig)[start[rows]]
        return bases

    def _reference_texts(self, alleles: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Return the reference at each REF (first characters, for a message), and if it differs."""
        starts, refs = (alleles["position"] - 1).to_list(), alleles["REF"].to_list()
        found = [""] * alleles.height
        wrong = np.zeros(alleles.height, dtype=bool)
        for contig, rows in self._by_contig(alleles):
            sequence = self.genome.sequence(contig).view(np.ndarray)
            for row in rows.tolist():
                ref, start = refs[row], starts[row]
                there = sequence[start : start + len(ref)].tobytes()
                if there != ref.encode():
                    wrong[row] = True
                    found[row] = there[:_SHOWN].decode("ascii")
        return pl.Series("found", found, dtype=pl.String), pl.Series(wrong)

    def _count_ref_checks(self, alleles: pl.DataFrame, wrong: pl.Series) -> None:
        if alleles.is_empty():
            return
        counts = (
            alleles.select("chrom", wrong.alias("wrong"))
            .group_by("chrom")
            .agg(pl.len(), pl.col("wrong").sum())
        )
        for name, checked, mismatches in counts.iter_rows():
            self.seen[name].checked += checked
            self.seen[name].mismatches += mismatches
        if self.options.on_ref_mismatch == "error" and wrong.any():
            row = alleles.filter(wrong).sort("record", "allele").row(0, named=True)
            raise UserError(
                f"{self.source.where(row['record'])}: REF {row['ref'][:_SHOWN]!r} at "
                f"{row['chrom']}:{row['pos']} is not in the reference "
                f"{self.seen[row['chrom']].match.contig!r} there; give the reference that the "
                "cohort was called against, or set normalise.on_ref_mismatch: reject"
            )

    def _trimmed_and_aligned(self, alleles: pl.DataFrame) -> pl.DataFrame:
        """Return the alleles that are short enough, with `position`, `REF`, `ALT` and `kind`."""
        longest, skip = self.options.max_allele_length, self.options.indels == "skip"
        starts = (alleles["position"] - 1).to_list()
        refs, alts = alleles["REF"].to_list(), alleles["ALT"].to_list()
        rows: list[tuple[int, str, str, str]] = [(0, "", "", "snv")] * alleles.height
        length = np.zeros(alleles.height, np.int64)
        skipped = np.zeros(alleles.height, dtype=bool)
        for contig, indices in self._by_contig(alleles):
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
        return self._reject(alleles, alleles["skipped"], "indels_skipped")

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
            for contig, rows in self._by_contig(alleles):
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
        codes = kept["code"]
        present = codes.unique().to_list()
        for code in present:
            table = kept if len(present) == 1 else kept.filter(codes == code)
            self.accepted.setdefault(code, []).append(table.drop("code"))

    def _reject(self, alleles: pl.DataFrame, where: pl.Series, reason: str) -> pl.DataFrame:
        """Set the alleles of `where` aside with `reason`; return the others."""
        if not where.any():
            return alleles
        self.rejected.append(
            alleles.filter(where).select(
                "chrom",
                "pos",
                "id",
                pl.col("ref").str.slice(0, _SHOWN),
                pl.col("alt").str.slice(0, _SHOWN),
                pl.lit(reason).alias("reason"),
                self._detail(reason).alias("detail"),
                pl.lit(self.file, pl.UInt16).alias("file"),
                "record",
                pl.when(pl.col("alt") == ".")
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
                return pl.format("FILTER is {}", pl.col("filter").str.slice(0, _SHOWN))
            case "contig_unknown":
                how = {name: contig.match.how for name, contig in self.seen.items()}
                return pl.col("chrom").replace_strict(how, return_dtype=pl.String)
            case "out_of_bounds":
                return pl.format("the contig has {} bp", "found")
            case "ref_mismatch":
                return pl.format("the reference has {}", "found")
            case "too_long":
                return pl.format(f"{{}} bp, the limit is {options.max_allele_length}", "found")
            case "af_out_of_range":
                low = 0 if options.min_af is None else options.min_af
                high = 1 if options.max_af is None else options.max_af
                return pl.format(f"AF is {{}}, the limits are {low} and {high}", "af")
        return pl.lit("")

    # -- the end -----------------------------------------------------------------------------

    def finish(self, cohort: str) -> NormalisedCohort:
        """Check the counts and return the tables, sorted, and the accounting."""
        self._check_contigs(cohort)
        self._check_assembly(cohort)
        rejected = _concat(self.rejected, REJECTED.schema).sort("file", "record", "allele")
        variants = self._sorted_variants()
        if variants.height + rejected.height != self.alleles_in:
            raise AssertionError(
                f"cohort {cohort!r}: {self.alleles_in} alleles in, {variants.height} accepted, "
                f"{rejected.height} rejected"
            )
        reasons = Counter(dict(rejected["reason"].value_counts().iter_rows()))
        accounting = {
            "cohort": cohort,
            "files": self.files,
            "alleles_in": self.alleles_in,
            "accepted": variants.height,
            "rejected": rejected.height,
            "by_reason": {reason: reasons[reason] for reason in REASONS if reasons[reason]},
            **_distinct(variants),
            "af_unreadable": self.af_unreadable,
            "contigs": [
                {
                    "chrom": name,
                    "contig": contig.match.contig,
                    "records": contig.records,
                    "how": contig.match.how,
                    "ref_checked": contig.checked,
                    "ref_mismatches": contig.mismatches,
                }
                for name, contig in self.seen.items()
            ],
            "contigs_without_records": self._contigs_without_records(),
        }
        _log_outcome(accounting)
        return NormalisedCohort(
            VARIANTS.check(variants, cohort), REJECTED.check(rejected, cohort), accounting
        )

    def _check_contigs(self, cohort: str) -> None:
        if self.seen and not any(contig.match.contig for contig in self.seen.values()):
            raise UserError(
                f"cohort {cohort!r}: none of its contigs is in the reference (cohort: "
                f"{_listed(list(self.seen))}; reference: {_listed(self.genome.names)}); give the "
                "reference it was called against, or name the contigs in reference.aliases"
            )

    def _check_assembly(self, cohort: str) -> None:
        limit = self.options.max_ref_mismatch
        for name, contig in self.seen.items():
            if contig.mismatches >= MIN_REF_MISMATCHES:
                share = contig.mismatches / contig.checked
                if share > limit:
                    log.warning(
                        "contig %r: %d of %d REF alleles are not the reference's (%.1f %%)",
                        name,
                        contig.mismatches,
                        contig.checked,
                        100 * share,
                    )
        wrong = sum(contig.mismatches for contig in self.seen.values())
        checked = sum(contig.checked for contig in self.seen.values())
        if wrong >= MIN_REF_MISMATCHES and wrong > limit * checked:
            raise UserError(
                f"cohort {cohort!r}: {wrong} of {checked} alleles ({100 * wrong / checked:.1f} %) "
                f"have a REF that the reference does not have there; at most {100 * limit:g} % are "
                "allowed. The cohort was called against another assembly: give that reference, or "
                "raise normalise.max_ref_mismatch"
            )

    def _contigs_without_records(self) -> list[str]:
        present = {contig.match.contig for contig in self.seen.values() if contig.records}
        return [name for name in self.genome.names if name not in present]

    def _sorted_variants(self) -> pl.DataFrame:
        """Return the accepted alleles in the order of `design.md`.

        Contig by contig, so that no second copy of the whole table is in memory.
        """
        tables = []
        for code, contig in enumerate(self.genome.names):
            if code not in self.accepted:
                continue
            table = pl.concat(self.accepted.pop(code))
            table = table.sort("pos", "ref", "alt", "file", "record", "allele")
            tables.append(
                table.select(
                    pl.col("chrom").cast(pl.String),
                    pl.lit(contig).alias("contig"),
                    *VARIANTS.names[2:9],
                    pl.col("kind").cast(pl.String),
                    *VARIANTS.names[10:],
                )
            )
        return pl.concat(tables) if tables else pl.DataFrame(schema=VARIANTS.schema)


def _split(records: pl.DataFrame) -> pl.DataFrame:
    """Return one row per ALT: `alt`, its 1-based index `allele`, and `n_alt` of the record."""
    commas = records["alt"].str.count_matches(",", literal=True)
    if not commas.max():
        return records.with_columns(
            pl.lit(1, pl.UInt16).alias("allele"), pl.lit(1, pl.UInt32).alias("n_alt")
        )
    several = records.filter(commas > 0).with_columns(
        pl.col("alt").str.split(","), n_alt=commas.filter(commas > 0) + 1
    )
    several = several.with_columns(
        allele=pl.int_ranges(1, pl.col("n_alt").cast(pl.Int64) + 1, dtype=pl.UInt16)
    ).explode("alt", "allele", empty_as_null=False)
    one = records.filter(commas == 0).with_columns(
        pl.lit(1, pl.UInt16).alias("allele"), pl.lit(1, pl.UInt32).alias("n_alt")
    )
    return pl.concat([one, several.select(one.columns)])


def _check_expected(file: CohortVcf, records: int, sha256: str) -> None:
    if file.expected_sha256 is not None and file.expected_sha256.lower() != sha256:
        raise UserError(
            f"{file.path}: its SHA-256 is {sha256}, the cohort sheet expects "
            f"{file.expected_sha256}; copy or download the file again, or correct the sheet"
        )
    if file.expected_records is not None and file.expected_records != records:
        raise UserError(
            f"{file.path}: {records} records, the cohort sheet expects {file.expected_records}; "
            "the file may be cut: copy or download it again, or correct the sheet"
        )


def _concat(frames: list[pl.DataFrame], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    return pl.concat(frames) if frames else pl.DataFrame(schema=schema)


def _distinct(variants: pl.DataFrame) -> dict[str, int]:
    """Return the number of distinct SNV sites and of distinct other alleles (sorted input)."""
    snv = variants["kind"] == "snv"
    sites = variants.select("contig", "pos").filter(snv)
    others = variants.select("contig", "pos", "ref", "alt").filter(~snv)
    return {"sites": _runs(sites), "other_alleles": _runs(others)}


def _runs(table: pl.DataFrame) -> int:
    """Return the number of distinct rows of a table whose equal rows are neighbours."""
    return table.select(pl.any_horizontal(pl.all() != pl.all().shift(1)).sum()).item() + (
        table.height > 0
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return f"{shown}, … ({len(names)} in all)" if len(names) > 5 else shown


def _log_outcome(accounting: dict[str, Any]) -> None:
    log.info(
        "cohort %r: %d alleles, %d accepted (%d SNV sites, %d other alleles), %d rejected",
        accounting["cohort"],
        accounting["alleles_in"],
        accounting["accepted"],
        accounting["sites"],
        accounting["other_alleles"],
        accounting["rejected"],
    )
    for reason, count in accounting["by_reason"].items():
        log.info("rejected %d: %s (%s)", count, reason, REASONS[reason])
    if accounting["af_unreadable"]:
        log.warning(
            "%d alleles have an AF (or AC, AN) that is no frequency; it is taken as missing",
            accounting["af_unreadable"],
        )
    absent = accounting["contigs_without_records"]
    if absent:
        log.info("contigs of the reference without a record: %s", _listed(absent))
