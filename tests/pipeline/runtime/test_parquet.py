"""A table that is written part by part has the bytes of one that is written whole."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.runtime import parquet
from pipeline.runtime.parquet import write_parts


def table(rows: int) -> pd.DataFrame:
    names = pd.Series([f"item {number % 17}" for number in range(rows)], dtype="str")
    made = pd.DataFrame({"item": names, "frame": np.arange(rows, dtype=np.int32), "x": np.linspace(0, 1, rows)})
    made["note"] = pd.Series([None if number % 3 else "seen" for number in range(rows)], dtype="string")
    made.attrs = {"made by": {"version": 1}}
    return made


@pytest.mark.parametrize("rows", [0, 1, 500])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_parts_give_the_bytes_of_the_whole(tmp_path: Path, rows: int, size: int) -> None:
    whole = table(rows)
    whole.to_parquet(tmp_path / "whole", index=False)
    parts = (whole.iloc[start : start + size] for start in range(0, rows, size))
    assert write_parts(tmp_path / "parts", whole.iloc[:0], parts) == rows
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()


def test_row_groups_end_where_they_would_in_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_GROUP", 64)
    whole = table(300)
    whole.to_parquet(tmp_path / "whole", index=False, row_group_size=64)
    write_parts(tmp_path / "parts", whole.iloc[:0], (whole.iloc[start : start + 90] for start in range(0, 300, 90)))
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "parts"), whole)
