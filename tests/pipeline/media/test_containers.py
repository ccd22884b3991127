"""What ends decoding, and what costs a packet only. The failures are put in; container and codec are real."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from pipeline.media.containers import decoded, open_container, usable, video_tracks
from tests import media_factory as make

FRAMES, FAILING = 20, 7  # frames of the clip; calls until the failure
NO_MEMORY = av.error.MemoryError(errno.ENOMEM, os.strerror(errno.ENOMEM))
DAMAGED = av.error.InvalidDataError(1094995529, "Invalid data found when processing input")


class FailingReader:
    """A container whose reading fails."""

    def __init__(self, container: Any, error: Exception) -> None:
        self._container, self._error = container, error

    def demux(self, stream: Any) -> Iterator[Any]:
        for number, packet in enumerate(self._container.demux(stream), 1):
            if number == FAILING:
                raise self._error
            yield packet


class FailingCodec:
    """A container and its stream in one, a packet of which does not decode."""

    def __init__(self, container: Any, stream: Any, error: Exception) -> None:
        self._container, self._stream, self._error = container, stream, error
        self.codec_context = stream.codec_context
        self._packets = 0

    def demux(self, stream: Any) -> Iterator[Any]:
        assert stream is self
        yield from self._container.demux(self._stream)

    def decode(self, packet: Any) -> Any:
        self._packets += 1
        if self._packets == FAILING:
            raise self._error
        return self._stream.decode(packet)


def frames_read(clip: Path, error: Exception) -> int:
    with open_container(clip) as container:
        reader: Any = FailingReader(container, error)
        (stream,) = usable(video_tracks(container))
        return sum(1 for _ in decoded(clip, reader, stream))


def frames_decoded(clip: Path, error: Exception) -> int:
    with open_container(clip) as container:
        codec: Any = FailingCodec(container, usable(video_tracks(container))[0], error)
        return sum(1 for _ in decoded(clip, codec, codec))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make.write_video(tmp_path / "clip.avi", FRAMES / 25, codec="mjpeg")


@pytest.mark.parametrize("frames", [frames_read, frames_decoded])
def test_a_lack_of_memory_ends_decoding_instead_of_costing_frames(
    clip: Path, frames: Callable[[Path, Exception], int]
) -> None:
    with pytest.raises(MemoryError):
        frames(clip, NO_MEMORY)


def test_a_damaged_packet_costs_its_frame_only(clip: Path) -> None:
    assert frames_decoded(clip, DAMAGED) == FRAMES - 1


def test_reading_that_fails_ends_the_clip_there(clip: Path) -> None:
    assert frames_read(clip, DAMAGED) == FAILING - 1
