"""One digest of all files of a media folder, so that DVC need not look at each of more than it can in a few seconds.

A file whose name, length, clocks and number are those of last time has the bytes of last time; others are read. The
digest is of names and bytes alone: it is the same on every machine. It imports no tables: it runs at each `dvc repro`.
"""

import contextlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from pipeline.errors import ManifestError
from pipeline.files import sha256_hex, sha256_of

_SETTLED = 2.0  # s; a file changed later than that may change again within one tick of its clock
_THREADS = 8  # at most, to read files
_SCHEMA = """CREATE TABLE IF NOT EXISTS folders
    (folder BLOB PRIMARY KEY, state TEXT NOT NULL, digest TEXT NOT NULL, files TEXT NOT NULL) WITHOUT ROWID"""

logger = logging.getLogger(__name__)


_File = tuple[str, str]  # name; number, length and clocks of the file


def media_digest(media: Path, memory: Path) -> dict[str, object]:
    """Number of files below a folder and the digest of their names and bytes; hidden ones do not count.

    `memory` is an SQLite file that keeps what was read, folder by folder; lost or damaged, all files are read. Raises
    ManifestError for a folder or file that cannot be opened.
    """
    root, count, digests = media.resolve(), 0, []
    try:
        with _Memory(memory) as known:
            for folder, files in _folders(root):
                name = os.fsencode(folder.removeprefix(str(root)))  # names need not be UTF-8, where nothing reads them
                digests.append(b"%b\0%b" % (name, _digest_of(known, folder, files).encode()))
                count += len(files)
    except OSError as error:
        raise ManifestError(
            f"{error.filename or media} cannot be read ({error.strerror}); mend its permissions"
        ) from error
    return {"files": count, "digest": sha256_hex(*sorted(digests))}


class _Memory:
    """What was read of each folder, in an SQLite file. It saves time alone: what is wrong with it is no error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> "_Memory":
        try:
            self._open()
        except sqlite3.Error as error:
            self._forget(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def digest(self, folder: str, state: str) -> str | None:
        """Digest of a folder whose files are in this state; None where that is not known."""
        found = self._row("SELECT digest FROM folders WHERE folder = ? AND state = ?", os.fsencode(folder), state)
        return str(found[0]) if found else None

    def files(self, folder: str) -> dict[str, list[str]]:
        """Stamp and digest of the folder's files, by name, as far as they are known."""
        found = self._row("SELECT files FROM folders WHERE folder = ?", os.fsencode(folder))
        if not found:
            return {}
        try:
            return {str(name): [str(stamp), str(digest)] for name, (stamp, digest) in json.loads(found[0]).items()}
        except (TypeError, ValueError, AttributeError):  # no longer what was written
            return {}

    def keep(self, folder: str, state: str, digest: str, files: Mapping[str, Sequence[str]]) -> None:
        """Remember a folder at once: who stops the run loses no other folder."""
        row = (os.fsencode(folder), state, digest, json.dumps(files))
        try:
            if self._connection is not None:
                self._connection.execute("INSERT OR REPLACE INTO folders VALUES (?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            self._forget(error)

    def _row(self, query: str, *values: str | bytes) -> tuple[str, ...]:
        try:
            found = self._connection.execute(query, values).fetchone() if self._connection is not None else None
        except sqlite3.Error as error:
            self._forget(error)
            return ()
        return tuple(found or ())

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(self._path, isolation_level=None)  # each folder is written at once
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(_SCHEMA)

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _forget(self, error: sqlite3.Error) -> None:
        """Begin anew where the file is damaged; go on without one where it is locked, or its disk full or closed."""
        self._close()
        if isinstance(error, sqlite3.OperationalError):
            logger.warning("%s cannot be used (%s); what is read now is read again next time", self._path, error)
            return
        logger.warning("%s is damaged (%s); all media are read again", self._path, error)
        for suffix in ("-wal", "-shm", ""):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        try:
            self._open()
        except sqlite3.Error as another:
            self._close()
            logger.warning("%s cannot be made anew (%s)", self._path, another)


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


def _digest_of(memory: _Memory, folder: str, files: list[_File]) -> str:
    state = sha256_hex(os.fsencode("\0".join(f"{file}\0{stamp}" for file, stamp in files)))
    if (known := memory.digest(folder, state)) is not None:
        return known
    begun = time.time()
    read = _read(folder, files, memory.files(folder))
    digest = sha256_hex(*(os.fsencode(f"{file}\0{of_bytes}") for file, (_, of_bytes) in read.items()))
    trusted = {file: part for file, part in read.items() if begun - _newest_clock(part[0]) > _SETTLED}
    memory.keep(folder, state if len(trusted) == len(files) else "", digest, trusted)
    return digest


def _newest_clock(stamp: str) -> float:
    """Seconds; of a change of the bytes, or of the file's own."""
    return max(int(clock) for clock in stamp.split("-")[-2:]) / 1e9


def _read(folder: str, files: list[_File], seen: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, str]]:
    """Stamp and digest of each file by name; those that have the stamp of last time are not read."""

    def of(file: _File) -> tuple[str, str]:
        name, stamp = file
        before = seen.get(name, ("", ""))
        return stamp, before[1] if before[0] == stamp else sha256_of(Path(folder) / name)

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        return dict(zip((name for name, _ in files), pool.map(of, files), strict=True))
