"""The queries of what must hold find what does not."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from functools import partial

import pytest
import sqlalchemy as sa

from storefront.charges import look_up
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import CreditReason
from storefront.mails import compose
from storefront.models import (
    ChargeAttempt,
    Invoice,
    OutboxMessage,
    PaymentMethod,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations import refunding as operations_refunding
from storefront.operations.invoices import draw_numbers
from storefront.operations.keys import AnySession
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import refunding
from storefront.services.cancellations import cancel
from storefront.services.outbox import deliver_due
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff


def _attempts(rt: Runtime) -> list[ChargeAttempt]:
    rt.session.rollback()
    rt.session.expire_all()
    return list(rt.session.scalars(sa.select(ChargeAttempt).order_by(ChargeAttempt.id)))


@pytest.fixture
def ended(rt: Runtime, clock: FrozenClock) -> Subscription:
    """Cancelled at the end of what was paid, and ended."""
    sub = make.make_subscription(rt)
    cancel(rt, sub.customer_id or 0, sub.public_id)
    while sub.next_on > rt.today():
        rt.session.rollback()
        clock.advance(days=1)
    run_renewals(rt)
    rt.session.expire_all()
    found = rt.session.scalars(sa.select(Subscription)).one()
    assert found.ended_on is not None
    return found


def _change_attempt(rt: Runtime, **values: object) -> None:
    rt.session.rollback()
    rt.session.execute(sa.update(table_of(ChargeAttempt)).values(**values))
    rt.session.commit()


def test_a_subscription_that_ended_as_it_should_breaks_nothing(
    rt: Runtime, ended: Subscription
) -> None:
    assert broken(rt.session) == {}


@pytest.mark.parametrize("after", [timedelta(seconds=1), timedelta(days=3)])
def test_a_charge_sent_after_the_end_is_found(
    rt: Runtime, ended: Subscription, after: timedelta
) -> None:
    at = rt.now() + after
    _change_attempt(rt, sent_at=at)

    assert broken(rt.session) == {"S2-sent": [_attempts(rt)[0].public_id]}


def test_a_charge_sent_days_after_an_end_that_nobody_wrote_down_is_found(
    rt: Runtime, ended: Subscription
) -> None:
    at = rt.now()
    rt.session.execute(
        sa.update(table_of(Subscription)).values(ended_on=rt.today() - timedelta(days=2))
    )
    rt.session.commit()
    _change_attempt(rt, sent_at=at)

    assert list(broken(rt.session)) == ["S2-sent"]


def test_a_success_after_the_end_that_was_kept_is_found(rt: Runtime, ended: Subscription) -> None:
    _change_attempt(rt, answered_at=rt.now() + timedelta(hours=1))

    assert list(broken(rt.session)) == ["S2-late"]


def test_a_success_after_the_end_that_went_back_is_right(
    rt: Runtime, clock: FrozenClock, demo_gateway
) -> None:
    sub = make.make_subscription(rt)
    rt.session.execute(sa.update(PaymentMethod).values(token=demo_gateway.bank.token_for("0408")))
    rt.session.commit()
    while sub.anchor_on > rt.today():
        rt.session.rollback()
        clock.advance(days=1)
        run_renewals(rt)
    late = _attempts(rt)[-1]
    assert late.state is AttemptState.UNKNOWN
    assert cancel(rt, sub.customer_id or 0, sub.public_id).at_once
    clock.advance(hours=1)

    look_up(rt, late.id)

    answered = _attempts(rt)[-1]
    assert (answered.state, answered.refunded_minor) == (AttemptState.SUCCEEDED, 2600)
    assert broken(rt.session) == {}
    sent = sa.select(OutboxMessage).where(OutboxMessage.topic == "surplus_refunded")
    (told,) = rt.session.scalars(sent).all()
    assert (told.customer_id, told.payload["amount_minor"]) == (sub.customer_id, 2600)
    deliver_due(rt, partial(compose, rt))
    rt.session.expire_all()
    assert rt.session.scalars(sent).one().state == "delivered"
    folder = rt.settings.data_dir / "mail"
    mails = [message_from_bytes(path.read_bytes(), policy=default) for path in folder.glob("*.eml")]
    assert [mail["Subject"] for mail in mails].count("We send €26.00 back to you") == 1


def test_a_gap_in_the_numbers_of_credit_notes_is_found(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw_too_many(session: AnySession, series: str, count: int) -> int:
        return draw_numbers(session, series, count + 1)

    make.make_subscription(rt)
    who = make_staff(rt)
    ref = rt.session.scalars(sa.select(Invoice.public_id)).one()
    rt.session.rollback()
    monkeypatch.setattr(operations_refunding, "draw_numbers", draw_too_many)
    found = []
    for _ in range(2):
        line = refunding.offer(rt, ref).lines[0].head.id
        wish = refunding.Wish({line: 100}, refunding.Way.CARD, CreditReason.REFUND)
        shown = refunding.quote_refund(rt, ref, wish).quote_hash
        refunding.refund(rt, who, ref, wish, shown)
        found.append(sorted(broken(rt.session)))
        rt.session.rollback()

    # The last number drawn and not used shows at once, the gap with the next credit note.
    assert found == [["I3-next"], ["I3", "I3-next"]]


def test_an_open_invoice_that_owes_nothing_is_found(rt: Runtime) -> None:
    make.make_subscription(rt)
    invoice = rt.session.scalars(sa.select(Invoice)).one()
    ref = invoice.public_id
    rt.session.execute(sa.update(table_of(Invoice)).values(state="open"))
    rt.session.commit()

    assert broken(rt.session)["I2-open"] == [ref]
