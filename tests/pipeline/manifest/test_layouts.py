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


def test_numbered_pictures_in_a_persons_own_folder_are_counted_with_the_remedy(
    build: Build, media: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neighbouring frames of one film must not pass for two recordings without a word."""
    for number in range(3):
        make.write_image(media / "ann" / f"film1_frame{number:04}.jpg", number)
    make.write_image(media / "bob" / "7.png", 3)
    make.write_image(media / "bob" / "12.png", 4)
    assert build()["clip"].nunique() == 9
    assert "5 pictures of 2 people differ in their names by numbers alone" in caplog.text
    assert "first: 'ann/film1_frame0000.jpg'; frames of one film belong into a folder of theirs" in caplog.text


def test_pictures_that_say_their_recording_are_not_counted_as_frames(
    build: Build, media: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2):
        make.write_image(media / "ann" / "film" / f"{number}.jpg", number)  # a folder each recording
        make.write_image(media / "bob" / f"{number}.jpg", 2 + number)  # and one medium of each kind
        make.write_sound(media / "bob" / f"{number}.wav", make.noise(0.3, 16000, seed=number))
    make.write_image(media / "carl" / "beach.jpg", 4)
    make.write_image(media / "carl" / "office.jpg", 5)
    assert len(build()) == 12
    assert "pictures" not in caplog.text


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
