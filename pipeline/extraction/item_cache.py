"""A crash-safe cache below DVC's stages: what was extracted from an item once is never extracted again.

DVC keeps whole stages; a stage that gains one video would extract all of them anew. The cache is keyed by the
content of the medium and the fingerprint of the extractor, so neither a new name nor a new batch size touches it.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pipeline.errors import StoreError
from pipeline.extraction.rows import batched
from pipeline.files import sha256_hex

Arrays = dict[str, np.ndarray]
ValueT = TypeVar("ValueT")

_LOCK_WAIT = 60.0  # s to wait for another process's transaction (an orphan of a killed run, a queued experiment)
_POLL = 0.1  # s between two looks whether another process has let go of a damaged file
_PRUNED = 20  # entries dropped at a time
_QUERY = 500  # keys asked for in one statement; SQLite's oldest limit on variables is 999
# With row numbers, so that values are appended and only the small index of keys is written in random order: a million
# entries take a third of the time. Files of earlier versions, without them, are used as they are.
_SCHEMA = """CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, digest BLOB NOT NULL, value BLOB NOT NULL, used REAL NOT NULL)"""
_PAGE = 8192  # bytes; three vectors of 512 numbers fill a page of a new file

logger = logging.getLogger(__name__)


def item_key(*parts: str) -> str:
    """Key of one result: hash of the medium's digest, the extractor's fingerprint and what else it depends on."""
    return sha256_hex(*parts)


class ItemCache:
    """Named arrays by key, in one SQLite file in WAL mode: transactions survive kill -9, readers never block.

    Each value carries its own digest, checked on every read: a damaged entry is forgotten, and so extracted again.
    Where SQLite itself cannot read the file, it is set aside and the cache starts anew, once no other process has it
    open: SQLite finds a file's log by name, so that what they write would be lost.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._users = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(self._users, fcntl.LOCK_SH)  # held as long as the file is open
        except OSError as error:
            raise StoreError(
                f"{path}.lock cannot be locked ({error.strerror}): set SBNET_HOME to a local disk"
            ) from error
        try:
            self._connection, self._opened = self._open(), self._file_number()
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):  # locked, full, not permitted: the file itself may be sound
                os.close(self._users)
                raise StoreError(
                    f"item cache {path} cannot be opened ({error}): free some disk space, or set SBNET_HOME to "
                    "another disk"
                ) from error
            self._opened = self._file_number()
            self._begin_anew(error)

    def get(self, keys: Iterable[str]) -> dict[str, Arrays]:
        """Entries that are there and sound; damaged ones are logged and dropped."""
        return dict(self._sound(keys, load))

    def lacking(self, keys: Iterable[str]) -> set[str]:
        """Which of the keys have no sound entry; damaged ones are dropped, as by `get`."""
        wanted, opened = set(keys), self._opened
        lacking = set(wanted)
        if self._ask_or_begin_anew("SELECT 1 FROM entries LIMIT 1"):
            for part in batched(list(wanted), _QUERY):
                lacking.difference_update(key for key, _ in self._sound(part, len))
        # Those that were found before the file showed its damage are gone with it.
        return lacking if self._opened == opened else self.lacking(wanted)

    def _sound(self, keys: Iterable[str], read: Callable[[bytes], ValueT]) -> Iterator[tuple[str, ValueT]]:
        """Key and what `read` gives of the value, of the entries that are there and sound."""
        damaged: list[str] = []
        for key, digest, value in self._select("key, digest, value", list(dict.fromkeys(keys))):
            if not isinstance(value, bytes) or self._digest(key, value) != digest:
                damaged.append(key)
                continue
            try:
                yield key, read(value)
            except SafetensorError:
                damaged.append(key)
        if damaged:
            logger.warning("item cache %s: %d damaged entries are forgotten", self.path, len(damaged))
            self._write("DELETE FROM entries WHERE key = ?", [(key,) for key in damaged])

    def put(self, entries: Mapping[str, Arrays]) -> None:
        """Store all entries in one transaction; raises StoreError, with the old entries intact, if it cannot."""
        now, rows = time.time(), []
        for key, arrays in entries.items():
            # Contiguous: safetensors writes memory in its order, and so a transposed array as another one.
            value = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
            rows.append((key, self._digest(key, value), value, now))
        self._write("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)

    def usage(self) -> tuple[int, int]:
        """Number of entries, and bytes of the file and of its log."""
        ((count,),) = self._ask("SELECT COUNT(*) FROM entries")
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return int(count), sum(file.stat().st_size for file in files if file.exists())

    def prune(self, older_than: float) -> int:
        """Drop the entries not written within the last `older_than` seconds (0: all) and shrink the file.

        Returns how many were dropped. Raises StoreError where the disk is too full even for that; it takes the
        room of some 40 entries.
        """
        limit = time.time() - older_than if older_than > 0 else float("inf")  # a clock may have been ahead once
        old = self._ask("SELECT key FROM entries WHERE used < ?", limit)
        # Step by step, the log folded in after each: in one go, or with VACUUM, a second copy would have to fit on the
        # disk that is full.
        for start in range(0, len(old), _PRUNED):
            self._write("DELETE FROM entries WHERE key = ?", old[start : start + _PRUNED])
            self._shrink()
        return len(old)

    def close(self) -> None:
        """Fold the write-ahead log into the file."""
        self._connection.close()
        os.close(self._users)

    def __enter__(self) -> "ItemCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_LOCK_WAIT)
        connection.text_factory = lambda raw: raw.decode(errors="replace")  # a key that a flipped bit makes no text
        try:
            connection.execute(f"PRAGMA page_size = {_PAGE}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before the first table, or it has no effect
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA secure_delete = OFF")  # pruning would write zeros over all that it drops, twice
            # NORMAL: a power cut may lose the newest transactions but never breaks the file; they are extracted again.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_SCHEMA)
            (schema,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'entries'").fetchone()
            self._earlier = "WITHOUT ROWID" in schema
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def _digest(self, key: str, value: bytes) -> bytes:
        """Of the key, too: a damaged index would else give another entry's value in a key's place."""
        return hashlib.sha256(value if self._earlier else key.encode() + value).digest()

    def _file_number(self) -> int | None:
        return self.path.stat().st_ino if self.path.exists() else None  # None: while another process sets it aside

    def _ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"item cache {self.path} cannot be read ({error}): what it holds can be extracted again, so remove it "
                "if that stays"
            ) from error

    def _ask_or_begin_anew(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """As _ask, but a damaged file has no answer: what it held is extracted again."""
        try:
            return self._ask(query, *values)
        except StoreError as error:
            if not _is_damage(error.__cause__):
                raise
            self._connection.close()
            self._begin_anew(error.__cause__)
            return []

    def _select(self, columns: str, keys: list[str]) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(keys), _QUERY):
            part = keys[start : start + _QUERY]
            query = f"SELECT {columns} FROM entries WHERE key IN ({','.join('?' * len(part))})"
            yield from self._ask_or_begin_anew(query, *part)

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            try:
                self._execute(statement, rows)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._connection.close()
                self._begin_anew(error)
                self._execute(statement, rows)
        except sqlite3.Error as error:
            raise StoreError(
                f"item cache {self.path} cannot be written ({error}): free some disk space, or set SBNET_HOME "
                "to another disk; what it held is intact"
            ) from error

    def _execute(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with self._connection:
            self._connection.executemany(statement, rows)

    def _shrink(self) -> None:
        try:
            if self._connection.execute("PRAGMA auto_vacuum").fetchone() == (0,):  # a file of an earlier version, once
                self._connection.execute("VACUUM")
            self._connection.executescript("PRAGMA incremental_vacuum")  # execute() would give back one page of it
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # only then is the file itself smaller
        except sqlite3.Error as error:
            raise StoreError(
                f"item cache {self.path} does not shrink ({error}), though some entries are dropped: free some disk "
                "space and prune once more"
            ) from error

    def _begin_anew(self, error: BaseException | None) -> None:
        """Set the damaged file aside, unless another process has done so since it was opened; open the new one."""
        deadline = time.monotonic() + _LOCK_WAIT
        # Our share is given up first: two that meet the damage would wait for each other.
        while not self._alone() and self._opened == self._file_number():
            if time.monotonic() > deadline:
                raise StoreError(
                    f"item cache {self.path} is damaged ({error}), and another run is using it: run again once that "
                    "has ended"
                ) from error
            time.sleep(_POLL)
        if self._opened == self._file_number():
            aside = f"{self.path.name}.damaged-{time.time_ns()}"
            logger.warning("item cache %s is damaged (%s): set aside as %s, starting anew", self.path, error, aside)
            for suffix in ("-wal", "-shm", ""):
                with contextlib.suppress(FileNotFoundError):
                    self.path.with_name(self.path.name + suffix).rename(self.path.with_name(aside + suffix))
        fcntl.flock(self._users, fcntl.LOCK_SH)
        self._connection, self._opened = self._open(), self._file_number()

    def _alone(self) -> bool:
        """Whether no other process has the file open; then none can open it until our lock is a share again."""
        fcntl.flock(self._users, fcntl.LOCK_UN)
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _is_damage(error: BaseException | None) -> bool:
    """Whether SQLite found bytes that it did not write, rather than a full disk, a lock, or a mistake of ours."""
    others = (sqlite3.OperationalError, sqlite3.ProgrammingError, sqlite3.DataError)
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, others)
