"""The loop computes each item once, whatever goes wrong around it."""

import logging
import re
import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError, ExtractionError, MediaError, StoreError
from pipeline.extraction import loop
from pipeline.extraction.decoding import Prepared, SampleFrames
from pipeline.extraction.item_cache import Arrays, ItemCache
from pipeline.extraction.loop import Extraction, extract
from pipeline.extraction.steps import FaceDetection, FaceEmbedding
from pipeline.extraction.tasks import Tasks
from pipeline.extraction.work import Work, items_at_once, payload_bytes
from pipeline.media import SampledFrame
from pipeline.runtime.progress import progress
from tests.pipeline.extraction.executors.worker_tasks import make_task


class Model:
    """Squares numbers and remembers what it was asked."""

    def __init__(self, batch: int = 1, dies_at: float | None = None) -> None:
        self.asked: list[float] = []
        self.work = Work("square", self.infer, batch)
        self._dies_at = dies_at

    def infer(self, payloads: Sequence[np.ndarray]) -> list[Arrays | MediaError]:
        numbers = [float(payload[0]) for payload in payloads]
        if self._dies_at in numbers:
            raise KeyboardInterrupt
        self.asked += numbers
        return [MediaError("negative") if n < 0 else {"embeddings": np.array([n * n])} for n in numbers]


@pytest.fixture
def cache(tmp_path: Path):
    with ItemCache(tmp_path / "cache" / "items.sqlite") as cache:
        yield cache


@pytest.fixture(autouse=True)
def _decode_here(monkeypatch) -> None:
    monkeypatch.setenv("SBNET_WORKERS", "0")


def values(extraction: Extraction, cache: ItemCache) -> dict[str, float]:
    return {item: float(arrays["embeddings"][0]) for item, _, arrays in extraction.results(cache)}


def test_every_item_gets_its_own_result(tmp_path, cache) -> None:
    tasks = [make_task(tmp_path, str(i), str(i)) for i in range(5)]
    for batch in (1, 2, 16):
        with ItemCache(tmp_path / f"items{batch}.sqlite") as fresh:
            assert values(extract(Model(batch).work, tasks, fresh), fresh) == {str(i): i * i for i in range(5)}


def test_second_run_asks_the_model_nothing(tmp_path, cache, caplog) -> None:
    tasks = [make_task(tmp_path, str(i), str(i)) for i in range(5)]
    first = extract(Model().work, tasks, cache)
    model = Model()
    with caplog.at_level(logging.INFO):
        assert values(extract(model.work, tasks, cache), cache) == values(first, cache)
    assert model.asked == []
    assert "5 items: 0 extracted, 5 cached, 0 skipped" in caplog.text


def test_one_new_item_costs_one_extraction_and_a_removed_one_none(tmp_path, cache) -> None:
    tasks = [make_task(tmp_path, str(i), str(i)) for i in range(5)]
    extract(Model().work, tasks, cache)
    model = Model()
    more = extract(model.work, [make_task(tmp_path, "new", "9"), *tasks], cache)
    assert model.asked == [9.0] and values(more, cache)["new"] == 81
    model = Model()
    fewer = extract(model.work, tasks[1:], cache)
    assert model.asked == [] and "0" not in fewer.keys


def test_killed_run_keeps_all_but_the_batch_in_hand(tmp_path, cache) -> None:
    tasks = [make_task(tmp_path, str(i), str(i)) for i in range(10)]
    with pytest.raises(KeyboardInterrupt):
        extract(Model(batch=2, dies_at=7.0).work, tasks, cache)
    model = Model(batch=2)
    assert values(extract(model.work, tasks, cache), cache) == {str(i): i * i for i in range(10)}
    assert model.asked == [6, 7, 8, 9]


def test_unusable_media_and_results_are_skipped_with_reasons_and_never_cached(tmp_path, cache, caplog) -> None:
    tasks = [make_task(tmp_path, i, c) for i, c in (("a", "1"), ("bad", "media error"), ("neg", "-2"))]
    for _ in range(2):
        model = Model()
        with caplog.at_level(logging.INFO):
            extraction = extract(model.work, tasks, cache)
        assert values(extraction, cache) == {"a": 1}
        assert {(s.item, s.stage, s.reason) for s in extraction.skips} == {
            ("bad", "square", "no audio track"),
            ("neg", "square", "negative"),
        }
        assert -2.0 in model.asked
    assert "3 items: 0 extracted, 1 cached, 2 skipped" in caplog.text


def test_item_too_large_for_memory_is_skipped_with_the_remedy_and_the_others_go_on(
    tmp_path, cache, monkeypatch
) -> None:
    monkeypatch.setenv("SBNET_WORKERS", "1")
    tasks = [make_task(tmp_path, i, c) for i, c in (("a", "1"), ("film", "too large"), ("c", "3"))]
    extraction = extract(Model().work, tasks, cache)
    assert values(extraction, cache) == {"a": 1, "c": 9}
    (skip,) = extraction.skips
    assert (skip.item, skip.stage) == ("film", "square")
    assert "more memory" in skip.reason and "fewer workers (SBNET_WORKERS)" in skip.reason


def test_item_that_lasts_long_is_given_its_minutes(tmp_path, cache, monkeypatch) -> None:
    monkeypatch.setenv("SBNET_WORKERS", "1")
    monkeypatch.setenv("SBNET_ITEM_SECONDS", "1")
    short, long = make_task(tmp_path, "short", "hang 3"), make_task(tmp_path, "long", "hang 3")
    extraction = extract(Model().work, [replace(short, minutes=0.1), replace(long, minutes=30.0)], cache)
    assert set(extraction.keys) == {"long"} and "longer than 1.1 s" in extraction.skips[0].reason


def test_items_of_the_same_bytes_are_extracted_once(tmp_path, cache, caplog) -> None:
    one = make_task(tmp_path, "one", "3")
    tasks = [one, replace(one, item="again"), make_task(tmp_path, "bad", "-2")]
    tasks.append(replace(tasks[2], item="as bad"))
    model = Model()
    with caplog.at_level(logging.INFO):
        extraction = extract(model.work, tasks, cache)
    assert model.asked == [3, -2]
    assert values(extraction, cache) == {"one": 9, "again": 9}
    assert [skip.item for skip in extraction.skips] == ["bad", "as bad"]
    assert "4 items: 1 extracted, 1 cached, 2 skipped" in caplog.text


def test_medium_that_is_gone_or_has_changed_fails_the_stage_once_the_others_are_cached(tmp_path, cache) -> None:
    """As skips they would be lost for good: DVC does not repeat a stage that succeeded."""
    tasks = [make_task(tmp_path, name, name) for name in ("1", "gone", "changed", "4")]
    with pytest.raises(ExtractionError, match=r"(?s)2 media are not what the manifest says:.*gone.*changed.*dvc repro"):
        extract(Model().work, tasks, cache)
    model = Model()
    assert values(extract(model.work, [tasks[0], tasks[3]], cache), cache) == {"1": 1, "4": 16}
    assert model.asked == []


def test_item_skipped_for_want_of_time_or_memory_comes_with_the_command_that_tries_it_again(
    tmp_path, cache, caplog
) -> None:
    extract(Model().work, [make_task(tmp_path, "film", "too large"), make_task(tmp_path, "poor", "media error")], cache)
    assert "1 item(s) were skipped for want of time or memory, first: film" in caplog.text
    assert "`dvc repro --single-item --force square`" in caplog.text


def test_broken_extractor_stops_the_run_and_the_item_is_named(tmp_path, cache) -> None:
    def infer(payloads: Sequence[np.ndarray]) -> list[Arrays | MediaError]:
        raise ExtractionError("vectors of another shape")

    tasks = [make_task(tmp_path, "poor.wav", "1")]
    with pytest.raises(ExtractionError, match=r"square, item poor\.wav: vectors of another shape"):
        extract(Work("square", infer, 1), tasks, cache)
    assert cache.usage()[0] == 0


@pytest.mark.parametrize("batch", [1, 4])
def test_media_error_that_a_model_raises_costs_the_item_that_it_is_of(tmp_path, cache, batch) -> None:
    def infer(payloads: Sequence[np.ndarray]) -> list[Arrays | MediaError]:
        if any(payload[0] == 2 for payload in payloads):
            raise MediaError("two is unusable")
        return [{"embeddings": payload} for payload in payloads]

    extraction = extract(Work("square", infer, batch), [make_task(tmp_path, str(i), str(i)) for i in range(5)], cache)
    assert set(extraction.keys) == {"0", "1", "3", "4"}
    assert [(skip.item, skip.reason) for skip in extraction.skips] == [("2", "two is unusable")]


def test_unknown_executor_is_refused_with_the_known_ones(tmp_path, cache, monkeypatch) -> None:
    monkeypatch.setenv("SBNET_EXECUTOR", "slurm")
    with pytest.raises(ConfigError, match="SBNET_EXECUTOR='slurm' is not known: use local"):
        extract(Model().work, [make_task(tmp_path, "1", "1")], cache)


def test_nothing_to_do_is_no_error(cache) -> None:
    assert extract(Model().work, [], cache) == Extraction({}, [])


def test_cpu_takes_items_alone_unless_they_do_not_touch_each_other() -> None:
    assert items_at_once("cpu", independent=False) == 1
    assert 1 < items_at_once("cpu", independent=True) <= items_at_once("cuda", independent=False)


def test_items_at_once_go_by_the_cores_that_are_ours(monkeypatch) -> None:
    """A job may have two of a node's ninety-six: more would only be lost with it."""
    monkeypatch.setattr("pipeline.extraction.limits.os.sched_getaffinity", lambda _: set(range(96)))
    monkeypatch.setenv("SBNET_CORES", "1")
    one = items_at_once("cpu", independent=True)
    monkeypatch.delenv("SBNET_CORES")
    assert 1 < one < items_at_once("cpu", independent=True)


@pytest.mark.parametrize(("device", "times"), [("cpu", 1), ("cuda", 8)])
def test_a_gpu_gets_more_crops_at_once_than_it_gets_clips_of_whole_frames(device: str, times: int) -> None:
    extractor = SimpleNamespace(device=torch.device(device), independent=True, backend="none")
    clips = FaceDetection(extractor, SampleFrames(1.0, 4)).work.batch  # type: ignore[arg-type]
    assert FaceEmbedding(extractor, {}).work.batch == times * clips  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_items_without_memory_for_all_go_one_by_one_and_one_without_is_skipped(tmp_path, cache, error) -> None:
    class Activations:
        """What a forward pass holds."""

    held: weakref.WeakSet[Activations] = weakref.WeakSet()

    class Small(Model):
        def infer(self, payloads: Sequence[np.ndarray]) -> list[Arrays | MediaError]:
            assert not held, "what the failed call had in memory is free again"
            activations = Activations()
            held.add(activations)
            if len(payloads) > 1 or float(payloads[0][0]) == 3:
                raise error("out of memory")
            return super().infer(payloads)

    tasks = [make_task(tmp_path, str(number), str(number)) for number in (2, 3, 4)]
    extraction = extract(Small(batch=3).work, tasks, cache)
    assert values(extraction, cache) == {"2": 4, "4": 16}
    ((item, reason),) = [(skip.item, skip.reason) for skip in extraction.skips]
    assert item == "3" and "more memory" in reason and "SBNET_DEVICE=cpu" in reason


def test_large_items_go_through_the_model_few_at_a_time(tmp_path, cache, monkeypatch) -> None:
    sizes: list[int] = []

    class Counting(Model):
        def infer(self, payloads: Sequence[np.ndarray]) -> list[Arrays | MediaError]:
            sizes.append(len(payloads))
            return super().infer(payloads)

    tasks = [make_task(tmp_path, str(number), str(number)) for number in range(7)]
    own = payload_bytes(tasks[0].prepare(tasks[0].path))
    monkeypatch.setattr("pipeline.extraction.executors.MOST_HELD", 2 * own)
    extraction = extract(Counting(batch=16).work, tasks, cache)
    assert own > 0 and sizes == [2, 2, 2, 1]
    assert values(extraction, cache) == {str(number): float(number**2) for number in range(7)}


def test_bytes_of_an_item_are_those_of_its_crops_waveform_or_frames() -> None:
    frame = np.zeros((4, 5, 3), np.uint8)
    assert payload_bytes([SampledFrame(0, 0.0, frame), SampledFrame(9, 1.0, frame)]) == 120
    assert payload_bytes(Prepared([np.zeros(10, np.float32)] * 3, np.arange(3))) == 120
    assert payload_bytes([]) == 0


def test_tasks_are_made_anew_each_time_and_never_held(tmp_path, cache) -> None:
    made = [make_task(tmp_path, str(i), str(i)) for i in range(5)]
    extraction = extract(Model().work, Tasks(lambda: iter(made)), cache)
    assert values(extraction, cache) == {str(i): i * i for i in range(5)}


def test_results_come_sorted_by_item_whatever_the_order_of_tasks(tmp_path, cache) -> None:
    tasks = [make_task(tmp_path, item, "1") for item in ("b", "c", "a")]
    assert [item for item, _, _ in extract(Model().work, tasks, cache).results(cache)] == ["a", "b", "c"]


def test_result_that_went_meanwhile_is_said_by_name(tmp_path, cache) -> None:
    extraction = extract(Model().work, [make_task(tmp_path, "1", "1")], cache)
    cache.prune(0)
    with pytest.raises(StoreError, match=r"^1: its result is gone from the item cache"):
        list(extraction.results(cache))


def test_slow_models_results_are_written_one_by_one_and_a_fast_ones_together(tmp_path, cache, monkeypatch) -> None:
    written: list[int] = []
    put = cache.put
    monkeypatch.setattr(cache, "put", lambda entries: (written.append(len(entries)), put(entries)))

    def slow(payloads: Sequence[np.ndarray]) -> list[Arrays | MediaError]:
        time.sleep(0.03)
        return [{"embeddings": payload} for payload in payloads]

    extract(Work("slow", slow, 1), [make_task(tmp_path, str(i), str(i)) for i in range(5)], cache)
    assert written == [1] * 5
    written.clear()
    extract(Model().work, [make_task(tmp_path, f"{i} too", f"{i}") for i in range(200)], cache)
    assert sum(written) == 200 and len(written) < 100


def test_log_says_where_the_time_went_and_what_would_make_it_less(tmp_path, cache, caplog) -> None:
    def slow(payloads: Sequence[np.ndarray]) -> list[Arrays | MediaError]:
        time.sleep(0.3)
        return [{"embeddings": payload} for payload in payloads]

    with caplog.at_level(logging.INFO):
        extract(Work("slow", slow, 1), [make_task(tmp_path, "1", "1")], cache)
        extract(Model().work, [make_task(tmp_path, "2", "slow2")], cache)
    first, second = (line for line in caplog.messages if "waiting for decoders" in line)
    assert re.search(r"slow: 0\.\d s: model 0\.[3-9].*the model is the neck", first)
    assert re.search(r"waiting for decoders 0\.[3-9].*decoders worked 0\.[3-9] s; the decoders are the neck", second)


def test_bar_starts_at_what_is_cached_so_that_its_rate_and_time_left_do_not_count_it(
    tmp_path, cache, monkeypatch
) -> None:
    bars: list[dict[str, Any]] = []
    monkeypatch.setattr(loop, "progress", lambda **settings: (bars.append(settings), progress(**settings))[1])
    tasks = [make_task(tmp_path, str(i), str(i)) for i in range(6)]
    extract(Model().work, tasks[:4], cache)
    extract(Model().work, tasks, cache)
    assert [(bar["initial"], bar["total"]) for bar in bars] == [(0, 4), (4, 6)]
