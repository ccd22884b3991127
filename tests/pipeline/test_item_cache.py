"""The item cache forgets nothing sound and returns nothing damaged."""

import logging
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import StoreError
from pipeline.item_cache import ItemCache, item_key


def entry(value: float) -> dict[str, np.ndarray]:
    return {"embeddings": np.full((2, 3), value, np.float32), "frame": np.array([0, 7], np.int32)}


def test_what_was_put_comes_back_with_its_types(tmp_path: Path) -> None:
    with ItemCache(tmp_path / "items.sqlite") as cache:
        cache.put({"a": entry(1.5), "none": {"frame": np.empty(0, np.int32)}})
        found = cache.get(["a", "none", "absent", "a"])
    assert set(found) == {"a", "none"}
    assert found["a"]["embeddings"].dtype == np.float32 and found["a"]["frame"].tolist() == [0, 7]
    np.testing.assert_array_equal(found["a"]["embeddings"], entry(1.5)["embeddings"])
    assert found["none"]["frame"].shape == (0,)


def test_arrays_come_back_the_same_however_they_lie_in_memory(tmp_path: Path) -> None:
    plain = np.arange(24, dtype=np.float32).reshape(4, 6)
    laid = {
        "fortran": np.asfortranarray(plain),
        "transposed": plain.T,
        "strided": plain[::2, 1::2],
        "back": plain[::-1],
    }
    with ItemCache(tmp_path / "items.sqlite") as cache:
        cache.put({"a": laid})
        for name, array in cache.get(["a"])["a"].items():
            np.testing.assert_array_equal(array, laid[name], err_msg=name)


def test_entries_outlive_the_process(tmp_path: Path) -> None:
    with ItemCache(tmp_path / "items.sqlite") as cache:
        cache.put({"a": entry(1.0)})
    with ItemCache(tmp_path / "items.sqlite") as cache:
        assert set(cache.get(["a"])) == {"a"}


def test_more_keys_than_one_statement_takes_are_found(tmp_path: Path) -> None:
    keys = [f"k{i}" for i in range(1700)]
    with ItemCache(tmp_path / "items.sqlite") as cache:
        cache.put({key: {"x": np.array([i])} for i, key in enumerate(keys)})
        found = cache.get(reversed(keys))
    assert [int(found[key]["x"][0]) for key in keys] == list(range(1700))


def test_key_depends_on_every_part_and_on_where_it_ends() -> None:
    keys = {item_key("ab", "c"), item_key("a", "bc"), item_key("abc"), item_key("ab", "d"), item_key("ab", "c", "")}
    assert len(keys) == 5


def test_one_flipped_bit_is_noticed_and_only_that_entry_forgotten(tmp_path: Path, caplog) -> None:
    path = tmp_path / "items.sqlite"
    with ItemCache(path) as cache:
        cache.put({"a": entry(1.0), "b": entry(2.0)})
    with sqlite3.connect(path) as raw:
        (value,) = raw.execute("SELECT value FROM entries WHERE key = 'a'").fetchone()
        flipped = value[:-1] + bytes([value[-1] ^ 1])
        raw.execute("UPDATE entries SET value = ? WHERE key = 'a'", (flipped,))
    raw.close()
    with caplog.at_level(logging.WARNING), ItemCache(path) as cache:
        assert set(cache.get(["a", "b"])) == {"b"}
        assert "1 damaged" in caplog.text
        assert cache.usage()[0] == 1


@pytest.mark.parametrize("where", ["header", "whole"])
def test_destroyed_file_is_set_aside_and_the_cache_starts_anew(tmp_path: Path, where: str) -> None:
    path = tmp_path / "items.sqlite"
    with ItemCache(path) as cache:
        cache.put({f"k{i}": entry(i) for i in range(50)})
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(os.urandom(100 if where == "header" else size))
    with ItemCache(path) as cache:
        assert cache.get(["k1"]) == {}
        cache.put({"k1": entry(1.0)})
        assert set(cache.get(["k1"])) == {"k1"}
    assert len(list(tmp_path.glob("items.sqlite.damaged-*"))) == 1


def test_second_process_reads_and_writes_beside_the_first(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    program = (
        "import sys, numpy as np; from pathlib import Path; from pipeline.item_cache import ItemCache\n"
        "with ItemCache(Path(sys.argv[1])) as cache:\n"
        "    assert set(cache.get(['mine'])) == {'mine'}\n"
        "    cache.put({'theirs': {'x': np.ones(1)}})\n"
    )
    with ItemCache(path) as cache:
        cache.put({"mine": entry(1.0)})
        subprocess.run([sys.executable, "-c", program, str(path)], check=True)
        assert set(cache.get(["mine", "theirs"])) == {"mine", "theirs"}


def test_killed_writer_leaves_what_it_had_committed(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    program = (
        "import sys, numpy as np; from pathlib import Path; from pipeline.item_cache import ItemCache\n"
        "cache = ItemCache(Path(sys.argv[1]))\n"
        "for i in range(10**6):\n"
        "    cache.put({str(i): {'x': np.full(512, i, np.float32)}})\n"
        "    print(i, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 100:
                break
        writer.kill()
    with ItemCache(path) as cache:
        found = cache.get(str(i) for i in range(101))
    assert len(found) == 101
    assert all((found[str(i)]["x"] == i).all() for i in range(101))


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "items.sqlite").mkdir()
    with pytest.raises(StoreError, match=r"items\.sqlite"):
        ItemCache(tmp_path / "items.sqlite")


def test_full_disk_leaves_the_old_entries(tmp_path: Path) -> None:
    with ItemCache(tmp_path / "items.sqlite") as cache:
        cache.put({"a": entry(1.0)})
        cache._connection.execute("PRAGMA max_page_count = 10")  # SQLite's own way to meet a full disk
        with pytest.raises(StoreError, match="free some disk space"):
            cache.put({"big": {"x": np.zeros(100_000)}})
        assert set(cache.get(["a", "big"])) == {"a"}


def test_prune_drops_what_is_old_and_tells_how_many(tmp_path: Path) -> None:
    with ItemCache(tmp_path / "items.sqlite") as cache:
        cache.put({"old": entry(1.0)})
        time.sleep(0.2)
        cache.put({"new": entry(2.0)})
        assert cache.prune(older_than=0.1) == 1
        assert set(cache.get(["old", "new"])) == {"new"}
