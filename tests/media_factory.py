"""Tiny media made on the fly: video, sound, images, and ways to break them.

Frames carry their number as black and white blocks, which survive compression: `frame_number` reads it back.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image

_BITS = 10  # blocks in a frame's top row; numbers to 1023


def tone(seconds: float, sample_rate: int, frequency: float = 440.0, amplitude: float = 0.5) -> np.ndarray:
    """A sine (T,) float32."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def noise(seconds: float, sample_rate: int, seed: int = 0, amplitude: float = 0.1) -> np.ndarray:
    """White noise (T,) float32, different for every seed."""
    generator = np.random.default_rng(seed)
    return (amplitude * generator.standard_normal(round(seconds * sample_rate))).clip(-1, 1).astype(np.float32)


def numbered_image(number: int, width: int = 160, height: int = 120, seed: int = 0) -> np.ndarray:
    """An RGB picture (H, W, 3) uint8: its number in blocks on top, a smooth pattern of its seed below, top left red."""
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([(rows + 3 * seed) % 200, (columns + 5 * number) % 200, (rows + columns) % 200], axis=-1)
    block = width // _BITS
    for bit in range(_BITS):
        image[: height // 4, bit * block : (bit + 1) * block] = 255 * (number >> bit & 1)
    return image.astype(np.uint8)


def frame_number(image: np.ndarray) -> int:
    """The number in a picture made by numbered_image, of any size and through any codec."""
    height, width = image.shape[:2]
    block = width // _BITS
    top = image[: height // 4].mean(axis=(0, 2))  # (W,)
    return sum(int(top[bit * block + 2 : (bit + 1) * block - 2].mean() > 128) << bit for bit in range(_BITS))


def write_image(path: Path, number: int = 0, width: int = 160, height: int = 120, orientation: int = 1) -> Path:
    """A still image in the format of its suffix, with an EXIF orientation (1 to 8; jpg, png, webp)."""
    image = Image.fromarray(numbered_image(number, width, height))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **({} if orientation == 1 else {"exif": exif}))
    return path


def write_sound(path: Path, samples: np.ndarray, sample_rate: int = 16000, subtype: str | None = None) -> Path:
    """Samples (T,) or (T, channels) as wav, flac or ogg, by the suffix; subtype such as PCM_U8, PCM_16, FLOAT."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, sample_rate, subtype=subtype)
    return path


def write_video(
    path: Path,
    seconds: float = 1.0,
    *,
    fps: int = 25,
    size: tuple[int, int] = (160, 120),
    codec: str = "libx264",
    samples: np.ndarray | None = None,
    sample_rate: int = 16000,
    audio_codec: str = "aac",
    rotation: int = 0,
    mirrored: tuple[bool, bool] = (False, False),
    pixel_width: Fraction = Fraction(1),
    times: list[float] | None = None,
    seed: int = 0,
) -> Path:
    """Numbered frames in the container of the suffix; `samples` (T,) or (channels, T) become the audio track.

    `times` (s) give a variable frame rate; `rotation` is counterclockwise degrees in the display matrix, which then is
    `mirrored` left to right and upside down; `pixel_width` is that of a pixel by its height.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=fps)
        video.width, video.height = size
        video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        video.codec_context.thread_count = 1
        video.codec_context.gop_size = fps
        if pixel_width != 1:
            video.codec_context.sample_aspect_ratio = pixel_width
        if rotation or any(mirrored):
            video.set_display_rotation(rotation, *mirrored)
        audio = None
        if samples is not None:
            layout = "mono" if samples.ndim == 1 else "stereo"
            audio = container.add_stream(audio_codec, rate=sample_rate, layout=layout)
        for number, time in enumerate(times or [i / fps for i in range(round(seconds * fps))]):
            frame = av.VideoFrame.from_ndarray(numbered_image(number, *size, seed), format="rgb24")
            frame.pts, frame.time_base = round(time * 90000), Fraction(1, 90000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            _encode_audio(container, audio, samples, sample_rate)
    return path


def write_audio_track(
    path: Path, samples: np.ndarray, sample_rate: int = 16000, codec: str = "aac", cover: Path | None = None
) -> Path:
    """Sound alone in a container (m4a, mp3, webm ...), with a picture attached as its cover (mp3) if one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        audio = container.add_stream(codec, rate=sample_rate, layout="mono" if samples.ndim == 1 else "stereo")
        picture = None
        if cover is not None:
            source = av.open(str(cover))
            picture = container.add_stream_from_template(source.streams.video[0])
            picture.disposition = av.stream.Disposition.attached_pic
            packet = next(source.demux(video=0))
            packet.stream = picture
            container.mux(packet)
        _encode_audio(container, audio, samples, sample_rate)
    return path


def write_tracks(path: Path, tracks: list[tuple[np.ndarray, int]], sample_rate: int = 16000) -> Path:
    """Several audio tracks (samples (T,), Disposition) in one container, interleaved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("aac", rate=sample_rate, layout="mono") for _ in tracks]
        for stream, (_, disposition) in zip(streams, tracks, strict=True):
            stream.disposition = disposition
        for stream, (samples, _) in zip(streams, tracks, strict=True):
            _encode_audio(container, stream, samples, sample_rate)
    return path


def write_channels(path: Path, channels: np.ndarray, layout: str, sample_rate: int = 48000, codec: str = "aac") -> Path:
    """Channels (C, T) of a layout such as 7.1 in the container of the suffix."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=sample_rate, layout=layout)
        for start in range(0, channels.shape[1], 1024):
            part = channels[:, start : start + 1024].T.astype(np.float32)  # packed: PyAV cannot fill more than 7 planes
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part).reshape(1, -1), format="flt", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = sample_rate, start, Fraction(1, sample_rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rename_codec(path: Path, code: bytes) -> Path:
    """Give the codec of an mp4 (such as avc1) a name that no decoder knows."""
    data = path.read_bytes()
    path.write_bytes(data.replace(code, b"zzz1"))
    return path


def _encode_audio(container: av.container.OutputContainer, stream, samples: np.ndarray, sample_rate: int) -> None:
    planes = np.atleast_2d(samples).astype(np.float32)  # (channels, T)
    for start in range(0, planes.shape[1], 1024):
        part = np.ascontiguousarray(planes[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono" if len(planes) == 1 else "stereo")
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, start, Fraction(1, sample_rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def cut(path: Path, keep: float) -> Path:
    """Keep the first share of a file's bytes (0: an empty file)."""
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * keep)])
    return path


def scramble(path: Path, start: float, stop: float, seed: int = 0) -> Path:
    """Overwrite the bytes between two shares of a file with noise."""
    data = bytearray(path.read_bytes())
    first, last = round(len(data) * start), round(len(data) * stop)
    data[first:last] = np.random.default_rng(seed).bytes(last - first)
    path.write_bytes(bytes(data))
    return path
