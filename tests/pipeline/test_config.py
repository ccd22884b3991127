"""params.yaml: what it refuses, and whether the message helps."""

import re
from pathlib import Path

import pytest
import yaml

from pipeline.config import load_params, run_settings
from pipeline.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def raw() -> dict:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def load(raw: object, tmp_path: Path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return load_params(path)


def written(tmp_path: Path, old: str, new: str):
    """The shipped file with one piece of its text replaced, read."""
    text = (ROOT / "params.yaml").read_text()
    assert text.count(old) >= 1
    (tmp_path / "params.yaml").write_text(text.replace(old, new, 1))
    return load_params(tmp_path / "params.yaml")


def refusal(raw: object, tmp_path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(raw, tmp_path)
    return str(caught.value)


def test_shipped_file_is_valid_and_every_run_of_it() -> None:
    params = load_params(ROOT / "params.yaml")
    for run in params.experiments:
        assert run_settings(params, run).epochs >= 1


def test_unknown_key_is_named_with_the_likely_one(raw, tmp_path) -> None:
    raw["train"]["epochz"] = 3
    message = refusal(raw, tmp_path)
    assert "train.epochz: unknown key" in message and "'epochs'" in message


def test_unknown_section_is_named_with_the_likely_one(raw, tmp_path) -> None:
    raw["protocoll"] = raw.pop("protocol")
    message = refusal(raw, tmp_path)
    assert "protocoll: unknown key (did you mean 'protocol'?)" in message
    assert "protocol: missing" in message


def test_wrong_type_is_named_with_what_was_found(raw, tmp_path) -> None:
    raw["detect_faces"]["max_frames"] = "four"
    message = refusal(raw, tmp_path)
    assert "detect_faces.max_frames" in message and "'four'" in message and "integer" in message


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("detect_faces", "frame_rate", 0.0),
        ("embed_faces", "max_skip_ratio", 1.5),
        ("embed_voices", "extractor", 3),
        ("protocol", "test_ratio", 1.5),
        ("train", "dropout", 1.0),
        ("train", "batch_size", 1),
        ("train", "seeds", []),
        ("evaluate", "matching_sizes", [1]),
        ("manifest", "max_skip_ratio", 2.0),
        ("manifest", "identities", ""),
        ("manifest", "identities", None),
        ("manifest", "table", ""),
    ],
)
def test_value_out_of_range_is_named(raw, tmp_path, section, key, value) -> None:
    raw[section][key] = value
    assert f"{section}.{key}" in refusal(raw, tmp_path)


@pytest.mark.parametrize(("resamples", "confidence", "least"), [(39, 0.95, 40), (1000, 0.999, 2000), (1, 0.5, 4)])
def test_resamples_too_few_for_an_interval_are_refused_with_how_many_are_enough(
    raw, tmp_path, resamples, confidence, least
) -> None:
    raw["evaluate"] |= {"bootstrap": resamples, "confidence": confidence}
    assert f"bootstrap {resamples} gives no interval of {confidence:g}: {least} at least, or 0" in refusal(
        raw, tmp_path
    )
    raw["evaluate"]["bootstrap"] = least
    assert load(raw, tmp_path).evaluate.bootstrap == least


def test_all_problems_come_in_one_message(raw, tmp_path) -> None:
    raw["train"]["epochs"] = 0
    raw["evaluate"]["bootstrap"] = -1
    message = refusal(raw, tmp_path)
    assert "train.epochs" in message and "evaluate.bootstrap" in message and "2 problem(s)" in message


@pytest.mark.parametrize("text", ["1e-5", "1e-05", "1.0e-5", "0.00001", "1.e-5"])
def test_every_spelling_of_a_small_number_is_a_number(tmp_path, text) -> None:
    assert written(tmp_path, "learning_rate: 1.0e-2", f"learning_rate: {text}").train.learning_rate == 1e-5


def test_leading_zero_does_not_make_a_number_octal(tmp_path) -> None:
    """DVC writes 10 into dvc.lock for it."""
    assert written(tmp_path, "seeds: [0, 1, 2]", "seeds: [010]").train.seeds == [10]


@pytest.mark.parametrize("text", ["no", "yes", "on", "off", "y", "12:30"])
def test_word_that_older_yaml_takes_for_something_else_is_text(tmp_path, text) -> None:
    title = "title: Single-branch network for face-voice association"
    assert written(tmp_path, title, f"title: {text}").report.title == text


@pytest.mark.parametrize(
    ("section", "key", "value", "remedy"),
    [
        ("train", "epochs", "010", "train.epochs: .*found '010', which quotes make text: write 10 without them"),
        ("train", "epochs", 10.0, "train.epochs: .*found 10.0: write 10"),
        (
            "report",
            "title",
            2024,
            "report.title: .*a number to YAML: quote it, as in '2024' .*-S 'report.title=\"2024\"'",
        ),
        ("report", "title", True, "report.title: .*true or false to YAML: quote it, as in 'true'"),
        ("manifest", "media", 2024, "manifest.media: .*quote it, as in '2024'"),
        ("manifest", "columns", {"gender": 1}, "manifest.columns.gender: .*quote it, as in '1'"),
        ("report", "title", None, "report.title: .*found None, which is nothing to YAML: write a value"),
        ("train", "epochs", None, "train.epochs: .*found None, which is nothing to YAML: write a value"),
    ],
)
def test_plain_value_of_another_kind_gets_its_remedy(raw, tmp_path, section, key, value, remedy) -> None:
    raw[section][key] = value
    assert re.search(remedy, refusal(raw, tmp_path))


def test_quoted_number_is_text_and_gets_its_remedy(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"train\.learning_rate: .*found '1e-3', which quotes make text: write 1e-3"):
        written(tmp_path, "learning_rate: 1.0e-2", "learning_rate: '1e-3'")


@pytest.mark.parametrize("text", ["inf", "nan", "-inf", "infinity"])
def test_a_word_for_no_finite_number_is_no_remedy(tmp_path, text) -> None:
    with pytest.raises(ConfigError, match=rf"train\.learning_rate: .*found '{text}'$"):
        written(tmp_path, "learning_rate: 1.0e-2", f"learning_rate: {text}")


def test_value_that_is_to_be_quoted_is_shown_as_the_file_has_it(tmp_path) -> None:
    title = "title: Single-branch network for face-voice association"
    with pytest.raises(ConfigError, match=r"report\.title: .*quote it, as in '2024_11' .*title=\"2024_11\""):
        written(tmp_path, title, "title: 2024_11")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("2024_11", r"2024_11 as a number \(202411\)"),
        ("1", "1 as a number"),
        ("1e3", r"1e3 as a number \(1000.0\)"),
        ("0x1F", r"0x1F as a number \(31\)"),
        ("true", "true as true or false"),
        ("null", "null as nothing"),
        ("2026-11-23", "2026-11-23 as a date"),
    ],
)
def test_run_name_that_is_no_text_must_be_quoted(tmp_path, name, read) -> None:
    with pytest.raises(ConfigError, match=rf"experiments: YAML reads the name {read}, not as text; quote it"):
        written(tmp_path, "  single_fop: {", f"  {name}: {{")
    assert name in written(tmp_path, "  single_fop: {", f'  "{name}": {{').experiments


@pytest.mark.parametrize("name", ["yes", "no", "off"])
def test_run_named_by_a_word_of_older_yaml_is_a_run(tmp_path, name) -> None:
    assert run_settings(written(tmp_path, "  single_fop: {", f"  {name}: {{"), name).loss == "fop"


def test_key_of_a_section_that_is_no_text_is_refused(raw, tmp_path) -> None:
    raw["train"][1] = 2
    raw["experiments"] = {"mine": {}}
    assert "train: YAML reads the name 1 as a number" in refusal(raw, tmp_path)
    del raw["train"][1]
    raw["experiments"] = {"mine": {1: 2}}
    assert "experiments.mine: YAML reads the name 1 as a number" in refusal(raw, tmp_path)


def test_duplicate_key_is_refused_with_its_line(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r'duplicate key "epochs"(.|\n)*line \d+'):
        written(tmp_path, "  epochs: 20\n", "  epochs: 20\n  epochs: 30\n")


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1e400"])
def test_number_that_is_not_finite_is_refused(tmp_path, number) -> None:
    with pytest.raises(ConfigError, match=r"train\.weight_decay: Input should be a finite number"):
        written(tmp_path, "  weight_decay: 0.0\n  seeds", f"  weight_decay: {number}\n  seeds")


def test_split_that_leaves_nobody_to_train_on_is_refused(raw, tmp_path) -> None:
    raw["protocol"].update(validation_ratio=0.5, test_ratio=0.5)
    assert "leave no training identities" in refusal(raw, tmp_path)


def test_criteria_without_the_list_that_runs_are_judged_on_are_refused(raw, tmp_path) -> None:
    raw["protocol"]["criteria"] = ["G", "N"]
    assert "protocol: criteria must hold random: models are chosen" in refusal(raw, tmp_path)


def test_unknown_criterion_is_refused_with_the_known_ones(raw, tmp_path) -> None:
    raw["protocol"]["criteria"] = ["random", "H"]
    assert "protocol.criteria: 'H' is not known; known: A, G, GNA, L, N, random" in refusal(raw, tmp_path)


def test_unknown_source_of_the_protocol_is_refused_with_the_known_ones(raw, tmp_path) -> None:
    raw["protocol"]["source"] = "voxceleb2"
    known = "csv_features, generated, mavceleb_lists, voxceleb_lists"
    message = refusal(raw, tmp_path)
    assert f"protocol.source: 'voxceleb2' is not known (did you mean 'voxceleb_lists'?); known: {known}" in message


def test_unknown_layout_is_refused_with_the_known_ones(raw, tmp_path) -> None:
    raw["manifest"]["layout"] = "folder"
    message = refusal(raw, tmp_path)
    assert "manifest.layout: 'folder' is not known (did you mean 'folders'?); known: csv, folders," in message


def test_mapping_of_which_every_line_was_removed_is_empty(raw, tmp_path) -> None:
    raw["manifest"]["columns"] = None
    assert load(raw, tmp_path).manifest.columns == {}


def test_run_may_override_train_keys_but_not_invent_them(raw, tmp_path) -> None:
    raw["experiments"] = {"long": {"epochs": 7}}
    assert run_settings(load(raw, tmp_path), "long").epochs == 7
    raw["experiments"] = {"long": {"epoch": 7}}
    assert "experiments.long" in refusal(raw, tmp_path)


def test_recipe_overrides_train_and_run_overrides_recipe(raw, tmp_path) -> None:
    raw["recipes"]["mine"] = {"epochs": 5, "batch_size": 16}
    raw["experiments"] = {"plain": {"recipe": "mine"}, "own": {"recipe": "mine", "epochs": 9}}
    params = load(raw, tmp_path)
    assert run_settings(params, "plain").epochs == 5
    assert (run_settings(params, "own").epochs, run_settings(params, "own").batch_size) == (9, 16)


def test_unknown_recipe_lists_the_known_ones(raw, tmp_path) -> None:
    raw["train"]["recipe"] = "secret"
    message = refusal(raw, tmp_path)
    assert "'secret'" in message and "honest" in message


def test_unknown_run_names_the_closest(raw, tmp_path) -> None:
    raw["experiments"] = {"single_fop": {}}
    with pytest.raises(ConfigError, match="did you mean 'single_fop'"):
        run_settings(load(raw, tmp_path), "single_fob")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "a: [1, 2", "\x00"])
def test_file_that_is_no_mapping_is_refused(tmp_path, text) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        load_params(path)


def test_absent_file_says_where_to_run_from(tmp_path) -> None:
    with pytest.raises(ConfigError, match="project's root"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("name", ["lr0.01", "a b", "../up", "", "$(touch x)", "it's", "-flag", "naïve"])
def test_run_name_that_dvc_or_a_shell_would_not_take_is_refused(raw, tmp_path, name) -> None:
    raw["experiments"] = {name: {}}
    assert f"experiments.{name}: name a run with letters, digits" in refusal(raw, tmp_path)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("train", "seeds", [0, 1, 0]),
        ("protocol", "criteria", ["random", "random"]),
        ("evaluate", "matching_sizes", [2, 4, 2]),
    ],
)
def test_value_that_would_count_twice_is_refused(raw, tmp_path, section, key, value) -> None:
    raw[section][key] = value
    assert f"{section}.{key}: {value[-1]!r} is there twice" in refusal(raw, tmp_path)


@pytest.mark.parametrize("recipe", ["honest", "paper"])
def test_choosing_on_the_test_list_is_refused_outside_the_official_recipe(raw, tmp_path, recipe) -> None:
    raw["experiments"] = {"peek": {"recipe": recipe, "selection": "test"}}
    assert "selection test exists under recipe official only" in refusal(raw, tmp_path)
    raw["experiments"] = {"peek": {"recipe": "official", "selection": "test"}}
    assert run_settings(load(raw, tmp_path), "peek").selection == "test"


@pytest.mark.parametrize("own", [{"loss": ["fop", "git"]}, {"method": {"two_branch": 1}}, {"recipe": ["official"]}])
def test_value_of_a_run_that_is_no_name_is_refused_by_its_run(raw, tmp_path, own) -> None:
    raw["experiments"] = {"mine": own}
    assert "experiments.mine" in refusal(raw, tmp_path)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (("train", "branch", "two"), "train.branch: is now method; write `method: two_branch`"),
        (("train", "loss_form", "printed"), "train.loss_form: is now losses.<loss>.form"),
        (("recipes", "mine", {"by_branch": {"two": {}}}), "recipes.mine.by_branch: is now by_method"),
        (
            ("experiments", "mine", {"branch": "single"}),
            "experiments.mine.branch: is now method; write `method: sbnet`",
        ),
        (("experiments", "mine", {"alpha_git": 1.0}), "experiments.mine.alpha_git: is now losses.git.alpha_git"),
    ],
)
def test_keys_of_an_older_file_are_refused_with_what_to_write_now(raw, tmp_path, place, message) -> None:
    raw["experiments"] = {"mine": {"recipe": "mine"}}
    raw["recipes"]["mine"] = {}
    section, key, value = place
    raw[section][key] = {**raw[section].get(key, {}), **value} if isinstance(value, dict) else value
    assert message in refusal(raw, tmp_path)


def test_an_older_file_is_answered_once_with_all_that_is_to_change(raw, tmp_path) -> None:
    del raw["methods"]
    raw["train"] |= {"branch": "single", "loss_form": "printed", "epochs": 0}
    raw["recipes"]["mine"] = {"dropout": 0.0, "by_loss": {"fop": {"initial_bias": 0.1}}, "by_branch": {"two": {}}}
    raw["experiments"] = {"mine": {"branch": "two"}, "other": {"alpha": 0.5}}
    lines = [line.split(": ")[0].strip() for line in refusal(raw, tmp_path).splitlines()[1:]]
    recipe = [f"recipes.mine.{key}" for key in ("dropout", "by_loss.fop.initial_bias", "by_branch")]
    runs = ["experiments.mine.branch", "experiments.other.alpha"]
    assert sorted(lines) == sorted(["methods", "train.branch", "train.loss_form", "train.epochs", *recipe, *runs])


@pytest.mark.parametrize("none", [None, ""])
def test_a_checkpoint_that_names_no_file_is_refused(raw, tmp_path, none) -> None:
    raw["experiments"] = {"theirs": {"checkpoint": none}}
    assert "experiments.theirs.checkpoint: names no file; give the path" in refusal(raw, tmp_path)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"epochz": 3}, "recipes.idle.epochz: unknown key (did you mean 'epochs'?)"),
        ({"checkpoint": "x"}, "recipes.idle.checkpoint: unknown key"),
        ({"recipe": "paper"}, "recipes.idle.recipe: a recipe cannot name another one"),
        ({"by_method": {"sbnet": {"epochz": 3}}}, "recipes.idle.by_method.sbnet.epochz: unknown key"),
        ({"losses": {"git": {"alpha_gti": 3}}}, "recipes.idle.losses.git.alpha_gti: unknown key"),
        ({"by_loss": {"ce": {"methods": {"snbet": {}}}}}, "recipes.idle.by_loss.ce.methods.snbet: no such name"),
    ],
)
def test_an_unknown_key_of_a_recipe_that_no_run_uses_is_refused(raw, tmp_path, recipe, message) -> None:
    raw["recipes"]["idle"] = recipe
    assert message in refusal(raw, tmp_path)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            {"losses": {"center": {"alpha": 99}}},
            "losses.center.alpha: does nothing, because the loss of this run is fop",
        ),
        ({"methods": {"two_branch": {"dropout": 0.1}}}, "methods.two_branch.dropout: does nothing"),
        ({"method_options": {"dropout": 0.1}}, "method_options: unknown key"),
    ],
)
def test_an_option_of_another_loss_or_method_among_a_runs_own_keys_is_refused(raw, tmp_path, own, message) -> None:
    raw["experiments"] = {"mine": {"loss": "fop", **own}}
    assert f"experiments.mine.{message}" in refusal(raw, tmp_path)
    if "method_options" not in own:
        raw["recipes"]["wide"] = own
        raw["experiments"] = {"mine": {"loss": "fop", "recipe": "wide"}}  # a recipe is for runs of any loss
        load(raw, tmp_path)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            {"losses": {"gti": {"alpha_git": 1.0}}},
            "experiments.mine.losses.gti: no such name in params.yaml (did you mean 'git'?)",
        ),
        ({"losses": {"git": {"alpha": 1.0}}}, "experiments.mine.losses.git.alpha: unknown key"),
        ({"losses": {"git": 1.0}}, "experiments.mine.losses: give options under the name"),
        ({"methods": {"sbnet": {"dropuot": 0.1}}}, "methods.sbnet.dropuot: unknown key (did you mean 'dropout'?)"),
        ({"loss": "fob"}, "loss 'fob' has no options under losses: in params.yaml; known: arcface, ce, center"),
        ({"checkpoint": "x.pth.tar", "epochs": 3}, "experiments.mine.epochs: a run with checkpoint: is not trained"),
    ],
)
def test_wrong_options_of_a_run_are_refused_by_their_key(raw, tmp_path, own, message) -> None:
    raw["experiments"] = {"mine": own}
    assert message in refusal(raw, tmp_path)


FUSED_RUNS = {
    "one": {"loss": "fop"},
    "two": {"method": "two_branch", "loss": "ce"},
    "three": {"loss": "git", "seeds": [7], "recipe": "official"},
    "voices": {"modality": "voice"},
    "few": {"seeds": [0, 1]},
    "english": {"language": "English"},
}


def fusions(raw: dict, tmp_path: Path, **members: object):
    raw["experiments"], raw["fusions"] = FUSED_RUNS, members
    return load(raw, tmp_path)


def test_a_fusion_is_a_run_of_its_members_settings(raw, tmp_path) -> None:
    params = fusions(raw, tmp_path, both=["one", "two"], more=["both", "three"])
    both, more = (run_settings(params, name) for name in ("both", "more"))
    assert (both.method, both.seeds, both.judges, both.recipe) == ("fusion", raw["train"]["seeds"], 3, "honest")
    assert both.fusion == {name: run_settings(params, name).model_dump() for name in ("one", "two")}
    assert list(more.fusion or {}) == ["one", "three", "two"]  # a fusion stands for its members
    assert params.runs == [*params.experiments, "both", "more"]


def test_a_fusion_with_a_member_chosen_on_the_test_list_is_marked_as_chosen_on_it(raw, tmp_path) -> None:
    params = fusions(raw, tmp_path, both=["one", "two"], more=["one", "three"])
    assert (run_settings(params, "both").selection, run_settings(params, "more").selection) == ("validation", "test")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"f": ["one", "tow"]}, r"fusions\.f: no run 'tow' under experiments: or fusions:.*did you mean 'two'"),
        ({"f": ["f", "two"]}, r"fusions\.f: f is in itself"),
        ({"f": ["g", "two"], "g": ["one", "f"]}, r"fusions\.g: f is in itself"),
        ({"f": ["one", "one"]}, r"fusions\.f: one is in it twice"),
        ({"f": ["g", "one"], "g": ["one", "two"]}, r"fusions\.f: one is in it twice"),
        (
            {"f": ["one", "voices"]},
            r"fusions\.f: one was trained for modality both, voices was trained for modality voice: members",
        ),
        ({"f": ["one", "few"]}, r"fusions\.f: one scores with 3 seeds, few scores with 2 seeds: members must agree"),
        ({"f": ["one", "english"]}, r"one was trained on language all, english was trained on language English"),
        ({"two": ["one", "three"]}, r"fusions\.two: experiments: has a run of this name, too"),
        ({"f": ["one"]}, r"fusions\.f: List should have at least 2 items"),
        ({"f": ["one", "two", "three"]}, r"fusions\.f: List should have at most 2 items"),
        ({"f": "one"}, r"fusions\.f: Input should be a valid list"),
        ({"f": ["one", 2024]}, r"fusions\.f\.1: Input should be a valid string.*quote it"),
    ],
)
def test_members_that_cannot_score_as_one_are_named(raw, tmp_path, members: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fusions(raw, tmp_path, **members)
