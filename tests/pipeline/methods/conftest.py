"""The world that the tests of training share."""

import pytest

from tests.pipeline.training.world import World, make_world


@pytest.fixture(scope="session")
def world() -> World:
    """Made once: nothing changes it."""
    return make_world()
