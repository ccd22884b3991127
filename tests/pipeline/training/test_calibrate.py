"""What a run's scores are calibrated to: by task and judge, of new people, and with a reason where there is nothing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline.metrics import cllr, min_cllr
from pipeline.metrics.rates import roc_auc
from pipeline.scoring.calibration import FEWEST_CALIBRATED, logistic_map
from pipeline.scoring.model import MODEL, Model, load_model, save_model
from pipeline.scoring.scorer import Scorer
from pipeline.scoring.vectors import MediaVectors
from pipeline.training import TrainingLists, Trials, calibrate
from pipeline.training.calibrate import (
    GROUPS,
    IMPOSTORS,
    ValidationHistory,
    held_out_ratios,
    model_scores,
    with_all_impostors,
)
from pipeline.training.validation import Rates
from tests.pipeline.methods.rivals import settings as rival_settings
from tests.pipeline.settings_for_training import train_settings
from tests.pipeline.training.world import World, make_world

PAIR = ("voice", "face")


@pytest.fixture(scope="module")
def wide() -> World:
    """With people enough to calibrate."""
    return make_world(validation=20, test=60)


@pytest.fixture(scope="module")
def model(wide: World) -> Model:
    return wide.train(train_settings(selection="validation", epochs=6)).model


def stores(world: World) -> dict[str, np.ndarray]:
    return {"face": world.faces, "voice": world.voices}


def test_each_seed_has_a_rising_map_and_thresholds(model: Model) -> None:
    calibrations = model.calibration(*PAIR)
    assert len(calibrations) == 3
    assert model.calibration("face", "voice") == calibrations
    for own in calibrations:
        assert own.reason == "" and own.people == 20
        assert own.slope is not None and own.slope > 0.0
        assert own.thresholds["far_1"] >= own.thresholds["far_10"]
    assert len({own.slope for own in calibrations}) == 3


def test_probabilities_hold_for_people_that_nothing_was_fitted_on(wide: World, model: Model) -> None:
    scores, labels = model_scores(model, wide.unseen, stores(wide)), wide.unseen.labels
    for own, row in zip(model.calibration(*PAIR), scores, strict=True):
        found = cllr(own.log_likelihood_ratio(row), labels)
        best = cllr(logistic_map(row, labels, 0.5)(row), labels)
        assert min_cllr(row, labels) <= best <= found < best + 0.05


def test_validation_without_an_impostor_gives_a_reason_and_no_error(model: Model, wide: World) -> None:
    trials = wide.unseen
    genuine = trials.labels == 1
    first = genuine & (trials.left_person == trials.left_person[genuine][0])
    parts = (getattr(trials, name)[first] for name in ("left", "right", "labels"))
    people = (getattr(trials, name)[first] for name in ("left_person", "right_person"))
    left, right, labels = parts
    alone = Trials(left, right, labels, trials.sides, *people)  # of one person
    found = calibrate(model, {"cross_modal": alone}, stores(wide), 0.5).calibration(*PAIR)
    assert len(found) == 3 and all("no two kinds of trial of voice against face" in own.reason for own in found)


def test_tasks_that_a_run_has_not_learnt_or_has_no_trials_of_say_so(model: Model, wide: World) -> None:
    assert "names no validation people" in model.calibration("face", "face")[0].reason  # the world has no such list
    alone = make_world(validation=20, sides=("voice", "voice")).train(train_settings(modality="voice", epochs=1)).model
    assert alone.calibration("voice", "voice")[0].reason == ""
    assert "not trained to compare voice against face" in alone.calibration(*PAIR)[0].reason


def test_too_few_people_have_thresholds_and_a_reason(world: World) -> None:
    few = make_world(validation=FEWEST_CALIBRATED - 1)
    (own, *_) = few.train(train_settings(epochs=1)).model.calibration(*PAIR)
    assert (own.people, own.slope, own.offset) == (FEWEST_CALIBRATED - 1, None, None)
    assert f"{FEWEST_CALIBRATED - 1} people" in own.reason
    assert "eer" in own.thresholds
    enough = world.train(train_settings(epochs=1)).model.calibration(*PAIR)[0]  # ten people
    assert enough.reason == ""


def test_scores_that_mean_the_contrary_have_a_reason_and_no_map(wide: World) -> None:
    trained = wide.train(train_settings(epochs=3)).model
    trials = wide.lists.calibration["cross_modal"]
    swapped = replace(trials, labels=1 - trials.labels)
    naive = model_scores(trained, swapped, stores(wide))[0]
    assert roc_auc(naive, swapped.labels) < 50.0
    # With all impostors, which come from the rows, labels cannot be swapped: swap the people of the genuine trials.
    shuffled = replace(trials, left=np.roll(trials.left, 2), left_person=trials.right_person)
    (own, *_) = calibrate(trained, {"cross_modal": shuffled}, stores(wide), 0.5).calibration(*PAIR)
    assert own.reason == "" or "does not mean one person" in own.reason


def test_a_method_that_scores_galleries_only_has_no_map() -> None:
    world = make_world(validation=12)
    model = world.train(rival_settings("svhf", "own", epochs=1, seeds=[0, 1], selection="last")).model
    assert all("chooses among candidates" in own.reason for own in model.calibration(*PAIR))
    assert len(model.calibration(*PAIR)) == 2


def test_an_ensemble_has_one_map_of_its_mean_score(wide: World) -> None:
    as_one = wide.train(train_settings(selection="validation", epochs=6, ensemble="seeds")).model
    (own,) = as_one.calibration(*PAIR)
    (scores,) = model_scores(as_one, wide.unseen, stores(wide))
    labels = wide.unseen.labels
    assert own.reason == ""
    assert (
        cllr(own.log_likelihood_ratio(scores), labels) < cllr(logistic_map(scores, labels, 0.5)(scores), labels) + 0.05
    )


def planted(seed: int, epochs: int = 12, people: int = 15, noise: float = 1.0) -> ValidationHistory:
    """Scores of epochs that are all equally good of everybody, though each suits other people by chance."""
    rng = np.random.default_rng(seed)
    left = np.repeat(np.arange(people), 40)
    labels = np.arange(len(left)) % 2
    right = np.where(labels == 1, left, (left + rng.integers(1, people, len(left))) % people)
    own = noise * rng.normal(size=(epochs, people))
    scores = rng.normal(size=(epochs, len(left))) + labels * (1.5 + own[:, left])
    rows = np.arange(len(left))
    return ValidationHistory(Trials(rows, rows, labels, PAIR, left, right), [scores.astype(np.float32)])


def naive_choice(history: ValidationHistory, kept: np.ndarray) -> int:
    """The epoch that the rule of training keeps, trial by trial."""
    best: tuple[int, Rates | None] = (0, None)
    for epoch, scores in enumerate(history.scores[0]):
        rates = Rates(*(rate(scores[kept], history.trials.labels[kept]) for rate in (eer, roc_auc)))
        if rates.is_better_than(best[1]):
            best = (epoch, rates)
    return best[0]


def eer(scores: np.ndarray, labels: np.ndarray) -> float:
    from pipeline.metrics import equal_error_rate

    return round(equal_error_rate(scores, labels), 9)


def test_held_out_ratios_are_those_of_a_loop_that_leaves_people_out() -> None:
    history, rng = planted(3), np.random.default_rng(0)
    trials = history.trials
    group = rng.permutation(15) % GROUPS  # of the first round
    found = held_out_ratios(history, 0.5)[0]
    for trial in range(0, len(trials.labels), 37):
        own = {group[trials.left_person[trial]], group[trials.right_person[trial]]}
        kept = np.array(
            [
                group[a] not in own and group[b] not in own
                for a, b in zip(trials.left_person, trials.right_person, strict=True)
            ]
        )
        scores = history.scores[0][naive_choice(history, kept)]
        wanted = logistic_map(scores[kept], trials.labels[kept], 0.5)(scores[trial])
        assert found[trial] == pytest.approx(float(wanted), rel=1e-6)


def test_the_choice_of_an_epoch_makes_maps_too_steep_and_held_out_people_show_it() -> None:
    slopes = []
    for seed in range(8):
        history = planted(seed)
        ratios = held_out_ratios(history, 0.5)
        slopes.append(logistic_map(ratios.reshape(-1), np.tile(history.trials.labels, len(ratios)), 0.5).slope)
    assert 0.4 < np.mean(slopes) < 0.9
    unchosen = planted(0, epochs=1, noise=0.0, people=60)
    ratios = held_out_ratios(unchosen, 0.5)
    assert logistic_map(ratios[0], unchosen.trials.labels, 0.5).slope == pytest.approx(1.0, abs=0.1)


def test_all_impostors_are_every_pair_of_rows_of_two_people_once(wide: World) -> None:
    trials = wide.lists.calibration["cross_modal"]
    found = with_all_impostors(trials)
    assert (found.labels == 1).sum() == (trials.labels == 1).sum()
    impostors = {(a, b) for a, b, label in zip(found.left, found.right, found.labels, strict=True) if label == 0}
    person = dict(zip(trials.left, trials.left_person, strict=True))
    others = dict(zip(trials.right, trials.right_person, strict=True))
    assert impostors == {(a, b) for a in person for b in others if person[a] != others[b]}
    assert len(impostors) == (found.labels == 0).sum() <= IMPOSTORS


def test_within_a_modality_no_pair_comes_twice_and_many_are_thinned_the_same_each_time() -> None:
    rows = np.arange(600)
    trials = Trials(rows, np.roll(rows, 1), np.zeros(600, np.int64), ("face", "face"), rows // 2, np.roll(rows // 2, 1))
    found, again = with_all_impostors(trials), with_all_impostors(trials)
    assert 0.9 * IMPOSTORS < len(found.labels) <= IMPOSTORS  # there are 179,100; the list has no genuine trial
    assert len({frozenset(pair) for pair in zip(found.left, found.right, strict=True)}) == len(found.labels)
    assert (found.left_person != found.right_person).all()
    assert np.array_equal(found.left, again.left) and np.array_equal(found.right, again.right)


def test_the_file_keeps_calibrations_and_is_the_same_bytes_again(wide: World, model: Model, tmp_path: Path) -> None:
    save_model(tmp_path / MODEL, model)
    loaded = load_model(tmp_path / MODEL)
    assert {task: list(own) for task, own in model.calibrations.items()} == loaded.calibrations
    assert model.mean_calibrations == loaded.mean_calibrations and len(loaded.mean_calibrations) == 3
    again = wide.train(train_settings(selection="validation", epochs=6)).model
    save_model(tmp_path / "again.safetensors", again)
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / MODEL).read_bytes()


def without(model: Model, folder: Path, *keys: str) -> Model:
    """The model as read from a file that says nothing of `keys`."""
    save_model(folder / MODEL, model)
    with safe_open(folder / MODEL, framework="pt") as file:
        header = json.loads(file.metadata()["sbnet"])
    left = {name: value for name, value in header.items() if name not in keys}
    save_file(load_file(folder / MODEL), folder / MODEL, metadata={"sbnet": json.dumps(left)})
    return load_model(folder / MODEL)


def test_a_file_from_before_calibrations_says_that_it_holds_none(model: Model, tmp_path: Path) -> None:
    loaded = without(model, tmp_path, "calibration", "mean_calibration")
    assert all("train the run again" in own.reason for own in loaded.calibration(*PAIR))
    assert len(loaded.calibration("face", "face")) == 3


def test_a_file_that_holds_calibrations_of_its_networks_alone_decides_nothing_and_names_the_remedy(
    wide: World, model: Model, tmp_path: Path
) -> None:
    loaded = without(model, tmp_path, "mean_calibration")
    assert loaded.calibration(*PAIR)[0].reason == ""
    scorer = scorer_of(loaded)
    value, _, lacking = scorer.threshold(*PAIR, "eer")
    meaning = scorer.meaning(*PAIR, model_scores(loaded, wide.unseen, stores(wide)))
    assert value is meaning.log_likelihood_ratio is None
    assert lacking == meaning.reason
    assert lacking == "the model file holds no calibration of the mean of its 3 scores: train the run again"
    alone = wide.train(train_settings(selection="validation", epochs=6, seeds=[1])).model
    assert scorer_of(without(alone, tmp_path, "mean_calibration")).threshold(*PAIR, "eer")[0] is not None


def scorer_of(model: Model) -> Scorer:
    """Of vectors, not of media."""
    return Scorer(Path("mine") / MODEL, model, MediaVectors({}, "mine", torch.device("cpu")))


def test_several_seeds_accept_the_stated_share_of_impostors_and_their_ratios_ask_for_no_other_slope() -> None:
    wide = make_world(validation=60, test=100)  # networks so narrow that they disagree: correlations of .2 to .5
    model = wide.train(train_settings(selection="validation", epochs=6)).model
    trials, scorer = with_all_impostors(wide.unseen), scorer_of(model)
    scores, impostors = model_scores(model, trials, stores(wide)), trials.labels == 0
    similarity = scores.mean(axis=0)
    for name, share in (("far_1", 0.01), ("far_10", 0.1)):
        value, _, lacking = scorer.threshold(*PAIR, name)
        assert lacking == "" and 0.8 * share < (similarity[impostors] >= value).mean() < 1.6 * share
        mean = np.mean([own.thresholds[name] for own in model.calibration(*PAIR)])  # of a single network each
        assert (similarity[impostors] >= mean).mean() < 0.6 * share
    ratios = scorer.meaning(*PAIR, scores).log_likelihood_ratio
    assert logistic_map(ratios, trials.labels, 0.5).slope == pytest.approx(1.0, abs=0.2)


def test_several_seeds_mean_what_they_mean_as_an_ensemble_and_one_seed_what_its_network_does(wide: World) -> None:
    settings = {"selection": "validation", "epochs": 6}
    apart, as_one = (wide.train(train_settings(**settings, ensemble=name)).model for name in ("none", "seeds"))
    (own,), mean = as_one.calibration(*PAIR), apart.mean_calibration(*PAIR)
    assert mean.people == own.people
    assert [mean.slope, mean.offset] == pytest.approx([own.slope, own.offset], rel=1e-4)
    assert mean.thresholds == pytest.approx(own.thresholds, abs=1e-5)
    assert as_one.mean_calibration(*PAIR) == own and as_one.mean_calibrations == {}
    alone = wide.train(train_settings(**settings, seeds=[1])).model
    assert alone.mean_calibration("face", "voice") == alone.calibration(*PAIR)[0] == apart.calibration(*PAIR)[1]


def test_a_run_not_chosen_on_validation_people_is_calibrated_on_them_as_they_are(wide: World) -> None:
    last = wide.train(train_settings(selection="last", epochs=2)).model
    own = calibrate(last, wide.lists.calibration, stores(wide), 0.5)
    assert (last.calibrations, last.mean_calibrations) == (own.calibrations, own.mean_calibrations)


def test_lists_without_calibration_trials_train_all_the_same(wide: World) -> None:
    lists = wide.lists
    bare = TrainingLists(lists.face_rows, lists.voice_rows, lists.classes, None, None)
    trained = World(wide.faces, wide.voices, bare, wide.unseen).train(train_settings(epochs=1)).model
    assert all("names no validation people" in own.reason for own in trained.calibration(*PAIR))
