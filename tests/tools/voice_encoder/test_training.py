"""Schedule, optimiser and checkpoints of the recipe."""

from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.errors import ConfigError
from tools.voice_encoder import checkpoint
from tools.voice_encoder.muon import Muon, orthogonalised
from tools.voice_encoder.recipe import load_recipe
from tools.voice_encoder.schedule import decaying, rate_factor

SETTINGS = load_recipe().optimiser.model_copy(update={"steps": 100, "warmup": 10, "decay": 20})


def test_rates_warm_up_stay_and_fall_to_zero() -> None:
    assert rate_factor(0, SETTINGS) == pytest.approx(0.1)
    assert rate_factor(9, SETTINGS) == rate_factor(50, SETTINGS) == rate_factor(80, SETTINGS) == 1.0
    assert rate_factor(90, SETTINGS) == pytest.approx(0.5)
    assert rate_factor(99, SETTINGS) == pytest.approx(0.05)


def test_decay_starts_where_the_rates_fall() -> None:
    assert [decaying(step, SETTINGS) for step in (0, 79, 80, 99)] == [False, False, True, True]


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (20, 5), (8, 8)])
def test_orthogonalised_updates_have_singular_values_near_one(shape: tuple[int, ...]) -> None:
    gradient = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(gradient).flatten(1))
    assert 0.5 < values.min() <= values.max() < 1.4


def test_muon_descends() -> None:
    kernel = nn.Parameter(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)))
    target = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    optimiser = Muon([kernel], weight_decay=0.0)
    optimiser.param_groups[0]["lr"] = 0.2
    losses = []
    for _ in range(60):
        loss = (kernel - target).square().sum()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.1 * losses[0]


def _parts(seed: int) -> tuple[nn.Module, dict[str, torch.optim.Optimizer]]:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    muon = Muon([network[0].weight], weight_decay=0.1)
    muon.param_groups[0]["lr"] = 0.01
    others = [parameter for parameter in network.parameters() if parameter is not network[0].weight]
    return network, {"muon": muon, "adam": torch.optim.AdamW(others, 0.01)}


def _learn(network: nn.Module, optimisers: dict[str, torch.optim.Optimizer], seed: int) -> None:
    inputs = torch.randn(16, 4, generator=torch.Generator().manual_seed(seed))
    network(inputs).square().mean().backward()
    for optimiser in optimisers.values():
        optimiser.step()
        optimiser.zero_grad()


def test_a_resumed_run_takes_the_same_steps(tmp_path: Path) -> None:
    network, optimisers = _parts(0)
    _learn(network, optimisers, 1)
    checkpoint.save(tmp_path / "run.safetensors", 1, {"student": network}, optimisers, 7, "ab01")
    assert checkpoint.decay_of(tmp_path / "run.safetensors") == 7
    assert checkpoint.voices_of(tmp_path / "run.safetensors") == "ab01"
    _learn(network, optimisers, 2)
    again, others = _parts(9)
    assert checkpoint.load(tmp_path / "run.safetensors", {"student": again}, others) == 1
    _learn(again, others, 2)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, msg=name)


def test_recipe_names_the_bad_key(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("seed: 0\nspeling: 1\n")
    with pytest.raises(ConfigError, match="speling"):
        load_recipe(tmp_path / "recipe.yaml")
