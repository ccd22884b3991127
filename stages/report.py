"""The paper's tables and figures beside ours: `python -m stages.report`."""

import logging

from pipeline.report import PAGE, build_report
from pipeline.settings import Params
from stages.common import Artifacts, run_stage

logger = logging.getLogger("stages.report")


def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Write artifacts/report from whatever runs have been evaluated."""
    build_report(params, deps.root, outs.report)
    runs = deps.runs
    if left := sorted(path.name for path in runs.glob("*") if path.name not in params.runs):
        logger.warning("%s holds %d run(s) that params.yaml does not name: %s", runs, len(left), ", ".join(left[:5]))
        logger.warning("the report leaves them out, but dvc.lock counts them; remove their folders to share it")
    logger.info("report: %s", outs.report / PAGE)


if __name__ == "__main__":
    run_stage(main)
