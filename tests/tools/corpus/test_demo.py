"""The corpus that ships is what its settings say, whole, balanced and readable."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.media.audio import decode_audio
from pipeline.media.video import sample_frames
from tools.corpus.settings import shipped_settings
from tools.corpus.tables import identity_name, identity_rows, latent_rows, sentence_rows

DEMO = Path(__file__).resolve().parents[3] / "data" / "demo"
SETTINGS = shipped_settings()


def _rows(name: str) -> list[list[str]]:
    with (DEMO / name).open(newline="", encoding="utf-8") as text:
        return list(csv.reader(text))[1:]


def test_the_same_seed_gives_the_shipped_identities_here() -> None:
    assert _rows("identities.csv") == [[str(field) for field in row] for row in identity_rows(SETTINGS)]


def test_the_same_seed_gives_the_shipped_texts_here() -> None:
    assert _rows("truth/sentences.csv") == [[str(field) for field in row] for row in sentence_rows(SETTINGS)]


def test_the_same_seed_gives_the_shipped_latents_here() -> None:
    shipped = _rows("truth/latents.csv")
    assert [row[0] for row in shipped] == [row[0] for row in latent_rows(SETTINGS)]
    found = np.array([[float(field) for field in row[1:]] for row in shipped])
    np.testing.assert_allclose(found, np.array([row[1:] for row in latent_rows(SETTINGS)]), atol=2e-4)


def test_every_person_has_every_clip_and_nothing_else_is_there() -> None:
    expected = {
        f"{identity_name(person)}/{clip}.mp4"
        for person in range(1, SETTINGS.people + 1)
        for clip in range(SETTINGS.clips)
    }
    assert {str(path.relative_to(DEMO)) for path in DEMO.rglob("*.mp4")} == expected


def test_half_are_women_and_all_regions_occur() -> None:
    rows = _rows("identities.csv")
    assert Counter(row[1] for row in rows) == {"f": SETTINGS.people // 2, "m": SETTINGS.people // 2}
    assert len(Counter(row[3] for row in rows)) == 4


def test_all_of_it_stays_within_twelve_megabytes() -> None:
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) <= 12_000_000


@pytest.mark.parametrize("person", range(1, SETTINGS.people + 1, 16))
def test_a_clip_has_pictures_and_sound_of_equal_length(person: int) -> None:
    for clip in range(SETTINGS.clips):
        path = DEMO / identity_name(person) / f"{clip}.mp4"
        waveform, frames = decode_audio(path, 16_000), sample_frames(path, float(SETTINGS.rate), 1000)
        assert 2.5 < len(waveform) / 16_000 < 4.6
        assert 0.15 < np.abs(waveform).max() < 0.999
        assert len(frames) / SETTINGS.rate == pytest.approx(len(waveform) / 16_000, abs=0.2)
        assert frames[0].image.shape == (SETTINGS.side, SETTINGS.side, 3)
