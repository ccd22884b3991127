"""Faces, voices and films that are made on the spot."""

from pathlib import Path

import numpy as np

from tools.benchmarks.gpu.bench import DEMO, SkippedError

RATE = 16_000  # Hz
Picture = np.ndarray  # (H, W, 3) RGB uint8


def crops(count: int, seed: int = 0) -> list[Picture]:
    """(160, 160, 3) each: smooth random pictures, since FaceNet's arithmetic does not ask for faces."""
    import cv2

    rng = np.random.default_rng(seed)
    coarse = [rng.integers(0, 256, (10, 10, 3), dtype=np.uint8) for _ in range(count)]
    return [cv2.resize(one, (160, 160), interpolation=cv2.INTER_CUBIC) for one in coarse]


def waveforms(count: int, seconds: float, seed: int = 0) -> list[np.ndarray]:
    """(T,) float32 at 16 kHz each: harmonics of a gliding tone, in noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    found = []
    for _ in range(count):
        pitch = rng.uniform(90, 250) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(1, 4) * time))
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        voice = sum(np.sin(k * phase) * rng.uniform(0.2, 1.0) / k for k in range(1, 20))
        found.append((0.1 * voice + 0.01 * rng.standard_normal(len(time))).astype(np.float32))
    return found


def demo_frames(count: int) -> list[Picture]:
    """Frames of the shipped clips, of one person each; raises SkippedError without PyAV or without the clips."""
    try:
        from pipeline.media import sample_frames
    except ImportError as error:
        raise SkippedError(f"films need PyAV to be decoded: {error}") from error
    clips = [sorted(person.glob("*.mp4"))[0] for person in sorted(DEMO.glob("*/")) if any(person.glob("*.mp4"))]
    if not clips:
        raise SkippedError(f"{DEMO} holds no clips, so there are no faces to find")
    return [sample_frames(clip, 1.0, 1)[0].image for clip in clips[:count]]


def write_film(path: Path, picture: Picture, width: int, height: int, seconds: float, seed: int) -> None:
    """A film at 25 Hz of a picture that drifts, with the sound of `waveforms`."""
    import av
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    grown = cv2.resize(picture, (width + 32, height + 32), interpolation=cv2.INTER_CUBIC)
    (sound,) = waveforms(1, seconds, seed)
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream(codec, rate=25), container.add_stream("aac", rate=RATE)
        video.width, video.height, video.pix_fmt, audio.layout = width, height, "yuv420p", "mono"
        for number in range(round(25 * seconds)):
            x = number % 32
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(grown[x : x + height, x : x + width]), "rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for start in range(0, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(audio.encode(frame))
        container.mux(audio.encode())
