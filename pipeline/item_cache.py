"""What was extracted from one item once is never extracted again: a crash-safe cache below DVC's stages.

DVC keeps whole stages; a stage that gains one video would extract all of them anew. The cache is keyed by the
content of the medium and the fingerprint of the extractor, so neither a new name nor a new batch size touches it.
"""

import contextlib
import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pipeline.errors import StoreError

Arrays = dict[str, np.ndarray]

_LOCK_WAIT = 60.0  # s to wait for another process's transaction (an orphan of a killed run, a queued experiment)
_QUERY = 500  # keys asked for in one statement; SQLite's oldest limit on variables is 999
_SCHEMA = """CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, digest BLOB NOT NULL, value BLOB NOT NULL, used REAL NOT NULL) WITHOUT ROWID"""

logger = logging.getLogger(__name__)


def item_key(*parts: str) -> str:
    """Key of one result: hash of the medium's digest, the extractor's fingerprint and what else it depends on."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class ItemCache:
    """Named arrays by key, in one SQLite file in WAL mode: transactions survive kill -9, readers never block.

    Each value carries its own digest, checked on every read: a damaged entry is forgotten, and so extracted again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, full, not permitted: the file itself may be sound
                raise StoreError(f"item cache {path}: {error}") from error
            self._set_aside(error)
            self._connection = self._open()

    def get(self, keys: Iterable[str]) -> dict[str, Arrays]:
        """Entries that are there and sound; damaged ones are logged and dropped."""
        found: dict[str, Arrays] = {}
        damaged: list[str] = []
        for key, digest, value in self._select("key, digest, value", list(dict.fromkeys(keys))):
            if hashlib.sha256(value).digest() != digest:
                damaged.append(key)
                continue
            try:
                found[key] = load(value)
            except SafetensorError:
                damaged.append(key)
        if damaged:
            logger.warning("item cache %s: %d damaged entries are forgotten", self.path, len(damaged))
            self._write("DELETE FROM entries WHERE key = ?", [(key,) for key in damaged])
        return found

    def known(self, keys: Iterable[str]) -> set[str]:
        """Which of the keys have an entry, sound or not."""
        return {key for (key,) in self._select("key", list(dict.fromkeys(keys)))}

    def put(self, entries: Mapping[str, Arrays]) -> None:
        """Store all entries in one transaction; raises StoreError, with the old entries intact, if it cannot."""
        now, rows = time.time(), []
        for key, arrays in entries.items():
            # Contiguous: safetensors writes memory as it lies, and so a transposed array as another one.
            value = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
            rows.append((key, hashlib.sha256(value).digest(), value, now))
        self._write("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)

    def usage(self) -> tuple[int, int]:
        """Number of entries, and bytes of the file."""
        (count,) = self._connection.execute("SELECT COUNT(*) FROM entries").fetchone()
        return int(count), self.path.stat().st_size

    def prune(self, older_than: float) -> int:
        """Drop the entries not written within the last `older_than` seconds and shrink the file; returns how many."""
        limit = time.time() - older_than
        (count,) = self._connection.execute("SELECT COUNT(*) FROM entries WHERE used < ?", (limit,)).fetchone()
        self._write("DELETE FROM entries WHERE used < ?", [(limit,)])
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # only then is the file itself smaller
        return int(count)

    def close(self) -> None:
        """Fold the write-ahead log into the file."""
        self._connection.close()

    def __enter__(self) -> "ItemCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_LOCK_WAIT)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # NORMAL: a power cut may lose the newest transactions but never breaks the file; they are extracted again.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_SCHEMA)
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def _select(self, columns: str, keys: list[str]) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(keys), _QUERY):
            part = keys[start : start + _QUERY]
            query = f"SELECT {columns} FROM entries WHERE key IN ({','.join('?' * len(part))})"
            try:
                yield from self._connection.execute(query, part)
            except sqlite3.OperationalError as error:
                raise StoreError(f"item cache {self.path}: {error}") from error
            except sqlite3.DatabaseError as error:  # a damaged page: what it held is extracted again
                self._connection.close()
                self._set_aside(error)
                self._connection = self._open()
                return

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            with self._connection:
                self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise StoreError(
                f"item cache {self.path} cannot be written ({error}): free some disk space, or set SBNET_HOME "
                "to another disk; what it held is intact"
            ) from error

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
        logger.warning("item cache %s is damaged (%s): set aside as %s, starting anew", self.path, error, aside.name)
        self.path.replace(aside)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).unlink()
