"""A cohort's VCF files → normalised alleles, each accepted, or rejected with a reason.

Every ALT allele of every record ends in exactly one of two tables; the counts are checked. (A
record whose ALT is '.' counts as one allele, rejected as `missing_alt`.)
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import polars as pl

from varlm.errors import UserError, first_few
from varlm.genome.contig_names import ContigNames, Match
from varlm.genome.reference import Genome
from varlm.genome.regions import read_regions
from varlm.tables.schemas import REJECTED, VARIANTS
from varlm.variants.acceptance import Sorter
from varlm.variants.accounting import AccountedContig, AccountedFile, Accounting
from varlm.variants.assembly import PROVISIONAL, check_assembly
from varlm.variants.oddities import contig_oddities, frequency_oddity
from varlm.variants.options import REASONS, NormaliseOptions
from varlm.variants.ref_check import MASKED, CohortContig
from varlm.vcf.columns import read_columns
from varlm.vcf.heading import check_samples, read_heading
from varlm.vcf.lines import VcfSource, open_vcf

__all__ = [
    "REASONS",
    "CohortVcf",
    "NormaliseOptions",
    "NormalisedCohort",
    "normalise",
]

log = logging.getLogger(__name__)

_MANY_MASKED = 0.01  # share of alleles on N that is worth a warning
_SHOWN = 50  # contigs that have a line of the log to themselves


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
    accounting: Accounting


def normalise(
    cohort: str, files: Sequence[CohortVcf], genome: Genome, options: NormaliseOptions
) -> NormalisedCohort:
    """Read a cohort's files and return every allele, normalised or rejected.

    Raises
    ------
    UserError
        If a file is damaged, malformed or not the expected one; a file is given twice; the files
        have other samples, or the same in another order; no contig is the reference's; or REF
        mismatches say that the assembly is another one.
    """
    names = ContigNames.of(genome.lengths, options.aliases)
    regions = read_regions(options.regions, names) if options.regions else None
    sorter = Sorter(genome, options, regions)
    intake = _Intake(genome, options, names, sorter, [file.path for file in files])
    _check_paths(cohort, files)
    if len(files) > 1:
        check_samples([read_heading(file.path) for file in files])
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
class _Intake:
    """Takes the files one after the other; holds what they gave."""

    genome: Genome
    options: NormaliseOptions
    names: ContigNames
    sorter: Sorter
    paths: Sequence[Path]
    # CHROM → what it was matched to: files may declare it with other lengths.
    contigs: dict[str, dict[Match, CohortContig]] = field(default_factory=dict)
    files: list[AccountedFile] = field(default_factory=list)
    alleles_in: int = 0
    provisional: bool = False  # whether a header declares INFO/PR

    def __post_init__(self) -> None:
        self.codes = {name: code for code, name in enumerate(self.names.lengths)}

    def read(self, index: int, file: CohortVcf) -> None:
        """Read one file and check that it is the one the cohort sheet expects."""
        source = open_vcf(file.path, genotypes=False)
        before = self.alleles_in
        self.sorter.seen = {}
        self.provisional |= any(line.startswith(PROVISIONAL) for line in source.header_lines)
        for chunk in source.chunks():
            records = read_columns(chunk, source)
            self._match_contigs(records, source)
            self.sorter.take(records, index, source)
            # Counted from the records, not from what became of their alleles.
            self.alleles_in += records.height + int(
                records["alt"].str.count_matches(",", literal=True).sum()
            )
        assert source.records is not None
        assert source.sha256 is not None
        _check_expected(file, source.records, source.sha256)
        for other in self.files:
            if source.records and other.sha256 == source.sha256:
                raise UserError(
                    f"{file.path}: the same file as {other.path}, byte for byte; its alleles "
                    "would count twice: remove one row of the cohort sheet"
                )
        if source.records and not any(c.match.contig for c in self.sorter.seen.values()):
            log.warning("%s: none of its contigs is in the reference", file.path)
        self.files.append(
            AccountedFile(
                path=str(file.path),
                format=source.format,
                records=source.records,
                alleles=self.alleles_in - before,
                sha256=source.sha256,
            )
        )
        log.info(
            "%s: %s, %d records, %d alleles",
            file.path,
            source.format,
            source.records,
            self.alleles_in - before,
        )

    def _match_contigs(self, records: pl.DataFrame, source: VcfSource) -> None:
        """Match each CHROM by the lengths that this file declares."""
        seen = self.sorter.seen
        for name, count in records.group_by("chrom", maintain_order=True).len().iter_rows():
            if name not in seen:
                declared = source.contig_lengths
                if not self.names.knows(name):
                    declared = {**self._declared_names, **declared}
                match = self.names.match(name, declared, source.path)
                code = -1 if match.contig is None else self.codes[match.contig]
                seen[name] = self.contigs.setdefault(name, {}).setdefault(
                    match, CohortContig(match, code)
                )
            seen[name].records += count

    @cached_property
    def _declared_names(self) -> dict[str, int | None]:
        """What the headers of all files declare, for conventions: the files' order must not count.

        Without lengths, which are each file's own.
        """
        if len(self.paths) == 1:
            return {}
        return dict.fromkeys(
            name for path in self.paths for name in open_vcf(path, genotypes=False).contig_lengths
        )

    @property
    def _entries(self) -> list[tuple[str, CohortContig]]:
        """Each CHROM with each of its matches."""
        return [(name, entry) for name, by in self.contigs.items() for entry in by.values()]

    def finish(self, cohort: str) -> NormalisedCohort:
        """Check the counts and return the tables, sorted, and the accounting."""
        self._log_contigs()
        contigs = self._accounted_contigs()
        for oddity in contig_oddities(contigs):
            log.warning("%s", oddity)
        self._check_contigs(cohort)
        check_assembly(
            cohort, self._entries, self.options.max_ref_mismatch, provisional=self.provisional
        )
        rejected = _concat(self.sorter.rejected, REJECTED.schema).sort("file", "record", "allele")
        variants = self.sorter.accepted.take_all(self.genome.names)
        if variants.height + rejected.height != self.alleles_in:
            raise AssertionError(
                f"cohort {cohort!r}: {self.alleles_in} alleles in, {variants.height} accepted, "
                f"{rejected.height} rejected"
            )
        reasons = Counter(dict(rejected["reason"].value_counts().iter_rows()))
        accounting = Accounting(
            cohort=cohort,
            files=tuple(self.files),
            alleles_in=self.alleles_in,
            accepted=variants.height,
            rejected=rejected.height,
            by_reason={reason: reasons[reason] for reason in REASONS if reasons[reason]},
            **_distinct(variants),
            af_unreadable=self.sorter.af_unreadable,
            contigs=contigs,
            contigs_without_records=tuple(self._contigs_without_records()),
        )
        _log_outcome(accounting)
        return NormalisedCohort(
            VARIANTS.check(variants, cohort), REJECTED.check(rejected, cohort), accounting
        )

    def _accounted_contigs(self) -> tuple[AccountedContig, ...]:
        return tuple(
            AccountedContig(
                chrom=name,
                contig=contig.match.contig,
                records=contig.records,
                how=contig.match.how,
                ref_checked=contig.checked,
                ref_mismatches=contig.mismatches,
            )
            for name, contig in self._entries
        )

    def _log_contigs(self) -> None:
        """Say what the contigs were matched to: one line a way, for there may be thousands."""
        by_how: dict[str, list[str]] = {}
        known: set[str] = set()
        for name, contig in self._entries:
            to = contig.match.contig
            shown = f"{name!r}" if to in (name, None) else f"{name!r} is {to!r}"
            by_how.setdefault(contig.match.how, []).append(shown)
            if to:
                known.add(contig.match.how)
        # A length of its own in the header makes a way of each contig.
        for how, names in list(by_how.items())[:_SHOWN]:
            log.info(
                "%d contigs %s (%s): %s",
                len(names),
                "matched" if how in known else "rejected",
                how,
                first_few(names, 20),
            )
        others = list(by_how.items())[_SHOWN:]
        if others:
            log.info("%d more contigs likewise", sum(len(names) for _, names in others))

    def _check_contigs(self, cohort: str) -> None:
        if self.contigs and not any(contig.match.contig for _, contig in self._entries):
            raise UserError(
                f"cohort {cohort!r}: none of its contigs is in the reference (cohort: "
                f"{_quoted(self.contigs)}; reference: {_quoted(self.genome.names)}); give the "
                "reference it was called against, or name the contigs in reference.aliases"
            )

    def _contigs_without_records(self) -> list[str]:
        present = {contig.match.contig for _, contig in self._entries if contig.records}
        return [name for name in self.genome.names if name not in present]


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
    changes = table.select(pl.any_horizontal(pl.all() != pl.all().shift(1)).sum()).item()
    return int(changes) + (table.height > 0)


def _quoted(names: Iterable[str]) -> str:
    return first_few(map(repr, names))


def _log_outcome(accounting: Accounting) -> None:
    log.info(
        "cohort %r: %d alleles, %d accepted (%d SNV sites, %d other alleles), %d rejected",
        accounting.cohort,
        accounting.alleles_in,
        accounting.accepted,
        accounting.sites,
        accounting.other_alleles,
        accounting.rejected,
    )
    for reason, count in accounting.by_reason.items():
        log.info("rejected %d: %s (%s)", count, reason, REASONS[reason])
    masked = accounting.by_reason.get(MASKED, 0)
    if masked > _MANY_MASKED * accounting.alleles_in:
        log.warning(
            "%d of %d alleles lie where the reference is N; if it is hard-masked, give the same "
            "assembly soft-masked (lower case) or unmasked, and they are scored",
            masked,
            accounting.alleles_in,
        )
    if accounting.af_unreadable:
        log.warning("%s", frequency_oddity(accounting.af_unreadable))
    absent = accounting.contigs_without_records
    if absent:
        log.info("contigs of the reference without a record: %s", _quoted(absent))
