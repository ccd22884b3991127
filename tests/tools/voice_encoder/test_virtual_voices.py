"""People who speak for training only."""

from pathlib import Path

from tools.corpus.latents import draw_latents
from tools.corpus.settings import shipped_settings
from tools.voice_encoder import virtual_voices


def test_none_of_them_is_a_person_of_the_shipped_corpus() -> None:
    shipped = shipped_settings()
    theirs = {draw_latents(shipped.seed, person) for person in range(1, shipped.people + 1)}
    ours = {draw_latents(virtual_voices.SEED, person) for person in range(1, virtual_voices.PEOPLE + 1)}
    assert len(ours) == virtual_voices.PEOPLE
    assert not ours & theirs


def test_who_is_recorded_already_is_not_recorded_again(tmp_path: Path) -> None:
    there = tmp_path / "virtual0003.flac"
    there.write_bytes(b"kept")
    assert virtual_voices.record(tmp_path, 3).read_bytes() == b"kept"
