"""What the last manifest of a media folder measured, so that the next one reads only new and changed files.

It is beside the item cache and saves time only: a lost, damaged or outdated file means that all media are read.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import av
import pandas as pd
import pyarrow.parquet as pq

from pipeline.files import atomic_path, sha256_hex
from pipeline.manifest.medium import Measured
from pipeline.media.probe import MediaInfo
from pipeline.runtime.parquet import write_parts

_VERSION = 3  # raise it when probe() comes to judge the same bytes differently
_INFO = ("kind", "duration", "fps", "width", "height", "sample_rate", "audio_tracks", "notes")
_PART = 4096  # rows read or written at a time
_DIGITS = 16  # of a media folder's digest
_KEPT = 16  # files, the newest: each temporary copy of a project that holds its media has one of its own
_COLUMNS = ("stamp", "digest", "size", *_INFO)

logger = logging.getLogger(__name__)


def known_path(folder: Path, media: Path | None = None) -> Path:
    """The file of this version of the code and of FFmpeg; where folders of media share `folder`, of one, resolved."""
    of_media = f"-{sha256_hex(os.fsencode(media))[:_DIGITS]}" if media else ""
    return folder / f"media-{_VERSION}-{av.__version__}{of_media}.parquet"


def read_known(path: Path) -> dict[str, Measured]:
    """Measured media by stamp; none where the file is absent or damaged."""
    if not path.exists():
        return {}
    known: dict[str, Measured] = {}
    descriptions: dict[MediaInfo, MediaInfo] = {}  # frames of one size share theirs
    try:
        with pq.ParquetFile(path) as file:
            for part in file.iter_batches(_PART, columns=list(_COLUMNS)):
                columns = [part.column(name).to_pylist() for name in _COLUMNS]
                for stamp, digest, size, *described in zip(*columns, strict=True):
                    info = MediaInfo(*described)
                    known[stamp] = Measured(digest, size, descriptions.setdefault(info, info), stamp=stamp)
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s cannot be read (%s); all media are read again", path, error)
        return {}
    return known


def write_known(path: Path, measured: Iterable[Measured]) -> None:
    """Replace the file by the readable media that may be trusted; unreadable ones are judged anew each time."""
    whole = dict.fromkeys(("size", "width", "height", "sample_rate", "audio_tracks"), "Int64")
    text = dict.fromkeys(("stamp", "digest", "kind", "notes"), "string")
    types = {**text, "duration": "Float64", "fps": "Float64", **whole}

    def table(part: Sequence[Measured]) -> pd.DataFrame:
        columns = {name: [getattr(one.info if name in _INFO else one, name) for one in part] for name in _COLUMNS}
        return pd.DataFrame({name: pd.array(column, dtype=types[name]) for name, column in columns.items()})

    trusted = (one for one in measured if one.settled and one.info is not None)
    with atomic_path(path) as temporary:
        write_parts(temporary, table([]), (table(part) for part in _parts(trusted)))
    for old in sorted(path.parent.glob("media-*.parquet"), key=_changed)[:-_KEPT]:
        old.unlink(missing_ok=True)


def _changed(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0  # another process has removed it


def _parts(measured: Iterable[Measured]) -> Iterator[list[Measured]]:
    left = iter(measured)
    while part := list(islice(left, _PART)):
        yield part
