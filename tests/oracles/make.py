"""Run the official code on seeded inputs and store its outputs: `python -m tests.oracles.make fop CHECKOUT`.

    fop          msaadsaeed/SBNet@818b65d0: both FOP networks, the orthogonal projection loss, the evaluation grid
    centres      the same checkout: Center and Git loss, which are TensorFlow
    aggregator   WeidiXie/VGG-Speaker-Recognition@56b4d02e: evaluation spectrogram and network, which are Keras

Nothing of a checkout is copied: its own files are imported and called. They were written for CUDA and for libraries of
2018, so that a few names must exist before they can be imported; each stand-in below says which one and why it changes
no number. README.md names the packages.
"""

import importlib
import inspect
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.oracles import inputs
from tests.oracles.seeded import (
    CLASSES,
    EMBEDDING,
    FACE_WIDTH,
    SAMPLE_RATE,
    VOICE_WIDTH,
    single_branch_state,
    two_branch_state,
    write_keras_weights,
)

FOLDER = Path(__file__).parent
Outputs = dict[str, np.ndarray]


def imported(folder: Path, name: str) -> ModuleType:
    """A module of a checkout by the name its own files use; the one imported before under that name is forgotten."""
    sys.modules.pop(name, None)
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


def fop(checkout: Path) -> Outputs:
    """Networks in evaluation mode, the loss with its two parts, EER, AUC and accuracy."""
    import scipy
    import torch

    # Training alone calls it: shuffles of lists, which scipy handed on from numpy.
    scipy.random = np.random
    # The networks move themselves to a GPU. The arithmetic is the same on a CPU.
    torch.nn.Module.cuda = lambda module, *_: module
    rand = torch.rand
    torch.rand = lambda *shape, **_: rand(*shape)

    def loaded(network: Any, state: dict[str, np.ndarray]) -> Any:
        network.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in state.items()})
        return network.eval()

    faces, voices = (torch.from_numpy(vectors) for vectors in (inputs.faces(), inputs.voices()))
    outputs: Outputs = {}
    flags = Namespace(cuda=False, dim_embed=EMBEDDING)
    single = imported(checkout / "ssnet_fop", "retrieval_model").FOP(flags, FACE_WIDTH, CLASSES)
    with torch.no_grad():
        embedding, logits = loaded(single, single_branch_state())(faces)
    outputs |= {"single/embedding": embedding.numpy(), "single/logits": logits.numpy()}

    official = imported(checkout / "twobranch_fop", "retrieval_model")
    for fusion in ("gated", "linear"):
        flags.fusion = fusion
        network = loaded(official.FOP(flags, FACE_WIDTH, VOICE_WIDTH, CLASSES), two_branch_state(fusion))
        with torch.no_grad():
            (fused, logits), face, voice = network(faces, voices)
        named = {"fused": fused, "logits": logits, "face": face, "voice": voice}
        outputs |= {f"{fusion}/{name}": value.numpy() for name, value in named.items()}

    imported(checkout / "ssnet_fop", "retrieval_model")  # as main.py expects it
    main = imported(checkout / "ssnet_fop", "main")
    main.FLAGS = flags
    features, classes = (torch.from_numpy(array) for array in inputs.loss_batch())
    loss, positive, negative = main.OrthogonalProjectionLoss()(features, classes)
    outputs |= {"loss/total": loss.numpy(), "loss/positive": positive.numpy(), "loss/negative": negative.numpy()}
    return outputs | grid(imported(checkout / "ssnet_fop", "online_evaluation"))


def grid(official: ModuleType) -> Outputs:
    """EER, AUC and accuracy in [0, 1]; `test` only prints the accuracy, so it is kept as `evaluate` returns it."""
    import torch

    evaluate, accuracies = official.evaluate, []

    def evaluate_and_keep(*given: Any) -> Any:
        rates = evaluate(*given)
        accuracies.append(np.mean(rates[2]))
        return rates

    official.evaluate = evaluate_and_keep
    # The acceptance rate at a given false one, which newer versions of scipy refuse to interpolate and nothing reads.
    official.calculate_val = lambda *_, **__: (0.0, 0.0, 0.0)

    class Identity(torch.nn.Module):
        """Embeddings in, the same embeddings and no logits out."""

        def forward(self, vectors: Any) -> Any:
            return vectors, None

    pairs = np.stack(inputs.trials(), axis=1)  # (N, 2, D): left and right of a trial follow each other
    vectors = torch.from_numpy(pairs.reshape(-1, pairs.shape[-1]))
    eer, auc = official.test(Namespace(cuda=False), Identity(), vectors)
    return {"grid/eer": np.array(eer), "grid/auc": np.array(auc), "grid/accuracy": np.array(accuracies[0])}


def centres(checkout: Path) -> Outputs:
    """Center and Git loss of a batch around given centres, which the official code draws itself."""
    import tensorflow

    graph = tensorflow.compat.v1
    graph.disable_eager_execution()
    batch = inputs.centre_batch()

    def initial(**given: Any) -> Any:
        assert given["shape"] == batch.centres.shape
        return graph.constant(batch.centres)

    # TensorFlow 1's contrib: an initialiser, here the seeded centres, and a layer that neither loss calls.
    graph.contrib = SimpleNamespace(layers=SimpleNamespace(xavier_initializer=lambda: initial))
    for name in ("contrib", "contrib.layers", "contrib.layers.python", "contrib.layers.python.layers"):
        sys.modules[f"tensorflow.{name}"] = ModuleType(name)
    sys.modules["tensorflow.contrib.layers.python.layers"].fully_connected = None  # type: ignore[attr-defined]
    sys.modules["tensorflow"] = graph
    official = imported(checkout / "ssnet_cent_git", "retrieval_model")
    features, classes = graph.constant(batch.features), graph.constant(batch.labels)
    losses = {
        "center": official.center_loss(features, classes, 0.3, len(batch.centres))[0],
        "git": official.git_loss(features, classes, len(batch.centres))[0],
    }
    with graph.Session() as session:
        session.run(graph.global_variables_initializer())
        return {name: np.asarray(session.run(loss)) for name, loss in losses.items()}


def aggregator(checkout: Path) -> Outputs:
    """Evaluation spectrograms (257, T) of two waveforms, and their embeddings (512,)."""
    import librosa
    import tf_keras as keras  # Keras 2, as the official code has it; the package `keras` is another by now

    sys.modules["keras"] = keras
    for name in ("backend", "layers", "regularizers"):
        sys.modules[f"keras.{name}"] = getattr(keras, name)
    # librosa 0.10 changed the padding of the first and last frames from reflection to zeros.
    stft = librosa.stft
    assert inspect.signature(stft).parameters["pad_mode"].default == "constant"
    librosa.stft = lambda *given, **named: stft(*given, **named, pad_mode="reflect")
    # Names that Keras 2.2 had: the base of a layer, and a list of GPUs, which training alone reads.
    keras.engine = SimpleNamespace(Layer=keras.layers.Layer)
    keras.backend.tensorflow_backend = SimpleNamespace(_get_available_gpus=list)

    imported(checkout / "src", "backbone")
    model, utils = (imported(checkout / "src", name) for name in ("model", "utils"))
    chosen = {"net": "resnet34s", "loss": "softmax", "aggregation_mode": "gvlad", "bottleneck_dim": 512}
    network = model.vggvox_resnet2d_icassp(
        input_dim=(257, None, 1), num_class=2, mode="eval", args=Namespace(**chosen, vlad_cluster=8, ghost_cluster=2)
    )
    outputs: Outputs = {}
    with tempfile.TemporaryDirectory() as name:
        network.load_weights(str(write_keras_weights(Path(name) / "weights.h5")), by_name=True)
        for number, waveform in enumerate(inputs.waveforms()):
            path = Path(name) / f"{number}.wav"
            importlib.import_module("soundfile").write(path, waveform, SAMPLE_RATE, subtype="FLOAT")
            spectrogram = utils.load_data(str(path), mode="eval")
            embedding = network.predict(spectrogram[None, :, :, None], verbose=0)[0]
            # Of the longer one every tenth frame, for the size of the file.
            outputs[f"spectrogram{number}"] = spectrogram[:, :: inputs.SPECTROGRAM_STEPS[number]]
            outputs[f"embedding{number}"] = embedding
    return outputs


MAKERS: dict[str, Callable[[Path], Outputs]] = {"fop": fop, "centres": centres, "aggregator": aggregator}


def main() -> None:
    """Write one oracle beside this file."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("oracle", choices=MAKERS)
    parser.add_argument("checkout", type=Path, help="the official repository, at the commit named above")
    given = parser.parse_args()
    outputs = MAKERS[given.oracle](given.checkout.resolve())
    np.savez_compressed(
        FOLDER / f"{given.oracle}.npz",
        **{name: value.astype(np.float32 if value.ndim else np.float64, copy=False) for name, value in outputs.items()},
    )


if __name__ == "__main__":
    main()
