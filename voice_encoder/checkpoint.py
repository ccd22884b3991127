"""Everything a run needs to go on, in one safetensors file."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.files import atomic_path


def _optimiser_tensors(optimiser: torch.optim.Optimizer, name: str) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {f"{name}.{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def save(path: Path, step: int, modules: dict[str, nn.Module], optimisers: dict[str, torch.optim.Optimizer]) -> None:
    """Write `step` (steps done) and every tensor of the modules and optimisers."""
    tensors = {"step": torch.tensor(step)}
    for name, module in modules.items():
        tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        tensors |= _optimiser_tensors(optimiser, name)
    with atomic_path(path) as temporary:
        save_file({key: value.contiguous() for key, value in tensors.items()}, temporary)


def below(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors under `name`, without the prefix."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def load(path: Path, modules: dict[str, nn.Module], optimisers: dict[str, torch.optim.Optimizer]) -> int:
    """Put a checkpoint back in place; gives the steps done."""
    tensors = load_file(path)
    for name, module in modules.items():
        module.load_state_dict(below(tensors, name))
    for name, optimiser in optimisers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in below(tensors, name).items():
            index, entry = key.split(".", 1)
            state.setdefault(int(index), {})[entry] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(tensors["step"])
