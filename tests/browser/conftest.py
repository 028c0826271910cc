"""The demo shop on its opening day, behind a real address."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from storefront.testing.clock import FrozenClock
    from tests.browser.support import LiveShop
    from tests.support.databases import Databases


@pytest.fixture
def live(databases: "Databases", clock: "FrozenClock", tmp_path: Path) -> Iterator["LiveShop"]:
    """A server with *Nine Kettles* in it, on the first day of the tests' clock."""
    from tests.browser.support import LiveShop

    with LiveShop(tmp_path, databases.sqlite(tmp_path).url, clock) as shop:
        shop.open()
        yield shop
