"""Networks converted to OpenVINO's form, kept between runs: a start then builds no network in torch, and converts none.

A kept network is found by all that its conversion depends on: the extractor's code and weights, the example, and the
versions of what builds and converts it. It is checked by digest, and made anew where it is damaged. One that is
converted is written and read back before it is used, so that its bytes are those of later starts: straight from the
conversion, FaceNet's vectors are off by up to 1.5e-8.
"""

import importlib.metadata
import logging
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.extraction.fingerprint import fingerprint_of
from pipeline.files import sha256_of
from pipeline.runtime.workspace import home

_MADE_BY = ("torch", "openvino", "facenet-pytorch")  # whose version may change a conversion
_KEY_DIGITS = 16
_KEPT = 4  # of one name, the last used: FaceNet's takes 94 MB
_UNFINISHED, _UNFINISHED_SECONDS = ".unfinished-", 3600.0  # a killed process leaves its folder behind
_MODEL, _PARAMETERS, _DIGESTS = "network.xml", "network.bin", "digests"

logger = logging.getLogger(__name__)


def converted(
    library: Any, build: Callable[[], nn.Module], example: Tensor, free: Sequence[int], name: str, identity: str
) -> Any:
    """OpenVINO's model of the module that `build` gives, from what is kept, or converted and then kept.

    `library` is the package openvino; see kept_network of extractors.inference for the rest.
    """
    key = fingerprint_of(
        {
            "identity": identity,
            "example": [str(example.dtype), *example.shape],
            "free": list(free),
            **{package: _version(package) for package in _MADE_BY},
        }
    )
    folder = home() / "networks" / f"{name}-{key[:_KEY_DIGITS]}"
    if (model := _read(library, folder)) is not None:
        with suppress(OSError):  # of another user: it is only for the order of use
            os.utime(folder)
        return model
    model = convert(library, build(), example, free)
    for place in (folder.parent, None):  # None: the system's temporary files, not kept
        try:
            return _written(library, model, folder, place)
        except (OSError, RuntimeError) as error:  # OpenVINO's own of a full disk is a RuntimeError
            logger.warning(
                "the converted network cannot be written below %s (%s)", place or "the temporary files", error
            )
    return model  # its vectors differ by up to 1.5e-8 from those of the same network read back


def _written(library: Any, model: Any, folder: Path, place: Path | None) -> Any:
    """The model, written below `place` and read back; kept as `folder` where that is below `place`."""
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=place))
    try:
        library.save_model(model, made / _MODEL, compress_to_fp16=False)
        (made / _DIGESTS).write_text(_digests(made))
        read = library.Core().read_model(made / _MODEL)  # holds the open file, whatever becomes of its name
        if place is not None:
            _keep(made, folder)
        return read
    finally:
        shutil.rmtree(made, ignore_errors=True)


def convert(library: Any, module: nn.Module, example: Tensor, free: Sequence[int]) -> Any:
    """OpenVINO's model of a module, for inputs of the example's type and shape, but for axes `free`, of any length."""
    model = library.convert_model(_traced(module, example), example_input=example)
    model.reshape([-1 if axis in free else size for axis, size in enumerate(example.shape)])
    return model


def _traced(module: nn.Module, example: Tensor) -> Any:
    """The module as a TorchScript function: traced as a module, each of its parts would take its time again."""
    module.requires_grad_(False)  # or its parameters could be no constants
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is the way into OpenVINO all the same
        return torch.jit.trace(lambda inputs: module(inputs), example, check_trace=False)  # type: ignore[no-untyped-call]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # a networks' user without it
        return "absent"


def _digests(folder: Path) -> str:
    return "".join(f"{sha256_of(folder / name)}  {name}\n" for name in (_MODEL, _PARAMETERS))


def _read(library: Any, folder: Path) -> Any | None:
    """The model kept in a folder; None where there is none, or not as it was written."""
    try:
        if (folder / _DIGESTS).read_text() == _digests(folder):
            return library.Core().read_model(folder / _MODEL)
        fault = "its bytes have changed"
    except FileNotFoundError as error:
        if not folder.is_dir():
            return None
        fault = str(error)
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        fault = str(error)
    logger.warning("the converted network in %s cannot be used (%s): it is made anew", folder, fault)
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _keep(made: Path, folder: Path) -> None:
    """Publish what was made, unless another process has just done so, and remove what is not needed beside it."""
    made.chmod(0o755)  # the cache may be a group's
    with suppress(OSError):  # it is there
        made.rename(folder)
    name, now = re.escape(folder.name.rpartition("-")[0]), time.time()
    same = [
        found for found in folder.parent.iterdir() if re.fullmatch(rf"{name}-[0-9a-f]{{{_KEY_DIGITS}}}", found.name)
    ]
    others = sorted((found for found in same if found != folder), key=_used, reverse=True)
    killed = [found for found in folder.parent.glob(f"{_UNFINISHED}*") if now - _used(found) > _UNFINISHED_SECONDS]
    for old in [*others[_KEPT - 1 :], *killed]:
        shutil.rmtree(old, ignore_errors=True)


def _used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # removed meanwhile
        return 0.0
