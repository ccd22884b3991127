"""The digest of a media folder changes with every change of it, and with nothing else."""

import os
import sqlite3
import time
from pathlib import Path

import pytest

from pipeline.errors import ManifestError
from pipeline.manifest import watch
from pipeline.manifest.watch import media_digest

LONG_AGO = time.time() - 1000


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Two people's files, which are not new."""
    for name in ("ann/a.jpg", "ann/b.jpg", "bob/one/c.wav"):
        write(tmp_path / "media" / name, name)
    return tmp_path / "media"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes are read; the time is later than any change."""
    names: list[str] = []
    real = watch.sha256_of
    monkeypatch.setattr(watch, "sha256_of", lambda path: (names.append(path.name), real(path))[1])
    later = time.time() + 10
    monkeypatch.setattr(watch.time, "time", lambda: later)
    return names


def test_nothing_is_read_again_that_has_not_changed(media: Path, tmp_path: Path, read: list[str]) -> None:
    first = media_digest(media, tmp_path / "memory")
    assert first["files"] == 3 and sorted(read) == ["a.jpg", "b.jpg", "c.wav"]
    assert media_digest(media, tmp_path / "memory") == first and len(read) == 3
    write(media / "ann/new.jpg", "new")
    assert media_digest(media, tmp_path / "memory")["files"] == 4 and read[3:] == ["new.jpg"]


def test_every_change_is_another_digest_and_its_undoing_the_first_again(
    media: Path, tmp_path: Path, read: list[str]
) -> None:
    first = digest = media_digest(media, tmp_path / "memory")
    for change, undo in (
        (lambda: write(media / "bob/d.mp4", "d"), lambda: (media / "bob/d.mp4").unlink()),
        (lambda: (media / "ann/a.jpg").rename(media / "gone"), lambda: (media / "gone").rename(media / "ann/a.jpg")),
        (lambda: write(media / "ann/a.jpg", "other"), lambda: write(media / "ann/a.jpg", "ann/a.jpg")),
        (
            lambda: (media / "bob/one").rename(media / "bob/two"),
            lambda: (media / "bob/two").rename(media / "bob/one"),
        ),
        (lambda: write(media / "ann/b.jpg", "as long!!"), lambda: write(media / "ann/b.jpg", "ann/b.jpg")),
    ):
        change()
        digest = media_digest(media, tmp_path / "memory")
        assert digest["digest"] != first["digest"]
        assert digest == media_digest(media, tmp_path / "memory of another machine")
        undo()
        assert media_digest(media, tmp_path / "memory") == first


def test_other_clocks_and_hidden_files_are_no_change(media: Path, tmp_path: Path, read: list[str]) -> None:
    first = media_digest(media, tmp_path / "memory")
    os.utime(media / "ann/a.jpg", (LONG_AGO + 5, LONG_AGO + 5))
    write(media / "ann/.thumbs", "hidden")
    (media / "empty").mkdir()
    assert media_digest(media, tmp_path / "memory") == first and read[3:] == ["a.jpg"]


def test_folder_that_has_just_changed_is_not_trusted(media: Path, tmp_path: Path, monkeypatch) -> None:
    """Within one tick of its clock a file of the same length may change without a trace."""
    (media / "bob/one/c.wav").write_text("now")
    names: list[str] = []
    real = watch.sha256_of
    monkeypatch.setattr(watch, "sha256_of", lambda path: (names.append(path.name), real(path))[1])
    media_digest(media, tmp_path / "memory")
    media_digest(media, tmp_path / "memory")
    assert names.count("c.wav") == 2


def test_damaged_memory_costs_time_only(media: Path, tmp_path: Path, read: list[str]) -> None:
    first = media_digest(media, tmp_path / "memory")
    (tmp_path / "memory").write_bytes(b"no database" * 1000)
    assert media_digest(media, tmp_path / "memory") == first and len(read) == 6
    with sqlite3.connect(tmp_path / "memory") as connection:
        assert connection.execute("SELECT count(*) FROM folders").fetchone() == (2,)


def test_page_that_breaks_below_an_open_memory_costs_time_only(media: Path, tmp_path: Path, read: list[str]) -> None:
    for number in range(40):
        write(media / f"p{number:02}" / f"{'long name' * 20}.jpg", str(number))
    first = media_digest(media, tmp_path / "memory")
    content = bytearray((tmp_path / "memory").read_bytes())
    content[4096:] = bytes(len(content) - 4096)  # all but the schema
    (tmp_path / "memory").write_bytes(content)
    assert media_digest(media, tmp_path / "memory") == first


def test_memory_whose_text_is_no_longer_what_was_written_costs_time_only(
    media: Path, tmp_path: Path, read: list[str]
) -> None:
    first = media_digest(media, tmp_path / "memory")
    with sqlite3.connect(tmp_path / "memory") as connection:
        connection.execute("UPDATE folders SET state = '', files = substr(files, 1, 20)")
    connection.close()
    assert media_digest(media, tmp_path / "memory") == first and len(read) == 6


def test_memory_that_cannot_be_had_costs_time_only(media: Path, tmp_path: Path, read: list[str]) -> None:
    (tmp_path / "memory").mkdir()
    assert media_digest(media, tmp_path / "memory") == media_digest(media, tmp_path / "another")


def test_what_was_read_before_a_run_ended_is_not_read_again(media: Path, tmp_path: Path, read: list[str]) -> None:
    for person in ("carl", "dora"):
        write(media / person / "closed.jpg", person)
    real = watch.sha256_of  # which counts

    def stopped(path: Path) -> str:
        if len(read) == 4:
            raise KeyboardInterrupt
        return real(path)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(watch, "sha256_of", stopped)
        patched.setattr(watch, "_THREADS", 1)
        media_digest(media, tmp_path / "memory")
    media_digest(media, tmp_path / "memory")
    assert len(read) <= 6  # five files, of which one may have been read beside another of its folder


def test_two_folders_share_a_memory(media: Path, tmp_path: Path, read: list[str]) -> None:
    write(tmp_path / "other" / "ann/a.jpg", "another file of this name")
    for folder in (media, tmp_path / "other") * 2:
        media_digest(folder, tmp_path / "memory")
    assert len(read) == 4


def test_one_file_that_is_new_does_not_cost_its_neighbours(media: Path, tmp_path: Path, read: list[str]) -> None:
    """Such as one whose clock is ahead of ours, for good."""
    os.utime(media / "ann/a.jpg", (LONG_AGO + 1e7, LONG_AGO + 1e7))
    for _ in range(2):
        media_digest(media, tmp_path / "memory")
    assert sorted(read) == ["a.jpg", "a.jpg", "b.jpg", "c.wav"]


def test_names_and_clocks_that_nobody_would_choose(media: Path, tmp_path: Path, read: list[str]) -> None:
    """Bytes that are not UTF-8, and a year before 1970, as careless archives leave them."""
    strange = Path(os.fsdecode(os.fsencode(media) + b"/caf\xe9/na\xefve.txt"))
    write(strange, "text")
    os.utime(strange, (-1000, -1000))
    first = media_digest(media, tmp_path / "memory")
    assert first["files"] == 4 and media_digest(media, tmp_path / "memory") == first and len(read) == 4


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="media cannot be read"):
        media_digest(tmp_path / "media", tmp_path / "memory")
