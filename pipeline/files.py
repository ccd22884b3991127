"""Publish files whole or not at all, and name bytes by their digest."""

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.runtime.orphans import check_not_orphaned

_CHUNK = 1 << 20  # bytes read at a time
PINNED_DIGITS = 12  # of the digest that a message proposes; 48 bits distinguish a lab's files
_PINNED = re.compile(r"(.+)#([0-9a-f]{8,64})")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `target`; on success it replaces `target`, on error it is removed.

    The sibling is in the same folder because a rename is atomic only within one file system. The bytes are
    synced first: a rename that survives a power cut must not point at data that did not. Raises StoreError where
    the disk is full, RunError where DVC started this process and has been killed since.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        check_not_orphaned()
        temporary.replace(target)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        kept = "what it held before is intact" if target.exists() else "nothing was written"
        raise StoreError(f"{target} cannot be written ({error.strerror}): free some disk space; {kept}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 `text` to `target` atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_hex(*parts: object, separator: bytes = b"\0") -> str:
    """Hex SHA-256 of the parts, bytes and memory as they are and others as UTF-8 text, with `separator` between two."""
    digest = hashlib.sha256()
    for number, part in enumerate(parts):
        if number:
            digest.update(separator)  # else ("ab", "c") and ("a", "bc") would be one
        digest.update(part if isinstance(part, bytes | memoryview) else str(part).encode())
    return digest.hexdigest()


def pinned_path(text: str) -> tuple[Path, str]:
    """Path and digest of `path#digest`, eight or more digits of the file's SHA-256; "" where none is written.

    A file whose own name looks like that is meant as a path.
    """
    pinned = None if Path(text).is_file() else _PINNED.fullmatch(text)
    return (Path(pinned[1]), pinned[2]) if pinned else (Path(text), "")


def git_blob_id(path: Path) -> str:
    """Hex id that git gives the file as a blob: SHA-1 of "blob <size>\\0" followed by the bytes.

    Repositories that publish weights publish this id with every commit, so a download needs no second source.
    """
    digest = hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
