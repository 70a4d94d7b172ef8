"""accounting.json: the bytes of before, and what is asked of it."""

from pathlib import Path

import pytest

from making.records import accounted_contig, accounting
from varlm.errors import UserError
from varlm.variants.accounting import Accounting

# As normalise and saturate of c9c1f55 wrote them.
COHORT = """\
{
  "cohort": "c",
  "files": [
    {
      "path": "c.vcf",
      "format": "vcf",
      "records": 5,
      "alleles": 6,
      "sha256": "3965f361ccf0a8cb120cf1a2cf771aa43455e88cd3c68110edce37e8c0fcaab8"
    }
  ],
  "alleles_in": 6,
  "accepted": 3,
  "rejected": 3,
  "by_reason": {
    "symbolic": 1,
    "contig_unknown": 1,
    "ref_mismatch": 1
  },
  "sites": 2,
  "other_alleles": 1,
  "af_unreadable": 0,
  "contigs": [
    {
      "chrom": "1",
      "contig": "chrI",
      "records": 4,
      "how": "Roman numeral",
      "ref_checked": 4,
      "ref_mismatches": 1
    },
    {
      "chrom": "chrÜ",
      "contig": null,
      "records": 1,
      "how": "not in the reference",
      "ref_checked": 0,
      "ref_mismatches": 0
    }
  ],
  "contigs_without_records": [
    "chrII",
    "MT"
  ]
}
"""
REGIONS = """\
{
  "cohort": "regions",
  "files": [
    {
      "path": "r.bed",
      "format": "bed",
      "alleles": 15,
      "sha256": "6385870689430e46bdfee35292532c3dff3f864eed645f020676c095dc211dd0"
    }
  ],
  "alleles_in": 15,
  "accepted": 15,
  "rejected": 0,
  "by_reason": {},
  "sites": 5,
  "other_alleles": 0,
  "af_unreadable": 0,
  "contigs": [
    {
      "chrom": "chrI",
      "contig": "chrI",
      "records": 5,
      "how": "same name",
      "ref_checked": 0,
      "ref_mismatches": 0
    },
    {
      "chrom": "chrÜ",
      "contig": null,
      "records": 0,
      "how": "not in the reference",
      "ref_checked": 0,
      "ref_mismatches": 0
    }
  ],
  "contigs_without_records": [
    "chrII",
    "MT"
  ]
}
"""


@pytest.mark.parametrize("text", [COHORT, REGIONS], ids=["normalise", "saturate"])
def test_an_old_file_is_read_and_written_to_the_same_bytes(tmp_path, text):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(text, encoding="utf-8")
    Accounting.read(old).write(new)
    assert new.read_bytes() == old.read_bytes()


def test_records_of_a_bed_file_are_none(tmp_path):
    path = tmp_path / "accounting.json"
    path.write_text(REGIONS, encoding="utf-8")
    (file,) = Accounting.read(path).files
    assert (file.format, file.records, file.alleles) == ("bed", None, 15)


def test_contigs_that_the_reference_lacks_have_no_name():
    contigs = (accounted_contig("1", "chrI"), accounted_contig("plasmid", None))
    assert accounting(contigs=contigs).contig_of_chrom == {"1": "chrI"}


def test_what_adds_up():
    assert accounting().adds_up
    assert not accounting(accepted=7).adds_up
    assert not accounting(by_reason={"symbolic": 2}).adds_up


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contigs": [{"chrom": "1"}]}, r"contigs\[0\]: lacks contig, how, records, ref_checked"),
        ({"by_reason": {"symbolic": 1.5}}, r"by_reason\.symbolic: found 1\.5, expected a whole"),
        ({"files": {}}, r"files: found {}, expected a list"),
    ],
)
def test_what_is_no_accounting_is_refused(change, message):
    document = {**accounting().to_json(), **change}
    with pytest.raises(UserError, match=f"a.json: {message}.*step normalise .*makes it anew"):
        Accounting.from_json(document, Path("a.json"))


def test_a_count_that_a_newer_version_adds_changes_nothing():
    document = accounting().to_json() | {"af_missing": 3}
    assert Accounting.from_json(document, Path("a.json")) == accounting()
