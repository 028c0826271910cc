"""A shopper's way in a few words, for tests: begin, order, choose a card, count what came of it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import sqlalchemy as sa
from flask import Flask

from storefront.models import Plan
from storefront.operations.beginning import Start
from storefront.operations.checkout import Market, find_checkout, read_order
from storefront.runtime import Runtime
from storefront.services.checkout import (
    Agreement,
    Placed,
    Step,
    change_delivery,
    place_order,
    start_checkout,
)
from storefront.services.finishing import Outcome, finish_checkout
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway

T = TypeVar("T")

ADA = {
    "name": "Ada Lovelace",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
    "country": "DE",
}


def begin(rt: Runtime, plan: Plan, *, email: str = "ada@example.org", **values: object) -> str:
    key = start_checkout(rt, Start(plan.id, make.price_of(rt, plan).id, **values))  # type: ignore[arg-type]
    assert change_delivery(rt, key, email, ADA)
    return key


def quote_hash(rt: Runtime, key: str) -> str:
    row = find_checkout(rt.session, key)
    assert row is not None
    order = read_order(rt.session, row, Market.of(rt.shop), rt.moment())
    rt.session.rollback()
    return order.quote.quote_hash if order.quote else ""


def order(rt: Runtime, key: str, shown: str | None = None) -> Placed:
    agreement = Agreement(shown or quote_hash(rt, key), "I agree.", "renewal-1", "192.0.2.1", "UA")
    return place_order(
        rt,
        key,
        agreement,
        gateway="demo",
        return_url=f"http://localhost/checkout/{key}/finish",
        cancel_url=f"http://localhost/checkout/{key}/pay",
    )


def choose(gateway: DemoGateway, placed: Placed, card: str = "4242") -> None:
    """Take a card on the page the gateway opened."""
    assert placed.step is Step.PAY
    gateway.bank.choose(placed.url.rpartition("/")[2], card)


def paid(rt: Runtime, gateway: DemoGateway, key: str, card: str = "4242") -> Outcome:
    choose(gateway, order(rt, key), card)
    return finish_checkout(rt, key).outcome


def count(rt: Runtime, model: type, *where: sa.ColumnElement[bool]) -> int:
    number = rt.session.scalar(sa.select(sa.func.count()).select_from(model).where(*where)) or 0
    rt.session.rollback()
    return number


def only(rt: Runtime, model: type) -> sa.Row:
    row = rt.session.execute(sa.select(model.__table__)).one()  # type: ignore[attr-defined]
    rt.session.rollback()
    return row


def in_parallel(app: Flask, times: int, work: Callable[[Runtime, int], T]) -> list[T]:
    """Run ``work`` in threads with contexts of their own, all at once."""
    gate = threading.Barrier(times)

    def run(number: int) -> T:
        with app.app_context():
            gate.wait()
            return work(app.extensions["storefront"], number)

    with ThreadPoolExecutor(max_workers=times) as pool:
        return list(pool.map(run, range(times)))
