"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from tools.corpus.files import sha256, written_whole


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    with written_whole(tmp_path / "deep" / "clip.mp4") as unfinished:
        unfinished.write_bytes(b"half")
        assert unfinished.suffix == ".mp4"
        assert not (tmp_path / "deep" / "clip.mp4").exists()
    assert (tmp_path / "deep" / "clip.mp4").read_bytes() == b"half"
    assert len(list((tmp_path / "deep").iterdir())) == 1


def test_a_failure_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), written_whole(tmp_path / "a") as unfinished:
        unfinished.write_text("new")
        raise RuntimeError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_digest_of_known_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
