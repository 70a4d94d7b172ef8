"""How many alleles came in, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass

from varlm.files.json_record import JsonRecord, absent_if_none


@dataclass(frozen=True, kw_only=True)
class AccountedFile:
    """An input of a cohort.

    Attributes
    ----------
    path : str
        As the cohort sheet or the config names it.
    format : str
        `vcf`, `vcf.gz`, `bcf` …, or `bed` of the regions.
    records : int or None
        None of a BED file.
    alleles : int
    sha256 : str
        Hexadecimal.
    """

    path: str
    format: str
    records: int | None = absent_if_none()
    alleles: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class AccountedContig:
    """A CHROM of a cohort.

    Attributes
    ----------
    chrom : str
    contig : str or None
        The reference's name of it; None where the reference lacks it.
    records : int
    how : str
        What made the two one, in words.
    ref_checked, ref_mismatches : int
        Alleles whose REF was compared with the reference; those that differ.
    """

    chrom: str
    contig: str | None
    records: int
    how: str
    ref_checked: int
    ref_mismatches: int


@dataclass(frozen=True, kw_only=True)
class Accounting(JsonRecord):
    """What a cohort's accounting.json says.

    Attributes
    ----------
    cohort : str
    files : tuple of AccountedFile
    alleles_in, accepted, rejected : int
        ALT alleles of all files.
    by_reason : dict
        Reason (`varlm.variants.options.REASONS`) → alleles rejected.
    sites, other_alleles : int
        Distinct SNV sites; distinct indels and MNVs.
    af_unreadable : int
        Alleles whose AF is no frequency.
    contigs : tuple of AccountedContig
        In the order in which they came.
    contigs_without_records : tuple of str
        Contigs of the reference.
    """

    MADE_BY = "normalise (saturate, for regions)"
    ASCII = False

    cohort: str
    files: tuple[AccountedFile, ...]
    alleles_in: int
    accepted: int
    rejected: int
    by_reason: dict[str, int]
    sites: int
    other_alleles: int
    af_unreadable: int
    contigs: tuple[AccountedContig, ...]
    contigs_without_records: tuple[str, ...]

    @property
    def contig_of_chrom(self) -> dict[str, str]:
        """The reference's contig of each CHROM that has one."""
        return {entry.chrom: entry.contig for entry in self.contigs if entry.contig is not None}

    @property
    def adds_up(self) -> bool:
        """Whether every allele is either accepted, or rejected for one reason."""
        return self.alleles_in == self.accepted + self.rejected and self.rejected == sum(
            self.by_reason.values()
        )
