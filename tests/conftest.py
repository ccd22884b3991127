"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("SBNET_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data and oracles that may not ship with the project; the test skips where it is absent."""
    if not (SHARED / "oracles").is_dir():
        pytest.skip(f"real data and oracles are not at {SHARED} (set SBNET_SHARED)")
    return SHARED
