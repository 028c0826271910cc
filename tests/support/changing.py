"""What stories about changes of a subscription have in common."""

from datetime import date

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.changes import Wish
from storefront.models import Box, PaymentMethod, Price, Subscription, SubscriptionPeriod
from storefront.operations.consents import Given
from storefront.operations.earning import TO_COME, deferred_of
from storefront.services.changes import change, quote_change
from storefront.testing import factories

AGREED = Given("I agree to it.", "change-1", "192.0.2.7", "A browser")


def fresh(rt, model, *where):
    rt.session.rollback()
    rt.session.expire_all()
    return rt.session.scalars(sa.select(model).where(*where).order_by(model.id)).all()


def one(rt, model, key):
    return fresh(rt, model, model.id == key)[0]


def wish_of(rt, sub, plan=None, **values):
    if plan is not None:
        return Wish(factories.price_of(rt, plan).public_id, **values)
    row = one(rt, Subscription, sub.id)
    return Wish(rt.session.get(Price, row.price_id).public_id, **values)


def go(rt, sub, plan=None, **values):
    wish = wish_of(rt, sub, plan, **values)
    quote = quote_change(rt, sub.customer_id, sub.public_id, wish)
    done = change(rt, sub.customer_id, sub.public_id, wish, quote.quote_hash, AGREED)
    return quote, done


def boxes_sent(clock, count):
    """Let the cut-offs of ``count`` boxes of the default group pass (12 March is the first)."""
    month = 3 + count - 1
    day = date(2027 + (month - 1) // 12, (month - 1) % 12 + 1, 20)
    clock.advance(days=(day - date(2027, 3, 2)).days)


def bring_card(rt, demo_gateway, card):
    token = demo_gateway.bank.token_for(card)
    rt.session.execute(sa.update(PaymentMethod).values(token=token))
    rt.session.commit()


def live_boxes(rt, period):
    return fresh(rt, Box, Box.period_id == period.id, Box.state != BoxState.CANCELED)


def deferred_is_what_is_to_come(rt):
    periods = fresh(rt, SubscriptionPeriod)
    held = deferred_of(rt.session, [period.id for period in periods])
    for period in periods:
        to_come = [box.net_minor for box in live_boxes(rt, period) if box.state in TO_COME]
        if period.box_count:
            assert held.get(period.id, 0) == sum(to_come)
