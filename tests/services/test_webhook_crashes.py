"""The process dies while it takes or applies a message: sent again, it is applied once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from storefront.adapters import failpoints
from storefront.blueprints import incoming
from storefront.models import ChargeAttempt, Dispute, LedgerJournal, Subscription
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import webhooks
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.hooks import URL, body, events, lost_renewal, never, signed


@pytest.fixture(autouse=True)
def whole(rt: Runtime) -> Iterator[None]:
    incoming.flood.clear()
    incoming.desk.open()
    yield
    failpoints.arm("")
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.mark.parametrize(
    ("point", "status"),
    [
        ("webhook.before_commit", 503),
        ("webhook.after_stored", 503),
        ("webhook.after_applied", 200),
        ("dispute.before_commit", 200),
        ("renewal.before_record_commit", 200),
        ("renewal.after_record", 200),
    ],
)
def test_a_dispute_whose_process_died_is_booked_once_when_it_is_told_again(
    rt: Runtime,
    client: FlaskClient,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    point: str,
    status: int,
) -> None:
    payment = lost_renewal(rt, clock, demo_gateway)
    demo_gateway.bank.dispute(payment)
    raw = body(rt, about="dispute", reference=payment)

    failpoints.arm(f"{point}:raise")
    assert client.post(URL, data=raw, headers=signed(rt, raw)).status_code == status
    failpoints.arm("")
    clock.advance(minutes=2)
    assert client.post(URL, data=raw, headers=signed(rt, raw)).status_code == 200
    clock.advance(minutes=2)
    webhooks.apply_due(rt, never)

    assert [event.state for event in events(rt)] == ["applied"]
    states = rt.session.scalars(
        sa.select(ChargeAttempt.state).where(ChargeAttempt.public_id == payment)
    )
    assert states.one() == "succeeded"
    journals = rt.session.scalars(
        sa.select(LedgerJournal.event_ref).where(LedgerJournal.kind == "dispute_opened")
    ).all()
    assert journals == rt.session.scalars(sa.select(Dispute.public_id)).all()
    assert len(journals) == 1
    assert rt.session.scalars(sa.select(Subscription.hold_reason)).one() == "dispute"
    rt.session.rollback()
