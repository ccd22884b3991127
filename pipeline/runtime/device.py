"""Where networks run: chosen by the environment, never by params.yaml, so that caches do not split by machine."""

import os

import torch

from pipeline.errors import ConfigError

VARIABLE = "SBNET_DEVICE"


def select_device() -> torch.device:
    """The device that SBNET_DEVICE names: cpu, cuda, or auto (the default: cuda where there is one).

    Raises ConfigError for another name, and for cuda where torch finds none.
    """
    wanted = os.environ.get(VARIABLE) or "auto"
    if wanted not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"{VARIABLE}={wanted!r}: use cpu, cuda or auto")
    if wanted == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if wanted == "cuda":
        raise ConfigError(f"{VARIABLE}=cuda, but torch {torch.__version__} finds no GPU: unset it or use cpu")
    return torch.device("cpu")
