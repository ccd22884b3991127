"""Seeds that score as one: the mean of their scores, whatever the method compares."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

from pipeline.evaluation.lists import TrialScorer
from pipeline.scoring import MODEL, Model, load_model, save_model
from pipeline.scoring.similarity import similarity, similarity_table
from pipeline.store import Store
from tests.pipeline.methods.rivals import settings as rival_settings
from tests.pipeline.settings_for_training import train_settings
from tests.pipeline.training.world import World

METHODS = {"sbnet": {}, "two_branch": {}, "multi_view": {"loss": "ce"}}


def apart_and_as_one(world: World, **changes: object) -> tuple[Model, Model]:
    """The networks of three seeds, and the same as an ensemble."""
    apart = world.train(train_settings(**changes)).model
    return apart, replace(apart, settings={**apart.settings, "ensemble": "seeds"})


def stores(world: World) -> dict[str, Store]:
    return {
        name: Store(rows, pd.DataFrame({"item": range(len(rows))}), {})
        for name, rows in (("face", world.faces), ("voice", world.voices))
    }


@pytest.mark.parametrize("method", METHODS)
def test_the_score_of_a_pair_is_the_mean_of_the_seeds_scores(world: World, method: str) -> None:
    apart, as_one = apart_and_as_one(world, method=method, **METHODS[method])
    faces, voices = world.faces[:50], world.voices[50:100]
    naive = [
        np.mean([-np.sum((f - v) ** 2) for f, v in zip(of_pair[0], of_pair[1], strict=True)])
        for of_pair in zip(
            apart.embed("face", faces).transpose(1, 0, 2), apart.embed("voice", voices).transpose(1, 0, 2), strict=True
        )
    ]
    (found,) = similarity(as_one.embed("face", faces), as_one.embed("voice", voices))
    np.testing.assert_allclose(found, naive, atol=1e-5)
    assert (apart.judges, as_one.judges) == (3, 1)


def test_one_vector_a_row_ranks_a_gallery_as_the_mean_of_the_tables_does(world: World) -> None:
    apart, as_one = apart_and_as_one(world)
    left, right = (apart.embed(side, rows) for side, rows in (("voice", world.voices[:40]), ("face", world.faces)))
    mean = np.mean([similarity_table(one, other) for one, other in zip(left, right, strict=True)], axis=0)
    vectors = as_one.embed("voice", world.voices[:40]), as_one.embed("face", world.faces)
    assert vectors[0].shape == (1, 40, 3 * 16) and vectors[0].dtype == np.float32
    np.testing.assert_allclose(similarity_table(vectors[0][0], vectors[1][0]), mean, atol=1e-5)


def test_what_is_of_unit_norm_in_each_network_is_of_unit_norm_in_all_of_them(world: World) -> None:
    apart, as_one = apart_and_as_one(world)
    silent = (apart.embed("face", world.faces) == 0).all(axis=2).any(axis=0)  # the narrow test network's exception
    np.testing.assert_allclose(np.linalg.norm(as_one.embed("face", world.faces)[0], axis=1)[~silent], 1.0, atol=1e-5)


def test_a_method_without_embeddings_gives_the_mean_of_its_galleries(world: World) -> None:
    apart = world.train(rival_settings("svhf", "own", epochs=1, seeds=[0, 1], selection="last")).model
    as_one = replace(apart, settings={**apart.settings, "ensemble": "seeds"})
    probes, candidates = world.voices[:8], world.faces[:32].reshape(8, 4, -1)
    scores = apart.score("voice", probes, "face", candidates)
    assert scores.shape == (len(apart.methods), 8, 4)
    np.testing.assert_allclose(as_one.score("voice", probes, "face", candidates), scores.mean(0)[None], atol=1e-7)


def test_evaluation_scores_an_ensemble_as_one_model(world: World) -> None:
    apart, as_one = apart_and_as_one(world)
    rows = np.arange(30)
    of = stores(world)
    several, one = (
        TrialScorer(model, of["face"], of["voice"], rows, rows).pairs(("voice", "face"), rows, rows[::-1])
        for model in (apart, as_one)
    )
    assert several.shape == (3, 30)
    np.testing.assert_allclose(one, several.mean(0)[None], atol=1e-5)


def test_the_file_says_so_and_what_is_read_back_scores_as_one(world: World, tmp_path: Path) -> None:
    trained = world.train(train_settings(ensemble="seeds")).model
    save_model(tmp_path / MODEL, trained)
    with safe_open(tmp_path / MODEL, framework="pt") as file:
        described = json.loads(file.metadata()["sbnet"])
    assert (described["ensemble"], described["seeds"]) == ("seeds", [0, 1, 2])
    loaded = load_model(tmp_path / MODEL)
    assert loaded.is_ensemble and loaded.summary()["ensemble"] == "mean score of 3 seeds"
    assert np.array_equal(loaded.embed("face", world.faces), trained.embed("face", world.faces))
    assert not loaded.was_trained_with(train_settings())


def test_it_trains_the_networks_that_score_apart(world: World) -> None:
    apart, as_one = (world.train(train_settings(ensemble=ensemble)).model for ensemble in ("none", "seeds"))
    for one, other in zip(apart.methods, as_one.methods, strict=True):
        assert all((one.state_dict()[name] == value).all() for name, value in other.state_dict().items())
