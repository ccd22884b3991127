"""A trained run on disk and in use: one network a seed, in one safetensors file that says how they came to be."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pipeline.errors import CheckpointError, ConfigError
from pipeline.files import atomic_path
from pipeline.methods import Method, Sizes, method_class
from pipeline.methods.states import not_finite
from pipeline.protocol.vocabulary import VERIFICATION_TASKS
from pipeline.runtime.threads import one_thread
from pipeline.scoring.calibration import Calibration, absent
from pipeline.scoring.provenance import RELEASED, Provenance
from pipeline.scoring.similarity import Matrix, embed, gallery_scores, similarity
from pipeline.settings import FUSED, RunSettings

MODEL = "model.safetensors"
_FORMAT = 2
_NOT_CALIBRATED = "the model file holds no calibration{of}: train the run again"
METADATA = "sbnet"  # the one metadata key: safetensors writes several in an order that changes from run to run
Contents = tuple[Mapping[str, Any], Mapping[str, Tensor]]  # of a model file: what it says, and its tensors


@dataclass(frozen=True)
class Model:
    """Trained networks; network n is of seed settings["seeds"][n], as it was after chosen_epoch[n] epochs.

    They give S scores of a pair: one each, or (ensemble: seeds) the mean of those as one score of the run.
    """

    methods: Sequence[Method]  # in evaluation mode
    settings: Mapping[str, object]  # of the run, as they were resolved when it was trained
    sizes: Sizes
    chosen_epoch: tuple[int, ...]
    provenance: Provenance  # face, voice -> extractor, weights, options, fingerprint of the vectors trained on
    calibrations: Mapping[str, Sequence[Calibration]] = field(default_factory=dict)  # verification task -> S
    mean_calibrations: Mapping[str, Calibration] = field(default_factory=dict)  # of the S scores' mean, where S > 1
    protocol: str = ""  # provenance.protocol_digest of what it was trained under; empty in files from before

    @property
    def compares(self) -> str:
        """What its method compares: embeddings | pairs | galleries (see Method)."""
        return self.methods[0].compares

    @property
    def is_ensemble(self) -> bool:
        """Whether its networks score as one."""
        return self.settings.get("ensemble") == "seeds"  # absent from models that are older than the key

    @property
    def judges(self) -> int:
        """S, how many scores it gives a pair."""
        return 1 if self.is_ensemble else len(self.methods)

    def was_trained_with(self, settings: RunSettings) -> bool:
        """Whether these settings would train it; a released checkpoint says by itself which method it is of."""
        known = () if settings.checkpoint is None else ("method", "method_options")
        wanted = settings.model_dump()
        return {key: self.settings.get(key) for key in wanted if key not in known} == {
            key: value for key, value in wanted.items() if key not in known
        }

    def summary(self) -> dict[str, str]:
        """What a report says of the model: what its method is, takes and compares, what was padded, its origin."""
        method, sizes = self.methods[0], self.sizes
        padded = method.takes == "samples" and self.settings["modality"] == "both" and sizes.face != sizes.voice
        narrow = ("voice" if sizes.voice < sizes.face else "face") if padded else ""
        summary = {"method": str(self.settings["method"]), "takes": method.takes, "compares": method.compares}
        summary |= {"epochless": "yes"} if method.epochless else {}
        summary |= {"remark": method.remark} if method.remark else {}
        summary |= {"padded": narrow} if narrow else {}
        summary |= {"ensemble": f"mean score of {len(self.methods)} seeds"} if self.is_ensemble else {}
        released = next((origin for origin in self.provenance.values() if origin.get(RELEASED)), None)
        return summary | ({"released": str(released["extractor"])} if released else {})

    def calibration(self, left: str, right: str) -> Sequence[Calibration]:
        """What its scores of pairs of two modalities (face | voice) mean, one for each score that it gives a pair.

        Where nothing was calibrated, that is said as the reason of each.
        """
        missing = absent(_NOT_CALIBRATED.format(of=""))
        return self.calibrations.get(verification_task(left, right), [missing] * self.judges)

    def mean_calibration(self, left: str, right: str) -> Calibration:
        """What the mean of its S scores of a pair means: the one to decide by, as the mean is the score of the run.

        It is no mean of theirs: impostors on whom the networks disagree are nearer together in the mean. A file from
        before it was fitted gives that as the reason.
        """
        if self.judges == 1:
            return self.calibration(left, right)[0]
        missing = absent(_NOT_CALIBRATED.format(of=f" of the mean of its {self.judges} scores"))
        return self.mean_calibrations.get(verification_task(left, right), missing)

    def takes(self, modality: str) -> bool:
        """Whether it knows what to do with vectors of modality face | voice."""
        return self.methods[0].inputs(modality) is not None

    def embed(self, modality: str, vectors: Matrix) -> Matrix:
        """Vectors (N, D) of modality face | voice to what is compared, (S, N, E).

        Of an ensemble the networks' embeddings side by side, over the root of their number: minus the squared distance
        of two such vectors is the mean of the networks' scores, and what is of unit norm in each is of unit norm.
        """
        with one_thread():
            tensor = self._tensor(modality, vectors)
            embeddings = [embed(method, modality, tensor) for method in self.methods]
        if not self.is_ensemble:
            return np.stack(embeddings)
        return np.concatenate(embeddings, axis=1)[None] / np.float32(np.sqrt(len(embeddings)))

    def score(self, left: str, probes: Matrix, right: str, candidates: Matrix) -> Matrix:
        """Scores (S, P, G) of probes (P, D) against their candidates (P, G, D), whatever its method compares."""
        if self.compares == "embeddings":
            count, size, width = candidates.shape
            others = self.embed(right, candidates.reshape(count * size, width))
            others = others.reshape(len(others), count, size, others.shape[-1])
            return similarity(self.embed(left, probes)[:, :, None], others)
        with one_thread():
            tensors = self._tensor(left, probes), self._tensor(right, candidates)
            scores = np.stack([gallery_scores(method, left, tensors[0], right, tensors[1]) for method in self.methods])
        return scores.mean(axis=0, keepdims=True) if self.is_ensemble else scores

    def _tensor(self, modality: str, vectors: Matrix) -> Tensor:
        wanted = self.methods[0].inputs(modality)
        if wanted is None:
            raise CheckpointError(
                f"the model was trained on one modality, and {modality} vectors are not as wide as its own"
            )
        if vectors.ndim < 2 or vectors.shape[-1] != wanted:
            raise CheckpointError(f"the model takes {modality} vectors (N, {wanted}), found {vectors.shape}")
        device = next((value.device for value in self.methods[0].state_dict().values()), torch.device("cpu"))
        writable = np.require(vectors, np.float32, ("C_CONTIGUOUS", "WRITEABLE"))  # a store's are not: copied
        return torch.from_numpy(writable).to(device)


def save_model(path: Path, model: Model) -> None:
    """Write a model whole or not at all; raises CheckpointError for weights that are not finite."""
    state = {
        f"{index}.{name}": value.detach().cpu().contiguous()
        for index, method in enumerate(model.methods)
        for name, value in method.state_dict().items()
    }
    if poisoned := not_finite(state):
        raise CheckpointError(f"{path}: {poisoned} is not finite, so training diverged: lower train.learning_rate")
    header = {
        "format": _FORMAT,
        "settings": dict(model.settings),
        "sizes": asdict(model.sizes),
        "classes": model.sizes.classes,
        "seeds": model.settings["seeds"],
        "ensemble": model.settings.get("ensemble", "none"),
        "chosen_epoch": list(model.chosen_epoch),
        "selection": model.settings["selection"],
        "provenance": {modality: dict(origin) for modality, origin in model.provenance.items()},
        "calibration": {task: [asdict(own) for own in of_task] for task, of_task in model.calibrations.items()},
        "mean_calibration": {task: asdict(own) for task, own in model.mean_calibrations.items()},
        "protocol": model.protocol,
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(state, metadata={METADATA: json.dumps(header, sort_keys=True)}))


def load_model(path: Path, device: torch.device | None = None) -> Model:
    """Read a trained run, ready to embed.

    Of its settings only its own method's options are read, so that a recipe, a method, a loss or an option that
    came later does not matter. Raises CheckpointError for a file that is absent, damaged, of an older format, poisoned
    (values not finite), or of another network than it says.
    """
    return model_from(*contents_of(path), path, device)


def contents_of(path: Path) -> Contents:
    """What a model file says and holds; raises CheckpointError for one that is absent or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return json.loads((file.metadata() or {})[METADATA]), {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, LookupError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path} cannot be read as a trained run ({error}); train it again")


def model_from(
    header: Mapping[str, Any], state: Mapping[str, Tensor], path: Path, device: torch.device | None = None
) -> Model:
    """The run that the contents of a model file describe, which messages call `path`; raises as load_model."""
    try:
        if FUSED in header:
            raise CheckpointError(f"{path} is a fusion of {', '.join(header[FUSED])}, not a run that was trained")
        if header["format"] != _FORMAT:
            raise CheckpointError(
                f"{path} is of format {header['format']}, which says nothing of the extractors behind it; we read "
                f"format {_FORMAT}: train it again"
            )
        sizes, settings = Sizes(**header["sizes"]), header["settings"]
        methods = [_method(settings, sizes, index, state) for index in range(len(header["chosen_epoch"]))]
        if left := [
            name for name in state if not name.split(".")[0].isdigit() or int(name.split(".")[0]) >= len(methods)
        ]:
            raise KeyError(f"{left[0]} belongs to no seed")
        chosen = tuple(int(epoch) for epoch in header["chosen_epoch"])
        provenance = {modality: dict(origin) for modality, origin in header["provenance"].items()}
        calibrations = {
            task: [Calibration(**own) for own in of_task] for task, of_task in header.get("calibration", {}).items()
        }
        of_mean = {task: Calibration(**own) for task, own in header.get("mean_calibration", {}).items()}
        protocol = str(header.get("protocol", ""))
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError, ValidationError) as error:
        raise _unreadable(path, error) from error
    except ConfigError as error:
        raise CheckpointError(f"{path} was trained by a method that is not here as it was: {error}") from error
    if poisoned := not_finite(state):
        raise CheckpointError(f"{path}: {poisoned} holds values that are not finite; train it again")
    on = device or torch.device("cpu")
    methods = [method.to(on).eval() for method in methods]
    model = Model(methods, settings, sizes, chosen, provenance, calibrations, of_mean, protocol)
    if any(len(of_task) != model.judges for of_task in calibrations.values()):
        raise CheckpointError(
            f"{path} does not hold one calibration for each of its {model.judges} scores; train it again"
        )
    return model


def _method(settings: Mapping[str, object], sizes: Sizes, index: int, state: Mapping[str, Tensor]) -> Method:
    method = method_class(str(settings["method"]))
    options = method.Options.model_validate(settings["method_options"])
    built = method(options, sizes, str(settings["modality"]), torch.Generator())
    prefix = f"{index}."
    built.load_state_dict({name[len(prefix) :]: part for name, part in state.items() if name.startswith(prefix)})
    return built


def verification_task(left: str, right: str) -> str:
    """The name of the task whose trials compare two modalities (face | voice)."""
    return next(task.name for task in VERIFICATION_TASKS.values() if set(task.sides) == {left, right})
