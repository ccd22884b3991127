"""Chunks: every item has one outcome, whatever becomes of the actors that held it."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ExtractionError, LimitError
from pipeline.extraction.executors.chunks import Chunk, Chunks
from pipeline.extraction.tasks import Task

RESULT = {"embeddings": np.ones(1)}


def tasks(count: int, minutes: float = 0.0) -> list[Task]:
    return [Task(str(i), Path(str(i)), f"key {i}", prepare=str, minutes=minutes) for i in range(count)]


def keys(chunk: Chunk) -> list[str]:
    return list(chunk.unfinished)


def test_every_item_is_in_one_chunk_of_some_seconds_of_work() -> None:
    chunks, sizes, seen = Chunks(tasks(3000)), [], []
    while (chunk := chunks.take()).unfinished:
        sizes.append(len(chunk.unfinished))
        seen += keys(chunk)
        chunks.settle(chunk, dict.fromkeys(chunk.unfinished, RESULT))
        chunks.measure(0.5 if len(seen) < 1000 else 0.001)
    assert seen == [f"key {i}" for i in range(3000)]
    assert sizes[:10] == [4] * 10 and max(sizes) == 256, "half a second an item, then a millisecond"
    assert chunks.finished


def test_tasks_are_taken_as_they_are_needed() -> None:
    taken: list[str] = []
    chunks = Chunks(task for task in tasks(100) if not taken.append(task.item))  # type: ignore[func-returns-value]
    assert not taken
    assert chunks.waiting(3) == 3 and len(taken) == 3 and not chunks.finished
    assert len(keys(chunks.take())) == 4 and len(taken) == 4
    assert chunks.waiting(1000) == 96


def test_long_media_make_small_chunks_and_a_film_is_one_by_itself() -> None:
    for minutes, size in ((0.0, 256), (1.0, 15), (60.0, 1)):
        chunks = Chunks(tasks(500, minutes))
        chunks.measure(1e-6)
        assert len(keys(chunks.take())) == size


def test_outcomes_carry_their_tasks_and_a_foreign_one_is_refused() -> None:
    chunks = Chunks(tasks(100))
    chunk = chunks.take()
    assert keys(chunk) == [f"key {i}" for i in range(4)]
    [(task, outcome)] = chunks.settle(chunk, {"key 3": RESULT})
    assert task.item == "3" and outcome is RESULT
    assert "key 3" not in chunk.unfinished and not chunks.finished
    with pytest.raises(ExtractionError, match="not asked for: key 3"):
        chunks.settle(chunk, {"key 3": RESULT})


def test_dead_actor_costs_what_it_had_not_finished_given_out_again_one_by_one() -> None:
    chunks = Chunks(tasks(100))
    begun, next_one = chunks.take(), chunks.take()
    chunks.settle(begun, {"key 0": RESULT})
    unfinished, untouched = keys(begun), keys(next_one)
    assert chunks.lost(begun, begun=True) == []
    assert chunks.lost(next_one, begun=False) == []
    again = [keys(chunks.take()) for _ in unfinished]
    assert again == [[key] for key in unfinished] and "key 0" not in unfinished
    assert keys(chunks.take())[0] == untouched[0], "what nobody began stays in its place"


def test_item_that_kills_its_actors_becomes_a_skip_and_costs_no_other_item() -> None:
    chunks, done, dead = Chunks(tasks(100)), set(), 0
    given_up = []
    while not chunks.finished:
        chunk = chunks.take()
        if "key 7" in chunk.unfinished:
            dead += 1
            given_up += chunks.lost(chunk, begun=True)
        else:
            done.update(task.key for task, _ in chunks.settle(chunk, dict.fromkeys(chunk.unfinished, RESULT)))
    assert dead == 3 and len(done) == 99
    [(task, outcome)] = given_up
    assert task.key == "key 7" and isinstance(outcome, LimitError) and "3 actors died" in str(outcome)


def test_chunk_may_take_twice_as_long_as_a_batch_of_its_longest_items(monkeypatch) -> None:
    monkeypatch.setenv("SBNET_ITEM_SECONDS", "2")
    assert Chunk({task.key: task for task in tasks(3, minutes=1.5)}).seconds() == 60 + 2 * 3 * 2 * 2.5
    assert Chunk({task.key: task for task in tasks(200)}).seconds() == 60 + 2 * 16 * 2
