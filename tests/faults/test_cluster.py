"""Extraction on a real Ray cluster of two nodes: the bytes of one machine, whatever dies under it."""

import itertools
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ray._private.node import Node
from ray.cluster_utils import Cluster

from pipeline.errors import ConfigError, GoneError, LimitError, MediaError
from pipeline.extraction.executors import LocalExecutor
from pipeline.extraction.executors import ray as ray_executor
from pipeline.extraction.executors.chunks import Chunk
from pipeline.extraction.executors.ray import RayExecutor
from pipeline.extraction.tasks import Task
from pipeline.files import sha256_of
from tests.faults.cluster_work import HANGS_THE_MODEL, KILLS_THE_MODEL, squares
from tests.faults.repository import environment
from tests.faults.test_kill import OUTPUTS, PATIENCE, children_in, wait_until
from tests.pipeline.extraction.executors.worker_tasks import make_task
from tests.stages.project import DEMO, ROOT, Project, make_project

pytestmark = [pytest.mark.faults, pytest.mark.stage]

ITEMS = 12
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}  # bytes; no more is needed for vectors


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that holds no actor, and two nodes of one core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0})
        for _ in range(2):
            made.add_node(**NODE)
        yield made
        made.shutdown()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Twelve clips, extracted on this machine."""
    found = sorted(DEMO.glob("id*/*.mp4"))[:ITEMS]
    media = {path.relative_to(DEMO).as_posix(): path for path in found}
    project = make_project(tmp_path_factory.mktemp("local"), media, in_process=True)
    project.extract(SBNET_WORKERS="2", SBNET_DEVICE="cpu")
    return project


@pytest.fixture(scope="module")
def remote(local: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same project with its manifest alone: extraction is still to come."""
    project = local.copy(tmp_path_factory.mktemp("remote"))
    (project.home / "items.sqlite").unlink()
    for name in (name for names in OUTPUTS.values() for name in names):
        (project.folder / "artifacts" / name).unlink()
    return project


class Running:
    """A stage that extracts on the cluster."""

    def __init__(self, project: Project, stage: str, cluster: Cluster) -> None:
        self.stage, self.log = stage, project.folder / f"{stage}.log"
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"stages.{stage}"],
                cwd=project.folder,
                env=environment(
                    PYTHONPATH=str(ROOT),
                    SBNET_HOME=str(project.home),
                    SBNET_EXECUTOR="ray",
                    RAY_ADDRESS=cluster.address,
                ),
                stdout=stream,
                stderr=stream,
            )

    def text(self) -> str:
        """What it has said so far."""
        return self.log.read_text().replace("\r", "\n")

    def wait_for_items(self) -> None:
        """Wait until it has outcomes."""
        wait_until(lambda: re.search(rf"{self.stage}:.* [1-9]\d?/{ITEMS}", self.text()), self.process)

    def finish(self) -> int:
        """Wait for its end; returns how many of its actors were lost."""
        assert self.process.wait(timeout=PATIENCE) == 0, self.text()
        assert f"{ITEMS} extracted, 0 cached, 0 skipped" in self.text()
        lost = re.search(r"actor\(s\) on the cluster, (\d+) of them lost", self.text())
        assert lost
        return int(lost[1])


def actors_in(project: Project) -> list[int]:
    """Processes of actors that extract for a project."""
    found = [process for process in children_in(project.folder) if b"ExtractionActor" in _title(process)]
    return sorted(found)


def at_work(project: Project) -> list[int]:
    """Those of them that have items in hand."""
    return [process for process in actors_in(project) if b"ExtractionActor.run" in _title(process)]


def raylet_of(node: Node) -> int:
    """The process of a node that starts its actors."""
    return int(node.all_processes["raylet"][0].process.pid)


def parent_of(process: int) -> int:
    """The process that started a process."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def _title(process: int) -> bytes:
    path = Path(f"/proc/{process}/cmdline")
    return path.read_bytes() if path.exists() else b""


def same_bytes(one: Project, other: Project, stage: str) -> bool:
    """Whether a stage has written the same files in both."""
    return all(
        sha256_of(one.folder / "artifacts" / name) == sha256_of(other.folder / "artifacts" / name)
        for name in OUTPUTS[stage]
    )


def test_whatever_dies_under_it_the_bytes_are_those_of_one_machine(
    cluster: Cluster, local: Project, remote: Project
) -> None:
    """Nothing dies under the first stage, all actors are killed under the second, a node by force under the third."""
    stage = Running(remote, "detect_faces", cluster)
    assert stage.finish() == 0
    assert same_bytes(local, remote, "detect_faces")

    stage = Running(remote, "embed_faces", cluster)
    stage.wait_for_items()
    for actor in actors_in(remote):
        os.kill(actor, signal.SIGKILL)
    assert stage.finish() >= 1
    assert same_bytes(local, remote, "embed_faces")

    stage = Running(remote, "embed_voices", cluster)
    seen: list[int] = []
    wait_until(lambda: bool(seen.extend(at_work(remote)) or seen), stage.process)
    actor = seen[0]
    os.kill(actor, signal.SIGSTOP)  # so that its work is not done before the node is gone, however slow this test is
    (node,) = [node for node in cluster.worker_nodes if raylet_of(node) == parent_of(actor)]
    stage.wait_for_items()  # of the other node, or of this one before
    cluster.remove_node(node, allow_graceful=False)
    os.kill(actor, signal.SIGKILL)  # it would end with its node, but for being stopped
    assert stage.finish() >= 1
    assert same_bytes(local, remote, "embed_voices")
    assert not children_in(remote.folder), "nothing is left on the nodes"


def test_node_that_joins_gets_an_actor(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    tasks = [make_task(tmp_path, f"{number}", f"slow{number}") for number in range(60)]
    outcomes = RayExecutor().run(squares(), tasks)
    first = next(outcomes)
    cluster.add_node(**NODE)
    with caplog.at_level(logging.INFO):
        found = outcomes_by_item(itertools.chain([first], outcomes))
    assert found == {str(number): number**2 for number in range(60)}
    assert "2 actor(s) on the cluster, 0 of them lost" in caplog.text


def outcomes_by_item(outcomes: Iterator[list[tuple[Task, object]]]) -> dict[str, object]:
    """Numbers, or class and text of errors."""
    found: dict[str, object] = {}
    for task, outcome in (one for some in outcomes for one in some):
        assert task.item not in found, "one outcome an item"
        if isinstance(outcome, MediaError):
            found[task.item] = (type(outcome), str(outcome))
        else:
            found[task.item] = float(outcome["embeddings"][0])  # type: ignore[index]
    return found


def test_media_that_harm_decoders_or_are_others_have_the_outcomes_that_they_have_here(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    monkeypatch.setenv("SBNET_ITEM_SECONDS", "3")
    contents = ["media error", "crash", "killed", "too large", "hang", "-1", *(str(number) for number in range(20))]
    tasks = [make_task(tmp_path, f"{number}", content) for number, content in enumerate(contents)]
    tasks.append(replace(make_task(tmp_path, "changed", "1"), digest="0" * 64))
    here = outcomes_by_item(LocalExecutor().run(squares(), tasks))
    there = outcomes_by_item(RayExecutor().run(squares(), tasks))
    (kind, reason), (same_kind, same_reason) = here.pop("changed"), there.pop("changed")  # type: ignore[misc]
    assert there == here
    assert kind is same_kind is GoneError
    assert re.fullmatch(rf"{reason} \(as node .* sees it; here is a file .*\)", same_reason)


def test_item_that_kills_or_stops_the_model_is_skipped_and_costs_no_other(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    monkeypatch.setattr(Chunk, "seconds", lambda chunk: 5.0)  # not five minutes
    contents = [str(KILLS_THE_MODEL), str(HANGS_THE_MODEL), *(str(number) for number in range(20))]
    tasks = [make_task(tmp_path, content, content) for content in contents]
    found = outcomes_by_item(RayExecutor().run(squares(), tasks))
    for hopeless in contents[:2]:
        kind, reason = found.pop(hopeless)  # type: ignore[misc]
        assert kind is LimitError and "3 actors died or hung" in reason
    assert found == {str(number): number**2 for number in range(20)}


def test_node_with_another_library_is_refused(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "numpy-9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 9.9\n")
    node = cluster.add_node(**{**NODE, "num_cpus": 3}, env_vars={"PYTHONPATH": str(tmp_path)})
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    monkeypatch.setenv("SBNET_ACTOR_CPUS", "3")  # so that it is the node that they come to
    with pytest.raises(ConfigError, match=r"node .* would give other results than this machine: numpy is 9.9 there"):
        list(RayExecutor().run(squares(), [make_task(tmp_path, "one", "1")]))
    cluster.remove_node(node)


def test_node_that_lacks_the_project_is_refused(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # Ray adds the working folder, the stage's and the node's, to the path of imports
    node = cluster.add_node(**{**NODE, "num_cpus": 3})
    monkeypatch.setattr(ray_executor, "PROJECT", tmp_path / "absent")
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    monkeypatch.setenv("SBNET_ACTOR_CPUS", "3")  # so that it is the node that they come to
    with pytest.raises(ConfigError, match=r"cannot import the project .* must be there at the same path"):
        list(RayExecutor().run(squares(), [make_task(tmp_path, "one", "1")]))
    cluster.remove_node(node)
