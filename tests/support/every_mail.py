"""A mail of every topic, and of each way it can be worded, about the people of the demo shop."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from typing import Any

import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.domain.declarations import DeclarationKind
from storefront.domain.gateways import DisputeState
from storefront.domain.inquiries import Topic
from storefront.domain.late_changes import LateKind, LateState
from storefront.domain.lifecycle import HoldReason
from storefront.models import (
    Addon,
    Box,
    BoxAddition,
    BoxAdditionBox,
    BoxCycle,
    ChargeAttempt,
    Checkout,
    Customer,
    Dispute,
    FulfilmentBatch,
    Gift,
    Invoice,
    InvoiceLine,
    OutboxMessage,
    PaymentMethod,
    Plan,
    Product,
    Staff,
    Subscription,
    WaitingPlace,
)
from storefront.models.base import public_id, table_of
from storefront.operations.audit import Who
from storefront.queries.mails import next_charge_of
from storefront.runtime import Runtime
from storefront.services import declarations, inquiries
from storefront.services.outbox import Delivery

#: Topic, what it is about, and the row of the customer who gets it.
Case = tuple[str, dict[str, Any], int | None]
#: What a human writes where a mail repeats it; known to whoever reads the mails for foreign words.
TYPED = ("Ada Example", "Where is it", "It left", "Too late", "Moved", "Repair")


def deliveries(rt: Runtime, locale: str) -> Iterator[Delivery]:
    """Return every mail of the demo's outbox, then those that ``cases`` adds, in ``locale``.

    Each is to be worded before the next is taken: what one is about changes for another.
    """
    message = table_of(OutboxMessage)
    rows = rt.session.execute(sa.select(message).where(message.c.kind == "mail")).all()
    sent = [(row.topic, dict(row.payload), row.customer_id) for row in rows]
    for number, (topic, payload, customer) in enumerate(chain(sent, cases(rt))):
        told = {**payload, "locale": locale} if payload.get("to") else payload
        yield Delivery(number, f"out_{number}", "mail", topic, topic, told, customer, rt.now())


def cases(rt: Runtime) -> Iterator[Case]:
    """Return a mail of each topic that the demo does not send by itself."""
    yield from _accounts(rt)
    yield from _boxes(rt)
    yield from _choices(rt)
    yield from _subscriptions(rt)
    yield from _payments(rt)
    yield from _cards(rt)
    yield from _gifts(rt)
    yield from _others(rt)


def _one(rt: Runtime, statement: sa.Select[Any]) -> Any:
    """Return the first row, which the demo must have."""
    return rt.session.execute(statement.limit(1)).one()


def _coming(rt: Runtime) -> Any:
    """Return a subscription with its plan, its next box and that one's cycle."""
    return _one(rt, _all_coming(rt))


def _all_coming(rt: Runtime) -> sa.Select[Any]:
    table, box, cycle, plan = map(table_of, (Subscription, Box, BoxCycle, Plan))
    return (
        sa.select(
            table.c.id,
            table.c.public_id.label("ref"),
            table.c.customer_id,
            table.c.payment_method_id,
            plan.c.name.label("plan"),
            box.c.id.label("box_id"),
            box.c.public_id.label("box"),
            cycle.c.public_id.label("cycle"),
        )
        .join(plan, plan.c.id == table.c.plan_id)
        .join(box, box.c.subscription_id == table.c.id)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .where(table.c.state == "active", box.c.state == "planned", plan.c.ships)
        .where(cycle.c.cutoff_on > rt.today(), table.c.cancel_on.is_(None))
        .order_by(table.c.id, cycle.c.ship_from)
    )


def _products(rt: Runtime) -> list[str]:
    return list(rt.session.scalars(sa.select(Product.name).order_by(Product.id).limit(3)))


def _accounts(rt: Runtime) -> Iterator[Case]:
    table = table_of(Customer)
    ada = _one(rt, sa.select(table.c.id, table.c.email).order_by(table.c.id))
    to = {"to": ada.email}
    for purpose in ("", "erase", "two_step", "email"):
        yield "sign_in", {"nonce": "n", "for": purpose, **to}, ada.id
    staff = table_of(Staff)
    owner = _one(rt, sa.select(staff.c.public_id, staff.c.email))
    until = int((rt.now() + timedelta(days=1)).timestamp())
    # With an address, because staff are written to in the language of the shop.
    link = {"staff": owner.public_id, "until": until, "state": "s", "to": owner.email}
    yield "staff_link", link, None
    yield "accounts_merged", to, ada.id
    yield "accounts_merged", {"email": ada.email}, ada.id
    yield "account_erased", {}, ada.id
    for is_on in (True, False):
        yield "two_step_changed", {"is_on": is_on}, ada.id
        yield "new_email", {"is_taken": is_on, "nonce": "n", **to}, ada.id
    yield "email_changed", to, ada.id
    for origin in ("referral", "referred"):
        credit = {"amount_minor": 500, "currency": "EUR", "origin": origin}
        yield "referral_credit", credit, ada.id


def _boxes(rt: Runtime) -> Iterator[Case]:
    one, products = _coming(rt), _products(rt)
    about = {"subscription": one.ref, "box": one.box, "plan": one.plan, "cycle": one.cycle}
    parcel = {"carrier": "DHL", "tracking_number": "00340434161094000001"}
    dates = {"ship_from": "2027-04-20", "ship_to": "2027-04-22", "was_on": "2027-04-18"}
    to = one.customer_id
    yield "box_shipped", about, to
    yield "box_renumbered", about | parcel, to
    yield "box_waits", about | {"products": products}, to
    yield "box_made", about | {"products": products}, to
    for reason in ("lost", "returned", "damaged"):
        yield "box_replaced", about | {"reason": reason}, to
    yield "box_returned", about, to
    yield "box_lost", about, to
    yield "not_delivered_there", about, to
    for row in rt.session.execute(_all_coming(rt)).all():
        yield "box_soon", {"subscription": row.ref, "cycle": row.cycle}, row.customer_id
    yield "ship_day_moved", about | dates, to
    money = {"credit_minor": 900, "currency": "EUR"}
    holds = [[products[0], 2], [products[1], 1]]
    for kind in LateKind:
        for state in (LateState.ACCEPTED, LateState.REFUSED, LateState.EXPIRED):
            wish = {"kind": kind, "state": state, "reason": TYPED[3], "holds": holds}
            yield "late_change", about | money | wish, to
    addition = _added(rt, one)
    yield "box_added", {"addition": addition, "invoice": "inv_1"}, to
    yield "box_not_added", {"addition": addition, "subscription": one.ref}, to


def _added(rt: Runtime, one: Any) -> str:
    """Add something to a box, as a mail tells it."""
    addon, line = table_of(Addon), table_of(InvoiceLine)
    ref, on = public_id("add"), rt.today()
    values = {
        "public_id": ref,
        "subscription_id": one.id,
        "addon_id": rt.session.scalar(sa.select(sa.func.min(addon.c.id))),
        "quantity": 2,
        "unit_minor": 450,
        "reach": "next",
        "goes_on_from": on,
        "invoice_id": rt.session.scalar(sa.select(sa.func.min(line.c.invoice_id))),
        "state": "applied",
        "once": ref,
        "created_at": rt.now(),
    }
    made = rt.session.execute(sa.insert(table_of(BoxAddition)).values(values))
    part = {"addition_id": made.inserted_primary_key[0], "box_id": one.box_id, "gross_minor": 900}
    rt.session.execute(sa.insert(table_of(BoxAdditionBox)).values(part))
    return ref


def _choices(rt: Runtime) -> Iterator[Case]:
    one, products = _coming(rt), _products(rt)
    to = one.customer_id
    about = {"subscription": one.ref, "box": one.box, "plan": one.plan, "cycle": one.cycle}
    days = {"until_on": "2027-04-02", "ship_on": "2027-04-12"}
    yield "choose_soon", about | days | {"pieces": 4}, to
    for can_choose in (True, False):
        gone = {"lost": products, "can_choose": can_choose}
        yield "choice_gone", about | days | gone, to
    yield "choice_replaced", about | {"lost": products[:2], "instead": products[2:]}, to
    pairs = [[products[0], products[1]], [products[2], ""]]
    money = {"credit_minor": 300, "currency": "EUR"}
    yield "box_short", about | money | {"lacks": pairs, "unwanted": pairs}, to
    yield "box_short", about | money | {"lacks": [], "unwanted": pairs}, to


def _subscriptions(rt: Runtime) -> Iterator[Case]:
    one = _coming(rt)
    ref, to = one.ref, one.customer_id
    charge = next_charge_of(rt.session, ref, rt.moment(), rt.shop.taxes)
    assert charge is not None
    on = charge[0].isoformat()
    for topic in ("ended", "resume_soon", "trial_ends", "first_charge"):
        yield topic, {"subscription": ref, "on": on}, to
    prices = {"old_minor": 900, "new_minor": 1100, "currency": "EUR", "on": on}
    yield "price_change", {"subscription": ref, **prices}, to
    leaving = {"subscription": ref, "ends_on": on, "received_at": rt.now().isoformat()}
    left = {"boxes": [on], "dropped_minor": 900, "currency": "EUR", "in_flight": True}
    for owed in (0, 2):
        more = {"stays_due": [["2027-0001", 900]], "min_boxes": 3, "boxes_owed": owed}
        yield "cancel_confirmed", leaving | left | more, to


def _invoice(rt: Runtime, state: str) -> Any:
    """Return an invoice for a subscription, its payer, and the newest try to collect it."""
    paper, line, tried, whose = map(table_of, (Invoice, InvoiceLine, ChargeAttempt, Subscription))
    return _one(
        rt,
        sa.select(
            paper.c.public_id.label("ref"),
            paper.c.payer_id,
            tried.c.id.label("attempt_id"),
            tried.c.public_id.label("attempt"),
            tried.c.currency,
            tried.c.amount_minor,
            tried.c.gateway,
            whose.c.id.label("subscription_id"),
            whose.c.public_id.label("subscription"),
        )
        .join(line, line.c.invoice_id == paper.c.id)
        .join(whose, whose.c.id == line.c.subscription_id)
        .join(tried, tried.c.invoice_id == paper.c.id)
        .where(paper.c.state == state, tried.c.amount_minor > 0)
        .order_by(tried.c.id.desc()),
    )


def _payments(rt: Runtime) -> Iterator[Case]:
    paid, due = _invoice(rt, "paid"), _invoice(rt, "open")
    about = {"invoice": paid.ref, "subscription": paid.subscription}
    yield "receipt", about, paid.payer_id
    yield "plan_changed", about, paid.payer_id
    sum_of = {"amount_minor": 700, "currency": "EUR"}
    yield "surplus_refunded", sum_of, paid.payer_id
    one, products = _coming(rt), _products(rt)
    for way in ("card", "credit", "bank", "open"):
        for left_out in ([], products):
            back = {"way": way, "credit_note": "crn_1", "left_out": left_out, "box": one.box}
            yield "refunded", sum_of | back, one.customer_id
    for by_bank in (True, False):
        extra = {"text": TYPED[5], "by_bank": by_bank, "invoice": due.ref}
        yield "extra_charge", sum_of | extra, due.payer_id
    for topic in ("transfer_due", "transfer_overdue"):
        yield topic, {"invoice": due.ref}, due.payer_id
    yield from _refused(rt)


def _refused(rt: Runtime) -> Iterator[Case]:
    """Return what is mailed about a payment that did not come through."""
    due = _invoice(rt, "open")
    tried = {"attempt": due.attempt, "subscription": due.subscription}
    for reason in (
        "insufficient_funds",
        "expired_card",
        "authentication_failed",
        "over_limit",
        "opted_out",
        "",
    ):
        yield "payment_failed", tried | {"reason": reason, "first": due.attempt}, due.payer_id
    for topic in ("payment_link", "payment_confirm"):
        yield topic, tried, due.payer_id
    yield "payment_waits", tried | {"until": rt.now().isoformat()}, due.payer_id
    for action in ("cancel", "pause", "leave"):
        last = {"on": "2027-04-01", "action": action, "reason": ""}
        yield "payment_last_warning", tried | last, due.payer_id
        for stays in (0, 300):
            up = {"subscriptions": [due.subscription], "minor": 900, "currency": "EUR"}
            up |= {"action": action, "invoice": due.ref, "stays_minor": stays}
            yield "payment_given_up", up, due.payer_id
    rt.session.execute(
        sa.update(table_of(ChargeAttempt))
        .where(table_of(ChargeAttempt).c.id == due.attempt_id)
        .values(state=AttemptState.PLANNED)
    )
    yield "debit_notice", {"attempt": due.attempt}, due.payer_id


def _cards(rt: Runtime) -> Iterator[Case]:
    card = table_of(PaymentMethod)
    found = _one(
        rt,
        sa.select(card).where(
            card.c.exp_year.is_not(None), card.c.detached_at.is_(None), card.c.refused_at.is_(None)
        ),
    )
    until = f"{found.exp_year}-{found.exp_month:02d}"
    for topic in ("card_renewed", "card_gone", "card_ends"):
        yield topic, {"method": found.public_id, "until": until}, found.customer_id
    paid = _invoice(rt, "paid")
    table = table_of(Dispute)
    values = {
        "attempt_id": paid.attempt_id,
        "gateway": paid.gateway,
        "amount_minor": paid.amount_minor,
        "fee_minor": 0,
        "currency": paid.currency,
        "reason": "",
        "opened_at": rt.now(),
    }
    held = table_of(Subscription)
    rt.session.execute(
        sa.update(held)
        .where(held.c.id == paid.subscription_id)
        .values(hold_reason=HoldReason.DISPUTE)
    )
    for topic, state in (("dispute_opened", DisputeState.OPEN), ("dispute_won", DisputeState.WON)):
        ref = public_id("dsp")
        row = values | {"public_id": ref, "gateway_reference": ref, "state": state}
        rt.session.execute(sa.insert(table).values(row))
        yield topic, {"dispute": ref}, paid.payer_id


def _gifts(rt: Runtime) -> Iterator[Case]:
    table, box, plan, whose = map(table_of, (Gift, Box, Plan, Subscription))
    rows = sa.select(
        table.c.id, table.c.public_id, table.c.giver_id, plan.c.name, box.c.public_id.label("box")
    )
    rows = rows.join(whose, whose.c.id == table.c.subscription_id)
    rows = rows.join(plan, plan.c.id == whose.c.plan_id).join(
        box, box.c.subscription_id == whose.c.id
    )
    waits = _one(rt, rows.where(table.c.claimed_at.is_(None)))
    taken = _one(rt, rows.where(table.c.claimed_at.is_not(None)))
    to = {"gift": waits.public_id, "to": "paul@example.org"}
    yield "gift_claimed", {"gift": taken.public_id}, taken.giver_id
    yield "gift_last_box", {"gift": taken.public_id}, taken.giver_id
    yield "gift_over", {"gift": taken.public_id}, taken.giver_id
    back = {"gift": waits.public_id, "plan": waits.name, "box": waits.box, "subscription": ""}
    for is_quiet in (False, True):
        rt.session.execute(sa.update(table).where(table.c.id == waits.id).values(is_quiet=is_quiet))
        yield "gift_received", to, None
        yield "gift_reminder", to, None
        yield "gift_unclaimed", {"gift": waits.public_id}, waits.giver_id
        yield "box_returned", back, waits.giver_id
        yield "box_lost", back, waits.giver_id
        for reason in ("stock", "address", "other_address"):
            yield "gift_waits", {"box": waits.box, "for": reason}, waits.giver_id


def _others(rt: Runtime) -> Iterator[Case]:
    table, batch = table_of(WaitingPlace), table_of(FulfilmentBatch)
    place = _one(rt, sa.select(table))
    to = {"place": place.public_id, "to": place.email}
    yield "waiting_joined", to, None
    rt.session.execute(
        sa.update(table).values(invited_at=rt.now(), until_at=rt.now() + timedelta(days=2))
    )
    yield "place_free", to, None
    packed = _one(rt, sa.select(batch.c.public_id))
    told = {"batch": packed.public_id, "boxes": 3, "number": 1, "cycle": "2027-03", "sha256": "0"}
    yield "batch_file", told | {"to": "packer@example.org"}, None
    order, until = table_of(Checkout), rt.now() + timedelta(days=2)
    begun = _one(rt, sa.select(order.c.id, order.c.public_id, order.c.email))
    rt.session.execute(sa.update(order).where(order.c.id == begun.id).values(state="expired"))
    link = {"order": begun.public_id, "total": 900, "until": int(until.timestamp())}
    yield "order_later", link | {"to": begun.email}, None
    yield from _written(rt)


def _written(rt: Runtime) -> Iterator[Case]:
    """Return what answers a declaration and a question; both are made by their services."""
    table = table_of(Customer)
    ada = _one(rt, sa.select(table.c.id, table.c.public_id, table.c.email).order_by(table.c.id))
    for kind in DeclarationKind:
        for is_for_cause in (False, True):
            said = declarations.Statement(
                kind,
                f"{kind}{is_for_cause}",
                TYPED[0],
                "ada@example.org",
                "4711",
                "",
                is_for_cause,
                TYPED[4] if is_for_cause else "",
                rt.today() if is_for_cause else None,
            )
            ref = declarations.receive(rt, said).ref
            yield "declaration_received", {"declaration": ref, "to": said.email}, None
            yield "withdrawal_due", {"declaration": ref, "to": "shop@example.org"}, None
    staff = table_of(Staff)
    who = Who(*_one(rt, sa.select(staff.c.id, staff.c.public_id)))
    for topic in Topic:
        asked = inquiries.Question(topic, "", TYPED[1], f"once-{topic}")
        ref = inquiries.ask(rt, ada.id, ada.public_id, asked)
        inquiries.answer(rt, who, ref, TYPED[2], f"answer-{topic}", 1)
        yield "inquiry_received", {"inquiry": ref, "number": 1, "to": "shop@example.org"}, None
        yield "inquiry_answered", {"inquiry": ref, "number": 2}, ada.id
