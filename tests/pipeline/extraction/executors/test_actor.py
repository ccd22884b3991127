"""What an actor checks before it extracts, and what it gives, without a cluster around it."""

import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from extractors.voices.voice import voice_extractor
from pipeline.errors import ConfigError
from pipeline.extraction.executors.actor import ExtractionActor, difference, surroundings
from pipeline.extraction.steps import VoiceEmbedding
from tests.faults.cluster_work import described
from tests.pipeline.extraction.executors.worker_tasks import make_task
from tests.pipeline.settings_for_training import shipped


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An actor changes folder and environment for good: its process is its own."""
    monkeypatch.setenv("SBNET_WORKERS", "0")
    before, folder = dict(os.environ), Path.cwd()
    yield
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(before)


def test_same_surroundings_do_not_differ_and_others_are_named() -> None:
    here = surroundings()
    assert difference(here, surroundings()) == ""
    assert "torch" in here.libraries and "+" not in here.libraries["torch"], "CPU and CUDA builds of one version agree"
    older = replace(here, libraries={**here.libraries, "av": "1.0", "soxr": "absent"})
    assert difference(here, older) == (
        f"av is 1.0 there and {here.libraries['av']} here; soxr is absent there and {here.libraries['soxr']} here"
    )
    assert "Python is 3.9.1 there" in difference(here, replace(here, python="3.9.1"))
    assert "pipeline/ or extractors/" in difference(here, replace(here, code="0"))


def test_node_with_other_code_or_without_the_project_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"node .* would give other results than this machine: its files of pipeline"):
        ExtractionActor().arrive(replace(surroundings(), code="0"), {}, str(tmp_path))
    with pytest.raises(ConfigError, match=r"does not see .*absent.*every node mounts at the same path"):
        ExtractionActor().arrive(surroundings(), {}, str(tmp_path / "absent"))


def test_actor_works_in_the_stages_folder_and_environment_and_gives_outcomes_by_key(tmp_path) -> None:
    actor = ExtractionActor()
    place = actor.arrive(surroundings(), {"SBNET_ITEM_SECONDS": "7"}, str(tmp_path))
    assert place.node and Path.cwd() == tmp_path and os.environ["SBNET_ITEM_SECONDS"] == "7"
    actor.load(described())
    tasks = [make_task(tmp_path, str(number), str(number)) for number in range(5)]
    outcomes = dict(one for report in actor.run(tasks) for one in report.outcomes)
    assert {key: float(result["embeddings"][0]) for key, result in outcomes.items()} == {
        task.key: float(task.item) ** 2 for task in tasks
    }


def test_model_made_of_a_description_must_be_the_stages_own(tmp_path) -> None:
    extractor = voice_extractor(shipped().embed_voices, torch.device("cpu"))
    step = VoiceEmbedding(extractor, remove_offset=True, trim=False)
    assert step.work.describe is not None
    description = pickle.loads(pickle.dumps(step.work.describe()))  # noqa: S301 - as it is sent
    actor = ExtractionActor()
    actor.load(description)
    assert actor._work.stage == "embed_voices"
    assert actor._work.infer.embedder.fingerprint() == extractor.fingerprint()
    step.work.ran_in("another backend")
    assert step.made_by()["backend"] == "another backend", "the store says where its vectors were made"
    with pytest.raises(ConfigError, match=r"node .*: its extractor gives other vectors"):
        actor.load(replace(description, fingerprint="0" * 64))
