"""Pictures and sound into one mp4: H.264 and AAC.

x264 gives other bytes now and then for the same frames, even in one process: never compare clips by digest.
"""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from tools.corpus.files import written_whole
from tools.corpus.waveforms import RATE


def _picture_stream(container: OutputContainer, side: int, rate: int, quality: int) -> VideoStream:
    stream = container.add_stream("libx264", rate=rate, options={"crf": str(quality), "preset": "slow"})
    stream.width = stream.height = side
    stream.pix_fmt = "yuv420p"
    stream.thread_count = 1  # processes are the parallel unit
    return stream


def _sound_stream(container: OutputContainer, bits: int) -> AudioStream:
    stream = container.add_stream("aac", rate=RATE, layout="mono")
    stream.bit_rate = bits
    return stream


def _as_audio_frame(waveform: np.ndarray) -> av.AudioFrame:
    samples = (np.clip(waveform, -1, 1) * 32767).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
    return frame


def encode(
    path: Path, frames: Iterable[np.ndarray], waveform: np.ndarray, *, side: int, rate: int, quality: int, bits: int
) -> None:
    """Write a clip whole or not at all.

    frames: (side, side, 3) uint8 RGB, even side in px; waveform: (T,) in -1..1 at 16 kHz; rate in frames a second;
    quality is x264's constant rate factor (smaller is better); bits per second of sound.
    """
    with written_whole(path) as unfinished, av.open(unfinished, "w", options={"movflags": "+faststart"}) as container:
        pictures = _picture_stream(container, side, rate, quality)
        sound = _sound_stream(container, bits)  # before the first packet, which closes the list of streams
        for frame in frames:
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(pictures.encode())
        container.mux(sound.encode(_as_audio_frame(waveform)))
        container.mux(sound.encode())
