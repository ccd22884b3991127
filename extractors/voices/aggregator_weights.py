"""Where the aggregator's weights come from: shipped, published, untrained, or a file of the user's.

python -m extractors.voices.aggregator_weights official [--from weights.h5]
"""

import difflib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extractors.base import Weights
from extractors.pretrained import Published, fetch_command, load_into, own_file, read_safetensors, require_unchanged
from extractors.voices.aggregator_network import STAGES, UtteranceAggregator, untrained
from pipeline.errors import WeightsError
from pipeline.files import PINNED_DIGITS, sha256_hex, sha256_of

_SHIPPED = Path(__file__).with_name("weights")
# Versions of `distilled` by their SHA-256, the newest last: that one is meant where no digest is named.
DISTILLED = {
    "0ab97b3121a832327b350ca5f0c35644f97ab42905d1579b27dc98eec018d77e": _SHIPPED
    / "utterance_aggregator_distilled_1.safetensors",
    "0a7267f54a2fe8dc20a565a125c74b04e29ed263062e5d6ba051f045d829e2f3": _SHIPPED
    / "utterance_aggregator_distilled_2.safetensors",
}
NEWEST = DISTILLED[list(DISTILLED)[-1]]
# By version, each of what the one before heard and more.
_HEARD = {
    1: ("LibriSpeech", "Kokoro's virtual voices", "the people of its teacher, CAM++"),
    2: (
        *("LibriSpeech", "Kokoro's virtual voices", "the people of its teacher, CAM++", "speechocean762"),
        *("Picovoice's benchmarks", "Duke alphanumeric", "prompts of Debian"),
    ),
}
_LEAST_DIGITS = 8  # of a version's digest
# The authors' own copy is on a drive; this repository holds the same network's weights. Whether the two files are the
# same bytes is not established.
_COMMIT = "ed0985950cbac6dc699bf54f58dbbc813110d3f7"
OFFICIAL = Published(
    what="the official voice weights",
    source=f"https://raw.githubusercontent.com/taylorlu/Speaker-Diarization/{_COMMIT}/ghostvlad/pretrained/weights.h5",
    digest="369d34b9d1e1558bcf4894ad89a380747e99eb74",  # git's, as that repository publishes no other
    kept_as="utterance_aggregator_official.h5",
    fetch="python -m extractors.voices.aggregator_weights official",
    instead="To use another file, such as the authors' own, keep it elsewhere and set embed_voices.weights to its "
    "path; or set it to `distilled`, which ships with the project",
)
_CHOICES = ("distilled", "official", "untrained")
_KERAS_SUFFIXES = {".h5", ".hdf5", ".keras"}
_CONVOLUTIONS = {"reduce": "1x1_reduce", "middle": "3x3", "increase": "1x1_increase", "shortcut": "1x1_proj"}
_NORMS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


Build = Callable[[], UtteranceAggregator]


def aggregator_weights(choice: str, seed: int) -> tuple[Weights, Build]:
    """What `embed_voices.weights` names, and what makes the network with it, in eval mode; `seed` is of `untrained`.

    Raises WeightsError where they cannot be had, and what makes the network where they do not fit.
    """
    match choice:
        case shipped if shipped.partition("#")[0] == "distilled":
            return _distilled(shipped.partition("#")[2])
        case "official":
            return _official(OFFICIAL.file())
        case "untrained":
            return _untrained(seed)
        case path:
            return _named(own_file(path, "embed_voices"))


def load_network(path: Path) -> UtteranceAggregator:
    """The network with the weights of a Keras HDF5 file or of a safetensors file of ours, in eval mode."""
    _require_kind(path)
    read = read_safetensors if path.suffix == ".safetensors" else read_keras_state
    return load_state(read(path), str(path))


def _require_kind(path: Path) -> None:
    if path.suffix not in {*_KERAS_SUFFIXES, ".safetensors"}:
        raise WeightsError(f"{path}: weights must be Keras's .h5 or our .safetensors (pickles are never loaded)")


def _load_pinned(path: Path, digest: str) -> UtteranceAggregator:
    network = load_network(path)
    require_unchanged(path, digest)
    return network


def load_state(state: dict[str, Tensor], origin: str) -> UtteranceAggregator:
    """The network with `state`, in eval mode; raises WeightsError, naming `origin`, as load_into does."""
    network = UtteranceAggregator()
    load_into(network, state, origin)
    return network


def state_digest(network: UtteranceAggregator) -> str:
    """SHA-256 over names and bytes of all weights, for a network that comes from no file."""
    state = sorted(network.state_dict().items())
    return sha256_hex(*(part for name, tensor in state for part in (name, tensor.numpy().tobytes())), separator=b"")


def _distilled(pin: str) -> tuple[Weights, Build]:
    """The newest version, or the one whose digest begins with `pin`."""
    digest = next((one for one in reversed(DISTILLED) if one.startswith(pin)), None)
    if digest is None or 0 < len(pin) < _LEAST_DIGITS:
        known = ", ".join(f"distilled#{one[:PINNED_DIGITS]}" for one in DISTILLED)
        raise WeightsError(
            f"embed_voices.weights: no version distilled#{pin} ({_LEAST_DIGITS} digits or more); there are {known}, "
            "the newest last, which `distilled` means"
        )
    path, version = DISTILLED[digest], 1 + list(DISTILLED).index(digest)
    if not path.is_file() or sha256_of(path) != digest:
        raise WeightsError(f"{path} is absent or not the shipped file: restore it with `git checkout`")
    weights = Weights(
        "distilled",
        digest,
        f"distilled, version {version} (ours, from CAM++ with open speech; not the official weights)",
        trained_on=_HEARD[version],
        stand_in=True,
    )
    return weights, partial(_load_pinned, path, weights.digest)


def _official(path: Path) -> tuple[Weights, Build]:
    label = "official (Xie et al. 2019, VoxCeleb2)"
    weights = Weights("official", sha256_of(path), label, trained_on=("VoxCeleb2",), official=True)
    return weights, partial(_load_pinned, path, weights.digest)


def _untrained(seed: int) -> tuple[Weights, Build]:
    network = untrained(seed)
    label = f"untrained (seed {seed}): a stand-in"
    return Weights("untrained", state_digest(network), label, trained_on=(), stand_in=True), lambda: network


def _named(path: Path) -> tuple[Weights, Build]:
    """A file of the user's; one with the official bytes is called so, since its name and place change nothing."""
    if not path.is_file():
        close = difflib.get_close_matches(str(path).lower(), _CHOICES, n=1)
        raise WeightsError(
            f"embed_voices.weights: no file {path}{f' (did you mean {close[0]!r}?)' if close else ''}; "
            "give `distilled`, `official`, `untrained` or a path"
        )
    if OFFICIAL.is_published(path):
        return _official(path)
    _require_kind(path)
    weights = Weights(path.name, sha256_of(path), f"{path.name} (the user's own)", trained_on=None)
    return weights, partial(_load_pinned, path, weights.digest)


def _convolution_names() -> Iterator[tuple[str, str]]:
    """Our name and Keras's for each convolution with batch normalisation."""
    yield "backbone.stem", "conv1_1/3x3_s1"
    for stage, (blocks, _, _) in STAGES.items():
        for block in blocks:
            for ours, theirs in _CONVOLUTIONS.items():
                if ours != "shortcut" or block == "a":
                    yield f"backbone.stages.{stage}.{block}.{ours}", f"conv{stage}_{block}_{theirs}"


def keras_names() -> dict[str, tuple[str, str]]:
    """Our parameter's name -> (Keras layer, weight of it)."""
    names = {"pool.centres": ("gvlad_pool", "centers")}
    for ours, theirs in _convolution_names():
        names[f"{ours}.conv.weight"] = (theirs, "kernel")
        names |= {f"{ours}.norm.{mine}": (f"{theirs}/bn", weight) for mine, weight in _NORMS.items()}
    for ours, theirs in (("features", "x_fc"), ("assignment", "gvlad_center_assignment"), ("embedding", "fc6")):
        names[f"{ours}.weight"] = (theirs, "kernel")
        names[f"{ours}.bias"] = (theirs, "bias")
    return names


def _layer_weights(path: Path) -> dict[tuple[str, str], NDArray[np.float32]]:
    """(layer, weight) -> array, for every layer that the file names."""
    weights = {}
    with h5py.File(path, "r") as file:
        root = file.get("model_weights", file)  # a whole saved model keeps its weights one level down
        for name in root.attrs["layer_names"]:
            layer = name.decode() if isinstance(name, bytes) else str(name)
            group = root[layer]
            for entry in group.attrs["weight_names"]:
                dataset = entry.decode() if isinstance(entry, bytes) else str(entry)
                kind = dataset.rsplit("/", 1)[-1].split(":")[0]
                weights[layer, kind] = np.asarray(group[dataset], np.float32)
    return weights


def _to_torch(array: NDArray[np.float32]) -> Tensor:
    """Keras's kernels are (height, width, in, out) and (in, out); torch's start with `out`."""
    order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim)
    return torch.from_numpy(np.ascontiguousarray(array.transpose(order) if order else array))


def read_keras_state(path: Path) -> dict[str, Tensor]:
    """The weights of a Keras file under our parameters' names; raises WeightsError where one is absent."""
    try:
        weights = _layer_weights(path)
    except (OSError, KeyError) as error:
        raise WeightsError(
            f"{path} is no readable Keras weight file ({error}): name another in voice weights"
        ) from error
    state = {}
    for ours, (layer, kind) in keras_names().items():
        if (layer, kind) not in weights:
            raise WeightsError(f"{path} has no `{kind}` of layer `{layer}`: it belongs to another network")
        array = weights[layer, kind]
        state[ours] = torch.from_numpy(array) if ours == "pool.centres" else _to_torch(array)
    return state


if __name__ == "__main__":
    fetch_command({"official": OFFICIAL})
