"""A layout is one file that registers itself; params.yaml names it."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.manifest import layouts
from tests import media_factory as make
from tests.pipeline.manifest.conftest import Build

SESSIONS = '''
"""Layout sessions: <session>/<identity>.mp4."""

from pipeline.manifest.layouts import LayoutInput, register
from pipeline.manifest.media_folder import Listing, list_media
from pipeline.manifest.schema import Entry


@register("sessions", expects="<session>/<identity>.mp4")
def find(source: LayoutInput) -> tuple[Listing, list[Entry]]:
    listing = list_media(source.media)
    found = [Entry(path, path.split("/")[-1].split(".")[0], path.split("/")[0]) for path in listing.paths]
    return listing, found
'''


@pytest.mark.parametrize("name", ["folders", "voxceleb1", "mavceleb", "csv"])
def test_layouts_that_ship_are_known(name: str) -> None:
    assert layouts.layout_named(name).expects


def test_unknown_layout_is_refused_with_the_known_ones(build: Build) -> None:
    with pytest.raises(ConfigError, match=r"manifest.layout: 'voxceleb' is not known \(did you mean 'voxceleb1'\?\)"):
        build(layout="voxceleb")
    with pytest.raises(ConfigError, match=r"known: csv, folders, mavceleb, voxceleb1"):
        build(layout="videos")


def test_new_layout_is_one_file(build: Build, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "sessions.py").write_text(SESSIONS)
    monkeypatch.setattr(layouts, "__path__", [*layouts.__path__, str(tmp_path / "more")])
    make.write_video(media / "monday" / "carl.mp4", 0.4, seed=5)
    row = build(layout="sessions").set_index("item").loc["monday/carl.mp4"]
    layouts._LAYOUTS.remove("sessions")
    assert (row["identity"], row["clip"]) == ("carl", "monday")
