"""Write a parquet table part by part: of a large corpus it would not fit in memory at once, next to all else.

The bytes are those that DataFrame.to_parquet gives of the whole table, however it is divided into parts.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

_GROUP = 1 << 20  # rows in a row group, as to_parquet has them
_ATTRS = b"PANDAS_ATTRS"  # where to_parquet keeps DataFrame.attrs


def write_parts(path: Path, empty: pd.DataFrame, parts: Iterable[pd.DataFrame]) -> int:
    """Write all rows of the parts, with columns, types and attrs of `empty`; returns how many rows there are."""
    schema = _schema(empty)
    rows, waiting = 0, schema.empty_table()
    with pq.ParquetWriter(path, schema, compression="snappy") as writer:
        for part in parts:
            rows += len(part)
            waiting = pa.concat_tables([waiting, pa.Table.from_pandas(part, schema, preserve_index=False)])
            while len(waiting) >= _GROUP:
                writer.write_table(waiting.slice(0, _GROUP).combine_chunks(), _GROUP)
                waiting = waiting.slice(_GROUP)
        if len(waiting) or not rows:
            writer.write_table(waiting.combine_chunks(), _GROUP)
    return rows


def _schema(empty: pd.DataFrame) -> pa.Schema:
    schema = pa.Table.from_pandas(empty, preserve_index=False).schema
    attrs = {_ATTRS: json.dumps(empty.attrs).encode()} if empty.attrs else {}
    return schema.with_metadata({**schema.metadata, **attrs})
