"""Recipes of params.yaml: what they make of a run, and which words are the last."""

from pathlib import Path

import pytest
import yaml

from pipeline.config import load_params
from pipeline.errors import ConfigError
from pipeline.resolved import resolved
from pipeline.settings import RunSettings

ROOT = Path(__file__).resolve().parents[2]


def settings(tmp_path: Path, recipes: dict[str, object] | None = None, **own: object) -> RunSettings:
    """Settings of a run with keys `own`, under the shipped recipes and `recipes`."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["recipes"] |= recipes or {}
    raw["experiments"] = {"run": own}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return resolved(load_params(path), "run")


def method(train: RunSettings, *keys: str) -> tuple[object, ...]:
    return tuple(train.method_options[key] for key in keys)


def test_official_trains_fop_as_its_pytorch_half(tmp_path: Path) -> None:
    train = settings(tmp_path, recipe="official", loss="fop")
    assert (train.learning_rate, train.weight_decay, train.epochs, train.decay) == (1e-2, 0.01, 99, 1.0)
    assert method(train, "initial_bias", "batch_norm_momentum", "batch_norm") == (0.01, 0.1, "both")
    assert (train.shuffle, train.selection, train.loss_options["form"]) == ("once", "test", "official")


@pytest.mark.parametrize("loss", ["center", "git"])
def test_official_trains_center_and_git_as_its_tensorflow_half(tmp_path: Path, loss: str) -> None:
    train = settings(tmp_path, recipe="official", loss=loss)
    assert (train.learning_rate, train.weight_decay, train.epochs) == (1e-5, 0.0, 100)
    assert method(train, "initial_bias", "batch_norm_momentum") == (0.0, 0.9)
    assert train.loss_options["centres"] == "frozen"


def test_official_two_branches_fuse_as_their_half_does_and_train_slowly(tmp_path: Path) -> None:
    fop = settings(tmp_path, recipe="official", method="two_branch", loss="fop")
    assert (*method(fop, "fusion"), fop.learning_rate, fop.weight_decay) == ("gated", 1e-5, 0.01)
    assert method(settings(tmp_path, recipe="official", method="two_branch", loss="git"), "fusion") == ("linear",)


def test_paper_is_as_printed(tmp_path: Path) -> None:
    train = settings(tmp_path, recipe="paper", loss="git")
    assert (*method(train, "batch_norm", "dropout"), train.epochs) == ("last", 0.0, 50)
    assert (train.loss_options["form"], train.loss_options["centres"]) == ("printed", "moving")
    assert (train.learning_rate, train.batch_size, train.loss_options["centre_rate"]) == (1e-5, 128, 0.5)


def test_honest_never_chooses_on_the_test_list(tmp_path: Path) -> None:
    for loss in ("ce", "fop", "center", "git"):
        for network in ("sbnet", "two_branch"):
            assert settings(tmp_path, recipe="honest", loss=loss, method=network).selection == "validation"


def test_method_overrides_loss_and_the_run_overrides_both(tmp_path: Path) -> None:
    recipes = {
        "mine": {"epochs": 1, "by_loss": {"git": {"epochs": 2}}, "by_method": {"two_branch": {"epochs": 3}}},
    }
    assert settings(tmp_path, recipes, recipe="mine", loss="fop").epochs == 1
    assert settings(tmp_path, recipes, recipe="mine", loss="git").epochs == 2
    assert settings(tmp_path, recipes, recipe="mine", loss="git", method="two_branch").epochs == 3
    assert settings(tmp_path, recipes, recipe="mine", loss="git", method="two_branch", epochs=4).epochs == 4


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"by_loss": {"gti": {"epochs": 2}}}, "recipes.mine.by_loss.gti: no such loss"),
        ({"by_method": {"three": {}}}, "recipes.mine.by_method.three: no such method"),
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
    with pytest.raises(ConfigError, match="sees pairs of a face and a voice"):
        settings(tmp_path, method="two_branch", modality=modality)


def test_options_of_a_run_are_laid_over_those_of_its_recipe_one_by_one(tmp_path: Path) -> None:
    own = {"losses": {"git": {"alpha_git": 0.5}}, "methods": {"sbnet": {"dropout": 0.25}}}
    train = settings(tmp_path, recipe="official", loss="git", **own)
    assert train.loss_options["alpha_git"] == 0.5
    assert (train.loss_options["alpha_center"], train.loss_options["centres"]) == (1.0, "frozen")
    assert method(train, "dropout", "batch_norm") == (0.25, "both")
    assert set(train.loss_options) == {"form", "alpha_center", "alpha_git", "centres", "centre_rate"}  # its own alone


@pytest.mark.parametrize("own", [{"losses": {"fop": {"alpha": "much"}}}, {"methods": {"sbnet": {"dropout": 1.0}}}])
def test_an_option_that_its_class_refuses_is_named_with_the_run(tmp_path: Path, own: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"experiments\.run: (losses\.fop|methods\.sbnet)(.|\n)*(alpha|dropout)"):
        settings(tmp_path, **own)


@pytest.mark.parametrize(
    ("run", "idle"),
    [
        ({"order": "fvfv"}, ["alternate_epochs"]),
        ({"order": "alternate"}, []),
        ({"modality": "voice", "order": "alternate"}, ["order", "alternate_epochs"]),
        ({"method": "two_branch", "order": "fvfv"}, ["order", "alternate_epochs"]),
        ({"order": "identity_uniform"}, ["alternate_epochs"]),
        ({"method": "two_branch", "order": "identity_uniform"}, ["alternate_epochs"]),
        ({"modality": "voice", "order": "identity_uniform"}, ["alternate_epochs"]),
    ],
)
def test_keys_that_do_nothing_in_a_run_do_not_reach_it(tmp_path: Path, run: dict[str, object], idle: list[str]) -> None:
    before = settings(tmp_path, **run).model_dump()
    changed = settings(tmp_path, **{**run, "alternate_epochs": 7}).model_dump()
    assert (changed == before) is ("alternate_epochs" in idle)
    other = settings(tmp_path, **{**run, "order": "hefhev"}).model_dump()
    assert (other == before) is ("order" in idle)


def test_an_ensemble_of_one_seed_is_none(tmp_path: Path) -> None:
    one = settings(tmp_path, seeds=[4], ensemble="seeds")
    assert one == settings(tmp_path, seeds=[4])
    assert settings(tmp_path, seeds=[4, 5], ensemble="seeds").ensemble == "seeds"


def test_no_key_of_train_but_modality_reaches_a_released_checkpoint(tmp_path: Path) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["experiments"] = {"run": {"checkpoint": "x.pth.tar"}}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    before = resolved(load_params(path), "run")
    raw["train"] |= {"recipe": "paper", "method": "two_branch", "loss": "git", "order": "alternate", "seeds": [4, 5]}
    raw["train"] |= {"alternate_epochs": 3, "shuffle": "once", "epochs": 7, "batch_size": 9, "selection": "last"}
    raw["train"] |= {"learning_rate": 0.5, "decay": 0.5, "weight_decay": 0.5, "ensemble": "seeds"}
    path.write_text(yaml.safe_dump(raw))
    assert resolved(load_params(path), "run") == before
