"""Read params.yaml: errors name the key, what was found there and the remedy."""

import difflib
from datetime import date
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import ConfigError
from pipeline.protocol.sources import source_named
from pipeline.protocol.vocabulary import criterion_named
from pipeline.runtime.yaml_reader import YAMLError, parse_yaml
from pipeline.settings import Params, Section, TrainSettings

SectionT = TypeVar("SectionT", bound=Section)


def load_params(path: Path) -> Params:
    """Read and validate the whole file.

    Raises ConfigError for a file that is no YAML mapping and for every bad key, all of them in one message.
    """
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist: run from the project's root, where params.yaml lies") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} must hold sections (manifest:, detect_faces:, ...), found {type(raw).__name__}")
    params = validate(Params, raw, str(path))
    source_named(params.protocol.source)
    for criterion in params.protocol.criteria:
        criterion_named(criterion)
    for run in params.experiments:
        run_settings(params, run)
    return params


def run_settings(params: Params, run: str) -> TrainSettings:
    """Settings of one run: `train:`, overridden by its recipe, overridden by `experiments.<run>`.

    What a recipe says `by_loss` and `by_branch` holds for runs of that loss and, over it, of that branch: the official
    code trains its losses in two halves that share few numbers.

    Raises ConfigError for a run or a recipe that params.yaml does not name, or an override that `train:` refuses.
    """
    if run not in params.experiments:
        raise ConfigError(f"no run {run!r} under experiments: in params.yaml{_closest(run, list(params.experiments))}")
    own = params.experiments[run]
    recipe = own.get("recipe", params.train.recipe)
    if not isinstance(recipe, str) or recipe not in params.recipes:
        known = ", ".join(params.recipes)
        raise ConfigError(f"experiments.{run}: recipe {recipe!r} is not under recipes: in params.yaml ({known})")
    merged = {**params.train.model_dump(), **_recipe(params.recipes[recipe], recipe, params, own), **own}
    return validate(TrainSettings, merged, f"experiments.{run}")


def _recipe(recipe: dict[str, object], name: str, params: Params, own: dict[str, object]) -> dict[str, object]:
    values = {key: value for key, value in recipe.items() if key not in ("by_loss", "by_branch")}
    run = {**params.train.model_dump(), **values, **own}
    for kind in ("loss", "branch"):
        variants = recipe.get(f"by_{kind}", {})
        known = get_args(TrainSettings.model_fields[kind].annotation)
        if not isinstance(variants, dict) or not all(isinstance(keys, dict) for keys in variants.values()):
            raise ConfigError(f"recipes.{name}.by_{kind}: give keys of train: under each {kind}, found {variants!r}")
        if unknown := [key for key in variants if key not in known]:
            raise ConfigError(f"recipes.{name}.by_{kind}.{unknown[0]}: no such {kind}; known: {', '.join(known)}")
        chosen = run[kind]
        values |= variants.get(chosen, {}) if isinstance(chosen, str) else {}  # no name: `train:` refuses it
    return values


def validate(model: type[SectionT], raw: object, where: str) -> SectionT:
    """Build `model` from raw YAML; all problems become one ConfigError whose lines start with the dotted key."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [f"  {_explain(details, model)}" for details in error.errors()]
        raise ConfigError("\n".join([f"{where}: {len(lines)} problem(s)", *lines])) from error


def _explain(details: ErrorDetails, model: type[BaseModel]) -> str:
    location, found = [str(part) for part in details["loc"] if part != "[key]"], details["input"]
    key = ".".join(location) or "(section)"
    if details["type"] == "invalid_key" or (details["loc"][-1:] == ("[key]",) and not isinstance(found, str)):
        return _unquoted_name(".".join(location[:-1]) or "(section)", found)
    if details["type"] == "extra_forbidden":
        return f"{key}: unknown key{_closest(location[-1], _fields(model, location[:-1]))}; remove it or mend its name"
    if details["type"] == "missing":
        return f"{key}: missing; add it (every key is listed in the params.yaml that ships with SBNet)"
    problem = f"{key}: {details['msg'].removeprefix('Value error, ')}"
    if isinstance(found, dict):
        return problem  # no whole section: it is in the file
    return f"{problem}; found {found!r}{_remedy(details['type'], key, found)}"


def _unquoted_name(section: str, name: object) -> str:
    """A name that YAML does not read as text, which DVC drops without a word from its list of stages."""
    return f"{section}: YAML reads the name {_as_written(name)} as {_kind(name)}, not as text; quote it in params.yaml"


def _remedy(expected: str, key: str, found: object) -> str:
    """What to write instead of a value that is another plain kind than the one expected."""
    if expected == "string_type" and isinstance(found, bool | int | float | date):
        text = _as_written(found)
        return f", {_kind(found)} to YAML: quote it, as in '{text}' (on dvc's command line: -S '{key}=\"{text}\"')"
    if expected in ("int_type", "float_type") and isinstance(found, str) and _reads_as_float(found):
        return f", which quotes make text: write {found.lstrip('0') or '0'} without them"
    if expected == "int_type" and isinstance(found, float) and found.is_integer():
        return f": write {found:.0f}"
    return ""


def _as_written(value: object) -> str:
    """A plain value in YAML's words."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    return "true or false" if isinstance(value, bool) else "a number" if isinstance(value, int | float) else "a date"


def _reads_as_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _fields(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        field = model.model_fields.get(part)
        inner = field.annotation if field else None
        candidates = [kind for kind in (inner, *get_args(inner)) if isinstance(kind, type)]
        sections = [kind for kind in candidates if issubclass(kind, BaseModel)]
        if not sections:
            return []
        model = sections[0]
    return list(model.model_fields)


def _closest(name: str, known: list[str]) -> str:
    matches = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
