"""What the scenarios of `opencode run` share."""

import pytest

from baton_clients.run import Runner


@pytest.fixture
def run(baton):
    """A user with an empty home, so that nothing of another scenario is the last model or session."""
    return Runner(baton)
