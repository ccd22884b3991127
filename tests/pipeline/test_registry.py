"""Files by name: two of one name are refused, and a broken file harms nobody but who names it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extractors.faces.face import DETECTORS
from extractors.voices.voice import VOICE_EXTRACTORS
from pipeline.errors import ConfigError
from pipeline.losses import base as losses
from pipeline.manifest import layouts
from pipeline.methods import base as methods
from pipeline.protocol import sources
from pipeline.registry import Registry

BEASTS: Registry[Callable[[], str]] = Registry("beasts", "zoo.beast")
LION = """
from tests.pipeline.test_registry import BEASTS

def lion():
    return "roar"

BEASTS.add("lion", lion, lion)
"""


@pytest.fixture
def beasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of files, in which lion.py is sound."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "beasts"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "lion.py").write_text(LION)
    monkeypatch.setattr(BEASTS, "_known", {})
    monkeypatch.setattr(BEASTS, "_owners", {})
    for name in [name for name in sys.modules if name.partition(".")[0] == "beasts"]:
        monkeypatch.delitem(sys.modules, name)
    return folder


BROKEN = ["import a_library_that_is_absent", "def (:", "undefined_name", "1 / 0", "open('no such file')"]


@pytest.mark.parametrize("text", BROKEN)
def test_broken_file_harms_no_other_and_is_named(beasts: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    (beasts / "ape.py").write_text(text)
    assert BEASTS.find("lion")() == "roar"
    assert caplog.text == ""  # it was not looked at
    assert list(BEASTS.entries()) == ["lion"]
    assert "beasts.ape cannot be imported" in caplog.text


@pytest.mark.parametrize("text", BROKEN)
def test_unknown_name_says_which_files_could_not_be_imported(beasts: Path, text: str) -> None:
    (beasts / "ape.py").write_text(text)
    for name in ("ape", "monkey"):
        with pytest.raises(ConfigError, match=r"'\w+' is not known; known: lion; beasts\.ape could not be imported: "):
            BEASTS.find(name)


def test_nothing_is_used_of_a_file_that_fails_after_it_registered(beasts: Path) -> None:
    (beasts / "ape.py").write_text(LION.replace("lion", "ape") + "\nundefined_name\n")
    with pytest.raises(
        ConfigError, match=r"known: lion; beasts\.ape could not be imported: NameError: .*undefined_name"
    ):
        BEASTS.find("ape")


def test_only_the_file_of_the_name_is_imported(beasts: Path) -> None:
    (beasts / "ape.py").write_text(LION.replace("lion", "ape"))
    BEASTS.find("lion")
    assert "beasts.ape" not in sys.modules


def test_name_of_two_files_is_refused_with_both(beasts: Path) -> None:
    (beasts / "tiger.py").write_text(LION)
    with pytest.raises(ConfigError, match=r"zoo\.beast: 'lion' is registered twice, by .*lion\.py .* and .*tiger\.py "):
        BEASTS.entries()


def mine() -> None:
    """What somebody registers under a name that is there."""


class Mine:
    """Likewise."""


FIVE: list[tuple[Callable[[], Any], Callable[[], Any], str]] = [
    (lambda: losses.loss_class("git"), lambda: losses.register("git")(Mine), "git"),  # type: ignore[type-var]
    (lambda: methods.method_class("aml"), lambda: methods.register("aml")(Mine), "aml"),  # type: ignore[type-var]
    (lambda: layouts.layout_named("csv"), lambda: layouts.register("csv", "all")(mine), "csv"),  # type: ignore[arg-type]
    (lambda: sources.source_named("generated"), lambda: sources.register("generated")(mine), "generated"),  # type: ignore[arg-type]
    (lambda: DETECTORS.find("none"), lambda: DETECTORS.register("none")(Mine), "none"),  # type: ignore[type-var]
    (lambda: VOICE_EXTRACTORS.find("campplus"), lambda: VOICE_EXTRACTORS.register("campplus")(Mine), "campplus"),  # type: ignore[type-var]
]


@pytest.mark.parametrize(("find", "again", "name"), FIVE, ids=lambda part: part if isinstance(part, str) else "")
def test_no_name_of_ours_is_overwritten(find: Callable[[], Any], again: Callable[[], Any], name: str) -> None:
    ours = find()
    with pytest.raises(ConfigError, match=rf"'{name}' is registered twice, by .*{name}\.py .* and .*test_registry\.py"):
        again()
    assert find() is ours


LAZY = [
    ("pipeline.manifest.layouts", "layout_named('csv')"),
    ("pipeline.protocol.sources", "source_named('generated')"),
    ("extractors.faces.face", "DETECTORS.find('none')"),
]


@pytest.mark.parametrize(("module", "call"), LAZY)
def test_finding_what_ships_leaves_its_neighbours_alone(module: str, call: str) -> None:
    script = (
        f"import sys, {module} as rooms; rooms.{call}; package = '{module}'.removesuffix('.face') + '.'; "
        "print(*sorted(name for name in sys.modules if name.startswith(package)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    wanted = call.split("'")[1]
    found = {name.rpartition(".")[2] for name in done.stdout.split()}
    assert wanted in found and not found & {"mtcnn", "facenet", "voxceleb1", "mavceleb", "folders", "voxceleb_lists"}
