"""What a file is that is not what was expected, told by its first bytes.

Data sets lie on git hosts and web servers: what reaches a user is often a pointer, an error page or
another file of the same data set. The Snakefile imports this: nothing heavy here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HEAD = 4096  # bytes that are enough

_AGAIN = "download the file again, by the link to the file itself"
_DECOMPRESS = "decompress it, or compress it with bgzip"
_READS = "that holds reads"
_INDEX = "name the file that it is the index of"
_OTHER_KEY = "name another file"
_WORKBOOK, _AS_TEXT = "an Excel workbook", "save it as tab-separated text"


@dataclass(frozen=True)
class Foreign:
    """What a file is, and what to do about it.

    Attributes
    ----------
    what : str
    remedy : str
    stands_for : bool
        It is no data at all, wherever it is named: a pointer, or a server's page.
    text_format : str
        A format that some inputs have; '' for what no input is.
    """

    what: str
    remedy: str
    stands_for: bool = False
    text_format: str = ""


_POINTERS = (
    (
        rb"version https://(git-lfs\.github|hawser)\.com/spec/",
        "a Git LFS pointer, which stands for a file that was not fetched",
        "fetch it with 'git lfs pull' in its repository, or download it again",
    ),
    (
        rb"(\.\./)*\.?/?(\.git)?/annex/objects/",
        "a git-annex pointer, which stands for a file that was not fetched",
        "fetch it with 'git annex get' in its repository, or download it again",
    ),
    (
        rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|script)\b",
        "an HTML page, as servers send it where a download fails or needs a login",
        _AGAIN,
    ),
    (rb"\s*(<\?xml[^>]*>\s*)?<Error>", "an error message of a server (XML)", _AGAIN),
    (rb"\s*<\?xml\b", "an XML document", _AGAIN),
)
_JSON = rb"\s*\{\s*[\"}]|\s*\[\s*[\"{\[]"
_BINARY = (
    (rb"BZh[1-9]1AY", "bzip2", _DECOMPRESS),
    (rb"\xfd7zX", "xz", _DECOMPRESS),
    (rb"PK\x03\x04.{26}(\[Content_Types\]|_rels/|xl/|docProps/)", _WORKBOOK, _AS_TEXT),
    (rb"PK\x03\x04", "zip", _DECOMPRESS),
    (rb"PK\x05\x06", "an empty zip archive", _AGAIN),
    (rb"7z\xbc\xaf\x27\x1c", "7z", _DECOMPRESS),
    (rb"Rar!", "RAR", _DECOMPRESS),
    (rb"\x28\xb5\x2f\xfd", "zstd", _DECOMPRESS),
    (rb"\x1f\x9d", "compress (.Z)", _DECOMPRESS),
    (rb"\x1f\x8b", "gzip inside gzip", "decompress it once"),
    (rb"\xd0\xcf\x11\xe0", _WORKBOOK, _AS_TEXT),
    (rb"CRAM[\x01-\x04]", "CRAM", _READS),
    (rb"BAM\x01", "BAM", _READS),
    (rb"(TBI|CSI|BAI)\x01", "an index (.tbi, .csi, .bai)", _INDEX),
    (rb"\x43\x27\x41\x1a|\x1a\x41\x27\x43", "2bit", "convert it to FASTA with twoBitToFa"),
    (rb"\x26\xfc\x8f\x88|\x88\x8f\xfc\x26", "bigWig", _OTHER_KEY),
    (rb"\xeb\xf2\x89\x87|\x87\x89\xf2\xeb", "bigBed", "convert it to BED with bigBedToBed"),
    (rb"PAR1", "Parquet", _OTHER_KEY),
    (rb"\x89HDF", "HDF5", _OTHER_KEY),
    (rb"\x93NUMPY", "a NumPy array", _OTHER_KEY),
    (rb"SQLite format 3", "an SQLite database", _OTHER_KEY),
    (rb"%PDF-", "a PDF document", _OTHER_KEY),
    (rb"\x89PNG", "a picture (PNG)", _OTHER_KEY),
    (rb".{8}\{\s*\"", "safetensors", _OTHER_KEY),
    (rb".{257}ustar", "a tar archive", "unpack it, and name the file in it"),
    (rb"\xff\xfe|\xfe\xff", "UTF-16 text", "save it as UTF-8"),
)
# Text that says what it is; a BED file or a table does not.
_TEXTS = (
    (rb"##fileformat=VCF", "VCF"),
    (rb"BCF[\x02\x04]", "BCF"),
    (rb"##gff-version", "GFF"),
    (rb"#!genome-build", "GTF"),
    (rb">[^\r\n]*\r?\n[A-Za-z*\r\n-]*(>|$)", "FASTA"),
    (rb"@[^\r\n]*\r?\n[A-Za-z.]+\r?\n\+", "FASTQ"),
    (rb"@(HD|SQ|RG|PG)\t[A-Z][A-Z]:", "SAM"),
    (rb"LOCUS {4,}\S", "GenBank"),
    (rb"ID   \S+;", "EMBL"),
)


def foreign(head: bytes, expected: str, *, json: bool = False) -> Foreign | None:
    """Return what a file is, unless it may be what is expected.

    Parameters
    ----------
    head : bytes
        Its first bytes, decompressed, `HEAD` of them or more.
    expected : str
        What is expected, in words that name the format (`… must name a FASTA file`).
    json : bool
        Whether JSON is expected.
    """
    head = head[:HEAD].removeprefix(b"\xef\xbb\xbf")
    for pattern, what, remedy in _POINTERS:
        if re.match(pattern, head, re.IGNORECASE | re.DOTALL):
            return Foreign(what, remedy, stands_for=True)
    if not json and re.match(_JSON, head):
        return Foreign("JSON, perhaps the error message of a server", _AGAIN)
    for pattern, what, remedy in _BINARY:
        if re.match(pattern, head, re.DOTALL) and not _names(expected, what):
            return Foreign(what, remedy)
    if len(head) >= 8 and not (head[:64:2].strip(b"\0") and head[1:64:2].strip(b"\0")):
        return Foreign("UTF-16 text, or zeros", "save it as UTF-8, or copy it again")
    for pattern, name in _TEXTS:
        if re.match(pattern, head) and not _names(expected, name):
            return Foreign(name, _OTHER_KEY, text_format=name)
    return None


def _names(expected: str, what: str) -> bool:
    """Tell whether a format is named: GFF by GFF3, but zip not by gzip."""
    return re.search(rf"(?<![A-Za-z]){re.escape(what)}", expected) is not None


def pointer(path: Path) -> str | None:
    """Return why a file is no data, whatever it is named for: an error to show; else None.

    Also None for a file that cannot be read, which its reader says better.
    """
    try:
        with path.open("rb") as file:
            found = foreign(file.read(HEAD), "", json=True)
    except OSError:
        return None
    if found is None or not found.stands_for:
        return None
    return f"{path}: found {found.what}; {found.remedy}"
