"""A sentence in a person's voice, as a microphone would give it."""

import json
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnxruntime
import soxr

from corpus import ingredients
from corpus.streams import stream
from corpus.voices import Voice

RATE = 16_000  # Hz, of the clips
_MODEL_RATE = 24_000  # Hz
_SHORTEST, _LONGEST = 3.0, 4.05  # s, what a clip should last
_AIM = (3.2, 3.8)  # s, what the speed is chosen for
_PER_PHONEME = 0.059  # s at speed 1, the median over voices
_BASE_SPEED = 0.86  # slower than the model's own pace
_LEAD, _TAIL = 0.10, 0.15  # s kept before and after speech
_AUDIBLE = 0.01  # of full scale
_FASTEST, _SLOWEST = 1.35, 0.62  # limits on the model's speed


@dataclass(frozen=True)
class Sentence:
    """A text and its phonemes in the model's alphabet."""

    text: str
    phonemes: str


@cache
def sentences() -> tuple[Sentence, ...]:
    """The sentences that people say; phonemes are stored, so that no phonemiser is needed."""
    rows = json.loads((ingredients.ROOM / "sentences.json").read_text(encoding="utf-8"))
    return tuple(Sentence(row["text"], row["phonemes"]) for row in rows)


def choose_sentence(seed: int, person: int, clip: int) -> Sentence:
    """A person never says the same twice within as many clips as there are sentences."""
    order = stream(seed, "sentences", person).permutation(len(sentences()))
    return sentences()[int(order[clip % len(order)])]


@cache
def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # processes are the parallel unit
    path = ingredients.archive(ingredients.MODEL)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _utter(sentence: Sentence, voice: Voice, speed: float) -> np.ndarray:
    """Speech at the clips' rate, pitch and formants scaled by playing it faster  # (T,) float32."""
    vocabulary = ingredients.phoneme_vocabulary()
    tokens = [vocabulary[phoneme] for phoneme in sentence.phonemes if phoneme in vocabulary]
    feeds = {
        "tokens": np.array([[0, *tokens, 0]], np.int64),
        "style": voice.styles[None, len(tokens) - 1].astype(np.float32),
        "speed": np.array([speed / voice.warp], np.float32),
    }
    raw = _session().run(None, feeds)[0].ravel().astype(np.float32)
    return soxr.resample(raw, _MODEL_RATE * voice.warp, RATE)


def trim(waveform: np.ndarray) -> np.ndarray:
    """Speech with a little silence left on both sides  # (T,)."""
    audible = np.flatnonzero(np.abs(waveform) > _AUDIBLE * np.abs(waveform).max())
    start = max(0, audible[0] - int(_LEAD * RATE))
    return waveform[start : audible[-1] + int(_TAIL * RATE)]


def tilted(waveform: np.ndarray, decibels: float) -> np.ndarray:
    """The waveform with its spectrum sloped by `decibels` per octave around 1 kHz, held below 125 Hz  # (T,)."""
    spectrum = np.fft.rfft(waveform)
    frequency = np.maximum(np.fft.rfftfreq(len(waveform), 1 / RATE), 125.0)
    gain = 10 ** (decibels * np.log2(frequency / 1000) / 20)
    return np.fft.irfft(spectrum * gain, len(waveform))


def _recorded(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The waveform through a microphone: colour, gain, noise floor."""
    coloured = tilted(waveform, rng.uniform(-0.8, 0.8))
    coloured *= rng.uniform(0.35, 0.85) / np.abs(coloured).max()
    floor = np.sqrt((coloured**2).mean()) * 10 ** (-rng.uniform(28, 42) / 20)
    return (coloured + floor * rng.standard_normal(len(coloured))).astype(np.float32)


def _utter_in_time(sentence: Sentence, voice: Voice, speed: float) -> np.ndarray:
    """Speech of three to four seconds, its speed kept where that already gives them  # (T,)."""
    spoken, silence = len(sentence.phonemes) * _PER_PHONEME, _LEAD + _TAIL
    speed = spoken / (np.clip(silence + spoken / speed, *_AIM) - silence)
    waveform = trim(_utter(sentence, voice, speed))
    seconds = len(waveform) / RATE
    if not _SHORTEST <= seconds <= _LONGEST:  # a voice far from the median: once more, now knowing its pace
        speed *= (seconds - silence) / (np.clip(seconds, *_AIM) - silence)
        waveform = trim(_utter(sentence, voice, float(np.clip(speed, _SLOWEST, _FASTEST))))
    return waveform


def speak(seed: int, person: int, clip: int, voice: Voice) -> np.ndarray:
    """One clip's waveform at 16 kHz, within -1..1, three to four seconds where the rate can bring it there  # (T,)."""
    rng = stream(seed, "speech", person, clip)
    speed = _BASE_SPEED * voice.pace * rng.uniform(0.94, 1.08)
    waveform = _utter_in_time(choose_sentence(seed, person, clip), voice, speed)
    return _recorded(tilted(waveform, voice.tilt), rng)
