"""Sound of any container as one waveform."""

import tracemalloc
from pathlib import Path

import av
import librosa
import numpy as np
import pytest
import soundfile
import soxr

from pipeline.errors import MediaError
from pipeline.media import decode_audio, trimmed
from pipeline.media.audio import LEAST_SHARE, TRIM
from tests import media_factory as make

RATE = 16000  # Hz


def peak_frequency(waveform: np.ndarray, rate: int = RATE) -> float:
    """Hz of the strongest bin."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.argmax(spectrum)) * rate / len(waveform)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_lossless_file_at_the_wanted_rate_comes_back_sample_for_sample(tmp_path: Path, suffix: str) -> None:
    samples = make.noise(1.0, RATE)
    waveform = decode_audio(make.write_sound(tmp_path / f"a{suffix}", samples), RATE)
    assert waveform.dtype == np.float32 and waveform.shape == samples.shape
    np.testing.assert_allclose(waveform, samples, atol=1 / 32768)


@pytest.mark.parametrize(("subtype", "step"), [("PCM_U8", 128), ("PCM_24", 2**23), ("FLOAT", 2**23), ("ULAW", 64)])
def test_every_sample_format_of_a_wav_has_full_scale_one(tmp_path: Path, subtype: str, step: int) -> None:
    samples = make.tone(0.5, RATE)
    waveform = decode_audio(make.write_sound(tmp_path / "a.wav", samples, subtype=subtype), RATE)
    np.testing.assert_allclose(waveform, samples, atol=1.5 / step)


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.m4a", "aac", 16000),
        ("a.mp3", "libmp3lame", 16000),
        ("a.webm", "libopus", 48000),
        ("a.mkv", "flac", 16000),
        ("a.avi", "pcm_u8", 8000),
        ("a.mov", "pcm_s16le", 44100),
        ("a.mov", "pcm_s24le", 44100),
        ("a.mov", "pcm_f32le", 44100),
        ("a.ogg", "libopus", 48000),
        ("a.mpg", "mp2", 44100),
    ],
)
def test_a_tone_keeps_pitch_and_loudness_in_every_container(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    path = make.write_audio_track(tmp_path / name, make.tone(1.0, rate, 440.0, 0.5), rate, codec)
    waveform = decode_audio(path, RATE)
    assert waveform.shape == pytest.approx((RATE,), abs=2500)  # codecs pad to whole frames
    middle = waveform[4000:12000]
    assert peak_frequency(middle) == pytest.approx(440.0, abs=2.1)
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_resampling_in_blocks_equals_resampling_at_once(tmp_path: Path, rate: int) -> None:
    samples = make.noise(9.0, rate)  # more than one block at every rate from 32 kHz
    path = make.write_sound(tmp_path / "a.wav", samples, rate, "FLOAT")
    reference = soxr.resample(samples, rate, RATE)
    assert np.abs(reference).max() < 1
    np.testing.assert_array_equal(decode_audio(path, RATE), reference)


def test_floats_beyond_full_scale_are_scaled_as_a_whole_and_not_clipped(tmp_path: Path) -> None:
    samples = make.tone(1.0, RATE, amplitude=0.5)
    path = make.write_sound(tmp_path / "a.wav", 6.0 * samples, RATE, "FLOAT")
    np.testing.assert_allclose(decode_audio(path, RATE), samples / np.abs(samples).max(), atol=1e-6)


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_sound_that_begins_late_in_a_film_is_used_and_said(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        film = container.add_stream("libvpx", rate=5)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("libopus", rate=48000, layout="mono")
        for number in range(50):
            container.mux(film.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
            if number >= 30:
                tone = make.tone(0.2, 48000).astype(np.float32)[None]
                frame = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
                frame.sample_rate, frame.pts = 48000, number * 9600
                container.mux(sound.encode(frame))
        container.mux(film.encode())
        container.mux(sound.encode())
    assert len(decode_audio(path, RATE)) / RATE == pytest.approx(4.0, abs=0.1)
    assert "its sound begins after 6.0" in caplog.text


def test_the_same_file_gives_the_same_bytes_twice(tmp_path: Path) -> None:
    path = make.write_audio_track(tmp_path / "a.m4a", make.noise(1.0, 44100), 44100)
    assert decode_audio(path, RATE).tobytes() == decode_audio(path, RATE).tobytes()


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mkv"])
def test_channels_are_averaged(tmp_path: Path, name: str) -> None:
    left, right = make.tone(0.5, RATE, 440, 0.8), make.tone(0.5, RATE, 900, 0.2)
    if name == "a.mkv":
        path = make.write_audio_track(tmp_path / name, np.stack([left, right]), RATE, "pcm_s16le")
    else:
        path = make.write_sound(tmp_path / name, np.stack([left, right], axis=1))
    np.testing.assert_allclose(decode_audio(path, RATE), (left + right) / 2, atol=1e-4)


def test_the_sound_of_a_video_is_decoded(tmp_path: Path) -> None:
    path = make.write_video(tmp_path / "a.mp4", 1.0, samples=make.tone(1.0, RATE))
    assert peak_frequency(decode_audio(path, RATE)[2000:14000]) == pytest.approx(440.0, abs=2.1)


def test_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    samples = make.tone(0.5, RATE)
    path = make.write_sound(tmp_path / "a.wav", samples).rename(tmp_path / "a.mp4")
    np.testing.assert_allclose(decode_audio(path, RATE), samples, atol=1e-4)


def test_a_colon_in_a_relative_name_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make.write_audio_track(tmp_path / "a.m4a", make.tone(0.5, RATE)).rename(tmp_path / "take:1.m4a")
    monkeypatch.chdir(tmp_path)
    assert len(decode_audio(Path("take:1.m4a"), RATE)) > 0.4 * RATE


def refusals() -> dict[str, tuple[str, np.ndarray]]:
    tone = make.tone(1.0, RATE)
    spoilt, endless = tone.copy(), tone.copy()
    spoilt[8000], endless[8000] = np.nan, np.inf
    return {
        "NaN samples": ("NaN or infinite", spoilt),
        "infinite samples": ("NaN or infinite", endless),
        "floats scaled as integers": ("full scale is 1", tone * 32768),
        "silence": ("silent", np.zeros(RATE, np.float32)),
        "silence but for the last bit": ("silent", np.full(RATE, 2.0**-16, np.float32)),
        "too short": ("0.050 s of sound", make.tone(0.05, RATE)),
    }


@pytest.mark.parametrize("case", list(refusals()))
def test_unusable_sound_is_refused_by_name(tmp_path: Path, case: str) -> None:
    message, samples = refusals()[case]
    path = make.write_sound(tmp_path / "bad.wav", samples, subtype="FLOAT")
    with pytest.raises(MediaError, match=rf"bad\.wav.*{message}"):
        decode_audio(path, RATE)


def silences() -> dict[str, np.ndarray]:
    nothing = np.zeros(RATE, np.float32)
    click = nothing.copy()
    click[8000] = 0.9
    steps = np.random.default_rng(0).integers(-2, 3, RATE).astype(np.float32)
    times = np.arange(RATE, dtype=np.float32) / RATE
    return {
        "a constant": nothing + np.float32(0.3),
        "one click": click,
        "the last bits' noise": steps * 2.0**-15,
        "a slope": 1.8 * times - np.float32(0.9),
        "a drift": 0.5 * np.sin(np.float32(2 * np.pi) * times),
    }


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("case", list(silences()))
def test_what_holds_no_sound_is_no_voice(tmp_path: Path, case: str, subtype: str) -> None:
    path = make.write_sound(tmp_path / "still.wav", silences()[case], subtype=subtype)
    with pytest.raises(MediaError, match=r"still\.wav: is silent"):
        decode_audio(path, RATE)


def test_eight_bits_at_rest_are_silence_whichever_of_the_two_middles_they_rest_on(tmp_path: Path) -> None:
    path = make.write_sound(tmp_path / "a.wav", np.zeros(8000, np.float32), 8000, "PCM_U8")
    data = path.read_bytes()
    for middle in (b"\x7f", b"\x80"):
        path.write_bytes(data[:44] + middle * 8000)
        with pytest.raises(MediaError, match="is silent"):
            decode_audio(path, RATE)


@pytest.mark.parametrize(
    ("subtype", "step"), [("PCM_U8", 2.0**-7), ("ULAW", 2.0**-12), ("ALAW", 2.0**-11), ("PCM_16", 2.0**-15)]
)
@pytest.mark.parametrize("name", ["a.wav", "a.avi"])
def test_what_flickers_by_one_step_of_its_format_is_silence(
    tmp_path: Path, name: str, subtype: str, step: float
) -> None:
    flicker = np.random.default_rng(0).integers(0, 2, RATE).astype(np.float32) * np.float32(step)
    voice = 6 * step * make.tone(1.0, RATE, amplitude=1.0)
    codec = {"PCM_U8": "pcm_u8", "ULAW": "pcm_mulaw", "ALAW": "pcm_alaw", "PCM_16": "pcm_s16le"}[subtype]
    for samples, silent in ((flicker, True), (voice, False)):
        if name == "a.wav":
            path = make.write_sound(tmp_path / name, samples, subtype=subtype)
        else:
            path = make.write_audio_track(tmp_path / name, samples, RATE, codec)
        if silent:
            with pytest.raises(MediaError, match="is silent"):
                decode_audio(path, RATE)
        else:
            assert len(decode_audio(path, RATE)) == RATE


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_a_quiet_voice_on_a_constant_or_a_drift_is_heard(tmp_path: Path, offset: float) -> None:
    drift = np.float32(offset) + make.tone(1.0, RATE, 1.0, 0.3)
    path = make.write_sound(tmp_path / "a.wav", drift + make.tone(1.0, RATE, 200.0, 3e-4))
    assert len(decode_audio(path, RATE)) == RATE


def test_bytes_of_another_kind_are_no_voice_though_some_of_them_look_like_packets(tmp_path: Path) -> None:
    sound = make.write_audio_track(tmp_path / "a.mp3", make.noise(4.0, RATE), RATE, "libmp3lame").read_bytes()
    rng = np.random.default_rng(0)
    headers = b"".join(b"\xff\xfb\x90\x64" + rng.bytes(413) for _ in range(400))  # of packets that hold nothing
    (tmp_path / "b.mp3").write_bytes(headers)
    with pytest.raises(MediaError, match=r"b\.mp3: "):
        decode_audio(tmp_path / "b.mp3", RATE)
    (tmp_path / "c.mp3").write_bytes(sound + headers * 2)
    with pytest.raises(MediaError, match=r"c\.mp3: \d+ of the \d+ packets of its sound \(mp3.*\) are damaged"):
        decode_audio(tmp_path / "c.mp3", RATE)


@pytest.mark.parametrize("damage", [0.1, 0.3])
def test_a_sound_of_which_most_packets_decode_is_used(tmp_path: Path, damage: float) -> None:
    path = make.write_audio_track(tmp_path / "a.m4a", make.noise(4.0, RATE), RATE, "aac")
    assert len(decode_audio(make.scramble(path, 0.4, 0.4 + damage), RATE)) > RATE


def test_a_word_in_a_long_silence_is_sound(tmp_path: Path) -> None:
    samples = np.zeros(10 * RATE, np.float32)
    samples[-RATE // 4 :] = make.noise(0.25, RATE, amplitude=0.01)
    assert len(decode_audio(make.write_sound(tmp_path / "a.wav", samples), RATE)) == len(samples)


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.opus", "libopus"), ("a.flac", "flac")])
def test_eight_channels_decode_whether_planar_or_packed(tmp_path: Path, name: str, codec: str) -> None:
    planes = np.zeros((8, 48000), np.float32)
    planes[2], planes[3] = make.tone(1.0, 48000), make.tone(1.0, 48000, 40.0, 0.9)  # centre, LFE
    waveform = decode_audio(make.write_channels(tmp_path / name, planes, "7.1", codec=codec), RATE)[4000:12000]
    assert peak_frequency(waveform) == pytest.approx(440.0, abs=2.1)
    assert np.sqrt(2 * np.mean(waveform**2)) == pytest.approx(0.5 / 7, abs=0.005)


@pytest.mark.parametrize("name", ["a.wav", "a.m4a", "a.flac"])
def test_of_channels_that_cancel_each_other_the_louder_one_is_taken_and_logged(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    voice = make.tone(1.0, RATE)
    planes = np.stack([0.9 * voice, -voice])
    if name == "a.m4a":
        path = make.write_audio_track(tmp_path / name, planes)
    else:
        path = make.write_sound(tmp_path / name, planes.T)
    waveform = decode_audio(path, RATE)[4000:12000]
    assert peak_frequency(waveform) == pytest.approx(440.0, abs=2.1)
    assert np.sqrt(2 * np.mean(waveform**2)) == pytest.approx(0.5, abs=0.01)
    assert caplog.text.count(f"{name}: its channels cancel each other; channel 2 alone is used") == 1


def spoken(seconds: float, seed: int) -> np.ndarray:
    """Noise with pauses of all lengths, some nearly silent, some quite."""
    random = np.random.default_rng(seed)
    samples = make.noise(seconds, RATE, seed)
    for _ in range(random.integers(0, 6)):
        start, length = random.integers(2400, len(samples)), random.integers(100, 20000)
        samples[start : start + length] *= 10 ** (-random.uniform(30, 90) / 20)
    return samples


@pytest.mark.parametrize("seed", range(30))
def test_trimming_leaves_what_librosa_finds_to_be_sound(seed: int) -> None:
    samples = spoken(np.random.default_rng(seed).uniform(0.2, 4.0), seed)
    if seed % 3 == 0:
        samples = np.concatenate([np.zeros(30000, np.float32), samples, np.zeros(3000, np.float32)])
    intervals = librosa.effects.split(samples, top_db=TRIM)
    np.testing.assert_array_equal(trimmed(samples), np.concatenate([samples[a:b] for a, b in intervals]))


def test_a_quiet_utterance_is_trimmed_as_a_loud_one_is() -> None:
    """librosa leaves one whose loudest part is below -40 dB as it is."""
    samples = np.concatenate([np.zeros(30000, np.float32), make.noise(1.0, RATE), np.zeros(30000, np.float32)])
    np.testing.assert_allclose(trimmed(samples * np.float32(2**-10)), trimmed(samples) * 2**-10)
    assert RATE <= len(trimmed(samples)) < RATE + 2 * 2048


def test_trimming_silence_leaves_it() -> None:
    assert len(trimmed(np.zeros(RATE, np.float32))) == RATE


def test_silent_aac_is_silence_too(tmp_path: Path) -> None:
    path = make.write_video(tmp_path / "a.mp4", samples=np.zeros(RATE, np.float32))
    with pytest.raises(MediaError, match="silent"):
        decode_audio(path, RATE)


def test_a_quiet_recording_is_not_silence(tmp_path: Path) -> None:
    assert len(decode_audio(make.write_sound(tmp_path / "a.wav", make.noise(0.5, RATE, amplitude=1e-3)), RATE))


def test_sound_a_little_above_full_scale_is_clipped(tmp_path: Path) -> None:
    path = make.write_sound(tmp_path / "a.wav", make.tone(0.5, RATE, amplitude=1.5), subtype="FLOAT")
    assert float(np.abs(decode_audio(path, RATE)).max()) == 1.0


@pytest.mark.parametrize("rate", [RATE, 48000])
def test_samples_so_large_that_resampling_overflows_are_refused(tmp_path: Path, rate: int) -> None:
    samples = make.tone(0.5, rate)
    samples[2000:2040:2] = 3e38  # each is finite
    path = make.write_sound(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    with pytest.raises(MediaError, match=r"a\.wav: .*export it again, scaled"):
        decode_audio(path, RATE)


def test_media_without_an_audio_track_are_refused(tmp_path: Path) -> None:
    for path in (make.write_video(tmp_path / "mute.mp4"), make.write_image(tmp_path / "face.jpg")):
        with pytest.raises(MediaError, match=rf"{path.name}: .*no audio track"):
            decode_audio(path, RATE)


def test_what_is_no_media_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("not a film\n" * 100)
    (tmp_path / "text.wav").write_text("not a song\n" * 100)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(20000))
    (tmp_path / "folder.mp4").mkdir()
    for name in ("empty.mp4", "text.mp4", "text.wav", "noise.mp4", "folder.mp4", "absent.mp4"):
        with pytest.raises(MediaError, match=name):
            decode_audio(tmp_path / name, RATE)


@pytest.mark.parametrize(
    "script", ["#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile {}\n"]
)
def test_a_playlist_cannot_make_the_decoder_open_another_file(tmp_path: Path, script: str) -> None:
    make.write_audio_track(tmp_path / "secret.m4a", make.tone(1.0, RATE))
    for name in ("list.m3u8", "list.mp4", "list.ffconcat"):
        (tmp_path / name).write_text(script.format("secret.m4a"))
        with pytest.raises(MediaError):
            decode_audio(tmp_path / name, RATE)


def test_a_header_that_promises_more_than_there_is_gives_what_is_there(tmp_path: Path) -> None:
    samples = make.tone(1.0, RATE)
    path = make.write_sound(tmp_path / "a.wav", samples)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(data)
    np.testing.assert_allclose(decode_audio(path, RATE), samples, atol=1e-4)


@pytest.mark.parametrize("name", ["a.flac", "a.mkv"])
def test_a_cut_off_file_gives_what_decodes_down_to_half(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    samples = make.noise(4.0, RATE)
    whole = (
        make.write_sound(tmp_path / name, samples)
        if name == "a.flac"
        else make.write_audio_track(tmp_path / name, samples, RATE, "pcm_s16le")
    ).read_bytes()
    path = tmp_path / f"cut_{name}"
    path.write_bytes(whole[: round(0.8 * len(whole))])
    waveform = decode_audio(path, RATE)
    assert 0.7 * len(samples) < len(waveform) < 0.81 * len(samples)
    np.testing.assert_allclose(waveform, samples[: len(waveform)], atol=1e-4)
    if name == "a.flac":  # mkv states no length of its tracks
        assert "of 4.00 s decode and are used" in caplog.text
        path.write_bytes(whole[: round(0.8 * LEAST_SHARE * len(whole))])
        with pytest.raises(MediaError, match=r"of 4\.00 s decode; it is cut off"):
            decode_audio(path, RATE)


def test_damage_in_the_middle_of_a_flac_costs_the_damaged_blocks_only(tmp_path: Path) -> None:
    samples = make.noise(4.0, RATE)
    path = make.scramble(make.write_sound(tmp_path / "a.flac", samples), 0.40, 0.45)
    waveform = decode_audio(path, RATE)
    assert 0.75 * len(samples) < len(waveform) <= len(samples)
    np.testing.assert_allclose(waveform[:20000], samples[:20000], atol=1e-4)


def test_sound_longer_than_the_callers_bound_is_refused(tmp_path: Path) -> None:
    path = make.write_sound(tmp_path / "long.wav", make.noise(3.0, RATE))
    assert len(decode_audio(path, RATE, max_seconds=3.0)) == 3 * RATE
    with pytest.raises(MediaError, match=r"long\.wav: longer than 2.5 s"):
        decode_audio(path, RATE, max_seconds=2.5)


@pytest.mark.parametrize("rate", [1, 999, 2**31 - 1])
def test_an_absurd_sample_rate_is_a_damaged_header(tmp_path: Path, rate: int) -> None:
    path = make.write_sound(tmp_path / "a.wav", make.tone(0.5, RATE))
    data = bytearray(path.read_bytes())
    data[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"a\.wav"):
        decode_audio(path, RATE)


def test_memory_is_bounded_by_the_waveform_and_not_by_the_file(tmp_path: Path) -> None:
    seconds, rate, channels = 60, 48000, 8
    block = make.noise(1.0, rate)[:, None].repeat(channels, axis=1)
    with soundfile.SoundFile(tmp_path / "a.wav", "w", rate, channels, "FLOAT") as file:
        for _ in range(seconds):
            file.write(block)
    decode_audio(tmp_path / "a.wav", RATE)
    tracemalloc.start()
    waveform = decode_audio(tmp_path / "a.wav", RATE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "a.wav").stat().st_size == pytest.approx(92_160_000, rel=0.01)
    assert peak < 2.2 * waveform.nbytes + 4_000_000


def test_real_clips_decode_whole(shared: Path) -> None:
    for path in sorted((shared / "data/grid").glob("*.mpg")):
        waveform = decode_audio(path, RATE)
        assert 2.8 < len(waveform) / RATE < 3.1 and np.abs(waveform).max() > 0.05


def test_real_utterances_equal_libsndfile(shared: Path) -> None:
    for path in sorted((shared / "data/librispeech").glob("*.flac"))[:10]:
        reference, rate = soundfile.read(path, dtype="float32")
        assert rate == RATE
        np.testing.assert_array_equal(decode_audio(path, RATE), reference)
