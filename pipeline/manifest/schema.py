"""artifacts/manifest.parquet: its columns and their types, and the entries that layouts find for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow.parquet as pq

from pipeline.errors import ManifestError
from pipeline.files import atomic_path
from pipeline.settings import Kind

COLUMNS = {
    "item": "string",  # unique; the path below the media folder
    "identity": "string",
    "clip": "string",  # the recording: two items of one clip share it
    "kind": "string",  # video | audio | image
    "path": "string",  # below the media folder, posix
    "digest": "string",  # SHA-256 of the bytes, hex
    "size": "Int64",  # bytes
    "duration": "Float64",  # s; null for images, unknown lengths and unreadable media, as all that follows
    "fps": "Float64",  # Hz
    "width": "Int64",  # px
    "height": "Int64",  # px
    "sample_rate": "Int64",  # Hz; null: no audio track, or none that has a decoder
    "audio_tracks": "Int64",  # with a decoder or without; 0: a mute video, of which no voice is embedded
    "gender": "string",  # f | m
    "nationality": "string",
    "age": "Float64",  # years
    "language": "string",
}
TRAITS = ("gender", "nationality", "age", "language")
TABLE_COLUMNS = ("path", "identity", "clip", "kind", *TRAITS)  # of a table of the user's
_SUFFIXES: dict[Kind, str] = {
    "video": "mp4 m4v mov qt mkv webm avi mpg mpeg vob ts mts m2ts flv f4v wmv asf 3gp 3gpp 3g2 ogv",
    "audio": "wav w64 flac ogg oga opus m4a m4b mka weba mp3 mp2 aac aif aiff aifc wma amr au caf sph",
    "image": "jpg jpeg jpe jfif png webp bmp avif",
}
KIND_OF_SUFFIX = {f".{name}": kind for kind, names in _SUFFIXES.items() for name in names.split()}


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of a person, or of an item; None where nothing is."""

    gender: str | None = None  # f | m
    nationality: str | None = None
    age: float | None = None  # years
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One medium as a layout reads it from its path or from the user's table."""

    path: str  # below the media folder, posix
    identity: str
    clip: str
    traits: Traits = Traits()
    kind: Kind | None = None  # the user's word; None: the content decides
    source: str = ""  # "items.csv line 3"; empty for what the folders say


def suffix_of(path: str) -> str:
    """Lower-case suffix of a path."""
    return PurePosixPath(path).suffix.lower()


def recording_of(path: str) -> str:
    """What the recording of a file is called: its second folder names it, or else its path without the suffix.

    clip.mp4, clip.wav and clip.jpg beside each other in an identity's folder are one recording.
    """
    return recording_by_folder(path) or path.removesuffix(PurePosixPath(path).suffix)


def recording_by_folder(path: str) -> str | None:
    """The recording that a second folder names; None for a file in one folder, or in none.

    <identity>/<video>/00001.wav and <identity>/<video>/faces/0000375.jpg are one video's utterance and frame. Nothing
    of one recording ends on both sides of a seen-heard split, or in a trial of two recordings.
    """
    folders = path.split("/")[:-1]
    return "/".join(folders[:2]) if len(folders) > 1 else None


def empty_manifest() -> pd.DataFrame:
    """The table without a row, for a project that has no media to describe."""
    return pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)


def write_manifest(path: Path, manifest: pd.DataFrame) -> None:
    """Write the table, sorted by item, whole or not at all."""
    with atomic_path(path) as temporary:
        manifest.to_parquet(temporary, index=False)


def read_manifest(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read what write_manifest wrote, or some columns of it.

    Raises ManifestError for an absent or damaged file or other columns.
    """
    try:
        there = pq.read_schema(path).names
        if there == list(COLUMNS):
            return pd.read_parquet(path, columns=columns)
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} cannot be read ({error}); run `dvc repro manifest`") from error
    raise ManifestError(f"{path} has the columns {', '.join(there)}; run `dvc repro manifest`")
