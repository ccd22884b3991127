"""What one run depends on, in a file of its own: its resolved settings and the code of its method and its loss.

Training and evaluation depend on that file, not on `train:`, `recipes:` and the folders of methods and losses: a new
recipe, method, loss or option then leaves every run alone that does not use it.
"""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.config import NOT_TRAINED, run_settings, validate
from pipeline.errors import ConfigError, RunError
from pipeline.files import sha256_hex, sha256_of, write_text
from pipeline.losses import loss_class
from pipeline.methods import method_class
from pipeline.methods.base import check_method
from pipeline.registry import source_of
from pipeline.settings import Params, RunSettings

_ROOT = Path(__file__).resolve().parents[1]
_CODE = "pipeline/"  # the stage settings depends on this folder, so that it sees every change of what lies in it
# How a run is read and started, not what comes of it: neither these nor what they import is code of a run.
_PLUMBING = ("config.py", "errors.py", "files.py", "registry.py", "resolved.py", "settings.py", "store.py", "runtime/")
_NOT_FOLLOWED = tuple(f"{_CODE}{name}" for name in _PLUMBING)
# Stand for what params.yaml says but the run does not do.
_IDLE = {**NOT_TRAINED, "loss": "own", "loss_options": {}}
SETTINGS = "settings"  # under which the group `model` of metrics.json has settings_digest
_RELEASED_CODE = "pipeline/methods/official.py"


@dataclass(frozen=True)
class RunFile:
    """What one run depends on, as its file says."""

    path: Path
    settings: RunSettings
    code: Mapping[str, str]  # file of the project -> SHA-256

    def check_code(self) -> None:
        """Raise RunError if a file is not what it was when this was written: results would pass for other code's."""
        for name, digest in self.code.items():
            if not (_ROOT / name).is_file() or sha256_of(_ROOT / name) != digest:
                raise RunError(
                    f"{name} has changed since {self.path} was written: run `dvc repro settings`, then this again"
                )


def resolved(params: Params, run: str) -> RunSettings:
    """Settings of a run, the options of its method and its loss validated and completed by their own classes.

    Keys of `train:` that do nothing in it have a fixed value, so that it does not depend on them.
    Raises ConfigError for unknown names, options that are refused, and methods that cannot do what the run wants.
    """
    settings = run_settings(params, run)
    if settings.fusion is not None:
        return _fusion(params, run, settings)
    if settings.checkpoint is not None:
        return settings
    method, loss = method_class(settings.method), loss_class(settings.loss)
    check_method(method, settings)
    where = f"experiments.{run}"
    options = validate(method.Options, settings.method_options, f"{where}: methods.{settings.method}")
    weights = validate(loss.Options, settings.loss_options, f"{where}: losses.{settings.loss}")
    update = {"method_options": options.model_dump(), "loss_options": weights.model_dump()}
    return settings.model_copy(
        update=update | {key: _IDLE[key] for key in settings.idle(method.takes, method.epochless)}
    )


def settings_digest(settings: RunSettings) -> str:
    """Hex SHA-256 of resolved settings, which a run's results keep, so that they pass for no other settings'."""
    return sha256_hex(json.dumps(settings.model_dump(mode="json"), sort_keys=True))


def _fusion(params: Params, run: str, settings: RunSettings) -> RunSettings:
    members = {name: resolved(params, name) for name in settings.fusion or {}}
    for name, own in members.items():
        if own.checkpoint is None and method_class(own.method).compares == "galleries":
            raise ConfigError(
                f"fusions.{run}: method {own.method} of run {name} scores galleries, not pairs: none of its scores "
                "ranks among those of other pairs; take another run"
            )
    return settings.model_copy(update={"fusion": {name: own.model_dump() for name, own in members.items()}})


def code_of(settings: RunSettings) -> dict[str, str]:
    """The files of the project that a run's method and loss execute, with their SHA-256: the two and all they import.

    Raises ConfigError for an import of a file of the project that is not below pipeline/.
    """
    if settings.fusion is not None:
        members = [RunSettings.model_validate(own) for own in settings.fusion.values()]
        return dict(sorted({name: digest for own in members for name, digest in code_of(own).items()}.items()))
    if settings.checkpoint is not None:
        return imported_below([_RELEASED_CODE])
    classes = method_class(settings.method), loss_class(settings.loss)
    return imported_below([source_of(found).resolve().relative_to(_ROOT).as_posix() for found in classes])


def imported_below(files: list[str]) -> dict[str, str]:
    """The files and all of the project that they import, however deep, with their SHA-256; plumbing is left out."""
    found: dict[str, str] = {}
    waiting = list(files)
    while waiting:
        name = waiting.pop()
        if name in found or name.startswith(_NOT_FOLLOWED):
            continue
        found[name] = sha256_of(_ROOT / name)
        imports = [path for path in _imports(name) if (_ROOT / path).is_file()]
        if outside := [path for path in imports if not path.startswith(_CODE)]:
            raise ConfigError(
                f"{name} imports {outside[0]}, whose changes would train no run again: move what it needs to {_CODE}"
            )
        waiting += imports
    return dict(sorted(found.items()))


def _imports(name: str) -> list[str]:
    """Where the modules would lie that a file imports, absolute or relative, and the names in them that may be some."""
    modules: list[str] = []
    package = list(Path(name).parent.parts)
    for node in ast.walk(ast.parse((_ROOT / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            modules += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    stems = [module.replace(".", "/") for module in modules]
    return [path for stem in stems for path in (f"{stem}.py", f"{stem}/__init__.py")]


def write_run_file(path: Path, settings: RunSettings) -> None:
    """Write what a run depends on."""
    content = {"settings": settings.model_dump(), "code": code_of(settings)}
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_run_file(path: Path, params: Params, run: str) -> RunFile:
    """What a run depends on, from its file.

    Raises ConfigError if params.yaml does not name the run or the file is absent, RunError for a damaged file, and if
    params.yaml or the code that the file names has changed since.
    """
    wanted = resolved(params, run)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        file = RunFile(path, RunSettings.model_validate(content["settings"]), dict(content["code"]))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist: run `dvc repro settings`") from error
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise RunError(f"{path} cannot be read ({error}); run `dvc repro settings` again") from error
    if file.settings.model_dump(mode="json") != wanted.model_dump(mode="json"):
        raise RunError(
            f"params.yaml has changed for run {run!r} since {path} was written: run `dvc repro settings`, "
            "then this again"
        )
    file.check_code()
    return file
