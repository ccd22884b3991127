"""The paper's tables and figures beside ours: `python -m stages.report`."""

import logging

from pipeline.config import load_params
from pipeline.report import PAGE, build_report
from stages.common import ARTIFACTS, PARAMS, run_stage

logger = logging.getLogger("stages.report")


def main() -> None:
    """Write artifacts/report from whatever runs have been evaluated."""
    params = load_params(PARAMS)
    build_report(params, ARTIFACTS, ARTIFACTS / "report")
    runs = ARTIFACTS / "runs"
    if left := sorted(path.name for path in runs.glob("*") if path.name not in params.experiments):
        logger.warning("%s holds %d run(s) that params.yaml does not name: %s", runs, len(left), ", ".join(left[:5]))
        logger.warning("the report leaves them out, but dvc.lock counts them; remove their folders to share it")
    logger.info("report: %s", ARTIFACTS / "report" / PAGE)


if __name__ == "__main__":
    run_stage(main)
