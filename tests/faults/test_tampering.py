"""Bytes that changed where nobody looked: in a remote, in the item cache, in a store."""

import re
import sqlite3
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.store import read_store
from tests.faults.conftest import Remote
from tests.faults.repository import CLIPS, PEOPLE, Repository, clone, same_machine

pytestmark = [pytest.mark.faults, pytest.mark.stage]

MATRIX = "faces/embeddings.safetensors"


def flipped(data: bytes) -> bytes:
    """The same bytes but for one bit, far from any header."""
    return data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]


@pytest.mark.parametrize("name", [MATRIX, "faces/index.parquet"])
def test_tampered_remote_object_is_refused_and_the_sound_one_taken(remote: Remote, tmp_path: Path, name: str) -> None:
    colleague, md5 = remote.colleague(tmp_path / "clone"), remote.origin.locked(name)
    sound = remote.read(md5)
    remote.write(md5, flipped(sound))
    try:
        refused = colleague.dvc("pull", "embed_faces", fails=True)
        assert not (colleague.folder / "artifacts" / name).exists(), refused.log
    finally:
        remote.write(md5, sound)
    colleague.dvc("pull", "embed_faces")
    assert colleague.output(name) == sound


def test_tampered_list_of_a_folder_is_never_called_up_to_date(folder_remote: Remote, tmp_path: Path) -> None:
    """DVC reads the list before it hashes it; the files are hashed one by one, so that only names can be changed."""
    colleague, md5 = folder_remote.colleague(tmp_path / "clone"), folder_remote.origin.locked("protocol")
    sound = folder_remote.read(md5)
    folder_remote.write(md5, sound.replace(b"train_pairs", b"train_qairs"))
    try:
        colleague.dvc("pull", "protocol")
        assert re.search(r"not in cache: +artifacts/protocol", colleague.dvc("status", "protocol").log)
    finally:
        folder_remote.write(md5, sound)
    colleague.dvc("pull", "--force")
    assert (colleague.folder / "artifacts" / "protocol" / "train_pairs.parquet").exists()
    assert "up to date" in colleague.dvc("status").log


def test_shipped_remote_is_verified_without_anyone_asking_for_it(finished: Repository, tmp_path: Path) -> None:
    fresh = clone(finished, tmp_path / "clone")
    assert "remote.storage.verify=true" in fresh.dvc("config", "--list").log.lower()


def test_tampered_object_that_dvc_let_through_is_refused_by_the_store(s3_remote: Remote, tmp_path: Path) -> None:
    """On S3: what comes from a folder DVC hashes even with verification off."""
    careless, md5 = s3_remote.colleague(tmp_path / "clone"), s3_remote.origin.locked(MATRIX)
    careless.dvc("remote", "modify", "--local", "storage", "verify", "false")
    sound = s3_remote.read(md5)
    s3_remote.write(md5, flipped(sound))
    try:
        careless.dvc("pull", "embed_faces")
    finally:
        s3_remote.write(md5, sound)
    assert careless.output(MATRIX) == flipped(sound), "DVC itself looked"
    with pytest.raises(StoreError, match=r"embeddings\.safetensors"):
        read_store(careless.folder / "artifacts" / "faces")


def test_flipped_bit_in_store_and_item_cache_is_mended_from_the_last_sound_store(
    finished: Repository, tmp_path: Path
) -> None:
    author = same_machine(finished, tmp_path / "author")
    store = author.folder / "artifacts" / MATRIX
    key = read_store(store.parent).index["key"].iloc[0]
    store.write_bytes(flipped(store.read_bytes()))
    with pytest.raises(StoreError, match=r"embeddings\.safetensors"):
        read_store(store.parent)
    assert author.dvc("repro").ran == [], "DVC takes the sound one from its cache"
    assert author.output(MATRIX) == finished.output(MATRIX)
    with sqlite3.connect(author.folder / ".sbnet" / "items.sqlite") as raw:
        (value,) = raw.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
        raw.execute("UPDATE entries SET value = ? WHERE key = ?", (flipped(value), key))
    raw.close()
    outcome = author.dvc("repro", "--force", "--single-item", "embed_faces")
    assert "1 damaged entries are forgotten" in outcome.log
    assert "1 items taken from the stores of the last run" in outcome.log
    assert outcome.counts == {"embed_faces": f"0 extracted, {PEOPLE * CLIPS} cached, 0 skipped"}
    assert author.output(MATRIX) == finished.output(MATRIX)
