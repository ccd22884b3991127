"""Read params.yaml: errors name the key, the value and the remedy."""

import difflib
import math
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import ConfigError
from pipeline.manifest.layouts import layout_named
from pipeline.protocol.sources import source_named
from pipeline.protocol.vocabulary import criterion_named
from pipeline.runtime.yaml_reader import YAMLError, parse_yaml
from pipeline.settings import ALL_LANGUAGES, FUSED, Params, RunSettings, Section, TrainSettings

SectionT = TypeVar("SectionT", bound=Section)
_WORD = re.compile(r"[^\s:,{}\[\]\"'#]+")  # what may be a plain name or value in a YAML file
RELEASED = "released"  # method and loss of a run that is a released checkpoint
# Its other keys: they do nothing, so that `train:` must not reach them; selection says how its authors chose it.
NOT_TRAINED: dict[str, object] = {
    "language": ALL_LANGUAGES,
    "order": "vfvf",
    "alternate_epochs": 1,
    "shuffle": "epoch",
    "epochs": 1,
    "batch_size": 2,
    "learning_rate": 1.0,
    "decay": 1.0,
    "weight_decay": 0.0,
    "seeds": [0],
    "ensemble": "none",
    "selection": "test",
    "method_options": {},
    "loss_options": {},
}


def load_params(path: Path) -> Params:
    """Read and validate the whole file.

    Raises ConfigError for a file that is no YAML mapping and for every bad key, all of them in one message.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = parse_yaml(text)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist: run from the project's root, which holds params.yaml") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} must hold sections (manifest:, detect_faces:, ...), found {type(raw).__name__}")
    params = _validated(raw, str(path), text)
    layout_named(params.manifest.layout)
    source_named(params.protocol.source)
    for criterion in params.protocol.criteria:
        criterion_named(criterion)
    for recipe in params.recipes:
        _check_recipe(params, recipe)
    if both := [run for run in params.fusions if run in params.experiments]:
        raise ConfigError(f"{path}: fusions.{both[0]}: experiments: has a run of this name, too; rename one of them")
    for run in params.runs:
        run_settings(params, run)
    return params


def run_settings(params: Params, run: str) -> RunSettings:
    """Settings of one run: `train:`, overridden by its recipe, overridden by `experiments.<run>`; or of a fusion.

    What a recipe says `by_loss` and `by_method` holds for runs of that loss and, over it, of that method: the official
    code trains its losses in two halves that share few numbers. Options of methods and losses are laid over those of
    `methods:` and `losses:` key by key; their values are validated by their own classes (pipeline/resolved).

    Raises ConfigError for a name that params.yaml does not have, or an override that `train:` refuses.
    """
    if run in params.fusions:
        return _fused(params, run)
    if run not in params.experiments:
        raise ConfigError(f"no run {run!r} under experiments: in params.yaml{_closest(run, params.runs)}")
    own, where = params.experiments[run], f"experiments.{run}"
    if "checkpoint" in own:
        return _released(params, own, where)
    _check_keys(own, where)
    recipe = own.get("recipe", params.train.recipe)
    if not isinstance(recipe, str) or recipe not in params.recipes:
        known = ", ".join(params.recipes)
        raise ConfigError(f"{where}: recipe {recipe!r} is not under recipes: in params.yaml ({known})")
    merged: dict[str, object] = {**params.train.model_dump(), "methods": params.methods, "losses": params.losses}
    for layer, name in [*_recipe(params, recipe, own), (own, where)]:
        merged = _overlaid(merged, layer, params, name)
    settings = validate(RunSettings, _with_own_options(merged, where), where)
    _refuse_options_of_others(own, settings, where)
    return settings


_KINDS = {"loss": "losses", "method": "methods"}
# Keys that were of train:, and where they are now; branch is answered apart.
_MOVED = {
    "fusion": "methods.two_branch.fusion",
    "batch_norm": "methods.sbnet.batch_norm",
    "batch_norm_momentum": "methods.<method>.batch_norm_momentum",
    "initial_bias": "methods.<method>.initial_bias",
    "embedding": "methods.<method>.embedding",
    "dropout": "methods.<method>.dropout",
    "loss_form": "losses.<loss>.form",
    "alpha": "losses.fop.alpha",
    "alpha_center": "losses.center.alpha or losses.git.alpha_center",
    "alpha_git": "losses.git.alpha_git",
    "centres": "losses.<loss>.centres",
    "centre_rate": "losses.<loss>.centre_rate",
}
_BRANCHES = {"single": "sbnet", "two": "two_branch"}


def _validated(raw: dict[str, object], where: str, text: str) -> Params:
    """All of params.yaml; keys of an older one are named with what to write now, among all other problems."""
    old = _old_keys(raw)
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(details, Params, text) for details in error.errors()]
        old |= {line: line for line in lines if line.split(":")[0] not in old}
    else:
        if not old:
            return params
    raise ConfigError("\n".join([f"{where}: {len(old)} problem(s)", *(f"  {line}" for line in old.values())]))


def _old_keys(raw: dict[str, object]) -> dict[str, str]:
    """What to write now for each key that an older params.yaml had in `train:`, recipes and runs, by its path."""
    layers: list[tuple[str, object]] = [("train", raw.get("train"))]
    for section in ("recipes", "experiments"):
        layers += [(f"{section}.{name}", keys) for name, keys in _mapping(raw.get(section)).items()]
    for where, keys in list(layers):
        for variants in ("by_loss", "by_method", "by_branch"):
            named = _mapping(_mapping(keys).get(variants))
            layers += [(f"{where}.{variants}.{name}", changes) for name, changes in named.items()]
    found: dict[str, str] = {}
    for where, keys in layers:
        for key, value in _mapping(keys).items():
            if advice := _now_written(str(key), value):
                found[f"{where}.{key}"] = f"{where}.{key}: {advice}"
    return found


def _now_written(key: str, value: object) -> str:
    """What to write instead of a key of an older params.yaml; empty for another key."""
    if key == "branch":
        method = _BRANCHES.get(str(value), "sbnet or two_branch")
        return f"is now method; write `method: {method}` instead of `branch: {value}`"
    if key == "by_branch":
        return "is now by_method, with sbnet and two_branch for single and two"
    return f"is now {_MOVED[key]}, nested so in recipes and runs, too" if key in _MOVED else ""


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _recipe(params: Params, recipe: str, own: dict[str, object]) -> list[tuple[dict[str, object], str]]:
    """What a recipe lays over `train:` for a run with the keys `own`, in order, each with its path in params.yaml."""
    where, content = f"recipes.{recipe}", params.recipes[recipe]
    layers = [({key: value for key, value in content.items() if key not in ("by_loss", "by_method")}, where)]
    run = {**params.train.model_dump(), **layers[0][0], **own}
    for kind in _KINDS:
        variants, chosen = _variants(params, recipe, kind), run[kind]
        if isinstance(chosen, str) and chosen in variants:
            layers.append((variants[chosen], f"{where}.by_{kind}.{chosen}"))
    return layers


def _variants(params: Params, recipe: str, kind: str) -> dict[str, dict[str, object]]:
    """What a recipe says `by_loss` or `by_method`; raises ConfigError for what is no keys under known names."""
    variants, path = params.recipes[recipe].get(f"by_{kind}", {}), f"recipes.{recipe}.by_{kind}"
    if not isinstance(variants, dict) or not all(isinstance(keys, dict) for keys in variants.values()):
        raise ConfigError(f"{path}: give keys of train: under each {kind}, found {variants!r}")
    known = getattr(params, _KINDS[kind])
    if unknown := [key for key in variants if key not in known]:
        raise ConfigError(f"{path}.{unknown[0]}: no such {kind}; known: {', '.join(known)}")
    return variants


def _check_recipe(params: Params, recipe: str) -> None:
    """Raise ConfigError for a key of a recipe that is none of `train:`, `methods:` or `losses:`, in use or not."""
    where, content = f"recipes.{recipe}", params.recipes[recipe]
    variants = {f"by_{kind}": _variants(params, recipe, kind) for kind in _KINDS}
    _check_keys(content, where, *variants)
    layers = [(where, {key: value for key, value in content.items() if key not in variants})]
    layers += [(f"{where}.{by}.{name}", keys) for by, named in variants.items() for name, keys in named.items()]
    for path, keys in layers:
        _check_keys(keys, path)
        if "recipe" in keys:
            raise ConfigError(f"{path}.recipe: a recipe cannot name another one; remove it")
        for section in _KINDS.values():
            for name, changes in _nested(keys.get(section, {}), f"{path}.{section}").items():
                _check_options(getattr(params, section), name, changes, f"{path}.{section}")


def _check_keys(keys: dict[str, object], where: str, *others: str) -> None:
    """Raise ConfigError for a key that a recipe or a run cannot have."""
    known = [*TrainSettings.model_fields, *_KINDS.values(), *others]
    if unknown := [key for key in keys if key not in known]:
        raise ConfigError(f"{where}.{unknown[0]}: unknown key{_closest(unknown[0], known)}; remove it or mend its name")


def _refuse_options_of_others(own: dict[str, object], settings: RunSettings, where: str) -> None:
    """Raise ConfigError for options, among a run's own keys, of a method or a loss that is not the run's."""
    for kind, section in _KINDS.items():
        chosen = getattr(settings, kind)
        for name, changes in _nested(own.get(section, {}), f"{where}.{section}").items():
            if name != chosen and changes:
                raise ConfigError(
                    f"{where}.{section}.{name}.{next(iter(changes))}: does nothing, because the {kind} of this run is "
                    f"{chosen}; remove it or write it under {section}.{chosen}"
                )


def _overlaid(below: dict[str, object], layer: dict[str, object], params: Params, where: str) -> dict[str, object]:
    """`layer` over `below`: keys of train: replace, options of methods and losses one by one."""
    merged = {**below, **layer}
    for section in _KINDS.values():
        if section in layer:
            options = {name: dict(values) for name, values in _nested(below[section], section).items()}
            for name, changes in _nested(layer[section], f"{where}.{section}").items():
                _check_options(getattr(params, section), name, changes, f"{where}.{section}")
                options[name] |= changes
            merged[section] = options
    return merged


def _nested(options: object, where: str) -> dict[str, dict[str, object]]:
    if not isinstance(options, dict) or not all(isinstance(values, dict) for values in options.values()):
        raise ConfigError(f"{where}: give options under the name that they belong to, found {options!r}")
    return options


def _check_options(known: dict[str, dict[str, object]], name: str, changes: dict[str, object], where: str) -> None:
    if name not in known:
        raise ConfigError(f"{where}.{name}: no such name in params.yaml{_closest(name, list(known))}")
    if unknown := [key for key in changes if key not in known[name]]:
        raise ConfigError(f"{where}.{name}.{unknown[0]}: unknown key{_closest(unknown[0], list(known[name]))}")


def _with_own_options(merged: dict[str, object], where: str) -> dict[str, object]:
    """The run's keys with the options of its own method and loss instead of all options."""
    keys = {key: value for key, value in merged.items() if key not in _KINDS.values()}
    for kind, section in _KINDS.items():
        name, options = merged[kind], _nested(merged[section], section)
        if not isinstance(name, str) or name not in options:
            known = ", ".join(options)
            raise ConfigError(
                f"{where}: {kind} {name!r} has no options under {section}: in params.yaml; known: {known}"
            )
        keys[f"{kind}_options"] = options[name]
    return keys


def _released(params: Params, own: dict[str, object], where: str) -> RunSettings:
    """Settings of a run that is a released checkpoint; its authors chose it on the test list."""
    if extra := [key for key in own if key not in ("checkpoint", "modality", "language")]:
        raise ConfigError(
            f"{where}.{extra[0]}: a run with checkpoint: is not trained; it takes modality and language, what its "
            "authors trained it on, and nothing else"
        )
    if own["checkpoint"] in (None, ""):
        raise ConfigError(f"{where}.checkpoint: names no file; give the path of a released .pth.tar, or remove the key")
    named = {"recipe": "official", "method": RELEASED, "loss": RELEASED}
    train = {key: getattr(params.train, key) for key in ("modality", "calibration_prior")}
    return validate(RunSettings, {**named, **train, **NOT_TRAINED, **own}, where)


def _fused(params: Params, run: str) -> RunSettings:
    """Settings of a run of `fusions:`; raises ConfigError for members that cannot score as one.

    It is marked as chosen on the test list if a member was.
    """
    where, names = f"fusions.{run}", _members(params, run, ())
    if repeated := [name for position, name in enumerate(names) if name in names[:position]]:
        raise ConfigError(f"{where}: {repeated[0]} is in it twice, and would count twice; name another run")
    members = {name: run_settings(params, name) for name in names}
    _same(where, "was trained for modality {}", {name: own.modality for name, own in members.items()})
    _same(where, "scores with {} seeds", {name: own.judges for name, own in members.items() if own.judges > 1})
    _same(where, "was trained on language {}", {name: own.language for name, own in members.items()})
    decisive = next((own for own in members.values() if own.selection == "test"), members[names[0]])
    several = [own for own in members.values() if own.judges > 1]
    keys = {
        **NOT_TRAINED,
        "recipe": decisive.recipe,
        "method": FUSED,
        "loss": FUSED,
        "modality": decisive.modality,
        "language": decisive.language,
        "calibration_prior": decisive.calibration_prior,
        "seeds": several[0].seeds if several else [0],
        "selection": "test" if decisive.selection == "test" else "validation",
        "fusion": {name: own.model_dump() for name, own in sorted(members.items())},
    }
    return validate(RunSettings, keys, where)


def _members(params: Params, run: str, above: tuple[str, ...]) -> list[str]:
    """The runs that a fusion scores by: one that is a fusion itself stands for its own."""
    names: list[str] = []
    for name in params.fusions[run]:
        if name in (*above, run):
            raise ConfigError(f"fusions.{run}: {name} is in itself; a fusion is of other runs")
        if name not in params.runs:
            raise ConfigError(
                f"fusions.{run}: no run {name!r} under experiments: or fusions: in params.yaml"
                f"{_closest(name, params.runs)}"
            )
        names += _members(params, name, (*above, run)) if name in params.fusions else [name]
    return names


def _same(where: str, words: str, values: Mapping[str, object]) -> None:
    """Raise ConfigError for runs that differ in what the members of a fusion must have in common."""
    first = next(iter(values.items()), None)
    if first and (other := next((item for item in values.items() if item[1] != first[1]), None)):
        found = ", ".join(f"{run} {words.format(value)}" for run, value in (first, other))
        raise ConfigError(f"{where}: {found}: members must agree in this")


def validate(model: type[SectionT], raw: object, where: str, text: str = "") -> SectionT:
    """Build `model` from raw YAML; all problems become one ConfigError whose lines start with the dotted key.

    Names and values that YAML reads as numbers are shown as `text`, the file's own, has them: they can be searched for.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [f"  {_explain(details, model, text)}" for details in error.errors()]
        raise ConfigError("\n".join([f"{where}: {len(lines)} problem(s)", *lines])) from error


def _explain(details: ErrorDetails, model: type[BaseModel], text: str) -> str:
    location, found = [str(part) for part in details["loc"] if part != "[key]"], details["input"]
    key = ".".join(location) or "(section)"
    if details["type"] == "invalid_key" or (details["loc"][-1:] == ("[key]",) and not isinstance(found, str)):
        return _unquoted_name(".".join(location[:-1]) or "(section)", found, text)
    if details["type"] == "extra_forbidden":
        return f"{key}: unknown key{_closest(location[-1], _fields(model, location[:-1]))}; remove it or mend its name"
    if details["type"] == "missing":
        return f"{key}: missing; add it (every key is listed in the params.yaml that ships with SBNet)"
    problem = f"{key}: {details['msg'].removeprefix('Value error, ')}"
    if isinstance(found, dict):
        return problem  # no whole section: it is in the file
    return f"{problem}; found {found!r}{_remedy(details['type'], key, found, text)}"


def _unquoted_name(section: str, name: object, text: str) -> str:
    """A name that YAML does not read as text, which DVC drops without a word from its list of stages."""
    written, read = _as_written(name, text), _in_yaml(name)
    kind = _kind(name) if written == read else f"{_kind(name)} ({read})"
    return f"{section}: YAML reads the name {written} as {kind}, not as text; quote it in params.yaml"


def _remedy(expected: str, key: str, found: object, text: str) -> str:
    """What to write instead of a value that is another plain kind than the one expected."""
    if found is None:
        return ", which is nothing to YAML: write a value behind the colon"
    if expected == "string_type" and isinstance(found, bool | int | float | date):
        own = _as_written(found, text)
        return f", {_kind(found)} to YAML: quote it, as in '{own}' (on dvc's command line: -S '{key}=\"{own}\"')"
    if expected in ("int_type", "float_type") and isinstance(found, str) and _reads_as_float(found):
        return f", which quotes make text: write {found.lstrip('0') or '0'} without them"
    if expected == "int_type" and isinstance(found, float) and found.is_integer():
        return f": write {found:.0f}"
    return ""


def _as_written(value: object, text: str) -> str:
    """A plain value as the file has it (2024_11), or in YAML's words (202411) where the file has none such."""
    words = dict.fromkeys(_WORD.findall(text))
    return (
        _in_yaml(value)
        if _in_yaml(value) in words
        else next((word for word in words if _reads_as(word, value)), _in_yaml(value))
    )


def _reads_as(word: str, value: object) -> bool:
    try:
        read = parse_yaml(word)
    except YAMLError:
        return False
    return type(read) is type(value) and bool(read == value)


def _in_yaml(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    return "true or false" if isinstance(value, bool) else "a number" if isinstance(value, int | float) else "a date"


def _reads_as_float(text: str) -> bool:
    try:
        if not math.isfinite(float(text)):
            return False
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
