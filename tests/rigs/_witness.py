"""The demo bank in a process and a database of its own: who was really charged, and how often.

It also looks over the shop's shoulder: a charge that the shop has not yet marked sent, on disk
and committed, is refused and kept as a violation (invariant M2).
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from storefront import database
from storefront_demo_gateway.bank import Bank
from storefront_demo_gateway.remote import RemoteBank
from storefront_demo_gateway.server import BankServer
from tests.rigs._children import Children, orphaned

_INTENT = sa.text("SELECT state FROM charge_attempt WHERE public_id = :reference")


def start_witness(children: Children, books: Path, shop_url: str) -> tuple[int, str]:
    """Fork the bank with its books in ``books``; returns its number and its address."""
    reader, writer = os.pipe()
    parent = os.getpid()

    def serve() -> None:
        os.close(reader)
        server = _Server(Bank(str(books), intent_check=_intents_of(shop_url)))
        os.write(writer, server.address.encode())
        os.close(writer)
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
        server.serve_forever()

    pid = children.fork(serve)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        address = pipe.read()
    if not address:
        raise RuntimeError("the witness did not start")
    return pid, address


def ask_witness(address: str) -> RemoteBank:
    """Return the bank at ``address`` with its witness's questions."""
    return RemoteBank(address)


class _Server(BankServer):
    """A bank whose customers may die while it speaks."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _intents_of(url: str) -> Callable[[str], bool]:
    engine = database.create_engine(url)

    def is_on_disk(reference: str) -> bool:
        with database.reading(), engine.connect() as connection:
            state = connection.execute(_INTENT, {"reference": reference}).scalar_one_or_none()
        return state not in (None, "planned", "abandoned")

    return is_on_disk


def _end_with(parent: int) -> None:
    while not orphaned(parent):
        time.sleep(0.5)
    os._exit(0)
