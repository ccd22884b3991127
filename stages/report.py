"""The paper's tables and figures beside ours: `python -m stages.report`."""

from pipeline.config import load_params
from pipeline.report import build_report
from stages.common import ARTIFACTS, PARAMS, run_stage


def main() -> None:
    """Write artifacts/report from whatever runs have been evaluated."""
    build_report(load_params(PARAMS), ARTIFACTS, ARTIFACTS / "report")


if __name__ == "__main__":
    run_stage(main)
