"""Lists whose labels nobody wrote down: those of feature files without the released lists beside them."""

from collections.abc import Mapping


def parity_lists(summary: Mapping[str, object]) -> list[str]:
    """Lists such as "random_unseenunheard" whose labels are by row parity: only then is nobody in them known by name.

    Their identities were made up trial by trial (features/people.py), so that a count of them says nothing of people.
    """
    told = summary.get("labels")
    return [name for name, by in told.items() if str(by).startswith("row parity")] if isinstance(told, dict) else []
