"""Files appear whole or not at all."""

import hashlib
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.files import atomic_path, git_blob_id, sha256_hex, sha256_of, write_text


def test_target_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists() and temporary.parent == target.parent
    assert target.read_text() == "whole"
    assert [path.name for path in target.parent.iterdir()] == ["out.txt"]


def test_failure_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), atomic_path(target) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("half way")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


def test_temporary_keeps_the_suffix_that_writers_go_by(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.parquet") as temporary:
        assert temporary.suffix == ".parquet"
        temporary.touch()


def test_text_is_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "t", "Zoë\n")
    assert (tmp_path / "t").read_bytes() == "Zoë\n".encode()


def test_digests_equal_those_of_hashlib_and_git(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(range(256)) * 5000)
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    answer = subprocess.run(["git", "hash-object", str(path)], capture_output=True, text=True, check=True)
    assert git_blob_id(path) == answer.stdout.strip()


def test_digest_of_parts_is_that_of_their_bytes_with_a_separator() -> None:
    assert sha256_hex("a", 1, b"\xff") == hashlib.sha256(b"a\x001\x00\xff").hexdigest()
    assert sha256_hex("ab", "c") != sha256_hex("a", "bc")
    grid = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert sha256_hex("head", grid.data, separator=b"") == hashlib.sha256(b"head" + grid.tobytes()).hexdigest()
