"""Everything a run needs to go on, in one safetensors file, and which voices it learnt from."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.errors import CheckpointError
from pipeline.files import atomic_path


def _optimiser_tensors(optimiser: torch.optim.Optimizer, name: str) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {f"{name}.{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def save(
    path: Path,
    step: int,
    modules: dict[str, nn.Module],
    optimisers: dict[str, torch.optim.Optimizer],
    decay: int,
    voices: str,
) -> None:
    """Write `step` (steps done), the step where the `decay` begins, and every tensor of modules and optimisers.

    `voices` is the digest of the training set, in hexadecimal.
    """
    tensors = {"step": torch.tensor(step), "decay": torch.tensor(decay)}
    tensors["voices"] = torch.tensor(list(bytes.fromhex(voices)), dtype=torch.uint8)
    for name, module in modules.items():
        tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        tensors |= _optimiser_tensors(optimiser, name)
    with atomic_path(path) as temporary:
        save_file({key: value.contiguous() for key, value in tensors.items()}, temporary)


def below(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors under `name`, without the prefix."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no readable checkpoint ({error}): name the one in a run's folder") from error


def averaged(path: Path) -> dict[str, Tensor]:
    """The averaged student of a checkpoint; raises CheckpointError for a file without one."""
    state = below(_read(path), "average")
    if not state:
        raise CheckpointError(f"{path} holds no averaged student: name a run's checkpoint.safetensors")
    return state


def step_of(path: Path) -> int:
    """How many steps the checkpoint's run has done; raises CheckpointError for a damaged file."""
    return int(_read(path)["step"])


def decay_of(path: Path) -> int:
    """The step where the decay of the checkpoint's run begins; raises CheckpointError for a damaged file."""
    return int(_read(path)["decay"])


def voices_of(path: Path) -> str | None:
    """The digest of the voices that the checkpoint's run learnt from; None where it was written before it was kept."""
    kept = _read(path).get("voices")
    return None if kept is None else bytes(kept.tolist()).hex()


def load(path: Path, modules: dict[str, nn.Module], optimisers: dict[str, torch.optim.Optimizer]) -> int:
    """Put a checkpoint back in place; gives the steps done.

    Raises CheckpointError for a damaged file and for one of another recipe.
    """
    tensors = _read(path)
    for name, module in modules.items():
        try:
            module.load_state_dict(below(tensors, name))
        except RuntimeError as error:
            raise CheckpointError(
                f"{path}: its {name} is of another shape than the recipe's: give the new recipe a folder of its own"
            ) from error
    for name, optimiser in optimisers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in below(tensors, name).items():
            index, entry = key.split(".", 1)
            state.setdefault(int(index), {})[entry] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(tensors["step"])
