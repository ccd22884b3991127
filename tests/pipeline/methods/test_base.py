"""The seam of methods: what a stranger's file may do, shown by methods of other kinds than ours."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.evaluation import evaluate
from pipeline.losses import Loss, LossInput
from pipeline.methods import Batch, Method, Sizes, build_method, method_class
from pipeline.methods.adam import Adam
from pipeline.methods.base import METHODS, register
from pipeline.methods.orders import Plan
from pipeline.resolved import resolved
from pipeline.scoring import Model, load_model, save_model
from pipeline.settings import RunSettings, Section
from pipeline.training import StateFile
from tests.pipeline.evaluation import planted
from tests.pipeline.settings_for_training import shipped, train_settings
from tests.pipeline.training.world import World


class Options(Section):
    width: int


class Projection(Method):
    """Closed form: the mean map from voices to faces by least squares. No epochs, no loss, no chance."""

    Options = Options
    takes = "pairs"
    epochless = True

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.register_buffer("map", torch.zeros(sizes.voice, sizes.face))

    def fit(self, batch: Batch) -> None:
        self.map = torch.linalg.lstsq(batch.voices, batch.faces).solution

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        return F.normalize(vectors @ self.map if modality == "voice" else vectors, dim=-1)


class Adversary(Method):
    """Two optimisers in turn, covariates, and a sampler of its own: batches of one person's pairs after another's."""

    Options = Options

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.encoder = nn.Linear(sizes.padded, options.width)
        self.critic = nn.Linear(options.width, sizes.traits["gender"])
        self.classifier = nn.Linear(options.width, sizes.classes)
        # Left as torch begins them, by its global generator: a run is of its seed all the same.

    @property
    def width(self) -> int:
        return self.encoder.out_features

    def plan(self, settings: RunSettings, labels: NDArray[np.int64], epoch: int, seed: int) -> Plan:
        order = np.argsort(labels, kind="stable")[: len(labels) // 8 * 8].reshape(-1, 8)
        rng = np.random.default_rng([seed, epoch])
        return Plan(order[rng.permutation(len(order))], np.tile([True, False], (len(order), 4)))

    def optimisers(self, loss: Loss, settings: RunSettings) -> dict[str, Adam]:
        parts = {"encoder": [self.encoder, self.classifier], "critic": [self.critic]}
        return {
            name: Adam({f"{i}.{n}": p for i, part in enumerate(parts) for n, p in part.named_parameters()}, 0.0)
            for name, parts in parts.items()
        }

    def training_step(self, batch: Batch, loss: Loss, optimisers: Mapping[str, Adam]) -> Tensor:
        embedding = F.normalize(self.encoder(batch.samples), dim=-1)
        optimisers["critic"].zero_grad()
        F.cross_entropy(self.critic(embedding.detach()), batch.traits["gender"], ignore_index=-1).backward()
        optimisers["critic"].step()
        optimisers["encoder"].zero_grad()
        value = loss(LossInput(embedding, self.classifier(embedding), batch.labels, batch.is_voice))
        value.backward()
        optimisers["encoder"].step()
        return value.detach()

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        return F.normalize(self.encoder(vectors), dim=-1)


class Galleries(Method):
    """Matching alone: the probability of each candidate among those of one probe."""

    Options = Options
    compares = "galleries"
    epochless = True

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.register_buffer("fitted", torch.zeros(()))

    def fit(self, batch: Batch) -> None:
        self.fitted = torch.ones(())

    def score(self, left: str, probes: Tensor, right: str, candidates: Tensor) -> Tensor:
        return (probes[:, None] * candidates).sum(-1).softmax(dim=1)


class Pairs(Galleries):
    """A score of any pair."""

    compares = "pairs"

    def score(self, left: str, probes: Tensor, right: str, candidates: Tensor) -> Tensor:
        return (probes[:, None] * candidates).sum(-1)


STRANGERS = {"projection": Projection, "adversary": Adversary, "galleries": Galleries, "pairs": Pairs}


@pytest.fixture(autouse=True)
def strangers() -> Iterator[None]:
    """Four methods of files that are not here."""
    for name, method in STRANGERS.items():
        register(name)(method)
    yield
    for name in STRANGERS:
        METHODS.remove(name)


def settings(method: str, **changes: object) -> RunSettings:
    own = {"method": method, "method_options": {"width": 8}}
    return train_settings(**changes).model_copy(update=own)


def test_closed_form_is_fitted_once_and_finds_what_is_there(world: World) -> None:
    run = world.train(settings("projection", epochs=7, selection="validation"))
    assert run.history["epoch"].tolist() == [1, 1, 1]
    assert run.model.chosen_epoch == (1, 1, 1)
    voices, faces = (torch.from_numpy(part) for part in (world.voices, world.faces))
    lists = world.lists
    expected = torch.linalg.lstsq(voices[lists.voice_rows], faces[lists.face_rows]).solution
    torch.testing.assert_close(run.model.methods[0].map, expected)
    assert world.unseen_auc(run.model) > 70.0


def test_optimisers_in_turn_covariates_and_a_sampler_of_its_own(world: World, tmp_path) -> None:
    traits = {"gender": np.arange(40) % 3 - 1}  # unknown, first, second
    world = replace(world, lists=replace(world.lists, traits=traits))
    run_settings = settings("adversary", epochs=4, learning_rate=0.01, selection="validation")
    run = world.train(run_settings)
    assert run.model.sizes.traits == {"gender": 2}
    assert run.history.loc[run.history["epoch"] == 4, "loss"].mean() < run.history["loss"].iloc[0]
    save_model(tmp_path / "model.safetensors", run.model)
    again = load_model(tmp_path / "model.safetensors").embed("face", world.faces)
    assert np.array_equal(again, run.model.embed("face", world.faces))
    state_file = StateFile(tmp_path, "run")

    class Stopped(StateFile):
        def save(self, seed: int, state) -> None:
            super().save(seed, state)
            if state.epochs_done == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.train(run_settings, state_file=Stopped(tmp_path, "run"), save_every=0.0)
    resumed = world.train(run_settings, state_file=state_file)
    assert resumed.history.equals(run.history)
    assert np.array_equal(resumed.model.embed("voice", world.voices), run.model.embed("voice", world.voices))


def test_a_method_that_scores_galleries_is_measured_by_matching_alone() -> None:
    faces, voices = planted.stores(0.3)
    sizes = Sizes(faces.matrix.shape[1], voices.matrix.shape[1], 3)
    found = evaluate(
        model_of("galleries", sizes), planted.settings(), planted.planted_lists(faces, voices), faces, voices
    )
    assert set(found.metrics) == {"matching", "calibration"}
    assert all(own["reason"] for own in found.metrics["calibration"].values())
    assert found.metrics["matching"]["v2f"]["4"]["accuracy"] > 50.0
    assert len(found.scores) == len(found.roc) == 0


def test_a_method_that_scores_pairs_is_measured_as_its_scores_say() -> None:
    faces, voices = planted.stores(0.3)
    sizes = Sizes(faces.matrix.shape[1], voices.matrix.shape[1], 3)
    lists = planted.planted_lists(faces, voices)
    found = evaluate(model_of("pairs", sizes), planted.settings(), lists, faces, voices).metrics
    # The inner product of unit vectors orders pairs as minus the squared distance does.
    expected = evaluate(planted.NoisyEncoder(1, 0.0), planted.settings(), lists, faces, voices).metrics
    assert set(found) == set(expected)
    for group in ("verification", "matching", "retrieval"):
        assert flat(found[group]) == pytest.approx(flat(expected[group]), abs=0.3)


def flat(group: object) -> list[float]:
    """All figures of a group but those that a calibration gives, which one of the two lacks."""
    if isinstance(group, dict):
        rates = [key for key in sorted(group) if not key.startswith(("cllr", "min_cllr", "actual_dcf"))]
        return [value for key in rates for value in flat(group[key])]
    return [float(group)]


def model_of(method: str, sizes: Sizes) -> Model:
    built = build_method(settings(method, seeds=[0], selection="last"), sizes, torch.Generator()).eval()
    return Model([built], settings(method, seeds=[0]).model_dump(), sizes, (1,), {})


def test_pairs_are_chosen_on_validation_by_their_scores(world: World) -> None:
    run = world.train(settings("pairs", selection="validation"))
    assert run.history["validation_auc"].notna().all()


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"method": "sbnett"}, "method 'sbnett' has no options under methods:"),
        ({"method": "two_branch", "modality": "face"}, "sees pairs of a face and a voice"),
    ],
)
def test_what_a_method_cannot_do_is_a_config_error(own: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolved(shipped().model_copy(update={"experiments": {"run": own}}), "run")


def test_a_method_of_galleries_cannot_be_chosen_on_trials() -> None:
    with pytest.raises(ConfigError, match="selection: last"):
        build_method(settings("galleries", selection="validation"), Sizes(4, 4, 3), torch.Generator())


def test_unknown_method_is_a_config_error_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"known: .*cca, .*sbnet, .*two_branch"):
        method_class("sbnett")
