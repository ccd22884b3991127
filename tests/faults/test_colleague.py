"""What a colleague with a fresh clone and the remote has to run: nothing, or only what is new."""

import re
from pathlib import Path

import pytest

from pipeline.extraction.item_cache import ItemCache
from tests.faults.conftest import Remote
from tests.faults.repository import CLIPS, PEOPLE, RUN, Repository, same_machine

pytestmark = [pytest.mark.faults, pytest.mark.stage]

EXTRACTION = ("detect_faces", "embed_faces", "embed_voices")
OUTPUTS = ("faces/embeddings.safetensors", "voices/embeddings.safetensors", f"runs/{RUN}/metrics.json")
ITEMS = PEOPLE * CLIPS


def test_fresh_clone_with_only_the_remote_runs_nothing(remote: Remote, tmp_path: Path) -> None:
    colleague = remote.colleague(tmp_path / "clone")
    assert colleague.dvc("repro", "--pull").ran == []
    for name in (*OUTPUTS, "report/report.html"):
        assert colleague.output(name) == remote.origin.output(name), name


def test_clone_without_the_lock_file_takes_every_stage_from_the_run_cache(
    folder_remote: Remote, tmp_path: Path
) -> None:
    colleague = folder_remote.colleague(tmp_path / "clone")
    (colleague.folder / "dvc.lock").unlink()
    assert colleague.dvc("repro", "--pull").ran == []
    assert colleague.output(OUTPUTS[0]) == folder_remote.origin.output(OUTPUTS[0])


def test_colleague_without_the_media_retrains_and_evaluates(remote: Remote, tmp_path: Path) -> None:
    colleague = remote.colleague(tmp_path / "clone")
    colleague.params(train={"seeds": [1]})
    outcome = colleague.dvc("repro", "--pull", "--allow-missing")
    assert outcome.ran == ["settings", f"train@{RUN}", f"evaluate@{RUN}", "report", "trials"]
    assert not (colleague.folder / "media").exists(), "the raw media were neither needed nor fetched"
    for name in ("model.safetensors", "scores.parquet"):
        assert colleague.output(f"runs/{RUN}/{name}") != remote.origin.output(f"runs/{RUN}/{name}"), name


def test_one_more_clip_with_pulled_stores_and_no_item_cache_is_one_extraction(
    folder_remote: Remote, tmp_path: Path
) -> None:
    colleague = folder_remote.colleague(tmp_path / "clone")
    colleague.dvc("pull")
    colleague.add_clip()
    assert not (colleague.folder / ".sbnet" / "items.sqlite").exists()
    outcome = colleague.dvc("repro")
    assert outcome.counts == dict.fromkeys(EXTRACTION, f"1 extracted, {ITEMS} cached, 0 skipped")
    with ItemCache(colleague.folder / ".sbnet" / "items.sqlite") as cache:
        assert cache.usage()[0] == 3 * (ITEMS + 1)


def test_experiment_in_a_copy_of_the_project_extracts_nothing(finished: Repository, tmp_path: Path) -> None:
    folder = same_machine(finished, tmp_path / "author").folder
    # As the environment does that `make setup` made: DVC opens its site cache only once it works in the copy.
    author = Repository(folder, {"DVC_SITE_CACHE_DIR": str(folder / ".dvc-site-cache")})
    assert author.dvc("exp", "run", "--temp", "-S", "train.epochs=1", "--name", "shorter").counts == {}
    assert "shorter" in author.dvc("exp", "show", "--csv", "--drop", "^(?!Experiment|eer).*$").log


def test_clip_that_comes_costs_one_extraction_and_one_that_goes_none(finished: Repository, tmp_path: Path) -> None:
    author = same_machine(finished, tmp_path / "author")
    lock = (author.folder / "dvc.lock").read_bytes()
    clip = author.add_clip()
    more = author.dvc("repro", "embed_faces", "embed_voices")
    assert more.counts == dict.fromkeys(EXTRACTION, f"1 extracted, {ITEMS} cached, 0 skipped")
    clip.unlink()
    forced = author.dvc("repro", "--no-run-cache", "embed_faces", "embed_voices")
    assert forced.counts == dict.fromkeys(EXTRACTION, f"0 extracted, {ITEMS} cached, 0 skipped")
    assert author.dvc("repro").ran == [], "protocol to report are as they were, in the run cache"
    assert hashes((author.folder / "dvc.lock").read_text()) == hashes(lock.decode())


def hashes(lock: str) -> list[str]:
    """The MD5s of a dvc.lock, in order."""
    return re.findall(r"md5: (\w+)", lock)
