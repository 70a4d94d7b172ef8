"""Inflating: any members, whatever their sizes; every damage named; memory bounded."""

import gzip
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from making.vcf import bgzipped, block_ends
from varlm.errors import UserError
from varlm.files import inflate


def inflated(path, data):
    path.write_bytes(data)
    with path.open("rb") as file:
        return list(inflate.inflate(file, path, lambda _: None))


CONTENT = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda piece, times: piece * times, st.binary(max_size=3), st.integers(0, 5000)),
)


@given(
    st.lists(CONTENT, min_size=1, max_size=5),
    st.integers(1, 60),
    st.integers(1, 300),
    st.sampled_from([0, 1, 6, 9]),
)
def test_any_members_read_in_any_pieces(tmp_path_factory, contents, raw, piece, level):
    path = tmp_path_factory.mktemp("gzip") / "x.gz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inflate, "_RAW", raw)
        patch.setattr(inflate, "_PIECE", piece)
        data = b"".join(gzip.compress(content, level) for content in contents)
        assert b"".join(inflated(path, data + b"\0" * 70)) == b"".join(contents)
        assert b"".join(inflated(path, bgzipped(b"".join(contents)))) == b"".join(contents)
        with pytest.raises(UserError, match=r"x\.gz: truncated inside the gzip data .* byte 0"):
            inflated(path, gzip.compress(contents[0], level)[:-1])


def test_seen_gets_the_file_as_it_lies_on_disk(tmp_path):
    path = tmp_path / "x.gz"
    data = bgzipped(random.Random(0).randbytes(900_000))
    path.write_bytes(data)
    seen = []
    with path.open("rb") as file:
        for _ in inflate.inflate(file, path, seen.append):
            pass
    assert b"".join(seen) == data


@pytest.mark.parametrize("compress", [lambda data: gzip.compress(data, 9), bgzipped])
def test_fault_56_pieces_of_a_zip_bomb_are_small(tmp_path, compress):
    pieces = inflated(tmp_path / "bomb.gz", compress(b"A" * (64 << 20)))
    assert sum(map(len, pieces)) == 64 << 20
    assert max(map(len, pieces)) <= 2 << 20


@pytest.mark.parametrize("at", [-8, -4])  # the checksum, the length
def test_the_damaged_block_is_named(tmp_path, at):
    data = bytearray(bgzipped("text\n" * 9000))
    ends = block_ends(data)
    data[ends[3] + at] ^= 1
    with pytest.raises(UserError, match=rf"damaged bgzip block at byte {ends[2]} \("):
        inflated(tmp_path / "x.gz", bytes(data))


def test_what_follows_a_member_must_be_one(tmp_path):
    data = gzip.compress(b"text")
    with pytest.raises(UserError, match=rf"damaged gzip data at byte {len(data)} "):
        inflated(tmp_path / "x.gz", data + b"no gzip, but text that is long enough")


def test_bgzip_is_told_by_its_field_alone():
    assert inflate.is_bgzf(bgzipped("text"))
    assert not inflate.is_bgzf(gzip.compress(b"text"))
    assert not inflate.is_bgzf(b"\x1f\x8b\x08\x04" + b"\0" * 8)
    other = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x08\0XX\x04\0BC\x02\0"  # BC inside another field
    assert not inflate.is_bgzf(other + zlib.compress(b"text"))
