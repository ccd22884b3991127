"""The input guard: what a stage reads must be there when it begins, and the same when it ends.

DVC hashes dependencies and params after a stage has run, and records its outputs as results of what it finds then.
After an edit of params.yaml or of the code during an hour of training, it would call the old results up to date.
"""

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import RunError, first_of
from pipeline.runtime.yaml_reader import YAMLError, parse_yaml

_HASHED = 1 << 20  # bytes; smaller files by content, so that a save without a change, or git, does no harm
_SHOWN = 5
# Hours may pass while media are read: the manifest compares them itself, file by file.
_MEDIA = "${manifest.media}"
_OUTPUTS = "artifacts/"  # what stages write, and others read
_FEW = 16  # folders of the media folder, such as wav/ and faces/, that are searched for links

logger = logging.getLogger(__name__)


@contextmanager
def unchanged_inputs(stage: str, run: str = "") -> Iterator[None]:
    """Raise RunError at the end if the stage's params, or files that dvc.yaml names as its dependencies, have changed.

    Only where DVC started this process: of a stage that is run by hand, DVC records nothing.
    """
    if "DVC_ROOT" not in os.environ:
        yield
        return
    before = _inputs(stage, run)
    if before is None:  # no stage of dvc.yaml
        yield
        return
    yield
    after = _inputs(stage, run) or {}
    if changed := sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
        raise RunError(
            f"{_listed(changed)} changed while {stage} ran, and DVC would take its outputs for "
            "results of what is there now. Run `dvc repro` again."
        )


def refuse_absent_inputs(stage: str, run: str = "") -> None:
    """Raise RunError if a file that another stage makes for this one is not there: it is run by hand, not by DVC."""
    graph = None if "DVC_ROOT" in os.environ else _params_and_stage(stage)
    if graph is None or run not in {"", *_runs(graph[0])}:  # main() knows better what is wrong
        return
    absent = [dep for dep in _dependencies(*graph, run) if dep.startswith(_OUTPUTS) and not Path(dep).exists()]
    if absent:
        target = f"{stage}@{run}" if run else stage
        raise RunError(
            f"{target} reads {_listed(absent)}, which another stage makes and which is not there: run "
            f"`dvc repro {target}`, which makes it first, or `dvc pull` what somebody else has made"
        )


def warn_of_linked_folders(media: Path) -> None:
    """Name links in the media folder that lead to folders elsewhere: DVC passes over them, so no stage sees a change.

    The manifest refuses them, but does not run for their sake. People are folders in the media folder, or one below.
    """
    try:
        linked = sorted(entry.path for entry in _upper_entries(media) if _is_folder_elsewhere(entry, media.resolve()))
    except OSError:  # the manifest says what is wrong with the folder
        return
    if linked:
        logger.warning(
            "%s: links to folders outside the media folder, which DVC does not follow: their media are in no result. "
            "Move or copy the folders in, or mount them there",
            _listed(linked),
        )


def _listed(names: list[str]) -> str:
    return ", ".join(first_of(names, _SHOWN))


def _upper_entries(media: Path) -> Iterator[os.DirEntry[str]]:
    """Entries of the media folder and, if its folders are few, of these."""
    entries = list(os.scandir(media))
    yield from entries
    folders = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    for folder in folders if len(folders) <= _FEW else []:
        yield from os.scandir(folder)


def _is_folder_elsewhere(entry: os.DirEntry[str], media: Path) -> bool:
    path = Path(entry.path)
    return entry.is_symlink() and path.is_dir() and not path.resolve().is_relative_to(media)


def _inputs(stage: str, run: str) -> dict[str, object] | None:
    """Values of the stage's params and stamps of its files, by name; None where dvc.yaml does not name the stage."""
    graph = _params_and_stage(stage)
    if graph is None:
        return None
    params, entry = graph
    names = [name.replace("${key}", run) for name in entry.get("params", [])]
    found: dict[str, object] = {f"params.yaml {name}": _value(params, name) for name in names}
    for path in _dependencies(params, entry, run):
        found |= {file.as_posix(): _stamp(file) for file in _files(Path(path))}
    return found


def _params_and_stage(stage: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What params.yaml holds, and what dvc.yaml says of the stage; None where it does not name it."""
    try:
        params, graph = (parse_yaml(Path(name).read_text(encoding="utf-8")) for name in ("params.yaml", "dvc.yaml"))
        entry = graph["stages"][stage]
        return params, entry.get("do", entry)
    except (OSError, YAMLError, KeyError, TypeError):  # TypeError: an empty file, as while it is saved
        return None


def _runs(params: dict[str, Any]) -> list[str]:
    return [run for section in ("experiments", "fusions") for run in params.get(section) or ()]


def _dependencies(params: dict[str, Any], entry: dict[str, Any], run: str) -> list[str]:
    """Paths of the stage's dependencies, the media left out."""

    def value(match: re.Match[str]) -> str:
        if item := re.fullmatch(r"item\[(\d+)\]", match[1]):  # of fusions:, which alone holds lists
            return str(_value(params, f"fusions.{run}")[int(item[1])])
        return run if match[1] == "key" else str(_value(params, match[1]))

    return [re.sub(r"\$\{(.+?)\}", value, dep) for dep in entry.get("deps", []) if dep != _MEDIA]


def _value(params: dict[str, Any], name: str) -> Any:
    value: Any = params
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(folder) / name for name in names)


def _stamp(path: Path) -> object:
    try:
        state = path.stat()
        if state.st_size > _HASHED:
            return state.st_size, state.st_mtime_ns
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # not there; the stage itself says what is wrong with that
        return None
