"""The sound of any medium as one waveform."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from av.audio.frame import AudioFrame

from pipeline.errors import MediaError
from pipeline.media.containers import audio_stream, decoded, open_container
from pipeline.media.content import content_of

SHORTEST = 0.1  # s; less holds no syllable
LONGEST = 6 * 3600.0  # s; 1.4 GB at 16 kHz, and as much again while it is put together
LEAST_SHARE = 0.5  # of the declared length; a file of which less decodes is broken rather than clipped
SILENCE = 2.0**-15  # amplitude of 16-bit audio's last bit
LOUDEST = 8.0  # amplitude, +18 dB; decoders overshoot 1 a little, unscaled floats by far

_BLOCK = 1 << 18  # samples of all channels decoded at a time
_RATES = range(1000, 768_001)  # Hz; anything else is a damaged header, and would blow up in resampling
_ESTIMATED = ("mp3", "aac", "mpeg", "mpegts")  # formats whose length FFmpeg guesses from the bit rate

logger = logging.getLogger(__name__)


def decode_audio(path: Path, sample_rate: int, max_seconds: float = LONGEST) -> np.ndarray:
    """Waveform (T,) float32 in [-1, 1], mono (mean of the channels), at `sample_rate` Hz.

    Decoded and resampled (soxr HQ) block by block, so that long media cost no more memory than their waveform. A
    damaged file, or a header that promises more than there is, gives what decodes. Raises MediaError, naming
    the file, where there is no audio track, less than SHORTEST seconds or less than LEAST_SHARE of the declared
    length decodes, more than `max_seconds` follow, samples are NaN, infinite or beyond LOUDEST, or all is silence.
    """
    content = content_of(path)
    if content == "image":
        raise MediaError(f"{path.name}: is an image and has no audio track")
    blocks = _wave_blocks(path) if content == "wave" else _container_blocks(path)
    parts: list[np.ndarray] = []
    samples = 0
    for part in _resampled(_finite(path, blocks), sample_rate):
        samples += len(part)
        if samples > max_seconds * sample_rate:
            raise MediaError(f"{path.name}: longer than {max_seconds:g} s; cut it into utterances")
        parts.append(part)
    if samples < SHORTEST * sample_rate:
        raise MediaError(f"{path.name}: only {samples / sample_rate:.3f} s of sound; {SHORTEST:g} s are the least")
    return _in_range(path, np.concatenate(parts))


def _in_range(path: Path, waveform: np.ndarray) -> np.ndarray:
    peak = max(float(waveform.max()), -float(waveform.min()))
    if not math.isfinite(peak):  # each sample was finite, but resampling summed them beyond float32
        raise MediaError(f"{path.name}: its samples are too large to resample; export it again, scaled to [-1, 1]")
    if peak <= SILENCE:
        raise MediaError(f"{path.name}: is silent from end to end")
    if peak > LOUDEST:
        raise MediaError(f"{path.name}: samples reach {peak:.4g}, but full scale is 1; export it again, scaled")
    return np.clip(waveform, -1.0, 1.0, out=waveform)


def _finite(path: Path, blocks: Iterator[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    for rate, block in blocks:
        if rate not in _RATES:
            raise MediaError(f"{path.name}: claims {rate} Hz; its header is damaged")
        if not np.isfinite(block).all():
            raise MediaError(f"{path.name}: holds samples that are NaN or infinite; export it again")
        yield rate, block


def _resampled(blocks: Iterator[tuple[int, np.ndarray]], sample_rate: int) -> Iterator[np.ndarray]:
    """Blocks at their own rate to blocks at `sample_rate`; a rate may change within a file."""
    rate, stream, nothing = 0, None, np.zeros(0, np.float32)
    for block_rate, block in blocks:
        if block_rate != rate:
            if stream is not None:
                yield stream.resample_chunk(nothing, last=True)
            rate = block_rate
            stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32") if rate != sample_rate else None
        yield block if stream is None else stream.resample_chunk(block)
    if stream is not None:
        yield stream.resample_chunk(nothing, last=True)


def _wave_blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.SoundFileError, OSError) as error:
        raise MediaError(f"{path.name}: no sound can be read from it ({_reason(error)})") from error
    with file:
        while True:
            try:
                block = file.read(max(1, _BLOCK // file.channels), dtype="float32", always_2d=True)  # (n, channels)
            except soundfile.SoundFileError as error:
                raise MediaError(f"{path.name}: its sound is damaged ({_reason(error)})") from error
            if not len(block):
                break
            with np.errstate(all="ignore"):  # a mean of infinite samples is not finite either, and refused as such
                mono = block.mean(axis=1)
            yield file.samplerate, mono


def _container_blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    with open_container(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise MediaError(f"{path.name}: has no audio track")
        found = 0.0
        for frame in decoded(path, container, stream):
            if isinstance(frame, AudioFrame) and frame.samples:
                found += frame.samples / max(1, frame.sample_rate)
                yield frame.sample_rate, _mono(frame)
        if stream.duration and stream.time_base and container.format.name not in _ESTIMATED:
            _check_share(path, found, float(stream.duration * stream.time_base))


def _mono(frame: AudioFrame) -> np.ndarray:
    values = np.asarray(frame.to_ndarray())  # planar: (channels, n); packed: (1, n * channels)
    if not frame.format.is_planar:
        values = values.reshape(-1, len(frame.layout.channels)).T
    with np.errstate(all="ignore"):  # as in _wave_blocks
        mono: np.ndarray = values.mean(axis=0, dtype=np.float64)  # (n,)
    if values.dtype.kind == "u":  # 8 bits, the only unsigned samples there are: 128 is silence
        mono = (mono - 128) / 128
    elif values.dtype.kind == "i":
        mono /= 2 ** (8 * values.dtype.itemsize - 1)
    return mono.astype(np.float32)


def _check_share(path: Path, found: float, declared: float) -> None:
    if found < LEAST_SHARE * declared:
        raise MediaError(f"{path.name}: only {found:.2f} of {declared:.2f} s decode; it is cut off or damaged")
    if found < 0.98 * declared:
        logger.warning("%s: %.2f of %.2f s decode and are used", path.name, found, declared)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "error_string", None) or getattr(error, "strerror", None) or error)
