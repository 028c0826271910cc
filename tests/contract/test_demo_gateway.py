"""The demo gateway keeps the contract, in this process and over a socket."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from storefront.testing.demo_gateway import DemoRig, demo_gateway
from storefront.testing.gateway import GatewayContract
from storefront_demo_gateway.bank import Bank
from storefront_demo_gateway.gateway import DemoGateway
from storefront_demo_gateway.records import AnyBank
from storefront_demo_gateway.remote import RemoteBank
from storefront_demo_gateway.server import BankServer


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    bank = Bank(str(tmp_path / "bank.db"))
    yield bank
    bank.close()


class TestInThisProcess(GatewayContract):
    @pytest.fixture
    def rig(self) -> Iterator[DemoRig]:
        bank = Bank()
        yield DemoRig(demo_gateway(bank), bank)
        bank.close()


class TestOnAFile(GatewayContract):
    @pytest.fixture
    def rig(self, bank: Bank) -> DemoRig:
        return DemoRig(demo_gateway(bank), bank)


class TestOverASocket(GatewayContract):
    @pytest.fixture
    def rig(self, bank: Bank) -> Iterator[DemoRig]:
        server = BankServer(bank)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        far: DemoGateway = demo_gateway(cast(AnyBank, RemoteBank(server.address)))
        yield DemoRig(far, bank)
        server.shutdown()
        server.server_close()
        thread.join()
