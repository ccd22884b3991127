"""People who speak for training only."""

from pathlib import Path

import pytest

from corpus.settings import shipped_settings

pytest.importorskip("onnxruntime", reason="the corpus's environment speaks")


def test_they_are_not_the_people_of_the_shipped_corpus() -> None:
    from voice_encoder import virtual_voices

    assert shipped_settings().seed != virtual_voices.SEED


def test_who_is_recorded_already_is_not_recorded_again(tmp_path: Path) -> None:
    from voice_encoder import virtual_voices

    there = tmp_path / "virtual0003.flac"
    there.write_bytes(b"kept")
    assert virtual_voices.record(tmp_path, 3).read_bytes() == b"kept"
