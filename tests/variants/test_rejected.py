"""The file of rejected alleles: any text in it comes back."""

import gzip
import re

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from varlm.tables.schemas import REJECTED
from varlm.variants.rejected import read_rejected, write_rejected

TEXT = st.one_of(st.text(max_size=12), st.text("'=+-@\\x27\t\n\r\" a\x7f", max_size=8))


def table(texts):
    rows = {
        name: texts if kind == pl.String else [0] * len(texts)
        for name, kind in REJECTED.schema.items()
    }
    return pl.DataFrame(rows, REJECTED.schema)


@given(st.lists(TEXT, max_size=5))
@example(["'=1+1", "=1+1", "''=1", "\\x27=1", ""])
def test_any_text_comes_back(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("rejected") / "rejected.tsv.gz"
    rejected = table(texts)
    write_rejected(rejected, path)
    assert read_rejected(path).equals(rejected)
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    assert len(lines) == len(texts) + 2
    assert not [cell for line in lines[1:] for cell in line.split("\t") if re.match("[=+@-]", cell)]
