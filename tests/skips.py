"""A skipped test proves nothing, so only skips that allowed_skips.toml gives a reason for may pass; others fail."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ALLOWED = Path(__file__).with_name("allowed_skips.toml")


@cache
def allowed_skips() -> dict[str, str]:
    """Pattern that a skip's reason must match from its start -> why a newcomer cannot or need not mend it."""
    return {entry["reason"]: entry["why"] for entry in tomllib.loads(ALLOWED.read_text())["skip"]}


def refuse_unless_allowed(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip that no entry allows into a failure that names the file to mend. An expected failure is no skip."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    path, line, message = report.longrepr  # type: ignore[misc]
    reason = message.removeprefix("Skipped: ")
    if not any(re.match(pattern, reason) for pattern in allowed_skips()):
        report.outcome = "failed"
        report.longrepr = (
            f"{path}:{line}: skipped: {reason}\n"
            f"No entry of tests/{ALLOWED.name} allows that: make the test run on a fresh clone, or add an entry that "
            "says why it cannot."
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Look at a test that was skipped while it ran or by a mark."""
    report = yield
    refuse_unless_allowed(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """Look at a module that was skipped as a whole, as by pytest.importorskip."""
    report = yield
    refuse_unless_allowed(report)
    return report
