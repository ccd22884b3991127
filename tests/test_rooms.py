"""The house as README draws it: rooms that import each other one way only, few at the top, each on the map."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = ("pipeline", "extractors", "stages")


def room_of(module: str) -> str:
    """Such as pipeline.report for pipeline.report.page; stages/ is one room."""
    parts = module.split(".")
    return parts[0] if parts[0] == "stages" else ".".join(parts[:2])


def imports(file: Path) -> Iterator[str]:
    """Modules of the project that a file imports anywhere, functions included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in CODE)


def test_no_room_imports_one_that_imports_it() -> None:
    arrows: dict[str, set[str]] = {}
    for file in (path for name in CODE for path in (ROOT / name).rglob("*.py")):
        room = room_of(".".join(file.relative_to(ROOT).with_suffix("").parts))
        arrows.setdefault(room, set()).update(room_of(name) for name in imports(file))
    for room, found in arrows.items():
        found.discard(room)
    order = list(TopologicalSorter(arrows).static_order())  # raises CycleError with the rooms of a circle
    assert order.index("pipeline.errors") < order.index("pipeline.runtime") < order.index("stages")


def test_pipeline_has_at_most_twenty_rooms_and_loose_modules() -> None:
    top = [path for path in (ROOT / "pipeline").iterdir() if path.name not in ("__init__.py", "__pycache__")]
    assert len(top) <= 20, sorted(path.name for path in top)


def test_readme_maps_every_folder_with_code() -> None:
    named = set(re.findall("`([^`]*)/`", (ROOT / "README.md").read_text(encoding="utf-8")))
    folders = {path.parent.relative_to(ROOT) for path in ROOT.glob("*/*/__init__.py") if path.parts[-3] != "tests"}
    folders |= {Path(name) for name in (*CODE, "tests", "tools", "docs", "data/demo")}
    assert not [path.as_posix() for path in sorted(folders) if not {path.as_posix(), path.name} & named]
