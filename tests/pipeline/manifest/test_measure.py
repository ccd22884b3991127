"""A file that a library cannot bear costs its own description, not the run: with real workers."""

import hashlib
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.manifest import measure
from pipeline.manifest.medium import Unread, read_medium
from tests import media_factory as make
from tests.pipeline.extraction.executors.worker_tasks import hostile_medium
from tests.pipeline.manifest.conftest import Build


@pytest.fixture(autouse=True)
def _read_in_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBNET_WORKERS", "1")


def test_workers_see_what_this_process_would_see(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (media / "ann" / "empty.mp4").write_bytes(b"")
    paths = sorted(path.relative_to(media).as_posix() for path in media.rglob("*.*"))
    apart = measure.measure(media, paths, {})
    monkeypatch.setenv("SBNET_WORKERS", "0")
    here = measure.measure(media, paths, {})
    unstamped = [[replace(one, stamp="", settled=True) for one in found.values()] for found in (apart, here)]
    assert unstamped[0] == unstamped[1], "stamps aside, which tell files apart"
    assert list(apart) == paths and apart["ann/empty.mp4"].info is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hangs", "took longer than 2 s"),
        ("crash", "its decoder crashed (exit code -11)"),
        ("film", "more memory"),
    ],
)
def test_file_that_breaks_its_worker_stays_unreadable_by_name_and_the_others_are_measured(
    name: str, reason: str, build: Build, media: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SBNET_ITEM_SECONDS", "2")
    monkeypatch.setattr(measure, "read_medium", hostile_medium)
    make.write_video(media / "bob" / f"{name}.mp4", 0.4, seed=3)
    with caplog.at_level(logging.WARNING):
        manifest = build().set_index("item")
    bad = manifest.loc[f"bob/{name}.mp4"]
    assert bad["digest"] == hashlib.sha256((media / "bob" / f"{name}.mp4").read_bytes()).hexdigest()
    assert bad[["duration", "fps", "width", "height", "sample_rate"]].isna().all()
    assert f"unreadable, bob/{name}.mp4: " in caplog.text and reason in caplog.text
    assert manifest.loc["bob/talk.mp4", "fps"] == 25.0 and manifest["digest"].notna().all()


def test_unreadable_files_are_distinguished_from_files_that_are_no_media(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    no_medium, absent = (read_medium(Unread(name, tmp_path / name, 7)) for name in ("text.mp4", "absent.mp4"))
    assert not isinstance(no_medium, str) and no_medium.info is None and "text.mp4" in no_medium.reason
    assert absent == "No such file or directory"
