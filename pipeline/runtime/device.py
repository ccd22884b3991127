"""Where networks run: chosen by the environment, never by params.yaml, so that caches do not split by machine."""

import logging
import os

import torch

from pipeline.errors import ConfigError

VARIABLE = "SBNET_DEVICE"

_NO_CODE = "no kernel image is available"  # what CUDA says of a card that a library was not built for

logger = logging.getLogger(__name__)


def select_device() -> torch.device:
    """The device that SBNET_DEVICE names: cpu, cuda, or auto (the default: cuda where there is one that works).

    Raises ConfigError for another name, and for cuda where torch finds none or has no code for it.
    """
    wanted = os.environ.get(VARIABLE) or "auto"
    if wanted not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"{VARIABLE}={wanted!r}: use cpu, cuda or auto")
    if wanted == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        if not (fault := _fault()):
            return torch.device("cuda")
        if wanted == "cuda":
            raise ConfigError(f"{VARIABLE}=cuda, but torch {torch.__version__} cannot use the GPU ({fault}): use cpu")
        logger.warning("torch %s cannot use the GPU (%s): running on the CPU", torch.__version__, fault)
    elif wanted == "cuda":
        raise ConfigError(f"{VARIABLE}=cuda, but torch {torch.__version__} finds no GPU: unset it or use cpu")
    return torch.device("cpu")


def _fault() -> str:
    """Why the first GPU computes nothing, such as one older than any that torch was built for; empty if it does."""
    try:
        torch.ones(1, device="cuda").add(1).item()
    except RuntimeError as error:
        if _NO_CODE not in str(error):
            raise  # one that is full or taken: to go on elsewhere would take many times as long
        return str(error).splitlines()[0]
    return ""
