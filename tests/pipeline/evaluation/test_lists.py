"""Lists that do not fit the stores are refused with the row named."""

import pandas as pd
import pytest

from pipeline.errors import ProtocolError
from pipeline.evaluation import lists_of
from tests.pipeline.evaluation.planted import probes, stores, tables, trials


def broken(column: str, row: int, value: object) -> pd.DataFrame:
    table = trials("unseen_unheard", "cross_modal", "random")
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("left_row", 72, r"row 5: left_row is no row of the voice store \(0 to 71\): 72"),
        ("right_row", -1, "row 5: right_row is no row of the face store"),
        ("left_identity", "somebody", "row 5: left_identity is not the identity of left_row: 'somebody', 'person"),
        ("right_identity", "somebody", "row 5: right_identity is not the identity of right_row"),
    ],
)
def test_trial_that_does_not_fit_the_stores_is_refused(column: str, value: object, message: str) -> None:
    protocol = tables([broken(column, 5, value)], [])
    with pytest.raises(ProtocolError, match=message):
        lists_of(protocol, *stores(0.5))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("probe_row", 99, "row 3: probe_row is no row of the face store"),
        ("genuine_row", 30, "row 3: probe_identity is not the identity of genuine_row: 'person00', 'person05'"),
    ],
)
def test_gallery_that_does_not_fit_the_stores_is_refused(column: str, value: int, message: str) -> None:
    table = probes("unseen_unheard", "f2v")
    table.loc[3, column] = value
    protocol = tables([trials("unseen_unheard", "cross_modal", "random")], [table])
    with pytest.raises(ProtocolError, match=message):
        lists_of(protocol, *stores(0.5))


@pytest.mark.parametrize(
    ("impostors", "message"),
    [([0, 1, 500], "row 4: impostor_rows is no row of the face store"), ([6], "row 4 holds 1 impostors, row 0 3")],
)
def test_impostors_that_are_absent_or_too_few_are_refused(impostors: list[int], message: str) -> None:
    table = probes("unseen_unheard", "v2f")
    table.at[4, "impostor_rows"] = impostors
    protocol = tables([trials("unseen_unheard", "cross_modal", "random")], [table])
    with pytest.raises(ProtocolError, match=message):
        lists_of(protocol, *stores(0.5))
