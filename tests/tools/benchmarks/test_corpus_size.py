"""The benchmark of many small files: what it makes, runs and computes."""

import hashlib
from pathlib import Path

import pytest

from pipeline.manifest.schema import read_manifest
from pipeline.store import read_store
from tools.benchmarks.corpus_size.__main__ import extrapolated, measured, table
from tools.benchmarks.corpus_size.media import make_media
from tools.benchmarks.corpus_size.stores import make_stores


def test_no_two_media_have_the_same_bytes(tmp_path: Path) -> None:
    assert make_media(tmp_path, 300, people=4) == (300, 38)
    files = [path for path in tmp_path.rglob("*.*") if path.is_file()]
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in files}) == len(files) == 338
    assert {path.parts[-3] for path in files} == {f"id{person:05}" for person in range(4)}


def test_stores_without_media_hold_a_row_of_each_item_of_their_manifest(tmp_path: Path) -> None:
    make_stores(tmp_path, 160, people=4)
    manifest = read_manifest(tmp_path / "manifest.parquet").set_index("item")
    faces, voices = read_store(tmp_path / "faces"), read_store(tmp_path / "voices")
    assert (len(faces.matrix), len(voices.matrix), len(manifest)) == (160, 20, 180)
    for store, kind in ((faces, "image"), (voices, "audio")):
        described = manifest.loc[store.index["item"]]
        assert (described["kind"] == kind).all() and described["identity"].nunique() == 4
        assert described["digest"].tolist() == store.index["digest"].tolist()


@pytest.mark.stage
def test_real_stages_run_on_them_and_the_table_has_a_line_each(tmp_path: Path) -> None:
    stages = ["manifest", "detect_faces", "embed_faces", "embed_voices"]
    found = measured(tmp_path, 64, stages)
    artifacts = tmp_path / "64" / "artifacts"
    assert len(read_store(artifacts / "faces").matrix) == 64 and len(read_store(artifacts / "voices").matrix) == 8
    assert all(figures["seconds"] > 0 and figures["memory"] > 1e7 for figures in found.values())
    lines = table([64], [found]).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {stage}" for stage in stages]


def test_line_through_two_sizes_is_followed_to_voxcelebs() -> None:
    assert extrapolated([20_000, 200_000], [3.0, 21.0]) == pytest.approx(121.0)
