"""One digest of all files of a media folder, so that DVC need not look at each of more than it can in a few seconds.

A file whose name, length, clocks and number are those of last time has the bytes of last time; others are read. The
digest is of names and bytes alone: it is the same on every machine. It imports no tables: it runs at each `dvc repro`.
"""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from pipeline.errors import ManifestError
from pipeline.files import sha256_hex, sha256_of

_SETTLED = 2.0  # s; a file changed later than that may change again within one tick of its clock
_THREADS = 8  # at most, to read files
_SCHEMA = """CREATE TABLE IF NOT EXISTS folders
    (folder TEXT PRIMARY KEY, state TEXT NOT NULL, digest TEXT NOT NULL, files TEXT NOT NULL) WITHOUT ROWID"""

logger = logging.getLogger(__name__)


_File = tuple[str, str]  # name; number, length and clocks of the file


def media_digest(media: Path, memory: Path) -> dict[str, object]:
    """Number of files below a folder and the digest of their names and bytes; hidden ones do not count.

    `memory` is an SQLite file that keeps what was read; lost or damaged, all files are read. Raises ManifestError for
    a folder or file that cannot be opened.
    """
    root, count, digests = media.resolve(), 0, []
    try:
        with closing(_opened(memory)) as connection, connection:
            for folder, files in _folders(root):
                name = folder.removeprefix(str(root))
                digests.append(f"{name}\0{_digest_of(connection, name, folder, files)}")
                count += len(files)
    except OSError as error:
        raise ManifestError(
            f"{error.filename or media} cannot be read ({error.strerror}); mend its permissions"
        ) from error
    return {"files": count, "digest": sha256_hex(*sorted(digests))}


def _opened(memory: Path) -> sqlite3.Connection:
    memory.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = sqlite3.connect(memory)
        connection.execute(_SCHEMA)
        connection.execute("SELECT count(digest) FROM folders").fetchone()
    except sqlite3.DatabaseError as error:
        logger.warning("%s cannot be read (%s); all media are read again", memory, error)
        connection.close()
        memory.unlink(missing_ok=True)
        connection = sqlite3.connect(memory)
        connection.execute(_SCHEMA)
    return connection


def _folders(root: Path) -> Iterator[tuple[str, list[_File]]]:
    """Each folder that holds files, with these, sorted by name."""
    waiting = [str(root)]
    while waiting:
        folder, files = waiting.pop(), []
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name[0] == ".":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif not entry.is_symlink() or entry.is_file():  # no link to a folder or into nowhere
                    found = entry.stat()
                    stamp = f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"
                    files.append((name, stamp))
        if files:
            yield folder, sorted(files)


def _digest_of(connection: sqlite3.Connection, name: str, folder: str, files: list[_File]) -> str:
    state = sha256_hex("\0".join(f"{file}\0{stamp}" for file, stamp in files))
    known = connection.execute("SELECT state, digest FROM folders WHERE folder = ?", (name,)).fetchone()
    if known and known[0] == state:
        return str(known[1])
    seen = connection.execute("SELECT files FROM folders WHERE folder = ?", (name,)).fetchone()
    begun = time.time()
    read = _read(folder, files, json.loads(seen[0]) if seen else {})
    digest = sha256_hex(*(f"{file}\0{of_bytes}" for file, (_, of_bytes) in read.items()))
    newest = max(int(clock) for _, stamp in files for clock in stamp.split("-")[2:])
    if begun - newest / 1e9 > _SETTLED:
        row = (name, state, digest, json.dumps(read))
        connection.execute("INSERT OR REPLACE INTO folders VALUES (?, ?, ?, ?)", row)
    return digest


def _read(folder: str, files: list[_File], seen: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, str]]:
    """Stamp and digest of each file by name; those that have the stamp of last time are not read."""

    def of(file: _File) -> tuple[str, str]:
        name, stamp = file
        before = seen.get(name, ("", ""))
        return stamp, before[1] if before[0] == stamp else sha256_of(Path(folder) / name)

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        return dict(zip((name for name, _ in files), pool.map(of, files), strict=True))
