"""The changed-inputs guard: what a stage reads must be the same when it ends as when it began.

DVC looks at dependencies and params after a stage has run and takes its outputs for results of what it finds then.
After an edit of params.yaml or of the code during an hour of training, it would call the old results up to date.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import RunError
from pipeline.files import sha256_of
from pipeline.runtime.yaml_reader import YAMLError, parse_yaml

_HASHED = 1 << 20  # bytes; smaller files by content, so that a save without a change, or git, does no harm
_SHOWN = 5
# Hours may pass while media are looked at: the manifest compares them itself, file by file.
_MEDIA = "${manifest.media}"


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
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise RunError(
            f"{', '.join(changed[:_SHOWN])}{more} changed while {stage} ran, and DVC would take its outputs for "
            "results of what is there now. Run `dvc repro` again."
        )


def _inputs(stage: str, run: str) -> dict[str, object] | None:
    """Values of the stage's params and stamps of its files, by name; None where dvc.yaml does not name the stage."""
    try:
        params, graph = (parse_yaml(Path(name).read_text(encoding="utf-8")) for name in ("params.yaml", "dvc.yaml"))
        entry = graph["stages"][stage]
    except (OSError, YAMLError, KeyError, TypeError):  # TypeError: an empty file, as while it is saved
        return None
    entry = entry.get("do", entry)
    names = [name.replace("${key}", run) for name in entry.get("params", [])]
    found: dict[str, object] = {f"params.yaml {name}": _value(params, name) for name in names}
    for dep in entry.get("deps", []):
        if dep != _MEDIA:
            path = re.sub(r"\$\{(.+?)\}", lambda match: run if match[1] == "key" else _value(params, match[1]), dep)
            found |= {file.as_posix(): _stamp(file) for file in _files(Path(path))}
    return found


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
        return sha256_of(path)
    except OSError:  # not there; the stage itself says what is wrong with that
        return None
