"""Settings of every run, a file each that its training depends on: `python -m stages.settings`."""

import logging

from pipeline.resolved import resolved, write_run_file
from pipeline.settings import Params
from stages.common import Artifacts, run_stage

logger = logging.getLogger("stages.settings")


def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Resolve params.yaml for each run of experiments: and fusions:, and write artifacts/settings/<run>.json."""
    settings = {run: resolved(params, run) for run in params.runs}
    for run, keys in params.experiments.items():
        idle = [key for key, value in keys.items() if getattr(settings[run], key, value) != value]
        if idle:
            what = "does nothing" if len(idle) == 1 else "do nothing"
            method = settings[run].method
            logger.warning("experiments.%s: %s %s in a run of method %s; remove it", run, ", ".join(idle), what, method)
    for run, own in settings.items():
        write_run_file(outs.settings / f"{run}.json", own)
    for path in outs.settings.glob("*.json"):  # by hand, without DVC, which removes the folder first
        if path.stem not in settings:
            path.unlink()
    logger.info("settings: %d runs", len(settings))


if __name__ == "__main__":
    run_stage(main)
