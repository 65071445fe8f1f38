"""The stories of every engine with the real Pulumi."""

import pytest

from tests.conftest import StackMaker
from tests.engines.drivers import Driver, PulumiDriver
from tests.engines.stories import *  # noqa: F403 - each is a test of this module

pytestmark = pytest.mark.engines


@pytest.fixture
def driver(stack_of: StackMaker) -> Driver:
    return PulumiDriver(stack_of(""))
