"""What several rigs stand on."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storefront_demo_gateway.bank import Bank
from storefront_demo_gateway.server import BankServer


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[BankServer]:
    """The demo bank behind a socket, with books of its own."""
    server = BankServer(Bank(str(tmp_path / "bank.db")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    server.bank.close()
