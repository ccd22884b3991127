"""What one run depends on, in a file of its own: its resolved settings and the code of its method and its loss.

Training and evaluation depend on that file, not on `train:`, `recipes:` and the folders of methods and losses: a new
recipe, method, loss or option then leaves every run alone that does not use it.
"""

import ast
import json
from pathlib import Path

from pydantic import ValidationError

from pipeline.config import run_settings, validate
from pipeline.errors import ConfigError, RunError
from pipeline.files import sha256_of, write_text
from pipeline.losses import loss_class
from pipeline.methods import method_class
from pipeline.methods.base import check_method
from pipeline.registry import source_of
from pipeline.settings import Params, RunSettings

_ROOT = Path(__file__).resolve().parents[1]
_FOLDERS = ("pipeline/methods/", "pipeline/losses/")
_RELEASED_CODE = "pipeline/methods/official.py"


def resolved(params: Params, run: str) -> RunSettings:
    """Settings of a run, the options of its method and its loss validated and completed by their own classes.

    Raises ConfigError for unknown names, options that are refused, and methods that cannot do what the run wants.
    """
    settings = run_settings(params, run)
    if settings.checkpoint is not None:
        return settings
    method, loss = method_class(settings.method), loss_class(settings.loss)
    check_method(method, settings)
    where = f"experiments.{run}"
    options = validate(method.Options, settings.method_options, f"{where}: methods.{settings.method}")
    weights = validate(loss.Options, settings.loss_options, f"{where}: losses.{settings.loss}")
    return settings.model_copy(update={"method_options": options.model_dump(), "loss_options": weights.model_dump()})


def code_of(settings: RunSettings) -> dict[str, str]:
    """The files of methods and losses that a run executes, with their SHA-256: its own two and what these import."""
    if settings.checkpoint is not None:
        return imported_below([_RELEASED_CODE])
    classes = method_class(settings.method), loss_class(settings.loss)
    return imported_below([source_of(found).resolve().relative_to(_ROOT).as_posix() for found in classes])


def imported_below(files: list[str]) -> dict[str, str]:
    """The files and all that they import below the folders of methods and losses, however deep, with their SHA-256."""
    found: dict[str, str] = {}
    waiting = list(files)
    while waiting:
        name = waiting.pop()
        if name in found or not (_ROOT / name).is_file():
            continue
        found[name] = sha256_of(_ROOT / name)
        tree = ast.parse((_ROOT / name).read_text(encoding="utf-8"))
        waiting += [path for path in _imports(tree) if path.startswith(_FOLDERS)]
    return dict(sorted(found.items()))


def _imports(tree: ast.Module) -> list[str]:
    modules = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    stems = [module.replace(".", "/") for module in modules]
    return [path for stem in stems for path in (f"{stem}.py", f"{stem}/__init__.py")]


def write_run_file(path: Path, settings: RunSettings) -> None:
    """Write what a run depends on."""
    content = {"settings": settings.model_dump(), "code": code_of(settings)}
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_run_file(path: Path) -> RunSettings:
    """Settings of a run from its file.

    Raises ConfigError if the run is not known, RunError for a damaged file, and if the code that it names has changed
    since.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        settings, code = RunSettings.model_validate(content["settings"]), dict(content["code"])
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist: run `dvc repro settings`") from error
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise RunError(f"{path} cannot be read ({error}); run `dvc repro settings` again") from error
    check_code(path, code)
    return settings


def check_code(path: Path, code: dict[str, str]) -> None:
    """Raise RunError if a file is not what it was when `path` was written: results would pass for another code's."""
    for name, digest in code.items():
        if not (_ROOT / name).is_file() or sha256_of(_ROOT / name) != digest:
            raise RunError(f"{name} has changed since {path} was written: run `dvc repro settings`, then this again")
