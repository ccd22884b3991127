"""Training as a whole: what it learns, that seeds do not meet, that it is the plain training it claims to be."""

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.losses import LossInput, LossSizes, build_loss
from pipeline.methods import Sizes, build_method
from pipeline.methods.layers import initialise
from pipeline.methods.orders import plan_of_samples
from pipeline.methods.sbnet import SingleBranch
from pipeline.settings import RunSettings
from pipeline.training import TrainingLists
from pipeline.training.data import TrainingData
from pipeline.training.trainer import Trainer
from pipeline.training.validation import Rates
from tests.pipeline.settings_for_training import train_settings
from tests.pipeline.training.world import CPU, DIMENSION, World, make_world

LEARNING = {"seeds": [0, 1], "epochs": 12, "learning_rate": 0.01, "dropout": 0.5, "decay": 0.95, "embedding": 32}
# What aligns two branches is only that they share a classifier: that takes longer.
EPOCHS = {"sbnet": 12, "two_branch": 40}
LOSSES = [
    {"loss": "ce"},
    {"loss": "fop", "form": "official", "alpha": 1.0},
    {"loss": "center", "alpha": 0.01},
    {"loss": "git", "alpha_center": 0.01, "alpha_git": 0.0001},
    {"loss": "ntxent"},
    {"loss": "multi_similarity"},
    {"loss": "arcface", "scale": 8.0},
]


@pytest.mark.parametrize("method", ["sbnet", "two_branch"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: str(loss["loss"]))
def test_every_loss_finds_what_faces_and_voices_share(world: World, loss: dict[str, object], method: str) -> None:
    run = world.train(train_settings(**{**LEARNING, **loss, "epochs": EPOCHS[method]}, method=method))
    assert world.unseen_auc(run.model) > 70.0
    first, last = (run.history.loc[run.history["epoch"] == epoch, "loss"].mean() for epoch in (1, EPOCHS[method]))
    assert last < first


def test_shuffled_pairing_finds_nothing(world: World) -> None:
    lists, rng = world.lists, np.random.default_rng(1)
    torn = TrainingLists(
        lists.face_rows, rng.permutation(lists.voice_rows), rng.permutation(lists.classes), lists.validation, lists.test
    )
    shuffled = World(world.faces, world.voices, torn, world.unseen)
    auc = shuffled.unseen_auc(
        shuffled.train(train_settings(**{**LEARNING, "seeds": [0, 1, 2]}, loss="fop", form="printed")).model
    )
    assert abs(auc - 50.0) < 8.0


@pytest.mark.parametrize(
    "variant",
    [
        {"loss": "fop"},
        {"loss": "git", "batch_norm": "both", "order": "random"},
        {"loss": "center", "form": "official", "acts_on": "logits"},
        {"loss": "fop", "method": "two_branch", "fusion": "gated"},
        {"loss": "git", "method": "two_branch", "fusion": "linear", "centres": "frozen"},
        {"loss": "arcface"},
    ],
    ids=str,
)
def test_a_seed_among_three_is_bit_for_bit_the_seed_alone(world: World, variant: dict[str, object]) -> None:
    together = world.train(train_settings(seeds=[4, 5, 6], selection="validation", **variant))
    alone = world.train(train_settings(seeds=[5], selection="validation", **variant))
    assert together.model.chosen_epoch[1] == alone.model.chosen_epoch[0]
    for name, value in alone.model.methods[0].state_dict().items():
        assert torch.equal(together.model.methods[1].state_dict()[name], value), name
    own = together.history[together.history["seed"] == 5].reset_index(drop=True)
    assert own.equals(alone.history)


def test_what_ran_before_in_the_process_does_not_matter(world: World) -> None:
    settings = train_settings(seeds=[5])
    torch.manual_seed(1)
    first = world.train(settings)
    torch.manual_seed(2)
    second = world.train(settings)
    expected = torch.rand(3, generator=torch.Generator().manual_seed(2))
    assert torch.equal(torch.rand(3), expected)  # torch's own generator is given back
    assert first.history.equals(second.history)


@pytest.mark.parametrize("loss", ["center", "git", "arcface"])
def test_what_a_loss_begins_with_is_independent_of_the_first_layer(world: World, loss: str) -> None:
    settings = train_settings(loss=loss, seeds=[5], embedding=64)
    data = TrainingData(settings, world.lists, world.faces, world.voices, CPU)
    trainer = Trainer(settings, data, 5)
    method = build_method(settings, data.sizes, torch.Generator().manual_seed(5))  # the method's are the seed's own
    assert all(trainer.method.state_dict()[name].equal(value) for name, value in method.state_dict().items())
    (begun,) = trainer.loss.state_dict().values()
    layer = method.network.first.linear.weight.detach().flatten()
    count = min(begun.numel(), layer.numel())
    assert count > 1000
    assert abs(np.corrcoef(begun.flatten()[:count], layer[:count])[0, 1]) < 0.1


def reference(world: World, settings: RunSettings) -> SingleBranch:
    """One seed by torch's own layers and optimiser, sample by sample as the order says."""
    sizes, seed = Sizes(DIMENSION, DIMENSION, world.lists.class_count), settings.seeds[0]
    network = SingleBranch(DIMENSION, 16, sizes.classes, batch_norm="last", dropout=0.0, momentum=0.1)
    initialise(network, torch.Generator().manual_seed(seed), 0.5)
    loss = build_loss("fop", settings.loss_options, LossSizes(16, sizes.classes), torch.Generator())
    optimiser = torch.optim.Adam(network.parameters(), weight_decay=settings.weight_decay)
    for epoch in range(settings.epochs):
        optimiser.param_groups[0]["lr"] = settings.learning_rate * settings.decay**epoch
        order = plan_of_samples(settings, world.lists.classes, epoch, seed)
        for pairs, are_voices in zip(order.pair, order.voice, strict=True):
            samples = [
                world.voices[world.lists.voice_rows[pair]] if voice else world.faces[world.lists.face_rows[pair]]
                for pair, voice in zip(pairs, are_voices, strict=True)
            ]
            output = network.train()(torch.from_numpy(np.stack(samples)))
            optimiser.zero_grad()
            labels = torch.from_numpy(world.lists.classes[pairs])
            loss(LossInput(output.embedding, output.logits, labels, torch.from_numpy(are_voices))).backward()
            optimiser.step()
    return network.eval()


@pytest.mark.parametrize("order", ["vfvf", "hevhef", "random", "alternate"])
def test_training_is_torchs_own_step_by_step(world: World, order: str) -> None:
    # A bias before batch normalisation has no gradient but rounding, which Adam would blow up to whole steps; weight
    # decay on a bias away from zero gives it one.
    steady = {"dropout": 0.0, "weight_decay": 0.01, "initial_bias": 0.5}
    settings = train_settings(seeds=[7], order=order, loss="fop", form="official", **steady)
    network = reference(world, settings)
    with torch.no_grad():
        expected = network.embed(torch.from_numpy(world.faces)).numpy()
    found = world.train(settings).model.embed("face", world.faces)[0]
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
        keys = ["validation_eer", "validation_auc", "epoch"] if selection == "validation" else ["test_eer", "epoch"]
        best = rows.sort_values(keys, ascending=[True, False, True][: len(keys)]).iloc[0]
        assert chosen == best["epoch"]
        assert rows.loc[rows["chosen"] == 1, "epoch"].tolist() == [chosen]
    trials = world.lists.validation if selection == "validation" else world.lists.test
    kept = World(world.faces, world.voices, world.lists, trials).unseen_auc(run.model)
    assert kept == pytest.approx(run.history.loc[run.history["chosen"] == 1, f"{selection}_auc"].mean(), abs=1e-6)


@pytest.mark.parametrize(("selection", "recipe", "kept"), [("validation", "honest", 1), ("test", "official", 3)])
def test_of_epochs_of_one_eer_the_first_is_kept_but_the_last_where_the_official_code_chooses(
    world: World, selection: str, recipe: str, kept: int
) -> None:
    still = {"method": "multi_view", "loss": "ce", "learning_rate": 1e-30, "epochs": 3, "seeds": [0]}
    run = world.train(train_settings(selection=selection, recipe=recipe, **still))
    assert run.history[f"{selection}_eer"].nunique() == 1
    assert run.model.chosen_epoch == (kept,)


def test_the_official_choice_looks_at_no_auc() -> None:
    lower, higher = Rates(20.0, 80.0), Rates(20.0, 85.0)
    assert higher.is_better_than(lower) and not lower.is_better_than(higher)
    assert lower.is_better_than(higher, official=True)
    assert not Rates(20.1, 90.0).is_better_than(higher, official=True)


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
    settings = {"loss": "center", "alpha": 0.1, "form": "printed"}
    moving, frozen = (world.train(train_settings(**settings, centres=kind)) for kind in ("moving", "frozen"))
    assert not moving.history["loss"].equals(frozen.history["loss"])


def test_a_loss_that_leaves_the_numbers_stops_the_run(world: World) -> None:
    with pytest.raises(ConfigError, match="learning_rate"):
        world.train(train_settings(loss="center", form="printed", alpha=1e38, centres="frozen"))


@pytest.mark.parametrize("narrow", ["face", "voice"])
def test_unequal_widths_train_as_if_zeros_stood_behind_the_narrower(world: World, narrow: str) -> None:
    stores = {"face": world.faces, "voice": world.voices}
    cut = np.ascontiguousarray(stores[narrow][:, :20])
    filled = np.pad(cut, ((0, 0), (0, DIMENSION - 20)))
    settings = train_settings(selection="validation")
    runs = []
    for vectors in (cut, filled):
        both = {**stores, narrow: vectors}
        runs.append(World(both["face"], both["voice"], world.lists, world.unseen).train(settings))
    assert runs[0].history.equals(runs[1].history)
    sizes = runs[0].model.sizes
    assert {"face": sizes.face, "voice": sizes.voice}[narrow] == 20
    assert runs[0].model.summary()["padded"] == narrow
    assert "padded" not in runs[1].model.summary()


def test_two_branches_take_both_widths_as_they_are(world: World) -> None:
    narrow = World(world.faces, np.ascontiguousarray(world.voices[:, :10]), world.lists, world.unseen)
    model = narrow.train(train_settings(method="two_branch")).model
    assert model.sizes.voice == 10
    assert model.methods[0].network.voice.linear.in_features == 10
    assert "padded" not in model.summary()


def test_threads_are_given_back(world: World) -> None:
    torch.set_num_threads(2)
    world.train(train_settings(epochs=1))
    assert torch.get_num_threads() == 2
