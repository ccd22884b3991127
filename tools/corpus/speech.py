"""A sentence in a person's voice, as a microphone would give it."""

from functools import cache

import numpy as np
import onnxruntime
import soxr

from tools.corpus import ingredients
from tools.corpus.sentences import Sentence, choose_sentence
from tools.corpus.streams import stream
from tools.corpus.voices import Voice
from tools.corpus.waveforms import LEAD, RATE, TAIL, recorded, tilted, trim

_MODEL_RATE = 24_000  # Hz
_SHORTEST, _LONGEST = 3.0, 4.05  # s, what a clip should last
_AIM = (3.2, 3.8)  # s, what the speed is chosen for
_PER_PHONEME = 0.059  # s at speed 1, the median over voices
_BASE_SPEED = 0.86  # slower than the model's own pace
_FASTEST, _SLOWEST = 1.35, 0.62  # limits on the model's speed


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


def _utter_in_time(sentence: Sentence, voice: Voice, speed: float) -> np.ndarray:
    """Speech of three to four seconds, its speed kept where that already gives them  # (T,)."""
    spoken, silence = len(sentence.phonemes) * _PER_PHONEME, LEAD + TAIL
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
    return recorded(tilted(waveform, voice.tilt), rng)
