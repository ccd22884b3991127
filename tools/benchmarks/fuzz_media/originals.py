"""The sound media that mutants are made of: mp4, wav, flac and jpg, several of each, small."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests import media_factory as make

DEMO = Path(__file__).resolve().parents[3] / "data" / "demo"
_RATE = 16000  # Hz
_SECONDS = 0.6


def originals(folder: Path) -> list[tuple[str, bytes]]:
    """Suffix and bytes of each, in turns of mp4, wav, flac, jpg; a talking face of the shipped corpus among them."""
    clip = sorted(DEMO.glob("*/*.mp4"))[0]
    tone, noise = make.tone(_SECONDS, _RATE), make.noise(_SECONDS, 44100)
    stereo = np.stack([make.tone(_SECONDS, 48000), make.noise(_SECONDS, 48000)], axis=1)  # (T, 2)
    made = [
        clip,
        make.write_sound(folder / "pcm16.wav", tone),
        make.write_sound(folder / "mono16.flac", make.noise(_SECONDS, _RATE)),
        _face(clip, folder / "face.jpg"),
        make.write_video(folder / "turned.mp4", _SECONDS, samples=tone, rotation=90),
        make.write_sound(folder / "float.wav", stereo, 48000, subtype="FLOAT"),
        make.write_sound(folder / "stereo24.flac", stereo, 48000, subtype="PCM_24"),
        make.write_image(folder / "turned.jpg", orientation=6),
        _fragmented(folder / "fragmented.mp4", tone),
        make.write_sound(folder / "bytes.wav", noise, 44100, subtype="PCM_U8"),
        make.write_sound(folder / "rate.flac", noise, 44100),
        _progressive(folder / "progressive.jpg"),
    ]
    return [(path.suffix, path.read_bytes()) for path in made]


def _face(clip: Path, path: Path) -> Path:
    with av.open(str(clip)) as container:
        next(container.decode(video=0)).to_image().save(path, quality=90)
    return path


def _progressive(path: Path) -> Path:
    Image.fromarray(make.numbered_image(5)).save(path, progressive=True, restart_marker_blocks=8)
    return path


def _fragmented(path: Path, samples: np.ndarray) -> Path:
    """MPEG-4 video and sound in fragments, whose tables lie scattered (moof, trun)."""
    with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        video.codec_context.gop_size = 5
        audio = container.add_stream("aac", rate=_RATE, layout="mono")
        for number in range(round(_SECONDS * 25)):
            frame = av.VideoFrame.from_ndarray(make.numbered_image(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for start in range(0, len(samples), 1024):
            sound = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = _RATE, start, Fraction(1, _RATE)
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
    return path
