"""The device comes from the environment."""

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.runtime.device import select_device


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
