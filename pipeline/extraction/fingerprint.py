"""One digest of everything that decides a result: settings, the numbers of what runs in a worker, arrays, code."""

import ast
import io
import json
import tokenize
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.files import sha256_hex


def fingerprint_of(parts: object) -> str:
    """Hex SHA-256 of `parts` as canonical JSON: keys sorted, no white space, no NaN.

    Besides JSON's own types, `parts` may hold arrays, which count by type, shape and bytes, and instances of
    dataclasses, which count by class, `version` and every field: a number added to one can not be forgotten. Raises
    TypeError for anything else.
    """
    text = json.dumps(_plain(parts), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256_hex(text)


_SCALARS, _LISTS = (str, bool, int, float, type(None)), (list, tuple)  # tuples: `str | bool` would be built each time


def _plain(value: object) -> object:
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, np.ndarray):
        digest = sha256_hex(np.ascontiguousarray(value).data)
        return {"array": digest, "type": _type_name(value.dtype), "shape": list(value.shape)}
    if (known := _class_and_fields(type(value))) is not None:  # type: ignore[arg-type] # mypy: object is no Hashable
        kind, names = known
        parts = {name: _plain(getattr(value, name)) for name in names}
        return {"class": kind, "version": getattr(value, "version", 0), "fields": parts}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, _LISTS):
        return [_plain(part) for part in value]
    raise TypeError(f"{type(value).__name__} has no fingerprint: use numbers, text, arrays or a dataclass of such")


@cache
def _type_name(dtype: "np.dtype[Any]") -> str:
    return str(dtype)


@cache
def _class_and_fields(kind: type) -> tuple[str, list[str]] | None:
    """Name and fields of a dataclass; None for any other class."""
    if not is_dataclass(kind):
        return None
    return f"{kind.__module__}.{kind.__qualname__}", [field.name for field in fields(kind)]


def code_digest(files: Iterable[Path], folder: Path, exempt: Collection[Path] = ()) -> str:
    """Hex SHA-256 of source files and of all that they import below the package `folder`, however deep.

    Comments, docstrings and blank lines do not count, nor do the files of `exempt`. It is the same for every version of
    Python, since it goes by the text that is left.
    """
    digests: dict[Path, str] = {}
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path in digests or path in exempt or not path.is_file():
            continue
        digests[path], imports = _read(path, path.read_text(encoding="utf-8"), folder)
        waiting += imports
    return fingerprint_of(sorted(digests.values()))


@cache
def _read(path: Path, text: str, folder: Path) -> tuple[str, list[Path]]:
    """Digest of one source file, and where what it imports below `folder` would be."""
    tree = ast.parse(text)
    imports = [found for found in _imported(tree, path, folder) if found.is_relative_to(folder)]
    return sha256_hex(_bare(text, tree)), imports


def _imported(tree: ast.Module, path: Path, folder: Path) -> Iterator[Path]:
    """Where the modules would be that a file at `path` imports, absolutely or relatively to its package."""
    for node in ast.walk(tree):
        stems = []
        if isinstance(node, ast.Import):
            stems = [folder.parent.joinpath(*alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = path.parents[node.level - 1] if node.level else folder.parent
            module = package.joinpath(*(node.module or "").split("."))
            stems = [module, *(module / alias.name for alias in node.names)]
        for stem in stems:
            yield from (stem.with_name(f"{stem.name}.py"), stem / "__init__.py")


def _bare(text: str, tree: ast.Module) -> bytes:
    """The source without comments, docstrings, blank lines and white space at the end of lines."""
    lines = text.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    kept = [line.encode() for line in lines]  # the tree counts columns in bytes
    inside: set[int] = set()  # lines that end within a string, where white space is of its value
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr):
            inside.update(range(node.lineno - 1, (node.end_lineno or node.lineno) - 1))
    for docstring in _docstrings(tree):
        first, last = docstring.lineno - 1, (docstring.end_lineno or docstring.lineno) - 1
        after = kept[last][docstring.end_col_offset :]
        before = kept[first][: docstring.col_offset]
        kept[first : last + 1] = [before + after, *[b""] * (last - first)]
        inside.difference_update(range(first, last))
    trimmed = [line if number in inside else line.rstrip() for number, line in enumerate(kept)]
    return b"\n".join(line for number, line in enumerate(trimmed) if line or number in inside)


def _docstrings(tree: ast.Module) -> Iterator[ast.Expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                yield first
