"""Inputs and weights of the oracles, the same bits on every machine: nothing but them decides the stored outputs.

The values come from PCG64's raw stream, which numpy promises to keep (its Generator's normal and integers may change),
and are made of sums, products and square roots only, which IEEE 754 rounds alike everywhere: no sine, no matrix
product, no factorisation.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

FACE_WIDTH, VOICE_WIDTH = 512, 192  # two branches take vectors of two widths
EMBEDDING = 128  # the official gated fusion has this width written into it
CLASSES, ROWS = 40, 24
SAMPLE_RATE = 16000  # Hz
_AGGREGATOR = {
    # stage: (blocks, channels of 1x1, 3x3, 1x1)
    2: ("ab", (48, 48, 96)),
    3: ("abc", (96, 96, 128)),
    4: ("abc", (128, 128, 256)),
    5: ("abc", (256, 256, 512)),
}
_DIMENSION, _CENTRES = 512, 10

Array = NDArray[np.float32]
Shape = tuple[int, ...]


def uniform(name: str, *shape: int, low: float = -1.0, high: float = 1.0) -> Array:
    """Values in [low, high), float32, decided by the name alone."""
    raw = np.random.PCG64(zlib.crc32(name.encode())).random_raw(int(np.prod(shape)))
    unit = (raw >> np.uint64(40)).astype(np.float32) / np.float32(2**24)  # 24 bits: exact
    return (np.float32(low) + np.float32(high - low) * unit).reshape(shape)


def labels(name: str, rows: int, classes: int) -> NDArray[np.int64]:
    """(rows,) class numbers below `classes`."""
    return (uniform(name, rows, low=0.0) * np.float32(classes)).astype(np.int64)


def trials(name: str, pairs: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors (pairs, width) twice, float64; those of even rows are of one person and so closer."""
    left = uniform(f"{name} left", pairs, width).astype(np.float64)
    right = uniform(f"{name} right", pairs, width).astype(np.float64)
    right[::2] += 0.7 * left[::2]
    return _unit(left), _unit(right)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = np.zeros(len(vectors))
    for column in vectors.T:  # one after another: numpy's own sum depends on the machine's vector width
        squares += column * column
    return vectors / np.sqrt(squares)[:, None]


def waveform(name: str, samples: int) -> Array:
    """A buzz of gliding pitch under a swelling envelope, with noise: (samples,) float32 at 16 kHz, below 1."""
    time = np.arange(samples, dtype=np.int64)
    pitch = 100 + 30 * time // SAMPLE_RATE  # Hz
    phase = np.cumsum(pitch) % SAMPLE_RATE
    buzz = phase.astype(np.float32) / np.float32(SAMPLE_RATE) - np.float32(0.5)
    swell = np.float32(0.2) + (time % 4000).astype(np.float32) / np.float32(5000)
    return buzz * swell + uniform(name, samples, low=-0.05, high=0.05)


def single_branch_state() -> dict[str, NDArray[np.generic]]:
    """Weights under the names of the official single-branch FOP network (msaadsaeed/SBNet, ssnet_fop)."""
    layers = _dense("embed_branch.fc1", FACE_WIDTH) | _dense("embed_branch.fc2", EMBEDDING)
    return _state("single", layers | _linear("logits_layer", EMBEDDING, CLASSES))


def two_branch_state(fusion: str) -> dict[str, NDArray[np.generic]]:
    """Weights under the names of the official two-branch network (twobranch_fop); fusion "gated" or "linear"."""
    shapes = _dense("voice_branch.fc1", VOICE_WIDTH) | _dense("face_branch.fc1", FACE_WIDTH)
    if fusion == "gated":
        shapes |= _dense("fusion_layer.attention.0.block", 2 * EMBEDDING)
        shapes |= _linear("fusion_layer.attention.1", EMBEDDING, EMBEDDING)
    else:
        shapes |= {"fusion_layer.weight1": (1,), "fusion_layer.weight2": (1,)}
    return _state(fusion, shapes | _linear("logits_layer", EMBEDDING, CLASSES))


def _linear(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _dense(name: str, inputs: int) -> dict[str, Shape]:
    norm = {f"{name}.1.{leaf}": (EMBEDDING,) for leaf in ("weight", "bias", "running_mean", "running_var")}
    return _linear(f"{name}.0", inputs, EMBEDDING) | norm | {f"{name}.1.num_batches_tracked": ()}


def _state(name: str, shapes: Mapping[str, Shape]) -> dict[str, NDArray[np.generic]]:
    return {leaf: _values(f"{name} {leaf}", shape) for leaf, shape in shapes.items()}


def _values(name: str, shape: Shape) -> NDArray[np.generic]:
    """Of a size that keeps activations near 1; variances stay away from zero."""
    if not shape:
        return np.array(7, np.int64)  # batches seen
    if len(shape) == 1 and name.endswith(("variance", "running_var", "gamma", ".1.weight")):
        return uniform(name, *shape, low=0.5, high=1.5)
    if len(shape) == 1:
        return uniform(name, *shape, low=-0.3, high=0.3)
    # torch's matrices end with their inputs, Keras's kernels with their outputs.
    inputs = np.prod(shape[:-1]) if name.endswith("kernel") else shape[-1]
    return uniform(name, *shape) * np.float32((3.0 / inputs) ** 0.5)


def aggregator_weights() -> dict[str, dict[str, Array]]:
    """Keras layer -> weight -> array of the utterance-level aggregator (WeidiXie/VGG-Speaker-Recognition), 7.7 M."""
    layers: dict[str, dict[str, Shape]] = {}

    def convolution(name: str, kernel: Shape) -> None:
        layers[name] = {"kernel": kernel}
        layers[f"{name}/bn"] = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), kernel[-1:])

    convolution("conv1_1/3x3_s1", (7, 7, 1, 64))
    inputs = 64
    for stage, (blocks, (reduce, middle, increase)) in _AGGREGATOR.items():
        for block in blocks:
            convolution(f"conv{stage}_{block}_1x1_reduce", (1, 1, inputs, reduce))
            convolution(f"conv{stage}_{block}_3x3", (3, 3, reduce, middle))
            convolution(f"conv{stage}_{block}_1x1_increase", (1, 1, middle, increase))
            if block == "a":
                convolution(f"conv{stage}_{block}_1x1_proj", (1, 1, inputs, increase))
            inputs = increase
    layers["x_fc"] = {"kernel": (7, 1, inputs, _DIMENSION), "bias": (_DIMENSION,)}
    layers["gvlad_center_assignment"] = {"kernel": (7, 1, inputs, _CENTRES), "bias": (_CENTRES,)}
    layers["gvlad_pool"] = {"centers": (_CENTRES, _DIMENSION)}
    layers["fc6"] = {"kernel": ((_CENTRES - 2) * _DIMENSION, _DIMENSION), "bias": (_DIMENSION,)}
    return {
        layer: {weight: np.asarray(_values(f"{layer} {weight}", shape), np.float32) for weight, shape in shapes.items()}
        for layer, shapes in layers.items()
    }


def write_keras_weights(path: Path) -> Path:
    """`aggregator_weights` as Keras 2 saves weights: HDF5, a group a layer that names its arrays. 31 MB."""
    with h5py.File(path, "w") as file:
        weights = aggregator_weights()
        file.attrs["layer_names"] = [layer.encode() for layer in weights]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.2.4"
        for layer, arrays in weights.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{weight}:0".encode() for weight in arrays]
            for weight, array in arrays.items():
                group.create_dataset(f"{layer}/{weight}:0", data=array)
    return path
