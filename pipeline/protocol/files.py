"""Read and write artifacts/protocol: parquet tables, coverage.csv, summary.json; equal tables give equal bytes."""

import json
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException

from pipeline.errors import ProtocolError
from pipeline.files import atomic_path, write_text
from pipeline.protocol.tables import SCHEMAS, ProtocolTables, shaped

_PARQUET = [name for name in SCHEMAS if name != "coverage"]
_NULLS = {"mismatched": [""]}  # the one column of coverage.csv that may be empty


def write_protocol(folder: Path, tables: ProtocolTables) -> None:
    """Write every file of the protocol, each whole or not at all."""
    for name in _PARQUET:
        with atomic_path(folder / f"{name}.parquet") as temporary:
            shaped(name, getattr(tables, name)).to_parquet(temporary, index=False)
    with atomic_path(folder / "coverage.csv") as temporary:
        shaped("coverage", tables.coverage).to_csv(temporary, index=False, lineterminator="\n")
    write_text(folder / "summary.json", json.dumps(dict(tables.summary), indent=2, sort_keys=True) + "\n")


def read_protocol(folder: Path) -> ProtocolTables:
    """Read what write_protocol wrote; raises ProtocolError for a file that is absent, damaged or lacks a column."""
    try:
        tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _PARQUET}
        tables["coverage"] = pd.read_csv(folder / "coverage.csv", keep_default_na=False, na_values=_NULLS)
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, ArrowException) as error:
        raise ProtocolError(f"{folder}: protocol cannot be read ({error}); run `dvc repro protocol`") from error
    for name, table in tables.items():
        if missing := [column for column in SCHEMAS[name] if column not in table]:
            raise ProtocolError(f"{folder}/{name}: no column {', '.join(missing)}; run `dvc repro protocol`")
    return ProtocolTables(**{name: shaped(name, table) for name, table in tables.items()}, summary=summary)
