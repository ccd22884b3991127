"""Encoding: what goes in comes out."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.media.audio import decode_audio
from pipeline.media.video import sample_frames
from tools.corpus.encode import encode
from tools.corpus.waveforms import RATE


def test_an_encoded_clip_gives_back_its_pictures_and_its_sound(tmp_path: Path) -> None:
    times = np.arange(2 * RATE) / RATE
    waveform = (0.5 * np.sin(2 * np.pi * 300 * times)).astype(np.float32)
    shades = [np.full((32, 32, 3), 40 + 8 * k, np.uint8) for k in range(24)]
    encode(tmp_path / "a.mp4", shades, waveform, side=32, rate=12, quality=10, bits=64_000)
    frames = sample_frames(tmp_path / "a.mp4", 12.0, 100)
    assert [round(float(frame.image.mean()) - 40) // 8 for frame in frames] == pytest.approx(list(range(24)), abs=1)
    decoded = decode_audio(tmp_path / "a.mp4", RATE)[: len(waveform)]
    assert np.corrcoef(decoded[4000:28000], waveform[4000 : 4000 + len(decoded[4000:28000])])[0, 1] > 0.98
