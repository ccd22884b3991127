"""Small speech to work on, and commands run as a user runs them."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.tools.voice_encoder.recordings import write
from tools.voice_encoder.command import run_command

Told = Callable[..., tuple[int, str]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """Run a command that ends itself: its exit code and what it wrote."""

    def run(command: ModuleType, *given: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", [command.__name__, *map(str, given)])
        with pytest.raises(SystemExit) as ended:
            run_command(command.main)
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out + written.err

    return run


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Two recordings each of two speakers who train, two who are watched and two who are tested on."""
    for speaker in (19, 26, 39, 1098, 78, 103):
        for number in range(2):
            write(tmp_path / "speech" / f"{speaker}-1-{number:04d}.flac", 4.5)
    return tmp_path / "speech"
