"""Training as a whole: what it learns, that seeds do not meet, that it is the plain training it claims to be."""

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError, StoreError
from pipeline.losses import build_loss
from pipeline.methods import SingleBranch, Sizes
from pipeline.methods.build import build_network, initialise
from pipeline.settings import TrainSettings
from pipeline.training import TrainingLists
from pipeline.training.orders import epoch_batches
from tests.pipeline.settings_for_training import train_settings
from tests.pipeline.training.world import DIMENSION, World, make_world

LEARNING = {"epochs": 12, "learning_rate": 0.01, "dropout": 0.5, "decay": 0.95, "embedding": 32, "loss_form": "printed"}
# What aligns two branches is only that they share a classifier: that takes longer.
EPOCHS = {"single": 12, "two": 40}
LOSSES = [
    {"loss": "ce"},
    {"loss": "fop", "loss_form": "official", "alpha": 1.0},
    {"loss": "center", "alpha_center": 0.01},
    {"loss": "git", "alpha_center": 0.01, "alpha_git": 0.0001},
]


@pytest.mark.parametrize("branch", ["single", "two"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: str(loss["loss"]))
def test_every_loss_finds_what_faces_and_voices_share(world: World, loss: dict[str, object], branch: str) -> None:
    run = world.train(train_settings(**{**LEARNING, **loss, "epochs": EPOCHS[branch]}, branch=branch))
    assert world.unseen_auc(run.model) > 70.0
    first, last = (run.history.loc[run.history["epoch"] == epoch, "loss"].mean() for epoch in (1, EPOCHS[branch]))
    assert last < first


def test_shuffled_pairing_finds_nothing(world: World) -> None:
    lists, rng = world.lists, np.random.default_rng(1)
    torn = TrainingLists(
        lists.face_rows, rng.permutation(lists.voice_rows), rng.permutation(lists.classes), lists.validation, lists.test
    )
    shuffled = World(world.faces, world.voices, torn, world.unseen)
    auc = shuffled.unseen_auc(shuffled.train(train_settings(**LEARNING, loss="fop")).model)
    assert abs(auc - 50.0) < 8.0


@pytest.mark.parametrize(
    "variant",
    [
        {"loss": "fop"},
        {"loss": "git", "batch_norm": "both", "order": "random"},
        {"loss": "center", "loss_form": "official"},
        {"loss": "fop", "branch": "two", "fusion": "gated"},
        {"loss": "git", "branch": "two", "fusion": "linear", "centres": "frozen"},
    ],
    ids=str,
)
def test_a_seed_among_three_is_bit_for_bit_the_seed_alone(world: World, variant: dict[str, object]) -> None:
    together = world.train(train_settings(seeds=[4, 5, 6], selection="validation", **variant))
    alone = world.train(train_settings(seeds=[5], selection="validation", **variant))
    assert together.model.chosen_epoch[1] == alone.model.chosen_epoch[0]
    for name, value in alone.model.stacked.state_dict().items():
        assert torch.equal(together.model.stacked.state_dict()[name][1], value[0]), name
    own = together.history[together.history["seed"] == 5].reset_index(drop=True)
    assert own.equals(alone.history)


@pytest.mark.parametrize("loss", ["fop", "git"])
def test_seeds_do_not_meet_at_full_width_and_odd_sizes_either(loss: str) -> None:
    """Vector kernels treat the last few values of a tensor otherwise: no size here is a multiple of anything."""
    odd = make_world(train=211)
    sizes = {"embedding": 127, "batch_size": 129, "epochs": 2, "loss": loss, "dropout": 0.5}
    together, alone = (odd.train(train_settings(seeds=seeds, **sizes)).model.stacked for seeds in ([0, 1, 2], [1]))
    for name, value in alone.state_dict().items():
        assert torch.equal(together.state_dict()[name][1], value[0]), name


def reference(world: World, settings: TrainSettings) -> SingleBranch:
    """One seed by torch's own layers and optimiser, sample by sample as the order says."""
    network = build_network(settings, Sizes(DIMENSION, DIMENSION, world.lists.class_count))
    initialise(network, torch.Generator().manual_seed(settings.seeds[0]), settings.initial_bias)
    loss, optimiser = build_loss(settings), torch.optim.Adam(network.parameters(), weight_decay=settings.weight_decay)
    for epoch in range(settings.epochs):
        optimiser.param_groups[0]["lr"] = settings.learning_rate * settings.decay**epoch
        order = epoch_batches(settings, len(world.lists.classes), epoch, settings.seeds[0])
        for pairs, are_voices in zip(order.pair, order.voice, strict=True):
            samples = [
                world.voices[world.lists.voice_rows[pair]] if voice else world.faces[world.lists.face_rows[pair]]
                for pair, voice in zip(pairs, are_voices, strict=True)
            ]
            output = network.train()(torch.from_numpy(np.stack(samples)))
            optimiser.zero_grad()
            loss(output, torch.from_numpy(world.lists.classes[pairs]), None).backward()
            optimiser.step()
    assert isinstance(network, SingleBranch)
    return network.eval()


@pytest.mark.parametrize("order", ["vfvf", "hevhef", "random", "alternate"])
def test_training_is_torchs_own_step_by_step(world: World, order: str) -> None:
    # A bias before batch normalisation has no gradient but rounding, which Adam would blow up to whole steps; weight
    # decay on a bias away from zero gives it one.
    steady = {"dropout": 0.0, "weight_decay": 0.01, "initial_bias": 0.5}
    settings = train_settings(seeds=[7], order=order, loss="fop", loss_form="official", **steady)
    network = reference(world, settings)
    with torch.no_grad():
        expected = network.embed_faces(torch.from_numpy(world.faces)).numpy()
    found = world.train(settings).model.embed_faces(world.faces)[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("modality", ["face", "voice"])
def test_one_modality_learns_from_its_own_rows_alone(world: World, modality: str) -> None:
    rubbish = np.full_like(world.faces, 1.0 / DIMENSION**0.5)
    own = {"faces": world.faces, "voices": world.voices, ("voices" if modality == "face" else "faces"): rubbish}
    lists = make_world(sides=(modality, modality)).lists
    settings = train_settings(**LEARNING, modality=modality, loss="fop", selection="validation")
    spoilt = World(own["faces"], own["voices"], lists, lists.validation).train(settings)
    assert spoilt.history["validation_auc"].max() > 80.0
    clean = World(world.faces, world.voices, lists, lists.validation).train(settings)
    assert clean.history.equals(spoilt.history)


@pytest.mark.parametrize(("selection", "recipe"), [("validation", "honest"), ("test", "official")])
def test_the_epoch_of_lowest_eer_on_the_named_list_is_kept(world: World, selection: str, recipe: str) -> None:
    settings = train_settings(**{**LEARNING, "epochs": 6}, selection=selection, recipe=recipe, loss="fop")
    run = world.train(settings)
    for seed, chosen in zip(settings.seeds, run.model.chosen_epoch, strict=True):
        rows = run.history[run.history["seed"] == seed]
        best = rows.sort_values([f"{selection}_eer", f"{selection}_auc", "epoch"], ascending=[True, False, True]).iloc[
            0
        ]
        assert chosen == best["epoch"]
        assert rows.loc[rows["chosen"] == 1, "epoch"].tolist() == [chosen]
    trials = world.lists.validation if selection == "validation" else world.lists.test
    kept = World(world.faces, world.voices, world.lists, trials).unseen_auc(run.model)
    assert kept == pytest.approx(run.history.loc[run.history["chosen"] == 1, f"{selection}_auc"].mean(), abs=1e-6)


def test_last_keeps_the_last_epoch_and_needs_no_trials(world: World) -> None:
    bare = TrainingLists(world.lists.face_rows, world.lists.voice_rows, world.lists.classes, None, None)
    run = World(world.faces, world.voices, bare, world.unseen).train(train_settings(selection="last"))
    assert run.model.chosen_epoch == (3, 3, 3)
    assert run.history.columns.tolist() == ["seed", "epoch", "learning_rate", "loss", "chosen"]


def test_history_has_a_row_for_each_seed_and_epoch_and_the_decayed_rate(world: World) -> None:
    run = world.train(train_settings(seeds=[3, 1], epochs=4, learning_rate=0.01, decay=0.5))
    assert run.history[["seed", "epoch"]].to_numpy().tolist() == [[s, e] for s in (1, 3) for e in (1, 2, 3, 4)]
    assert run.history["learning_rate"].tolist() == [0.01, 0.005, 0.0025, 0.00125] * 2


def test_moving_and_frozen_centres_make_other_models(world: World) -> None:
    settings = {"loss": "center", "alpha_center": 0.1, "loss_form": "printed"}
    moving, frozen = (world.train(train_settings(**settings, centres=kind)) for kind in ("moving", "frozen"))
    assert not moving.history["loss"].equals(frozen.history["loss"])


def test_a_loss_that_leaves_the_numbers_stops_the_run(world: World) -> None:
    with pytest.raises(ConfigError, match="learning_rate"):
        world.train(train_settings(loss="center", loss_form="printed", alpha_center=1e38, centres="frozen"))


def test_one_branch_refuses_stores_of_different_widths(world: World) -> None:
    narrow = World(world.faces, np.ascontiguousarray(world.voices[:, :10]), world.lists, world.unseen)
    with pytest.raises(StoreError, match="dimension"):
        narrow.train(train_settings())
    assert narrow.train(train_settings(branch="two")).model.sizes.voice == 10


def test_threads_are_given_back(world: World) -> None:
    torch.set_num_threads(2)
    world.train(train_settings(epochs=1))
    assert torch.get_num_threads() == 2
