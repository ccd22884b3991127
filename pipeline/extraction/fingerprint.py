"""One digest of everything that decides a result: settings, the numbers of what runs in a worker, arrays."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

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


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.ndarray):
        digest = sha256_hex(np.ascontiguousarray(value).data)
        return {"array": digest, "type": str(value.dtype), "shape": list(value.shape)}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if is_dataclass(value) and not isinstance(value, type):
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        parts = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"class": kind, "version": getattr(value, "version", 0), "fields": parts}
    raise TypeError(f"{type(value).__name__} has no fingerprint: use numbers, text, arrays or a dataclass of such")
