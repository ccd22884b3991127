"""Sources by name."""

import pytest

from pipeline.errors import ConfigError
from pipeline.protocol.sources import source_named
from tests.pipeline.protocol.corpora import built, settings, tables


@pytest.mark.parametrize("name", ["generated", "voxceleb_lists", "csv_features"])
def test_every_file_of_the_folder_is_found_by_the_name_that_it_registers(name: str) -> None:
    assert callable(source_named(name))


def test_an_unknown_source_is_refused_with_the_known_ones() -> None:
    known = "csv_features, generated, mavceleb_lists, voxceleb_lists"
    with pytest.raises(ConfigError, match=f"protocol.source: 'mine' is not known; known: {known}"):
        built(tables(), settings(source="mine"))


def test_the_source_of_feature_files_refuses_stores_of_media() -> None:
    with pytest.raises(ConfigError, match=r"needs features\.source: csv"):
        built(tables(), settings(source="csv_features"))
