"""Make torchvision and torchaudio importable where their native halves do not fit the installed torch.

The package registry carries CUDA builds of both. Beside a CPU build of torch their shared libraries cannot be loaded
(libc10_cuda.so is absent) and the whole import fails, although what we use of them is Python. So: import natively
first, and leave a working install untouched; only when that import fails, define the one operator we need,
`torchvision::nms`, on the CPU, and let a plain module replace `torchaudio._extension`. Functions that live in the
native half (RoI pooling, forced alignment ...) then raise when called.
"""

import importlib
import logging
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import torch

_log = logging.getLogger(__name__)

_NMS_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> Any:
    """Import torchvision, with `torchvision::nms` defined by us if its native half cannot be loaded.

    Raises the import's own error when torchvision is absent or broken in another way.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        # a build that loaded its operators fails for another reason, such as a CUDA mismatch, which we must not hide
        if _has_operator("nms"):
            raise
        _log.debug("torchvision without its native half (%s): its nms runs in Python", error)
    _forget("torchvision")
    _define_operators()
    torchvision = importlib.import_module("torchvision")
    # torchvision.ops.nms asks first whether the native half is there; the other modules keep asking
    vars(torchvision.ops.boxes)["_assert_has_ops"] = lambda: None
    return torchvision


def import_torchaudio() -> Any:
    """Import torchaudio, without its native half if that cannot be loaded.

    Raises the import's own error when torchaudio is absent or broken in another way.
    """
    try:
        return importlib.import_module("torchaudio")
    except (OSError, RuntimeError) as error:  # RuntimeError: it was built for another CUDA than torch
        _log.debug("torchaudio without its native half (%s)", error)
    _forget("torchaudio")
    extension = _extension_stand_in()
    sys.modules[extension.__name__] = extension
    torchaudio = importlib.import_module("torchaudio")
    vars(torchaudio)["_extension"] = extension  # the import system binds a submodule only when it loads it itself
    return torchaudio


def import_facenet_pytorch() -> Any:
    """Import facenet_pytorch, which needs torchvision."""
    import_torchvision()
    return importlib.import_module("facenet_pytorch")


def non_maximum_suppression(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Indices of the boxes that survive greedy suppression, best score first, earlier box first among equals.

    boxes (N, 4) as x1, y1, x2, y2 and scores (N,) give indices (K,) int64. A box goes when its intersection over union
    with a kept one exceeds the threshold; areas are widths times heights, without the +1 of pixel counting. Same
    arithmetic as torchvision/csrc/ops/cpu/nms_kernel.cpp: overlaps in the boxes' type, compared in double precision.
    """
    if boxes.dim() != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise RuntimeError(
            f"nms takes boxes (N, 4) and scores (N,), got {tuple(boxes.shape)} and {tuple(scores.shape)}"
        )
    x1, y1, x2, y2 = boxes.detach().cpu().numpy().T
    area = (x2 - x1) * (y2 - y1)  # (N,)
    remaining = scores.detach().sort(stable=True, descending=True).indices.cpu().numpy()
    selected = []
    while remaining.size:
        best, remaining = remaining[0], remaining[1:]
        selected.append(int(best))
        width = np.maximum(0, np.minimum(x2[best], x2[remaining]) - np.maximum(x1[best], x1[remaining]))
        height = np.maximum(0, np.minimum(y2[best], y2[remaining]) - np.maximum(y1[best], y1[remaining]))
        shared = width * height
        with np.errstate(invalid="ignore"):  # two empty boxes: 0 / 0 is not above any threshold, so both stay
            overlap = shared / (area[best] + area[remaining] - shared)
        remaining = remaining[~(overlap.astype(np.float64) > iou_threshold)]
    return torch.tensor(selected, dtype=torch.int64, device=boxes.device)


def _has_operator(name: str) -> bool:
    return hasattr(torch.ops.torchvision, name)


def _forget(package: str) -> None:
    """Drop what a failed import left behind, so that the next one starts afresh."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


def _define_operators() -> None:
    """Define nms, and the schema alone of qnms: torchvision describes both to torch while it is imported."""
    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", _NMS_SCHEMA)
    torch.library.impl("torchvision::nms", "CPU", non_maximum_suppression)


def _extension_stand_in() -> ModuleType:
    """What torchaudio imports from `torchaudio._extension`, all of it saying that there is no native half."""
    module = ModuleType("torchaudio._extension", "Stands in for the native half of torchaudio, which cannot be loaded.")

    def fail_if_no_align(function: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(*_arguments: Any, **_keywords: Any) -> NoReturn:
            raise RuntimeError(f"{function.__name__} needs torchaudio's native half, which does not fit this torch")

        return refuse

    def load_lib(_library: str) -> bool:
        return False

    vars(module).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        fail_if_no_align=fail_if_no_align,
        _load_lib=load_lib,
        _check_cuda_version=lambda: None,
    )
    return module
