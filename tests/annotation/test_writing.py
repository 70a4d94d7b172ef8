"""As many rows as alleles, or an error; the rest of the table's file: tests/results/test_export."""

import polars as pl
import pytest

from varlm.annotation.writing import check_count
from varlm.errors import UserError


def test_a_table_of_fewer_rows_is_an_error(tmp_path):
    variants = tmp_path / "variants.parquet"
    pl.DataFrame({"pos": [1, 2, 3]}).write_parquet(variants)
    check_count(tmp_path / "info.parquet", 3, variants)
    with pytest.raises(UserError, match=r"info\.parquet: 2 rows written of 3 in .*run again"):
        check_count(tmp_path / "info.parquet", 2, variants)
