"""What every stage does first and last: logging to stderr, and errors that a user can read."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import PipelineError

ARTIFACTS = Path("artifacts")
PARAMS = Path("params.yaml")


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's main; a PipelineError becomes its message on stderr and exit code 1, no traceback."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        main()
    except PipelineError as error:
        sys.stderr.write(f"\n{type(error).__name__}: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; what was extracted so far is kept in the item cache\n")
        sys.exit(130)
