"""What the stages tell their decode workers."""

import pandas as pd

from stages import decoding


def test_item_is_given_the_minutes_of_its_manifest_row() -> None:
    manifest = pd.DataFrame({"duration": [7200.0, None], "size": [900_000_000, 3_000_000]})
    manifest = manifest.astype({"duration": "Float64", "size": "Int64"})
    given = [decoding.minutes(row.duration, row.size) for row in manifest.itertuples(index=False)]
    assert given == [120.0, 1.0]
    assert decoding.minutes(manifest.at[1, "duration"], manifest.at[1, "size"]) == 1.0
