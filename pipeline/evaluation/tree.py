"""How a figure over S models is put into metrics.json: mean, deviation and interval as neighbouring keys."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.metrics import Interval

Group = dict[str, "Group | float | int | str"]
_DECIMALS = 6  # of the numbers in metrics.json


def spread(name: str, values: Sequence[float], interval: Interval | None = None) -> Group:
    """Mean of the models' values as `name`, deviation (n - 1, of two or more) as `name_std`, bounds `_low`, `_high`."""
    group: Group = {name: rounded(float(np.mean(values)))}
    if len(values) > 1:
        group[f"{name}_std"] = rounded(float(np.std(values, ddof=1)))
    if interval is not None:
        group |= {f"{name}_low": rounded(interval.low), f"{name}_high": rounded(interval.high)}
    return group


def rounded(value: float) -> float:
    """Six decimals: beyond what any of our figures can know."""
    return round(value, _DECIMALS)


def place(tree: Group, path: Sequence[str], group: Mapping[str, "Group | float | int | str"]) -> None:
    """Put `group` into `tree` under the keys of `path`, making the groups on the way."""
    for key in path:
        inner = tree.setdefault(key, {})
        if not isinstance(inner, dict):
            raise TypeError(f"{key!r} is a figure already")
        tree = inner
    tree.update(group)
