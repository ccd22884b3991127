"""Name everything that decides an extractor's output by one digest."""

import hashlib
import json
from collections.abc import Mapping


def fingerprint_of(parts: Mapping[str, object]) -> str:
    """Hex SHA-256 of `parts` as canonical JSON: keys sorted, no white space, no NaN."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
