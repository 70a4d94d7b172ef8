"""What is no data is told by its first bytes, for every kind of input."""

import gzip
import io
import zipfile

import pytest

from making.vcf import bgzipped
from varlm.errors import UserError
from varlm.files import sniff
from varlm.files.text import content
from varlm.genome.bed import read_bed
from varlm.genome.contig_names import ContigNames, read_aliases
from varlm.genome.encoding import index_reference
from varlm.models.preparing import describe
from varlm.run.checkpoint_folders import folder_problem
from varlm.run.inputs import file_problem
from varlm.vcf.lines import open_vcf

LFS = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    b"<Message>Access Denied</Message></Error>"
)


def workbook():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
    return buffer.getvalue()


STAND_INS = {
    "a Git LFS pointer": (LFS, "git lfs pull"),
    "a git-annex pointer": (b"/annex/objects/SHA256E-s12--ab.fa\n", "git annex get"),
    "an HTML page": (b"\n<!DOCTYPE html>\n<html><body>404 Not Found</body></html>", "download"),
    "HTML page": (b"<!-- x --><HTML lang='en'>", "download"),
    "an error message of a server": (DENIED, "download"),
}
NO_TEXT = {
    "JSON": (b'{"message": "Not Found"}', "download"),
    "an XML document": (b"<?xml version='1.0'?><x/>", "download"),
    "an Excel workbook": (workbook(), "tab-separated"),
    "zip": (b"PK\x03\x04" + b"x" * 40, "decompress"),
    "an index": (b"TBI\1" + bytes(90), "index of"),
    "gzip inside gzip": (gzip.compress(gzip.compress(b"x")), "once"),
    "BAM": (gzip.compress(b"BAM\1" + bytes(90)), "reads"),
    "CRAM": (b"CRAM\3\0" + bytes(30), "reads"),
    "2bit": (bytes.fromhex("4327411a") + bytes(30), "twoBitToFa"),
    "bigWig": (bytes.fromhex("26fc8f88") + bytes(60), "another file"),
    "Parquet": (b"PAR1\x15\x04", "another file"),
    "a tar archive": (b"x" * 257 + b"ustar\0", "unpack"),
    "UTF-16 text": ("chr1\t5".encode("utf-16"), "UTF-8"),
    "UTF-16 text, or zeros": ("chr1\t100".encode("utf-16-be"), "UTF-8"),
    "or zeros": (bytes(5000), "copy"),
    "FASTQ": (b"@read\nACGT\n+\nIIII\n", "another file"),
    "SAM": (b"@HD\tVN:1.6\n", "another file"),
    "GenBank": (b"LOCUS       NC_1 100 bp DNA\n", "another file"),
}
TEXTS = {
    "VCF": b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n",
    "GFF": b"##gff-version 3\n",
    "FASTA": b">chr1\nACGT\nAC\n>chr2\nAC\n",
}
NAMES = ContigNames({"chr1": 100})
READERS = {
    "VCF": lambda path: list(open_vcf(path).chunks()),
    "FASTA": lambda path: index_reference(path, path.parent / "reference"),
    "BED": lambda path: read_bed(path, NAMES, "regions"),
    "GFF": lambda path: list(content(path, "x must name a GFF3 or GTF file")),
    "aliases": lambda path: read_aliases(path, ["chr1"]),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", [*STAND_INS, *NO_TEXT])
def test_what_is_no_text_is_named_with_a_remedy(tmp_path, reader, name):
    path = tmp_path / "input.txt"
    data, remedy = {**STAND_INS, **NO_TEXT}[name]
    path.write_bytes(data)
    with pytest.raises(UserError) as error:
        READERS[reader](path)
    message = str(error.value)
    assert message.startswith(f"{path}: found ")
    assert name in message
    assert remedy in message
    assert "\n" not in message


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("pack", [gzip.compress, bgzipped])
def test_also_inside_gzip(tmp_path, reader, pack):
    path = tmp_path / "input.gz"
    path.write_bytes(pack(STAND_INS["an HTML page"][0]))
    with pytest.raises(UserError, match="found an HTML page"):
        READERS[reader](path)


@pytest.mark.parametrize("reader", ["VCF", "FASTA", "BED", "GFF"])
@pytest.mark.parametrize("name", TEXTS)
def test_another_format_of_the_field_is_named(tmp_path, reader, name):
    path = tmp_path / "input.txt"
    path.write_bytes(TEXTS[name])
    if name == reader:
        READERS[reader](path)
        return
    with pytest.raises(UserError, match=f"found {name}; .*: name another file"):
        READERS[reader](path)


@pytest.mark.parametrize("reader", ["VCF", "FASTA"])
@pytest.mark.parametrize("data", [b"", gzip.compress(b"", mtime=0), bgzipped(b"")])
def test_nothing(tmp_path, reader, data):
    path = tmp_path / "input.txt"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"empty|holds nothing"):
        READERS[reader](path)


@pytest.mark.parametrize("name", STAND_INS)
def test_before_the_run_as_far_as_the_first_bytes_say(tmp_path, name):
    path = tmp_path / "x.vcf"
    path.write_bytes(STAND_INS[name][0])
    assert name in file_problem(str(path))
    for harmless in (TEXTS["VCF"], b"{}", bgzipped(TEXTS["VCF"])):
        path.write_bytes(harmless)
        assert file_problem(str(path)) is None


CHECKPOINT = ("config.json", "tokenizer.json", "model.safetensors")


@pytest.fixture
def checkpoint(tmp_path, root):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in CHECKPOINT:
        (folder / name).write_bytes((root / "resources/demo/model" / name).read_bytes())
    describe(folder)
    assert folder_problem(str(folder)) is None
    return folder


@pytest.mark.parametrize("file", CHECKPOINT)
@pytest.mark.parametrize("name", STAND_INS)
def test_a_checkpoint_of_stand_ins(checkpoint, file, name):
    data, remedy = STAND_INS[name]
    (checkpoint / file).write_bytes(data)
    with pytest.raises(UserError) as error:
        describe(checkpoint)
    message = str(error.value)
    assert str(checkpoint / file) in message
    assert name in message
    assert remedy in message
    assert name in folder_problem(str(checkpoint))


@pytest.mark.parametrize("file", CHECKPOINT)
def test_an_empty_file_of_a_checkpoint(checkpoint, file):
    (checkpoint / file).write_bytes(b"")
    with pytest.raises(UserError, match=rf"{file}: the file is empty \(0 bytes\)"):
        describe(checkpoint)


def test_other_weights_than_the_suffix_says(checkpoint):
    (checkpoint / "model.safetensors").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(UserError, match=r"found zip, expected tensors \(safetensors\)"):
        describe(checkpoint)


def test_what_may_be_expected_is_none(root):
    """A table of any words is no format, and a FASTA of one base is one."""
    for data, expected in (
        (b"chr1\t5\t10\n", "a BED file"),
        (b"# comment\nchr1\t5\t10\n", "a BED file"),
        (b"track name=x\n", "a BED file"),
        (b">a\nA", "a FASTA file"),
        (b"\xef\xbb\xbf>a\nA", "a FASTA file"),
        (b"chrom\tpos\n", "a TSV"),
        (b"A", "a TSV"),
        (b"", "a TSV"),
    ):
        assert sniff.foreign(data, expected) is None, data
