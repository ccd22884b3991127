"""A media folder of two people, and a call that makes its manifest."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline.manifest.build import Sources, build_manifest
from pipeline.settings import ManifestSettings
from tests import media_factory as make

Build = Callable[..., pd.DataFrame]


@pytest.fixture(autouse=True)
def _read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, which is faster and where tests can count; test_measure.py has the workers that ship."""
    monkeypatch.setenv("SBNET_WORKERS", "0")


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """<identity>/...: one video each, and for ann an utterance and a photo too."""
    root = tmp_path / "media"
    make.write_video(root / "ann" / "talk.mp4", 0.4, samples=make.tone(0.4, 16000), seed=1)
    make.write_sound(root / "ann" / "radio" / "one.wav", make.noise(0.5, 16000, seed=1))
    make.write_image(root / "ann" / "photo.jpg", number=1)
    make.write_video(root / "bob" / "talk.mp4", 0.4, seed=2)
    return root


@pytest.fixture
def build(tmp_path: Path, media: Path) -> Build:
    """Manifest of `media`; `table` and `identities` are the texts of those CSV files, other keys are settings."""

    def call(
        table: str | bytes = "path,identity\n", identities: str | bytes = "identity\n", **keys: object
    ) -> pd.DataFrame:
        for name, text in (("items.csv", table), ("identities.csv", identities)):
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        given = {"media": str(media), "table": "items.csv", "identities": "identities.csv"}
        settings = ManifestSettings.model_validate(
            {"layout": "folders", "listed": {}, "columns": {}, "max_skip_ratio": 1.0, **given, **keys}
        )
        sources = Sources(media, tmp_path / "items.csv", tmp_path / "identities.csv", tmp_path / "cache")
        return build_manifest(settings, sources)

    return call
