"""Read what a change of a running subscription needs to know, and refuse what cannot be changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from storefront.domain.changes import (
    ChangeQuote,
    Ending,
    How,
    NotChangeable,
    Policy,
    Settled,
    TakenBack,
    Target,
    Wish,
    full_price,
    part_of,
    quote_later,
    quote_now,
    settle,
    take_back,
)
from storefront.domain.checkout import NoCycle, OrderQuote, quote_order
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import PeriodKind, PeriodState, SubscriptionState
from storefront.domain.money import Money
from storefront.domain.periods import BillingPeriod
from storefront.domain.recurring import PricedPeriod
from storefront.domain.tax_treatment import Sale, TaxRules
from storefront.models import (
    Address,
    BoxAddition,
    Customer,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    Plan,
    Price,
    ScheduledChange,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.answers import answer_costs
from storefront.operations.change_costs import Held, next_period, this_period, whole_period
from storefront.operations.change_data import OF_THE_CUSTOMER
from storefront.operations.change_days import pays_next, pays_next_after
from storefront.operations.change_paid import PaidPeriodFacts, read_paid
from storefront.operations.customer_credit import balance_of
from storefront.operations.first_boxes import waiting
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.methods import paying_method
from storefront.operations.moment import Moment
from storefront.operations.offers import (
    after_term,
    fits,
    open_slots,
    order_terms,
    price_from,
    read_plan,
    read_prices,
    read_questions,
)
from storefront.operations.pinned import bound_in, ends_with
from storefront.operations.places_for_changes import has_room
from storefront.operations.sold_prices import sold_to_subscribers
from storefront.operations.taxes import buyer_columns, sale_to

#: More of one plan than this is a mistake, not a wish.
MOST = 99


@dataclass(frozen=True, slots=True)
class AtOnce:
    """A change as it could be made today.

    ``priced`` is the period it is charged by; ``order`` says when a restarted one ends.
    """

    how: How
    settled: Settled
    priced: PricedPeriod
    paid: PaidPeriodFacts
    order: OrderQuote | None = None


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """A change as it could be made now; without ``now`` it waits for the next boundary."""

    row: AnyRow
    new: Held
    #: The next period of what is changed to, with the discounts there are.
    period: PricedPeriod
    asks_consent: bool
    now: AtOnce | None
    ends: Ending
    #: The payer's own credit, which pays for what is due today.
    balance: Money
    #: When it pays next, with the change where that is made today.
    next_on: date
    #: What today's change would give back net, where it can only wait because of that.
    owed: AtOnce | None = None


def read_change(
    session: AnySession,
    customer_id: int | None,
    subscription: str,
    wish: Wish,
    taxes: TaxRules,
    moment: Moment,
) -> ChangeFacts:
    """Return the facts of the change ``wish``; ``customer_id`` None asks for anybody's.

    Raises ``LookupError`` for what is not the customer's or not on sale, and
    ``NotChangeable``. ``taxes`` are the shop's.
    """
    row = own_subscription(session, customer_id, subscription)
    new = _target(session, row, wish, moment.today)
    _check(session, row, new)
    after = (new.plan.id, new.quantity)
    if not has_room(session, row.customer_id, (row.plan_id, row.quantity), after, moment):
        raise NotChangeable(reason="sold_out")
    sale = sale_to(row, taxes)
    period, asks = next_period(session, row, new, sale, moment)
    found = _at_once(session, row, new, sale, moment, anew=wish.when == "restart")
    balance = Money.zero(row.currency)
    if row.payer == row.customer_id:
        # Somebody else's credit is nobody's business.
        balance = balance_of(session, row.payer, row.currency)
    owed = None
    if wish.when == "boundary":
        found = None
    elif found is not None and found.settled.quote.total.minor < 0:
        found, owed = None, found
    if found is None and _is_over(row, new):
        raise NotChangeable(reason="over")
    ends = ending_of(session, row, new, found)
    if found is not None and found.order is not None:
        unsent, order = found.paid.unsent, found.order
        next_on = pays_next_after(session, row, new, unsent, order, moment.today)
    else:
        next_on = pays_next(session, row, moment.today)
    return ChangeFacts(row, new, period, asks, found, ends, balance, next_on, owed)


def ending_of(session: AnySession, row: AnyRow, new: Held, now: AtOnce | None) -> Ending:
    """Return how long the subscription binds and when it is over, once it is ``new``.

    As ``operations.changes`` and the renewal write it: another price is another sale.
    """
    if new.price.id == row.price_id:
        return Ending(row.min_boxes, row.max_boxes, row.ends_on)
    before = row.boxes_billed
    if now is not None and now.order is not None:
        before -= len(now.paid.unsent) if row.ships else int(row.start_on == now.paid.unused.on)
    elif now is not None:
        before -= max(row.box_count, 1)
    then = None
    if new.plan.at_term_end == "monthly":
        on_sale = read_prices(session, new.plan.id, row.currency, row.country or "")
        then = after_term(new.plan, new.price, on_sale)
    plan = bound_in(new.plan, new.price.interval, row.country or "", row.region or "")
    columns = ends_with(plan, new.price, max(before, 0), row.min_boxes)
    return Ending(
        columns["min_boxes"],
        columns["max_boxes"],
        columns["ends_on"],
        then.amount if then is not None else None,
    )


def quote_of(facts: ChangeFacts, moment: Moment) -> ChangeQuote:
    """Return what the change of ``facts`` costs, as it is shown and booked."""
    row, new, now = facts.row, facts.new, facts.now
    target = Target(
        new.price.public_id,
        new.plan.name,
        new.price.interval,
        new.quantity,
        tuple(sorted(new.options.items())),
        facts.period.quote.total,
        facts.asks_consent,
        facts.ends,
        Ending(row.min_boxes, row.max_boxes, row.ends_on),
        row.boxes_billed,
    )
    if now is None:
        return quote_later(row.public_id, target, facts.next_on)
    days = (moment.today, facts.next_on)
    unsent = len(now.paid.unsent)
    return quote_now(row.public_id, target, now.settled, now.how, days, unsent, facts.balance)


def own_subscription(session: AnySession, customer_id: int | None, subscription: str) -> AnyRow:
    """Return the customer's subscription with price, last period, payer and usable method.

    Raises ``LookupError`` for what is not the customer's; ``customer_id`` None is anybody's.
    """
    table, price, period = table_of(Subscription), table_of(Price), table_of(SubscriptionPeriod)
    address, method, payer = table_of(Address), table_of(PaymentMethod), table_of(Customer)
    plan = table_of(Plan)
    pays = sa.func.coalesce(table.c.payer_id, table.c.customer_id)
    statement = (
        sa.select(
            table,
            pays.label("payer"),
            price.c.currency,
            plan.c.change_policy,
            plan.c.ships,
            address.c.name.label("ship_name"),
            address.c.company,
            address.c.street,
            address.c.extra,
            address.c.country,
            address.c.region,
            address.c.postcode,
            address.c.city,
            *buyer_columns(payer, table),
            payer.c.billing,
            payer.c.name.label("payer_name"),
            payer.c.email.label("payer_email"),
            method.c.id.label("method_id"),
            method.c.gateway,
            method.c.account,
            method.c.fingerprint,
            period.c.id.label("period_id"),
            period.c.kind.label("period_kind"),
            period.c.state.label("period_state"),
            period.c.start_on,
            period.c.end_on,
            period.c.billed_number,
            period.c.box_count,
        )
        .join(price, price.c.id == table.c.price_id)
        .join(plan, plan.c.id == table.c.plan_id)
        .join(payer, payer.c.id == pays)
        .join(
            period,
            sa.and_(
                period.c.subscription_id == table.c.id, period.c.number == table.c.next_number - 1
            ),
        )
        .outerjoin(address, address.c.id == table.c.address_id)
        .outerjoin(method, paying_method(usable=True))
        .where(table.c.public_id == subscription)
    )
    if customer_id is not None:
        statement = statement.where(table.c.customer_id == customer_id)
    row = session.execute(statement).one_or_none()
    if row is None:
        raise LookupError(subscription)
    return row


def _is_over(row: AnyRow, new: Held) -> bool:
    """Return whether what is changed to at the next boundary would end before it begins."""
    ends_on = new.plan.ends_on if new.price.id != row.price_id else None
    return ends_on is not None and ends_on <= max(row.next_on, row.anchor_on)


def _target(session: AnySession, row: AnyRow, wish: Wish, today: date) -> Held:
    table = table_of(Price)
    found = session.execute(sa.select(table).where(table.c.public_id == wish.price)).one_or_none()
    if found is None:
        raise LookupError(wish.price)
    if found.id != row.price_id:
        plans = [row.plan_id, found.plan_id]
        sold = sold_to_subscribers(session, row.currency, row.country or "", today, plans)
        if found.id not in {each.id for each in sold}:
            raise LookupError(wish.price)
    target, plan = price_from(found), read_plan(session, found.plan_id)
    if not fits(plan, target):
        raise LookupError(wish.price)
    quantity = row.quantity if wish.quantity is None else wish.quantity
    if not 1 <= quantity <= MOST:
        raise NotChangeable(reason="quantity")
    return Held(plan, target, quantity, _answers(session, row, plan.id, wish.options))


def _answers(
    session: AnySession, row: AnyRow, plan_id: int, given: Mapping[str, str] | None
) -> dict[str, str]:
    """Return an answer to each question of the plan; what is not answered anew stays.

    Somebody who keeps the plan keeps their answers, also those not offered any more, and is
    not made to answer what was asked later. Raises ``NotChangeable`` for an unknown or a
    missing answer.
    """
    before = dict(row.options or {})
    same = plan_id == row.plan_id
    answers = before if same else {}
    for question in read_questions(session, plan_id, row.currency):
        choice = (given or {}).get(question.code) or before.get(question.code)
        if choice is None and same:
            continue
        kept = same and choice == before.get(question.code)
        if not kept and choice not in {each.code for each in question.choices}:
            raise NotChangeable(reason="answers", question=question.code)
        answers[question.code] = str(choice)
    return answers


def _check(session: AnySession, row: AnyRow, new: Held) -> None:
    if SubscriptionState(row.state) is not SubscriptionState.ACTIVE or row.held_at is not None:
        raise NotChangeable(reason=str(row.state))
    if row.cancel_on is not None:
        raise NotChangeable(reason="cancelled")
    _check_it_costs(session, row, new)
    if row.method_id is None:
        raise NotChangeable(reason="no_method")
    table = table_of(ScheduledChange)
    waits = session.scalar(
        sa.select(sa.func.count()).where(
            table.c.subscription_id == row.id,
            table.c.state == "waiting",
            # What follows a term is no change of anybody's.
            table.c.kind == OF_THE_CUSTOMER,
        )
    )
    line, invoice = table_of(InvoiceLine), table_of(Invoice)
    owes = session.scalar(
        sa.select(sa.func.count())
        .select_from(line.join(invoice, invoice.c.id == line.c.invoice_id))
        .where(
            line.c.subscription_id == row.id,
            sa.not_(line.c.is_void),
            invoice.c.state == InvoiceState.OPEN,
        )
    )
    if waits:
        raise NotChangeable(reason="waiting")
    added = table_of(BoxAddition)
    paying = sa.select(added.c.id).where(
        added.c.subscription_id == row.id, added.c.state == "waiting"
    )
    if session.scalar(paying.limit(1)) is not None:
        raise NotChangeable(reason="paying")
    if owes:
        raise NotChangeable(reason="unpaid")


def _check_it_costs(session: AnySession, row: AnyRow, new: Held) -> None:
    """Refuse what changes nothing, and other answers alone that cost the same.

    Those are ``services.answers``: nothing is paid, and no document is written.
    """
    if (row.price_id, row.quantity) != (new.price.id, new.quantity):
        return
    before = dict(row.options or {})
    if before == dict(new.options):
        raise NotChangeable(reason="same")
    costs = answer_costs(session, new.plan.id, new.plan.code, row.currency)
    if costs.are_same(before, new.options):
        raise NotChangeable(reason="free")


def _at_once(
    session: AnySession, row: AnyRow, new: Held, sale: Sale, moment: Moment, *, anew: bool
) -> AtOnce | None:
    """Return the change as made today; None when nothing of the period is left to change."""
    is_paid = row.period_kind == PeriodKind.BILLED and row.period_state == PeriodState.PAID
    policy = Policy(row.change_policy) if row.ships else _without_boxes(row.change_policy)
    if not is_paid or not row.start_on <= moment.today < row.end_on or policy is Policy.NONE:
        return None
    paid = read_paid(session, row.period_id, moment)
    taken = take_back(paid.lines, paid.unused, policy)
    if not anew and _stays(session, row, new):
        return _adjusted(session, row, new, sale, moment, paid, taken, policy)
    return _restarted(session, row, new, sale, moment, paid, taken)


def _without_boxes(policy: str) -> Policy:
    return Policy.DAYS if policy == Policy.BOXES else Policy(policy)


def _stays(session: AnySession, row: AnyRow, new: Held) -> bool:
    """Return whether the running period and the rhythm of its boxes fit what is changed to."""
    plan, price = read_plan(session, row.plan_id), table_of(Price)
    now = price_from(session.execute(sa.select(price).where(price.c.id == row.price_id)).one())
    return (now.interval, plan.shipping, plan.group_id) == (
        new.price.interval,
        new.plan.shipping,
        new.plan.group_id,
    )


def _adjusted(
    session: AnySession,
    row: AnyRow,
    new: Held,
    sale: Sale,
    moment: Moment,
    paid: PaidPeriodFacts,
    taken: list[TakenBack],
    policy: Policy,
) -> AtOnce | None:
    if new.boxes and (not paid.unsent or len(paid.unsent) > new.boxes):
        return None
    priced = this_period(session, row, new, sale, moment)
    period = BillingPeriod(row.start_on, row.end_on)
    part = part_of(full_price(priced.quote), period, paid.unused, new.boxes, policy)
    settled = settle(taken, priced.quote, part, rounding=sale.taxes.rounding)
    return AtOnce("adjust", settled, priced, paid)


def _restarted(
    session: AnySession,
    row: AnyRow,
    new: Held,
    sale: Sale,
    moment: Moment,
    paid: PaidPeriodFacts,
    taken: list[TakenBack],
) -> AtOnce | None:
    slots = open_slots(session, new.plan.group_id, moment.today)
    terms = order_terms(new.plan, new.price, sale, moment.today, slots, first_box=waiting(new.plan))
    try:
        order = quote_order(terms)
    except NoCycle:
        return None
    if not order.is_paid or order.opening.share is not None:
        # Days given or charged in part begin a subscription, not a change.
        return None
    replaced = len(paid.unsent) if row.ships else int(row.start_on == moment.today)
    priced = whole_period(session, row, new, sale, moment, replaced)
    whole = full_price(priced.quote)
    settled = settle(taken, priced.quote, whole, rounding=sale.taxes.rounding)
    return AtOnce("restart", settled, priced, paid, order)
