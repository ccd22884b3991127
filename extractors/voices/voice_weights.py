"""Where the aggregator's weights come from, and what the report calls them."""

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from extractors.own_weights import own_file
from extractors.voices.aggregator_network import UtteranceAggregator, load_state, untrained
from extractors.voices.keras_voice_weights import read_keras_state
from extractors.voices.official_voice_weights import is_official, official_file
from pipeline.errors import WeightsError
from pipeline.files import sha256_of
from pipeline.settings import EmbedVoicesSettings

DISTILLED = Path(__file__).with_name("weights") / "utterance_aggregator_distilled.safetensors"
DISTILLED_SHA256 = "0ab97b3121a832327b350ca5f0c35644f97ab42905d1579b27dc98eec018d77e"
_CHOICES = ("distilled", "official", "untrained")
_OFFICIAL = "official (Xie et al. 2019, VoxCeleb2)"
_KERAS_SUFFIXES = {".h5", ".hdf5", ".keras"}


@dataclass(frozen=True)
class VoiceWeights:
    """A network ready to embed, with the name and the digest of its weights."""

    network: UtteranceAggregator
    digest: str  # hex SHA-256
    label: str  # for the report


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of one of our files as float32, in whatever precision they are stored."""
    try:
        return {name: tensor.float() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path} is no readable safetensors file ({error}): name another in voice weights"
        ) from error


def state_digest(network: UtteranceAggregator) -> str:
    """SHA-256 over names and bytes of all weights, for a network that comes from no file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def from_file(path: Path, label: str) -> VoiceWeights:
    """Weights of a Keras HDF5 file or of a safetensors file of ours."""
    if not path.is_file():
        close = difflib.get_close_matches(str(path).lower(), _CHOICES, n=1)
        raise WeightsError(
            f"embed_voices.weights: no file {path}{f' (did you mean {close[0]!r}?)' if close else ''}; "
            "give `distilled`, `official`, `untrained` or a path"
        )
    if path.suffix in _KERAS_SUFFIXES:
        state = read_keras_state(path)
    elif path.suffix == ".safetensors":
        state = read_safetensors(path)
    else:
        raise WeightsError(f"{path}: weights must be Keras's .h5 or our .safetensors (pickles are never loaded)")
    return VoiceWeights(load_state(state, str(path)), sha256_of(path), label)


def _distilled() -> VoiceWeights:
    if not DISTILLED.is_file() or sha256_of(DISTILLED) != DISTILLED_SHA256:
        raise WeightsError(f"{DISTILLED} is absent or not the shipped file: restore it with `git checkout`")
    return from_file(
        DISTILLED, "distilled (ours, from CAM++ with LibriSpeech and synthetic voices; not the official weights)"
    )


def _named(path: Path) -> VoiceWeights:
    """A file of the user's; one with the official bytes is called so, since its name and place change nothing."""
    official = path.is_file() and is_official(path)
    return from_file(path, _OFFICIAL if official else f"{path.name} (the user's own)")


def _untrained(seed: int) -> VoiceWeights:
    network = untrained(seed)
    return VoiceWeights(network, state_digest(network), f"untrained (seed {seed}): a stand-in")


def voice_weights(settings: EmbedVoicesSettings) -> VoiceWeights:
    """The weights that `embed_voices.weights` names; raises WeightsError where they cannot be had."""
    match settings.weights:
        case "distilled":
            return _distilled()
        case "official":
            return from_file(official_file(), _OFFICIAL)
        case "untrained":
            return _untrained(settings.seed)
        case path:
            return _named(own_file(path, "embed_voices"))
