"""Skips: which pass, and that any other fails where it happens."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import allowed_skips

ROOT = Path(__file__).resolve().parents[1]
SUITE = """
import pytest
from tests.skips import pytest_make_collect_report, pytest_runtest_makereport
"""
RUN_AND_MARK = """
import pytest

def test_allowed():
    pytest.skip("needs dash")

def test_refused():
    pytest.skip("no time today")

@pytest.mark.skip(reason="by a mark")
def test_refused_by_a_mark():
    pass

@pytest.mark.xfail(reason="known")
def test_expected_to_fail():
    assert False

@pytest.fixture
def absent():
    pytest.skip("by a fixture")

def test_refused_by_a_fixture(absent):
    pass

def test_passes():
    pass
"""
MODULE = """
import pytest
pytest.importorskip("no_such_package")
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder of tests with the hooks of this one."""
    (tmp_path / "conftest.py").write_text(SUITE)
    return tmp_path


def run(suite: Path) -> str:
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", f"--rootdir={suite}", str(suite)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return done.stdout


def test_a_skip_outside_the_list_fails_with_its_reason_and_the_way_out(suite: Path) -> None:
    (suite / "test_some.py").write_text(RUN_AND_MARK)
    log = run(suite)
    # By a mark or a fixture a test is skipped before it begins: pytest calls such a failure an error.
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed, 2 errors" in log
    for reason in ("no time today", "by a mark", "by a fixture"):
        assert f"skipped: {reason}\n" in log
    assert "No entry of tests/allowed_skips.toml allows that" in log


def test_a_module_that_skips_as_a_whole_fails(suite: Path) -> None:
    (suite / "test_module.py").write_text(MODULE)
    assert "skipped: could not import 'no_such_package'" in run(suite)


def test_every_entry_says_why() -> None:
    assert all(len(why.split()) > 5 for why in allowed_skips().values())
