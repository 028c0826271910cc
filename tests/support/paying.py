"""Renewals that failed, the link in their mail, and another card on the way."""

from __future__ import annotations

import re
from datetime import date
from urllib.parse import urlsplit

import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.mails import compose
from storefront.models import (
    ChargeAttempt,
    GatewaySetup,
    OutboxMessage,
)
from storefront.runtime import Runtime
from storefront.services.outbox import Delivery
from storefront.services.renewals import run_renewals
from storefront.testing import factories
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from tests.support.visitor import Visitor

DUE = date(2027, 3, 12)


def renewed(rt: Runtime, clock: FrozenClock, card: str) -> None:
    """A subscriber whose renewal of 12 March was charged to ``card``."""
    plan = factories.make_plan(rt)
    populate(rt, plan, factories.price_of(rt, plan), 1, DUE, card=card)
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)


def mailed(rt: Runtime, topic: str = "payment_failed") -> str:
    """Return the path of the link in the newest mail of ``topic``."""
    rt.session.rollback()
    mails = [compose(rt, one) for one in waiting_mails(rt, topic)]
    rt.session.rollback()
    assert mails
    assert mails[-1] is not None
    found = re.search(r"http://localhost(/pay/\S+)", mails[-1].text)
    assert found, mails[-1].text
    return found[1]


def waiting_mails(rt: Runtime, topic: str) -> list[Delivery]:
    rows = rt.session.scalars(
        sa.select(OutboxMessage).where(OutboxMessage.topic == topic).order_by(OutboxMessage.id)
    )
    return [
        Delivery(
            row.id, row.public_id, row.kind, row.topic, row.key, row.payload, row.customer_id,
            row.created_at,
        )
        for row in rows
    ]  # fmt: skip


def only(rt: Runtime, model):
    return newest(rt, model, is_only=True)


def newest(rt: Runtime, model, *, is_only: bool = False):
    """Return the row without leaving a transaction open that a request would wait for."""
    rt.session.rollback()
    rt.session.expire_all()
    found = rt.session.scalars(sa.select(model).order_by(model.id.desc())).all()
    assert not is_only or len(found) == 1
    rt.session.expunge_all()
    rt.session.rollback()
    return found[0]


def attempts(rt: Runtime) -> list[str]:
    rt.session.rollback()
    states = rt.session.scalars(sa.select(ChargeAttempt.state).order_by(ChargeAttempt.id)).all()
    rt.session.rollback()
    return [AttemptState(state).value for state in states]


def lead(page: str) -> str:
    return re.sub(r"<[^>]+>", "", re.search(r"<h1>(.*?)</h1>", page)[1])


def type_card(rt: Runtime, visitor: Visitor, path: str, bank, card: str) -> str:
    """Go to the gateway's page, take ``card`` there, and return the path one comes back to."""
    away = visitor.post(f"{path}/card")
    assert away.status_code == 303
    bank.choose(away.location.rpartition("/")[2], card)
    setup = newest(rt, GatewaySetup)
    assert setup.invoice_id is not None
    back = bank.setup_of(setup.public_id).return_url
    return urlsplit(back).path
