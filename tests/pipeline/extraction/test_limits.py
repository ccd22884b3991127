"""How many workers there are, and how long an item may take."""

import pytest

from pipeline.errors import ConfigError
from pipeline.extraction.limits import cores, item_seconds, minutes_of, minutes_to_read, worker_count


def test_worker_count_is_the_environments_or_leaves_a_core_free(monkeypatch) -> None:
    monkeypatch.setenv("SBNET_WORKERS", "5")
    assert worker_count() == 5
    monkeypatch.setenv("SBNET_WORKERS", "many")
    with pytest.raises(ConfigError, match="SBNET_WORKERS"):
        worker_count()
    monkeypatch.delenv("SBNET_WORKERS")
    assert 1 <= worker_count() <= 8


@pytest.mark.parametrize(
    ("text", "expected"), [("150000 100000", 2), ("max 100000", 96), ("9900000 100000", 96), ("", 96), (None, 96)]
)
def test_a_container_s_share_of_the_machine_is_its_cores(monkeypatch, tmp_path, text, expected) -> None:
    if text is not None:
        (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr("pipeline.extraction.limits._QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr("pipeline.extraction.limits.os.sched_getaffinity", lambda _: set(range(96)))
    monkeypatch.delenv("SBNET_CORES", raising=False)
    assert cores() == expected


@pytest.mark.parametrize("wrong", ["soon", "0", "-1", "nan", "inf"])
def test_time_limit_that_is_no_time_is_refused_by_name(monkeypatch, wrong) -> None:
    monkeypatch.setenv("SBNET_ITEM_SECONDS", wrong)
    with pytest.raises(ConfigError, match="SBNET_ITEM_SECONDS"):
        item_seconds()


def test_time_limit_is_the_environments_or_two_minutes(monkeypatch) -> None:
    monkeypatch.setenv("SBNET_ITEM_SECONDS", "7.5")
    assert item_seconds() == 7.5
    monkeypatch.delenv("SBNET_ITEM_SECONDS")
    assert item_seconds() == 120


def test_medium_is_given_the_minutes_that_it_lasts() -> None:
    assert minutes_of(3600.0, 400_000_000) == 60
    assert minutes_of(30.0, 10_000_000) == 0.5


def test_wrong_duration_of_a_header_counts_as_far_as_the_bytes_could_hold_it() -> None:
    assert minutes_of(1e6, 100_000) == pytest.approx(25 / 60)


def test_medium_of_unknown_duration_is_given_time_by_its_size() -> None:
    assert minutes_of(None, 180_000_000) == 60
    assert minutes_of(None, 0) == 0


def test_large_file_is_given_the_time_to_read_it_however_short_it_lasts() -> None:
    assert minutes_of(1.0, 12_000_000_000) == minutes_to_read(12_000_000_000) == 100
