"""A folder keeps to the settings that began it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tools.corpus.association import Association
from tools.corpus.claim import claim
from tools.corpus.errors import SettingsError
from tools.corpus.settings import shipped_settings

SETTINGS = shipped_settings()


def test_more_people_clips_or_workers_go_on_in_the_same_folder(tmp_path: Path) -> None:
    claim(tmp_path, SETTINGS)
    before = (tmp_path / "truth" / "settings.json").read_bytes()
    claim(tmp_path, replace(SETTINGS, people=500, clips=9, workers=7))
    assert (tmp_path / "truth" / "settings.json").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "value"), [("seed", 1), ("quality", 40), ("association", Association(age=0, size=1, s1=1, s2=1))]
)
def test_other_settings_are_refused_by_name(tmp_path: Path, name: str, value: object) -> None:
    claim(tmp_path, SETTINGS)
    with pytest.raises(SettingsError, match=name):
        claim(tmp_path, replace(SETTINGS, **{name: value}))


def test_the_shipped_corpus_is_of_the_shipped_settings() -> None:
    demo = Path(__file__).resolve().parents[3] / "data" / "demo"
    assert (demo / "truth" / "settings.json").exists()
    claim(demo, SETTINGS)
