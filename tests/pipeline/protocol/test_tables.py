"""The files of a protocol: read as written, the same bytes each time, refused when damaged."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import ProtocolError
from pipeline.files import sha256_of
from pipeline.protocol import read_protocol, write_protocol
from tests.pipeline.protocol.corpora import Tables, built, settings, tables


def written(folder: Path, parts: Tables) -> Path:
    write_protocol(folder, built(parts, settings(trials=80, galleries=20)))
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    made = built(tables(), settings(trials=80, galleries=20))
    write_protocol(tmp_path, made)
    read = read_protocol(tmp_path)
    for name in ("identities", "train_pairs", "verification", "coverage"):
        pd.testing.assert_frame_equal(getattr(read, name), getattr(made, name))
    assert [list(rows) for rows in read.matching["impostor_rows"]] == [list(r) for r in made.matching["impostor_rows"]]
    assert read.summary == made.summary


def test_a_protocol_with_empty_tables_is_read(tmp_path: Path) -> None:
    parts = tables(people=30, clips=1)
    read = read_protocol(written(tmp_path, Tables(parts.manifest, parts.faces.iloc[:0], parts.voices)))
    assert len(read.train_pairs) == len(read.verification) == len(read.matching) == 0
    assert read.train_pairs["face_row"].dtype == "int64"


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one", tables()), written(tmp_path / "two", tables())
    digests = [{path.name: sha256_of(path) for path in folder.iterdir()} for folder in (one, two)]
    assert digests[0] == digests[1] and len(digests[0]) == 8


def test_a_damaged_or_absent_file_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path, tables())
    (folder / "verification.parquet").write_bytes(b"PAR1")
    with pytest.raises(ProtocolError, match="run `dvc repro protocol`"):
        read_protocol(folder)
    with pytest.raises(ProtocolError, match="cannot be read"):
        read_protocol(tmp_path / "nowhere")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path, tables())
    pd.read_parquet(folder / "identities.parquet").drop(columns="split").to_parquet(folder / "identities.parquet")
    with pytest.raises(ProtocolError, match="identities: no column split"):
        read_protocol(folder)
