"""Skipped items are written down, and too many stop the run."""

from pathlib import Path

import pytest

from pipeline.errors import ExtractionError
from pipeline.extraction.skips import Skip, read_skips, refuse_too_many, write_skips


def skips(count: int) -> list[Skip]:
    return [Skip(f"clip{i}.mp4", "embed_voices", "no audio track") for i in range(count)]


def test_table_comes_back_sorted_whatever_the_reasons_hold(tmp_path: Path) -> None:
    odd = [Skip("b, c.mp4", "detect_faces", 'said "no",\nand stopped'), Skip("NA", "embed_voices", "nan")]
    write_skips(tmp_path / "skipped.csv", odd)
    assert read_skips(tmp_path / "skipped.csv") == sorted(odd, key=lambda skip: skip.item)


def test_no_skips_leave_a_header(tmp_path: Path) -> None:
    write_skips(tmp_path / "skipped.csv", [])
    assert (tmp_path / "skipped.csv").read_text() == "item,stage,reason\n"
    assert read_skips(tmp_path / "skipped.csv") == []


def test_share_up_to_the_limit_passes_and_beyond_fails(tmp_path: Path) -> None:
    refuse_too_many("embed_voices", skips(5), 100, 0.05, tmp_path)
    with pytest.raises(ExtractionError, match="6 of 100"):
        refuse_too_many("embed_voices", skips(6), 100, 0.05, tmp_path)


def test_message_names_items_reasons_key_and_file(tmp_path: Path) -> None:
    with pytest.raises(ExtractionError) as caught:
        refuse_too_many("embed_voices", skips(9), 10, 0.0, tmp_path / "skipped.csv")
    message = str(caught.value)
    for part in ("clip0.mp4: no audio track", "embed_voices.max_skip_ratio = 0", "skipped.csv", "4 more"):
        assert part in message


def test_empty_corpus_is_not_too_many(tmp_path: Path) -> None:
    refuse_too_many("embed_faces", [], 0, 0.0, tmp_path)
