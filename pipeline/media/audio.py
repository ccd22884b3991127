"""The sound of any medium as one waveform."""

import itertools
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr
from av.audio.frame import AudioFrame

from pipeline.errors import MediaError
from pipeline.media.containers import (
    FAILURES,
    DamagedTrackError,
    audio_tracks,
    codec_of,
    decoded,
    open_container,
    usable,
)
from pipeline.media.content import Content, content_of
from pipeline.media.downmix import Downmix
from pipeline.media.wave import open_wave, promised_share, read_header, reason_of

SHORTEST = 0.1  # s; less holds no syllable
LONGEST = 6 * 3600.0  # s; 1.4 GB at 16 kHz, and as much again while it is put together
LEAST_SHARE = 0.5  # of the declared length; a file of which less decodes is broken rather than clipped
SILENCE = 3 * 2.0**-15  # amplitude (RMS): three of 16-bit audio's last bits; what varies less is a converter's noise
TRIM = 60.0  # dB below an utterance's loudest part, librosa's default
LOUDEST = 8.0  # amplitude, +18 dB; decoders overshoot 1 a little, unscaled floats by far

_BLOCK = 1 << 18  # samples of all channels decoded at a time
_RATES = range(1000, 768_001)  # Hz; anything else is a damaged header, and would blow up in resampling
_ESTIMATED = ("mp3", "aac", "mpeg", "mpegts", "wav")  # formats whose length FFmpeg guesses, or whose header is wrong
_FRAME = 0.01  # s; by frames of this length it is judged what is sound
_FLICKER = 1.5  # steps of an 8-bit format (RMS): a converter's dither is .8 of them
# The smallest step of formats whose own is coarser than that of 16 bits, by libsndfile's and FFmpeg's names.
_STEPS = {
    **dict.fromkeys(("PCM_U8", "PCM_S8", "pcm_u8", "pcm_s8"), 2.0**-7),
    **dict.fromkeys(("ULAW", "pcm_mulaw"), 2.0**-12),
    **dict.fromkeys(("ALAW", "pcm_alaw"), 2.0**-11),
}
_PLANES = 8  # from so many on, PyAV reads beyond the planes of a frame

logger = logging.getLogger(__name__)


def decode_audio(path: Path, sample_rate: int, max_seconds: float = LONGEST) -> np.ndarray:
    """Waveform (T,) float32 in [-1, 1], mono (mean of the channels but the LFE), at `sample_rate` Hz.

    What goes beyond 1, as floats and decoders may, is scaled to it as a whole: clipping would make another voice of it.

    Of several tracks the one that containers.audio_tracks puts first, or, where that is silent, the next of its kind
    that is not; of channels that cancel each other the loudest. The log names both.

    Decoded and resampled (soxr HQ) block by block, so that long media cost no more memory than their waveform. A
    damaged file, or a header that promises more than there is, gives what decodes. Raises MediaError, naming
    the file, where there is no audio track, less than SHORTEST seconds or less than LEAST_SHARE of the declared
    length decodes, more than `max_seconds` follow, samples are NaN, infinite or beyond LOUDEST, or less than SHORTEST
    seconds are sound: a constant, a click or the last bits' noise is none.
    """
    content = content_of(path)
    if content == "image":
        raise MediaError(f"{path.name}: is an image and has no audio track")
    passed: list[str] = []  # tracks, and why they are not taken
    for track in itertools.count():
        take = _Take(path, content, track)
        waveform, sound, why = _tried(take, sample_rate, max_seconds)
        if not why or track + 1 >= take.tracks:
            break
        passed.append(f"{take.label} {why}")
    if passed and not why:
        logger.warning("%s: %s, so %s is used", path.name, ", ".join(passed), take.label)
    _check_length(take, len(waveform) / sample_rate)
    return _in_range(path, waveform, sound)


def _tried(take: "_Take", sample_rate: int, max_seconds: float) -> tuple[np.ndarray, float, str]:
    """Waveform of one track, its seconds of sound, and why it cannot be used (empty where it can).

    Raises MediaError as decode_audio does; that most of it is damaged only where it is the last.
    """
    try:
        waveform = take.waveform(sample_rate, max_seconds)
    except DamagedTrackError:
        if take.track + 1 >= take.tracks:
            raise
        return np.zeros(0, np.float32), 0.0, "does not decode"
    if (loudest := take.mix.loudest_of_cancelled) is not None:
        logger.warning("%s: its channels cancel each other; channel %d alone is used", take.path.name, loudest + 1)
        waveform = replace(take, mix=Downmix(loudest)).waveform(sample_rate, max_seconds)
    sound = seconds_of_sound(waveform, sample_rate, take.step)
    why = "" if sound >= SHORTEST else "is silent" if len(waveform) else "does not decode"
    return waveform, sound, why


def seconds_of_sound(waveform: np.ndarray, sample_rate: int, step: float = 0.0) -> float:
    """How many seconds of (T,) vary by more than silence does, on whatever slope they lie; counted up to SHORTEST.

    Silence is SILENCE, or what flickers by the smallest `step` of a coarse format. Judged by frames of 10 ms, without
    the straight line through each: a click is not heard as a voice, and neither is a constant or a slow drift.
    """
    frame, enough = max(2, round(_FRAME * sample_rate)), round(SHORTEST / _FRAME)
    silence = max(SILENCE, _FLICKER * step)
    times = np.arange(frame) - (frame - 1) / 2  # samples from the middle of a frame
    found = 0
    for start in range(0, len(waveform), 100 * frame):  # a second at a time: ordinary sound ends it in the first
        part = waveform[start : start + 100 * frame]
        rows = part[: len(part) // frame * frame].reshape(-1, frame).astype(np.float64)  # (n, frame)
        with np.errstate(all="ignore"):  # what overflowed in resampling is refused by its peak
            slopes = rows @ times / (times @ times)  # (n,)
            power = rows.var(axis=1) - slopes**2 * (times @ times) / frame if rows.size else np.zeros(0)
            found += int((power > silence**2).sum())
        if found >= enough:
            return SHORTEST
    return found * _FRAME


def trimmed(waveform: np.ndarray) -> np.ndarray:
    """(T,) -> (T',): the parts that are less than TRIM dB below the loudest, one behind the other.

    As librosa.effects.split finds them, of the utterance at full scale: below -40 dB it would take all for silent.
    """
    import librosa  # here, because its import takes longer than many an utterance to be decoded, and few trim

    if not (peak := np.abs(waveform).max()):
        return waveform
    parts = librosa.effects.split(waveform / peak, top_db=TRIM)
    return np.concatenate([waveform[start:end] for start, end in parts])


def _check_length(take: "_Take", seconds: float) -> None:
    if not seconds:
        raise MediaError(f"{take.path.name}: nothing of its sound ({take.codec or 'no data'}) decodes")
    if seconds < SHORTEST:
        raise MediaError(f"{take.path.name}: only {seconds:.3f} s of sound; {SHORTEST:g} s are the least")


def _in_range(path: Path, waveform: np.ndarray, sound: float) -> np.ndarray:
    peak = max(float(waveform.max()), -float(waveform.min()))
    if not math.isfinite(peak):  # each sample was finite, but resampling summed them beyond float32
        raise MediaError(f"{path.name}: its samples are too large to resample; export it again, scaled to [-1, 1]")
    if not sound:
        raise MediaError(f"{path.name}: is silent from end to end")
    if sound < SHORTEST:
        raise MediaError(f"{path.name}: is silent but for {sound:.2f} s; {SHORTEST:g} s are the least")
    if peak > LOUDEST:
        raise MediaError(f"{path.name}: samples reach {peak:.4g}, but full scale is 1; export it again, scaled")
    if peak > 1.0:
        waveform /= np.float32(peak)
    return waveform


@dataclass
class _Take:
    """One reading of a file's sound: of which track and channel, and what there turned out to be."""

    path: Path
    content: Content
    track: int = 0  # by preference
    mix: Downmix = field(default_factory=Downmix)
    tracks: int = 1  # that may be taken
    label: str = ""  # "audio track 2"
    codec: str = ""
    step: float = 0.0  # amplitude; the smallest of a coarse format

    def waveform(self, sample_rate: int, max_seconds: float) -> np.ndarray:
        """(T,) float32 mono at `sample_rate` Hz, as it is."""
        parts: list[np.ndarray] = [np.zeros(0, np.float32)]
        samples = 0
        for part in _resampled(_finite(self.path, self._blocks()), sample_rate):
            samples += len(part)
            if samples > max_seconds * sample_rate:
                raise MediaError(f"{self.path.name}: longer than {max_seconds:g} s; cut it into utterances")
            parts.append(part)
        return np.concatenate(parts)

    def _blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Sample rate in Hz and mono samples (n,) float32, block by block."""
        if self.content == "wave" and (file := open_wave(self.path)) is not None:
            with file:
                yield from self._wave_blocks(file)
        else:
            yield from self._container_blocks()

    def _wave_blocks(self, file: soundfile.SoundFile) -> Iterator[tuple[int, np.ndarray]]:
        header = read_header(self.path) if file.channels > 2 else None
        low_frequency = header.low_frequency if header else None
        self.step = _STEPS.get(file.subtype, 0.0)
        found = 0
        while True:
            try:
                block = file.read(max(1, _BLOCK // file.channels), dtype="float32", always_2d=True)  # (n, channels)
            except soundfile.SoundFileError as error:
                raise MediaError(f"{self.path.name}: its sound is damaged ({reason_of(error)})") from error
            if not len(block):
                break
            found += len(block)
            yield file.samplerate, self.mix(block.T, low_frequency)
        _check_share(self.path, found / file.samplerate, promised_share(self.path, found) * found / file.samplerate)

    def _container_blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        with open_container(self.path) as container:
            tracks = audio_tracks(container)
            if not tracks:
                raise MediaError(f"{self.path.name}: has no audio track")
            if not (streams := usable(tracks)):
                codec = codec_of(container, tracks[0])
                raise MediaError(
                    f"{self.path.name}: its audio ({codec}) has no decoder here; convert it to wav or flac"
                )
            stream = streams[self.track]
            self.tracks, self.codec = len(streams), codec_of(container, stream)
            self.label = f"audio track {1 + sorted(track.index for track in tracks).index(stream.index)}"
            self.step = _STEPS.get(self.codec, 0.0)
            found, begins = 0.0, None
            for frame in decoded(self.path, container, stream):
                if isinstance(frame, AudioFrame) and frame.samples:
                    begins = frame.time if begins is None else begins
                    found += frame.samples / max(1, frame.sample_rate)
                    yield frame.sample_rate, self.mix(_channels(self.path, frame), _low_frequency(frame))
            if self.content == "wave":
                _check_share(self.path, found, promised_share(self.path, 0) * found)
            elif stream.duration and stream.time_base and container.format.name not in _ESTIMATED:
                # Of Matroska FFmpeg counts from the film's start, and sound may begin later.
                before = max(0.0, (begins or 0.0) - float((stream.start_time or 0) * stream.time_base))
                _check_share(self.path, found, float(stream.duration * stream.time_base) - before, before)


def _channels(path: Path, frame: AudioFrame) -> np.ndarray:
    """(channels, n) float32 or float64 in [-1, 1]."""
    count = frame.layout.nb_channels
    if frame.format.is_planar and count >= _PLANES:
        try:
            frame = av.AudioResampler(format=frame.format.packed).resample(frame)[0]
        except FAILURES as error:
            raise MediaError(f"{path.name}: its {count} channels cannot be distinguished ({error})") from error
    values = np.asarray(frame.to_ndarray())  # planar: (channels, n); packed: (1, n * channels)
    if not frame.format.is_planar:
        values = values.reshape(-1, count).T
    if values.dtype.kind == "u":  # 8 bits, the only unsigned samples there are: 128 is silence
        return (values.astype(np.float64) - 128) / 128
    if values.dtype.kind == "i":
        return values.astype(np.float64) / 2.0 ** (8 * values.dtype.itemsize - 1)
    return values


def _low_frequency(frame: AudioFrame) -> int | None:
    """Index of the LFE among a frame's channels, where its layout names them."""
    if frame.layout.nb_channels < 3:
        return None
    names = [channel.name for channel in frame.layout.channels]
    return names.index("LFE") if "LFE" in names else None


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


def _check_share(path: Path, found: float, declared: float, before: float = 0.0) -> None:
    """Of the `declared` s that a container promises behind the `before` s in which there is no sound yet."""
    if before > 0.02 * (before + declared):
        logger.warning("%s: its sound begins after %.2f of %.2f s", path.name, before, before + declared)
    if found < LEAST_SHARE * declared:
        raise MediaError(f"{path.name}: only {found:.2f} of {declared:.2f} s decode; it is cut off or damaged")
    if found < 0.98 * declared:
        logger.warning("%s: %.2f of %.2f s decode and are used", path.name, found, declared)
