"""The orphan check: a stage whose dvc has been killed publishes nothing.

kill -9 of dvc leaves its stage running. A later `dvc repro` may meanwhile have put other outputs in place, from its own
cache and without starting a stage. What the orphan published then would overwrite them without a word.
"""

import psutil

from pipeline.errors import RunError


def _ancestors_up_to_dvc() -> list[tuple[psutil.Process, int]]:
    """This process and the shells between it and DVC, each with its parent's process id; empty without DVC.

    DVC starts a command through a shell. bash and zsh replace themselves by a single command; dash stays and waits,
    so that DVC is the grandparent and this process keeps its parent when DVC ends. DVC sets DVC_ROOT for whatever it
    starts and has no such variable itself.
    """
    ancestors: list[tuple[psutil.Process, int]] = []
    try:
        process: psutil.Process | None = psutil.Process()
        while process is not None and "DVC_ROOT" in process.environ():
            ancestors.append((process, process.ppid()))
            process = process.parent()
    except psutil.Error:  # the parent is another user's, or has ended: keep what was found so far
        pass
    return ancestors


# Recorded when the stage is imported; empty for a stage that somebody runs by hand.
_ANCESTORS = _ancestors_up_to_dvc()


def check_not_orphaned() -> None:
    """Raise RunError if DVC started this process and has ended."""
    if not all(_has_parent(process, parent) for process, parent in _ANCESTORS):
        raise RunError(
            "dvc, which started this stage, has ended: nothing more is written; what was extracted is in the item "
            "cache. Run `dvc repro` again."
        )


def _has_parent(process: psutil.Process, parent: int) -> bool:
    try:
        return bool(process.ppid() == parent)
    except psutil.NoSuchProcess:
        return False
