"""The item cache forgets nothing sound and returns nothing damaged."""

import hashlib
import logging
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from pipeline.errors import StoreError
from pipeline.extraction.item_cache import ItemCache, item_key


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


def test_arrays_come_back_the_same_whatever_their_memory_order(tmp_path: Path) -> None:
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


def test_value_of_another_key_is_not_taken_for_a_damaged_indexs_sake(tmp_path: Path, caplog) -> None:
    path = tmp_path / "items.sqlite"
    with ItemCache(path) as cache:
        cache.put({"a": entry(1.0), "b": entry(2.0)})
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE entries SET (digest, value) = (SELECT digest, value FROM entries WHERE key = 'a')")
    raw.close()
    with caplog.at_level(logging.WARNING), ItemCache(path) as cache:
        assert set(cache.get(["a", "b"])) == {"a"} and cache.lacking(["a", "b"]) == {"b"}
    assert "1 damaged" in caplog.text


def test_file_of_an_earlier_version_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    with sqlite3.connect(path) as raw:
        columns = "key TEXT PRIMARY KEY, digest BLOB NOT NULL, value BLOB NOT NULL, used REAL NOT NULL"
        raw.execute(f"CREATE TABLE entries ({columns}) WITHOUT ROWID")
        value = save({"x": np.arange(3)})
        raw.execute("INSERT INTO entries VALUES ('old', ?, ?, 1.0)", (hashlib.sha256(value).digest(), value))
    raw.close()
    with ItemCache(path) as cache:
        cache.put({"new": entry(1.0)})
    with ItemCache(path) as cache:
        found = cache.get(["old", "new"])
    assert found["old"]["x"].tolist() == [0, 1, 2] and set(found) == {"old", "new"}


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


def damaged_leaf(path: Path) -> None:
    """Break the page that holds key k49, and no page that is read when the file is opened."""
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    pages = range(size, len(content), size)
    leaf = next(at for at in pages if content[at] == 10 and b"k49" in content[at : at + size])  # 10: a leaf of keys
    content[leaf] ^= 255
    path.write_bytes(content)


def fifty(path: Path) -> list[str]:
    """Keys that are so long that their index has several leaves."""
    keys = [f"k{i:02}{'x' * 500}" for i in range(50)]
    with ItemCache(path) as cache:
        cache.put({key: entry(i) for i, key in enumerate(keys)})
    return keys


@pytest.mark.parametrize("page", ["index", "last rows"])
def test_all_that_a_damaged_file_held_is_lacking(tmp_path: Path, monkeypatch, page: str) -> None:
    """Also what was found in it before the damage showed, which is set aside with it."""
    path, keys = tmp_path / "items.sqlite", [f"k{number}" for number in range(900)]
    monkeypatch.setattr("pipeline.extraction.item_cache._QUERY", 10)
    with ItemCache(path) as cache:
        cache.put({key: entry(0.0) for key in keys})
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    leaves = [at for at in range(size, len(content), size) if content[at] == 13]  # 13: a leaf of rows
    with sqlite3.connect(path) as raw:
        (root,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE type = 'index'").fetchone()
    raw.close()
    content[(root - 1) * size if page == "index" else leaves[-1]] ^= 255
    path.write_bytes(content)
    with ItemCache(path) as cache:
        assert cache.lacking(keys) == set(keys)
        cache.put({keys[0]: entry(1.0)})
        assert cache.lacking(keys) == set(keys[1:])
    assert list(tmp_path.glob("*.damaged-*"))


def test_damage_that_shows_only_when_writing_costs_the_old_entries_and_not_the_run(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    fifty(path)
    damaged_leaf(path)
    with ItemCache(path) as cache:
        cache.put({"k49x": entry(1.0)})
        assert set(cache.get(["k49x"])) == {"k49x"}
    assert [aside.name for aside in tmp_path.glob("*.damaged-*")]


def test_damage_is_not_set_aside_under_a_run_that_writes(tmp_path: Path, monkeypatch) -> None:
    """SQLite removes a file's log by name, so that the other run's entries would go with it."""
    path = tmp_path / "items.sqlite"
    keys = fifty(path)
    damaged_leaf(path)
    monkeypatch.setattr("pipeline.extraction.item_cache._LOCK_WAIT", 0.3)
    with ItemCache(path) as other:
        other.put({"a1": entry(1.0)})
        with ItemCache(path) as cache, pytest.raises(StoreError, match="another run is using it"):
            cache.get(keys)
        other.put({"a2": entry(2.0)})
        assert set(other.get(["a1", "a2"])) == {"a1", "a2"}
    with ItemCache(path) as cache:
        assert set(cache.get(["a1", "a2"])) == {"a1", "a2"}


def test_two_runs_that_meet_the_damage_share_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    keys = fifty(path)
    damaged_leaf(path)
    program = (
        "import sys, numpy as np; from pathlib import Path; from pipeline.extraction.item_cache import ItemCache\n"
        "with ItemCache(Path(sys.argv[1])) as cache:\n"
        "    print(flush=True); sys.stdin.readline()\n"
        "    cache.get(sys.argv[3:]); cache.put({sys.argv[2]: {'x': np.ones(1)}})\n"
        "    print(flush=True); sys.stdin.readline()\n"
        "    cache.put({sys.argv[2] + ' later': {'x': np.ones(1)}})\n"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), name, *keys],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for _ in range(2):  # both have the damaged file open, then both have met the damage
        for process in both:
            assert process.stdout is not None and process.stdout.readline() == "\n"
        for process in both:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
    assert [process.wait() for process in both] == [0, 0]
    wanted = {"one", "two", "one later", "two later"}
    with ItemCache(path) as cache:
        assert set(cache.get(wanted)) == wanted
    assert len(list(tmp_path.glob("items.sqlite.damaged-*[0-9]"))) == 1


@pytest.mark.parametrize("column", ["key", "digest", "value"])
def test_bit_that_changes_the_type_of_a_column_costs_that_entry(tmp_path: Path, column: str) -> None:
    path = tmp_path / "items.sqlite"
    with ItemCache(path) as cache:
        cache.put({"a": entry(1.0), "b": entry(2.0)})
    with sqlite3.connect(path) as raw:
        raw.execute(f"UPDATE entries SET {column} = CAST(x'ff' AS TEXT) WHERE key = 'a'")
    raw.close()
    with ItemCache(path) as cache:
        assert set(cache.get(["a", "b"])) == {"b"}
        cache.put({"a": entry(1.0)})
        assert set(cache.get(["a", "b"])) == {"a", "b"}


def test_second_process_reads_and_writes_beside_the_first(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    program = (
        "import sys, numpy as np; from pathlib import Path; from pipeline.extraction.item_cache import ItemCache\n"
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
        "import sys, numpy as np; from pathlib import Path; from pipeline.extraction.item_cache import ItemCache\n"
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
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="set SBNET_HOME"):
        ItemCache(tmp_path / "file" / "items.sqlite")


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


def test_prune_of_everything_drops_what_a_fast_clock_wrote_too(tmp_path: Path, monkeypatch) -> None:
    with ItemCache(tmp_path / "items.sqlite") as cache:
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: 4e9)
            cache.put({"future": entry(1.0)})
        assert cache.prune(older_than=0) == 1


def test_pruned_file_is_smaller_and_size_counts_the_log(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    with ItemCache(path) as cache:
        cache.put({str(i): {"x": np.full(5000, i, np.float32)} for i in range(100)})
        assert path.stat().st_size < cache.usage()[1] and cache.usage()[1] > 2_000_000
        cache.prune(older_than=0)
        assert cache.usage() == (0, path.stat().st_size) and path.stat().st_size < 100_000
