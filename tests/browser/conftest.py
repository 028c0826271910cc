"""The demo shop on its opening day, behind a real address."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from storefront.testing.clock import FrozenClock
    from tests.browser.support import LiveShop
    from tests.support.databases import Databases


@pytest.fixture(scope="session")
def opened(databases: "Databases", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with *Nine Kettles* as it opens; made once, copied for each test."""
    from storefront.testing.clock import FrozenClock
    from tests.browser.support import LiveShop

    folder = tmp_path_factory.mktemp("opened")
    clock = FrozenClock(datetime(2027, 3, 2, 9, 0, tzinfo=UTC))
    with LiveShop(folder, databases.sqlite(folder).url, clock) as shop:
        shop.open()
    return folder / "storefront.db"


@pytest.fixture
def live(opened: Path, clock: "FrozenClock", tmp_path: Path) -> Iterator["LiveShop"]:
    """A server with *Nine Kettles* in it, on the first day of the tests' clock."""
    from tests.browser.support import LiveShop
    from tests.support.built_once import Templates

    path = tmp_path / "storefront.db"
    shutil.copyfile(opened, path)
    with LiveShop(tmp_path, f"sqlite:///{path}", clock) as shop:
        # Compiled once for all tests: it is most of the time of a first page otherwise.
        shop.app.jinja_env.bytecode_cache = Templates(str(opened.parent))
        yield shop
