"""Several boxes in one order, for tests."""

from __future__ import annotations

from decimal import Decimal

from storefront.domain.invoices import LineKind
from storefront.domain.lifecycle import PeriodKind, PeriodState
from storefront.domain.money import Money
from storefront.domain.periods import Interval, add_interval
from storefront.domain.pricing import PricedItem, quote, together
from storefront.models import PaymentMethod, Plan, Price, Subscription, SubscriptionPeriod
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.checkout import find_checkout
from storefront.operations.customer_credit import Owing, apply_credit, grant_credit
from storefront.operations.invoices import InvoiceDraft, LinesOf, finalise_invoices
from storefront.runtime import Runtime
from storefront.services.baskets import BoxChoice, Changed, add_box, remove_box
from storefront.services.finishing import Outcome
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import begin, paid


def version(rt: Runtime, key: str) -> int:
    row = find_checkout(rt.session, key)
    rt.session.rollback()
    assert row is not None
    return int(row.version)


def add(rt: Runtime, key: str, plan: Plan, **options: str) -> Changed:
    choice = BoxChoice(plan.id, make.price_of(rt, plan).id, options)
    return add_box(rt, key, choice, version(rt, key))


def remove(rt: Runtime, key: str, ref: str) -> Changed:
    return remove_box(rt, key, ref, version(rt, key))


def begin_with(rt: Runtime, *plans: Plan, **values: object) -> str:
    """Begin an order of one box of each plan."""
    key = begin(rt, plans[0], **values)  # type: ignore[arg-type]
    for plan in plans[1:]:
        assert add(rt, key, plan) is Changed.DONE
    return key


def bought(
    rt: Runtime, gateway: DemoGateway, *plans: Plan, card: str = "4242"
) -> list[Subscription]:
    """Order and pay one box of each plan together; returns the subscriptions in that order."""
    key = begin_with(rt, *plans)
    assert paid(rt, gateway, key, card) is Outcome.DONE
    return subscriptions(rt)


def subscriptions(rt: Runtime) -> list[Subscription]:
    found = list(rt.session.query(Subscription).order_by(Subscription.checkout_position))
    for one in found:
        rt.session.expunge(one)
    rt.session.rollback()
    return found


def renew_together(rt: Runtime, *, credit: int = 0, free: int | None = None) -> int:
    """Open the next period of every subscription on ONE open invoice; returns its key.

    ``credit`` minor units of customer credit pay a part of it; the box at position ``free``
    costs nothing this time.

    The shop itself renews each on an invoice of its own; an invoice for several is what a
    renewal in one charge would write. Its charge is planned and not sent. Each subscription
    must be due today.
    """
    session, moment = rt.session, rt.moment()
    found = list(session.query(Subscription).order_by(Subscription.checkout_position))
    quotes, parts, periods = [], [], []
    for one in found:
        plan, price = session.get_one(Plan, one.plan_id), session.get_one(Price, one.price_id)
        assert one.next_on == moment.today
        end = add_interval(one.next_on, Interval(price.unit, price.count), 1, day=one.anchor_day)
        item = PricedItem(
            LineKind.PLAN, plan.name, 1, Money(price.amount_minor, "EUR"), Decimal(7), plan.code
        )
        items = [item]
        if one.checkout_position == free:
            off = -item.unit
            items.append(PricedItem(LineKind.DISCOUNT, "Free box", 1, off, Decimal(7), plan.code))
        quotes.append(quote(items, inclusive=True))
        period = SubscriptionPeriod(
            subscription_id=one.id,
            number=one.next_number,
            kind=PeriodKind.BILLED,
            state=PeriodState.INVOICED,
            start_on=one.next_on,
            end_on=end,
            billed_number=one.billed_count + 1,
            plan_id=plan.id,
            price_id=price.id,
            box_count=1,
            mrr_minor=one.mrr_minor,
            reason="",
            opened_at=moment.now,
        )
        session.add(period)
        periods.append(period)
        one.next_on, one.next_number, one.renews_at = end, one.next_number + 1, None
        one.billed_count, one.boxes_billed = one.billed_count + 1, one.boxes_billed + 1
    session.flush()
    parts = [
        LinesOf(len(own.lines), p.subscription_id, p.id, p.start_on, p.end_on)
        for own, p in zip(quotes, periods, strict=True)
    ]
    document, _ = together(quotes)
    first = parts[0]
    draft = InvoiceDraft(
        payer_id=found[0].customer_id,  # type: ignore[arg-type]
        quote=document,
        subscription_id=first.subscription_id,
        period_id=first.period_id,
        service_from=first.service_from,
        service_to=first.service_to,
        due_on=moment.today,
        snapshot={"seller": rt.shop.seller, "buyer": {}, "ship_to": {}, "tax": {}},
        parts=tuple(parts),
    )
    issued = finalise_invoices(session, [draft], moment)[0]
    payer = found[0].customer_id
    assert payer is not None
    if credit:
        grant_credit(session, payer, Money(credit, "EUR"), "goodwill", "", moment)
        owing = Owing(issued.id, issued.public_id, payer, "EUR", issued.total_minor)
        assert apply_credit(session, [owing], moment) == {issued.id: credit}
    method = session.get_one(PaymentMethod, found[0].payment_method_id)
    attempt = AttemptDraft(
        invoice_id=issued.id,
        number=1,
        gateway=method.gateway,
        account=method.account,
        payment_method_id=method.id,
        fingerprint=method.fingerprint,
        amount_minor=issued.total_minor - credit,
        currency="EUR",
    )
    plan_attempts(session, [attempt], moment)
    session.commit()
    return issued.id
