"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

# Before torch is loaded, as the stages do it: by default its idle threads spin, on cores that others want.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from tests.oracles.seeded import write_keras_weights
from tests.skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]  # hooks, which pytest finds here

SHARED = Path(os.environ.get("SBNET_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real media, released checkpoints and released lists, which may not ship with the project; the test
    skips where it is absent. Arithmetic alone is compared with tests/oracles, which every clone has.
    """
    if not (SHARED / "data").is_dir():
        pytest.skip(f"real media and released files are not at {SHARED} (set SBNET_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def keras_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Keras weight file with which the aggregator's oracle was computed; written anew, for it takes 31 MB."""
    return write_keras_weights(tmp_path_factory.mktemp("keras") / "seeded.h5")
