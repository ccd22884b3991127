"""WAV and its kin: other byte orders and headers, codecs that libsndfile lacks, places of channels."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.errors import MediaError
from pipeline.media import decode_audio, probe
from pipeline.media.wave import open_wave, read_header
from tests import media_factory as make

RATE = 16000  # Hz


def patched(path: Path, at: int, data: bytes) -> Path:
    """The file with these bytes at that place."""
    whole = bytearray(path.read_bytes())
    whole[at : at + len(data)] = data
    path.write_bytes(bytes(whole))
    return path


def never_closed(path: Path, samples: np.ndarray) -> Path:
    """A WAV whose recorder was cut off: lengths of 0 in the header, the sound behind it."""
    make.write_sound(path, samples)
    return patched(patched(path, 4, bytes(4)), path.read_bytes().index(b"data") + 4, bytes(4))


def sphere(path: Path, samples: np.ndarray) -> Path:
    """NIST SPHERE as TIMIT has it: a text of 1,024 bytes, then 16-bit samples."""
    header = (
        f"NIST_1A\n   1024\nchannel_count -i 1\nsample_count -i {len(samples)}\nsample_rate -i {RATE}\n"
        "sample_n_bytes -i 2\nsample_byte_format -s2 01\nsample_sig_bits -i 16\nend_head\n"
    )
    path.write_bytes(header.encode().ljust(1024) + np.round(samples * 32767).astype("<i2").tobytes())
    return path


def test_a_big_endian_wav_is_read_in_its_own_order(tmp_path: Path) -> None:
    samples = make.noise(0.5, RATE)
    soundfile.write(tmp_path / "a.wav", samples, RATE, endian="BIG", subtype="PCM_16")
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RIFX"
    np.testing.assert_allclose(decode_audio(tmp_path / "a.wav", RATE), samples, atol=1e-4)
    assert probe(tmp_path / "a.wav").sample_rate == RATE


@pytest.mark.parametrize("name", ["SA1.WAV", "a.wav", "a.sph"])
def test_nist_sphere_is_read_under_any_name(tmp_path: Path, name: str) -> None:
    samples = make.noise(0.5, RATE)
    path = sphere(tmp_path / name, samples)
    np.testing.assert_allclose(decode_audio(path, RATE), samples, atol=1e-4)
    assert (probe(path).kind, probe(path).duration, probe(path).audio_tracks) == ("audio", 0.5, 1)


def test_a_header_that_was_never_closed_gives_all_that_follows(tmp_path: Path) -> None:
    samples = make.noise(1.5, RATE)
    path = never_closed(tmp_path / "a.wav", samples)
    np.testing.assert_allclose(decode_audio(path, RATE), samples, atol=1e-4)
    assert probe(path).duration == pytest.approx(1.5)


def test_a_closed_header_without_sound_does_not_take_what_follows_for_sound(tmp_path: Path) -> None:
    note = b"LIST" + struct.pack("<I", 8000) + b"INFO" + np.random.default_rng(0).bytes(7996)
    path = make.write_sound(tmp_path / "a.wav", np.zeros(0, np.float32))
    path.write_bytes(path.read_bytes() + note)
    patched(path, 4, struct.pack("<I", path.stat().st_size - 8))
    with pytest.raises(MediaError, match=r"a\.wav: nothing of its sound"):
        decode_audio(path, RATE)


@pytest.mark.parametrize(("codec", "rate"), [("g722", RATE), ("ac3", 48000)])
def test_a_codec_that_libsndfile_lacks_goes_through_the_container(tmp_path: Path, codec: str, rate: int) -> None:
    path = make.write_audio_track(tmp_path / "a.wav", make.tone(1.0, rate), rate, codec)
    with pytest.raises(soundfile.SoundFileError):
        soundfile.SoundFile(path)
    waveform = decode_audio(path, RATE)[4000:12000]
    assert np.sqrt(2 * np.mean(waveform**2)) == pytest.approx(0.5, abs=0.05)
    assert (probe(path).kind, probe(path).sample_rate) == ("audio", rate)


def test_a_damaged_header_of_a_codec_that_libsndfile_has_is_not_guessed_at(tmp_path: Path) -> None:
    path = patched(make.write_sound(tmp_path / "a.wav", make.tone(0.5, RATE)), 22, b"\0\0")  # no channels
    with pytest.raises(MediaError, match=r"a\.wav: no sound can be read"):
        open_wave(path)


def test_a_codec_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = patched(make.write_sound(tmp_path / "a.wav", make.tone(0.5, RATE)), 20, b"\xab\xcd")
    for read in (probe, lambda path: decode_audio(path, RATE)):
        with pytest.raises(MediaError, match=r"a\.wav: .*decode"):
            read(path)


def test_the_low_frequency_channel_of_a_wav_is_left_out(tmp_path: Path) -> None:
    planes = np.stack([make.noise(0.5, RATE, seed) for seed in range(6)], axis=1)  # (T, 6)
    planes[:, 3] = make.tone(0.5, RATE, 40.0, 0.9)
    soundfile.write(tmp_path / "a.wav", planes, RATE, subtype="FLOAT", format="WAVEX")
    header = read_header(tmp_path / "a.wav")
    assert header is not None and header.low_frequency == 3
    kept = planes[:, [0, 1, 2, 4, 5]].astype(np.float64).mean(axis=1)
    np.testing.assert_allclose(decode_audio(tmp_path / "a.wav", RATE), kept, atol=1e-6)


def test_channels_without_places_are_all_averaged(tmp_path: Path) -> None:
    planes = np.stack([make.noise(0.5, RATE, seed) for seed in range(6)], axis=1)  # six microphones
    path = make.write_sound(tmp_path / "a.wav", planes, subtype="FLOAT")
    np.testing.assert_allclose(decode_audio(path, RATE), planes.astype(np.float64).mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("mask", "index"), [(0x3F, 3), (0x3, None), (0x8, 0), (0xC, 1), (0x63F, 3), (0x33, None), (0, None)]
)
def test_a_mask_of_speakers_names_the_low_frequency_channel(tmp_path: Path, mask: int, index: int | None) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((1600, max(1, mask.bit_count()))), RATE, "PCM_16", format="WAVEX")
    header = read_header(patched(tmp_path / "a.wav", 40, struct.pack("<I", mask)))
    assert header is not None and header.low_frequency == index and header.tag == 1


@pytest.mark.parametrize(
    ("channels", "mask"), [(3, 0x3F), (4, 0x3F), (4, 0xFFFFFFFF), (3, 0x8), (6, 0x63F), (8, 0x3F), (5, 0)]
)
def test_a_mask_of_more_or_fewer_places_than_channels_is_ignored(tmp_path: Path, channels: int, mask: int) -> None:
    planes = np.stack([make.noise(0.5, RATE, seed) for seed in range(channels)], axis=1)  # (T, C)
    soundfile.write(tmp_path / "a.wav", planes, RATE, subtype="FLOAT", format="WAVEX")
    path = patched(tmp_path / "a.wav", 40, struct.pack("<I", mask))
    np.testing.assert_allclose(decode_audio(path, RATE), planes.astype(np.float64).mean(axis=1), atol=1e-6)


def test_a_big_endian_wav_of_another_codec_is_refused_and_not_heard_as_noise(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", make.noise(0.5, RATE), RATE, endian="BIG", subtype="PCM_16")
    path = patched(tmp_path / "a.wav", 20, b"\x02\x8f")
    with pytest.raises(MediaError, match=r"a\.wav: no sound can be read"):
        decode_audio(path, RATE)


def lengths(path: Path, samples: np.ndarray, riff: int | None, data: int | None, behind: bytes = b"") -> Path:
    """A WAV of 16 bits whose header names these lengths; None: the right one."""
    make.write_sound(path, samples, subtype="PCM_16")
    path.write_bytes(path.read_bytes() + behind)
    if riff is not None:
        patched(path, 4, struct.pack("<I", riff))
    if data is not None:
        patched(path, path.read_bytes().index(b"data") + 4, struct.pack("<I", data))
    return path


RIGHT, UNKNOWN, SOX = None, 0xFFFFFFFF, 0x7FFFF000


@pytest.mark.parametrize("silent_start", [False, True])
@pytest.mark.parametrize(
    ("riff", "data"),
    [
        *((0, 0), (0, 8000), (0, RIGHT), (0, UNKNOWN), (RIGHT, 0), (RIGHT, 8000), (RIGHT, 7999), (RIGHT, UNKNOWN)),
        *((UNKNOWN, 0), (UNKNOWN, 8000), (UNKNOWN, UNKNOWN), (SOX + 36, SOX), (8036, 0), (12345, RIGHT)),
    ],
)
def test_wrong_lengths_in_a_header_cost_no_sound(
    tmp_path: Path, riff: int | None, data: int | None, silent_start: bool
) -> None:
    samples = make.noise(2.0, RATE)
    samples[: 9000 * silent_start] = 0
    path = lengths(tmp_path / "a.wav", samples, riff, data)
    np.testing.assert_allclose(decode_audio(path, RATE), samples, atol=1e-4)
    assert probe(path).duration == pytest.approx(2.0)


@pytest.mark.parametrize(
    "behind", [b"LIST\x0a\0\0\0INFO123456", b"LIST\xff\xff\0\0INFOcut off", bytes(512), b"TAG" * 42]
)
@pytest.mark.parametrize("riff", [RIGHT, 0, UNKNOWN])
def test_what_follows_the_sound_is_not_heard(tmp_path: Path, behind: bytes, riff: int | None) -> None:
    samples = make.noise(0.5, RATE)
    path = lengths(tmp_path / "a.wav", samples, riff, None, behind)
    np.testing.assert_allclose(decode_audio(path, RATE), samples, atol=1e-4)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM"])
def test_every_codec_is_read_to_the_end_behind_a_wrong_length(tmp_path: Path, subtype: str) -> None:
    path = make.write_sound(tmp_path / "a.wav", make.tone(2.0, RATE), subtype=subtype)
    right = decode_audio(path, RATE)
    patched(path, path.read_bytes().index(b"data") + 4, struct.pack("<I", 4096))
    np.testing.assert_array_equal(decode_audio(path, RATE), right)


@pytest.mark.parametrize("kind", ["RIFF", "RIFX", "RF64", "SPHERE"])
def test_a_cut_off_wav_gives_what_there_is_down_to_half(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    samples, path = make.noise(4.0, RATE), tmp_path / "a.wav"
    if kind == "SPHERE":
        sphere(path, samples)
    elif kind == "RF64":
        soundfile.write(path, samples, RATE, "PCM_16", format="RF64")
    else:
        soundfile.write(path, samples, RATE, "PCM_16", endian="BIG" if kind == "RIFX" else "LITTLE")
    whole = path.read_bytes()
    path.write_bytes(whole[: round(0.8 * len(whole))])
    assert len(decode_audio(path, RATE)) == pytest.approx(0.8 * len(samples), rel=0.02)
    assert "of 4.00 s decode and are used" in caplog.text
    path.write_bytes(whole[: round(0.1 * len(whole))])
    with pytest.raises(MediaError, match=r"a\.wav: only 0\.[34]\d of 4\.00 s decode; it is cut off"):
        decode_audio(path, RATE)


@pytest.mark.parametrize("extensible", [False, True])
def test_samples_in_wider_slots_are_refused_by_name(tmp_path: Path, extensible: bool) -> None:
    sound = (make.noise(0.5, RATE) * 2**23).astype("<i4").tobytes()
    fields = struct.pack("<HHIIHH", 0xFFFE if extensible else 1, 1, RATE, RATE * 4, 4, 24)
    if extensible:
        fields += struct.pack("<HHIH", 22, 24, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")
    body = b"WAVEfmt " + struct.pack("<I", len(fields)) + fields + b"data" + struct.pack("<I", len(sound)) + sound
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    for read in (probe, lambda path: decode_audio(path, RATE)):
        with pytest.raises(MediaError, match=r"a\.wav: its samples of 24 bits lie in 4 bytes each"):
            read(tmp_path / "a.wav")


@pytest.mark.parametrize("declared", [0, 8000])
def test_a_recorder_that_was_killed_leaves_lengths_of_its_first_block_and_all_is_used(
    tmp_path: Path, declared: int
) -> None:
    """RIFF and data agree, and twenty seconds lie behind their end."""
    path = make.write_sound(tmp_path / "a.wav", make.noise(20.0, RATE), RATE)
    content = bytearray(path.read_bytes())
    content[4:8], content[40:44] = struct.pack("<I", 36 + declared), struct.pack("<I", declared)
    path.write_bytes(content)
    assert len(decode_audio(path, RATE)) == 20 * RATE


def test_what_is_no_sound_behind_a_riff_is_none(tmp_path: Path) -> None:
    path = make.write_sound(tmp_path / "a.wav", make.noise(0.5, RATE), RATE)
    for behind in (bytes(100_000), b"TAG" + bytes(100_000)):
        other = tmp_path / "b.wav"
        other.write_bytes(path.read_bytes() + behind)
        assert len(decode_audio(other, RATE)) == RATE // 2
