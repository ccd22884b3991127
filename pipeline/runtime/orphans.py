"""DVC started this stage; once it is gone, nobody waits for what the stage makes.

kill -9 of dvc leaves its stage running. A later `dvc repro` may meanwhile have put other outputs in place, from its own
cache and without starting a stage: what the orphan publishes then would overwrite them, and nothing would say so.
"""

import psutil

from pipeline.errors import RunError


def _way_to_dvc() -> list[tuple[psutil.Process, int]]:
    """This process, and shells between it and DVC, each with the number of its parent; empty without DVC.

    DVC starts a command through a shell. bash and zsh replace themselves by a single command; dash stays and waits,
    so that DVC is the grandparent and its end leaves this process's own parent as it was. DVC names its project to
    whatever it starts, in DVC_ROOT, and has no such name itself.
    """
    way: list[tuple[psutil.Process, int]] = []
    try:
        process: psutil.Process | None = psutil.Process()
        while process is not None and "DVC_ROOT" in process.environ():
            way.append((process, process.ppid()))
            process = process.parent()
    except psutil.Error:  # the parent is another user's, or has ended: as far as could be looked
        pass
    return way


# Taken when the stage is imported. One that somebody runs by hand has nobody to lose.
_WAY = _way_to_dvc()


def refuse_orphan() -> None:
    """Raise RunError where DVC started this process and has ended."""
    if not all(_has_parent(process, parent) for process, parent in _WAY):
        raise RunError(
            "dvc, which started this stage, has ended: nothing more is written; what was extracted is in the item "
            "cache. Run `dvc repro` again."
        )


def _has_parent(process: psutil.Process, parent: int) -> bool:
    try:
        return bool(process.ppid() == parent)
    except psutil.NoSuchProcess:
        return False
