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
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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
    folder = _folder() / f"{name}-{key[:_KEY_DIGITS]}"
    if (model := _read(library, folder)) is not None:
        with suppress(OSError):  # of another user: it is only for the order of use
            os.utime(folder)
        return model
    with _beside(folder) as made:
        library.save_model(convert(library, build(), example, free), made / _MODEL, compress_to_fp16=False)
        (made / _DIGESTS).write_text(_digests(made))
        _keep(made, folder)
        kept = folder if folder.is_dir() else made
        return library.Core().read_model(kept / _MODEL)


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


def _folder() -> Path:
    return home() / "networks"


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


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder`, or, where nothing can be written there, among the system's temporary ones."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = tempfile.mkdtemp(prefix=".", dir=folder.parent)
    except OSError as error:
        logger.debug("%s: the converted network is not kept (%s)", folder, error)
        made = tempfile.mkdtemp()
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _keep(made: Path, folder: Path) -> None:
    """Publish what was made, unless another process has just done so, and remove those of its name used long ago."""
    if made.parent != folder.parent:
        return
    with suppress(OSError):  # it is there, of the same bytes
        made.chmod(0o755)  # the cache may be a group's
        made.rename(folder)
    name = re.escape(folder.name.rpartition("-")[0])
    same = [
        found for found in folder.parent.iterdir() if re.fullmatch(rf"{name}-[0-9a-f]{{{_KEY_DIGITS}}}", found.name)
    ]
    for old in sorted(same, key=_used, reverse=True)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def _used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # removed meanwhile
        return 0.0
