"""The device comes from the environment."""

from unittest import mock

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.extraction.executors import device_here
from pipeline.runtime import device
from pipeline.runtime.device import select_device

FAULT = device._fault


@pytest.fixture(autouse=True)
def works(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that torch finds computes; there is none here to ask."""
    monkeypatch.setattr(device, "_fault", lambda: "")


@pytest.mark.parametrize("found", [True, False])
def test_cpu_is_the_cpu_whatever_there_is(monkeypatch: pytest.MonkeyPatch, found: bool) -> None:
    monkeypatch.setenv("SBNET_DEVICE", "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)
    assert select_device().type == "cpu"


@pytest.mark.parametrize("value", ["auto", "", None])
@pytest.mark.parametrize(("found", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, value: str | None, found: bool, expected: str
) -> None:
    monkeypatch.delenv("SBNET_DEVICE", raising=False)
    if value is not None:
        monkeypatch.setenv("SBNET_DEVICE", value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)
    assert select_device().type == expected


def test_cuda_is_never_quietly_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBNET_DEVICE", "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="finds no GPU"):
        select_device()


def test_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBNET_DEVICE", "gpu0")
    with pytest.raises(ConfigError, match="gpu0"):
        select_device()


def test_a_gpu_that_torch_has_no_code_for_is_said_and_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device, "_fault", lambda: "no kernel image is available")
    monkeypatch.delenv("SBNET_DEVICE", raising=False)
    assert select_device().type == "cpu" and "no kernel image is available" in caplog.text
    monkeypatch.setenv("SBNET_DEVICE", "cuda")
    with pytest.raises(ConfigError, match=r"no kernel image is available.*use cpu"):
        select_device()


def test_a_gpu_that_is_merely_full_is_not_replaced_by_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "ones", mock.Mock(side_effect=RuntimeError("CUDA error: no kernel image is available")))
    assert FAULT() == "CUDA error: no kernel image is available"
    monkeypatch.setattr(torch, "ones", mock.Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(torch.OutOfMemoryError):
        FAULT()


def test_beside_actors_of_a_cluster_the_stage_leaves_the_gpu_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("SBNET_DEVICE", raising=False)
    monkeypatch.setenv("SBNET_EXECUTOR", "ray")
    assert device_here().type == "cpu"
    monkeypatch.setenv("SBNET_EXECUTOR", "local")
    assert device_here().type == "cuda"
