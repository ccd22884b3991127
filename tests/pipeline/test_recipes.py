"""Recipes of params.yaml: what they make of a run, and which words are the last."""

from pathlib import Path

import pytest
import yaml

from pipeline.config import load_params, run_settings
from pipeline.errors import ConfigError
from pipeline.settings import TrainSettings

ROOT = Path(__file__).resolve().parents[2]


def settings(tmp_path: Path, recipes: dict[str, object] | None = None, **own: object) -> TrainSettings:
    """Settings of a run with keys `own`, under the shipped recipes and `recipes`."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["recipes"] |= recipes or {}
    raw["experiments"] = {"run": own}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return run_settings(load_params(path), "run")


def test_official_trains_fop_as_its_pytorch_half(tmp_path: Path) -> None:
    train = settings(tmp_path, recipe="official", loss="fop")
    assert (train.learning_rate, train.weight_decay, train.epochs, train.decay) == (1e-2, 0.01, 99, 1.0)
    assert (train.initial_bias, train.batch_norm_momentum, train.batch_norm) == (0.01, 0.1, "both")
    assert (train.shuffle, train.selection, train.loss_form) == ("once", "test", "official")


@pytest.mark.parametrize("loss", ["center", "git"])
def test_official_trains_center_and_git_as_its_tensorflow_half(tmp_path: Path, loss: str) -> None:
    train = settings(tmp_path, recipe="official", loss=loss)
    assert (train.learning_rate, train.weight_decay, train.epochs) == (1e-5, 0.0, 100)
    assert (train.initial_bias, train.batch_norm_momentum, train.centres) == (0.0, 0.9, "frozen")


def test_official_two_branches_fuse_as_their_half_does_and_train_slowly(tmp_path: Path) -> None:
    fop = settings(tmp_path, recipe="official", branch="two", loss="fop")
    assert (fop.fusion, fop.learning_rate, fop.weight_decay) == ("gated", 1e-5, 0.01)
    assert settings(tmp_path, recipe="official", branch="two", loss="git").fusion == "linear"


def test_paper_is_as_printed(tmp_path: Path) -> None:
    train = settings(tmp_path, recipe="paper", loss="git")
    assert (train.batch_norm, train.loss_form, train.centres, train.epochs) == ("last", "printed", "moving", 50)
    assert (train.learning_rate, train.batch_size, train.centre_rate) == (1e-5, 128, 0.5)


def test_honest_never_chooses_on_the_test_list(tmp_path: Path) -> None:
    for loss in ("ce", "fop", "center", "git"):
        for branch in ("single", "two"):
            assert settings(tmp_path, recipe="honest", loss=loss, branch=branch).selection == "validation"


def test_branch_overrides_loss_and_the_run_overrides_both(tmp_path: Path) -> None:
    recipes = {
        "mine": {"epochs": 1, "by_loss": {"git": {"epochs": 2}}, "by_branch": {"two": {"epochs": 3}}},
    }
    assert settings(tmp_path, recipes, recipe="mine", loss="fop").epochs == 1
    assert settings(tmp_path, recipes, recipe="mine", loss="git").epochs == 2
    assert settings(tmp_path, recipes, recipe="mine", loss="git", branch="two").epochs == 3
    assert settings(tmp_path, recipes, recipe="mine", loss="git", branch="two", epochs=4).epochs == 4


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"by_loss": {"gti": {"epochs": 2}}}, "recipes.mine.by_loss.gti: no such loss"),
        ({"by_branch": {"three": {}}}, "recipes.mine.by_branch.three: no such branch"),
        ({"by_loss": {"git": 3}}, "recipes.mine.by_loss: give keys of train:"),
        ({"by_loss": 3}, "recipes.mine.by_loss: give keys of train:"),
        ({"by_lost": {}}, "by_lost: unknown key"),
        ({"by_loss": {"git": {"epochz": 3}}}, "epochz: unknown key"),
    ],
)
def test_a_wrong_recipe_is_refused_by_name(tmp_path: Path, recipe: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, {"mine": recipe}, recipe="mine", loss="git")
    assert message in str(caught.value)


@pytest.mark.parametrize("modality", ["face", "voice"])
def test_two_branches_of_one_modality_are_refused(tmp_path: Path, modality: str) -> None:
    with pytest.raises(ConfigError, match="two branches see pairs"):
        settings(tmp_path, branch="two", modality=modality)
