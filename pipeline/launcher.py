"""DVC started this stage; once it is gone, nobody waits for what the stage makes.

kill -9 of dvc leaves its stage running. A later `dvc repro` may meanwhile have put other outputs in place, from its own
cache and without starting a stage: what the orphan publishes then would overwrite them, and nothing would say so.
"""

import os

from pipeline.errors import RunError

# DVC names its project to the stages that it starts, and shells replace themselves by a single command, so that DVC
# itself is the parent. A stage that somebody runs by hand has nobody to lose.
_PARENT = os.getppid() if "DVC_ROOT" in os.environ else None


def refuse_orphan() -> None:
    """Raise RunError where DVC started this process and has ended."""
    if _PARENT is not None and os.getppid() != _PARENT:
        raise RunError(
            "dvc, which started this stage, has ended: nothing more is written; what was extracted is in the item "
            "cache. Run `dvc repro` again."
        )
