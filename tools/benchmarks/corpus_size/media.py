"""Many small media on the spot: face frames as VoxCeleb1 is released, and utterances of the same recordings."""

import io
import wave
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SIDE = 160  # px
_PICTURES, _SOUNDS = 64, 16  # different ones; all others differ in their bytes alone
_RATE, _SECONDS = 16_000, 0.5  # Hz, s
RECORDINGS = 18  # of a person, as VoxCeleb1's 22,496 of 1,251 people
PER_UTTERANCE = 8  # frames, as 1.2 million to 150,000


def make_media(folder: Path, files: int, people: int) -> tuple[int, int]:
    """Write about `files` frames <person>/<recording>/<number>.jpg and an eighth as many wav; returns their numbers.

    No two have the same bytes: each carries its number, a jpg in a comment, a wav in its last sample.
    """
    generator = np.random.default_rng(0)
    pictures, sounds = [_jpg(generator) for _ in range(_PICTURES)], [_wav(generator) for _ in range(_SOUNDS)]
    frames = utterances = 0
    for recording in range(people * RECORDINGS):
        below = folder / f"id{recording // RECORDINGS:05}" / f"video{recording % RECORDINGS:02}"
        below.mkdir(parents=True)
        for _ in range(files * (recording + 1) // (people * RECORDINGS) - frames):
            picture = pictures[frames % _PICTURES]
            (below / f"{frames:07}.jpg").write_bytes(picture[:2] + _comment(frames) + picture[2:])
            frames += 1
        while utterances * PER_UTTERANCE < frames:
            sound = sounds[utterances % _SOUNDS]
            (below / f"{utterances:07}.wav").write_bytes(sound[:-4] + utterances.to_bytes(4, "little"))
            utterances += 1
    return frames, utterances


def _jpg(generator: np.random.Generator) -> bytes:
    pixels = generator.integers(0, 256, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((SIDE, SIDE)).filter(ImageFilter.GaussianBlur(2))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()


def _comment(number: int) -> bytes:
    """A segment of a jpg that no decoder looks into."""
    return b"\xff\xfe\x00\x0a%08d" % number


def _wav(generator: np.random.Generator) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(_RATE)
        writer.writeframes((generator.standard_normal(int(_RATE * _SECONDS)) * 3000).astype("<i2").tobytes())
    return file.getvalue()
