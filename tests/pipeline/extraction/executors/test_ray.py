"""What the Ray executor decides without a cluster; tests/faults/test_cluster.py has one."""

import socket
import sys
import time
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, ExtractionError
from pipeline.extraction.executors import chosen_executor
from pipeline.extraction.executors.ray import Crew, RayExecutor
from pipeline.extraction.work import Work
from tests.faults.cluster_work import squares
from tests.pipeline.extraction.executors.worker_tasks import make_task


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACTOR_CPUS", "GPU_SHARE", "ACTORS", "DEVICE", "CORES"):
        monkeypatch.delenv(f"SBNET_{name}", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def run(folder: Path, work: Work | None = None) -> None:
    list(RayExecutor().run(work or squares(), [make_task(folder, "one", "1")]))


def test_environment_chooses_it(monkeypatch) -> None:
    monkeypatch.setenv("SBNET_EXECUTOR", "ray")
    assert isinstance(chosen_executor(), RayExecutor)


def test_without_ray_the_message_says_how_to_install_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install -r requirements-cluster\.txt"):
        run(tmp_path)


@pytest.mark.parametrize("address", ["", "auto", "local", "ray://head:10001", "head", "head:port"])
def test_address_that_is_no_host_and_port_is_refused(tmp_path, monkeypatch, address) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ConfigError, match="RAY_ADDRESS=host:port"):
        run(tmp_path)


def test_address_at_which_nobody_answers_is_refused_at_once(tmp_path, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    started = time.monotonic()
    with pytest.raises(ConfigError, match="no cluster answers there"):
        run(tmp_path)
    assert time.monotonic() - started < 10


def test_work_that_cannot_be_described_is_refused(tmp_path) -> None:
    with pytest.raises(ExtractionError, match="no description"):
        run(tmp_path, Work("square", squares().infer, batch=1))


@pytest.mark.parametrize(
    ("variable", "wrong"),
    [
        *(("SBNET_ACTOR_CPUS", wrong) for wrong in ("0", "1.5", "some", "-1")),
        *(("SBNET_GPU_SHARE", wrong) for wrong in ("1.5", "half", "-1", "nan")),
        *(("SBNET_ACTORS", wrong) for wrong in ("0", "2.5", "all")),
        ("SBNET_DEVICE", "cuda"),
    ],
)
def test_setting_that_makes_no_sense_is_refused_by_name(monkeypatch, variable, wrong) -> None:
    monkeypatch.setenv(variable, wrong)
    with pytest.raises(ConfigError, match=variable):
        Crew.of_environment()


NODES = [{"CPU": 0.0}, {"CPU": 16.0, "GPU": 2.0}, {"CPU": 6.0}, {"CPU": 64.0, "GPU": 8.0}]


@pytest.mark.parametrize(
    ("cpus", "gpus", "room"),
    [
        (None, 0.0, 4 + 1 + 16),  # four cores each
        (1, 0.0, 16 + 6 + 64),
        (6, 0.0, 2 + 1 + 10),
        (1, 1.0, 2 + 8),
        (1, 0.25, 8 + 32),
        (1, 0.3, 6 + 24),  # three a card: a share is of one card
        (1, 1 / 3, 6 + 24),
        (1, 4.0, 0 + 2),
        (4, 0.25, 4 + 16),  # cores are scarcer than shares
    ],
)
def test_actors_are_as_many_as_each_node_has_room_for(cpus, gpus, room) -> None:
    assert Crew(cpus, gpus, None).room(NODES) == room


def test_actor_takes_four_cores_or_what_the_largest_node_has() -> None:
    crew = Crew(None, 0.0, None)
    assert crew.cpus_on([{"CPU": 2.0}, {"CPU": 0.0}]) == 2
    assert crew.cpus_on(NODES) == crew.cpus_on([]) == crew.cpus_on([{"CPU": 0.0}]) == 4


def test_actor_runs_on_the_device_that_it_has_and_on_its_own_cores(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SBNET_HOME", str(tmp_path))
    monkeypatch.setenv("SBNET_ITEM_SECONDS", "7")
    shared = {"SBNET_HOME": str(tmp_path), "SBNET_ITEM_SECONDS": "7"}
    assert shared.items() < Crew(4, 0.0, None).environment(4).items()
    assert Crew(4, 0.0, None).environment(4).items() >= {"SBNET_DEVICE": "cpu", "SBNET_CORES": "4"}.items()
    assert Crew(2, 0.5, None).environment(2).items() >= {"SBNET_DEVICE": "cuda", "SBNET_CORES": "2"}.items()
