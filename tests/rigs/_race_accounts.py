"""What subscribers, staff, the bank and the workers do to each other in one moment."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as day_time
from functools import partial

import sqlalchemy as sa

from storefront.domain.erasure import AlreadyErased
from storefront.domain.lifecycle import BILLABLE
from storefront.domain.merging import MergeRefused
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    ChargeAttempt,
    CreditNote,
    Customer,
    DunningCase,
    GatewaySetup,
    Invoice,
    InvoiceLine,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.subscriptions import StaleSubscription
from storefront.queries.account import SubscriptionView
from storefront.queries.account import subscription as account_view
from storefront.services.cancellations import cancel
from storefront.services.erasure import ask_erasure
from storefront.services.finishing import finish_checkout
from storefront.services.merging import merge_customers
from storefront.testing.population import populate
from tests.rigs._scene import Scene, fields
from tests.rigs._shop import clock_of
from tests.rigs._stories import message
from tests.rigs._tabs import Page, Tab
from tests.support.orders import begin, order

#: How often one message is sent.
COPIES = 20
#: Seconds the workers have to charge somebody, or to close a cycle whose lock day is over.
_PATIENCE = 60
#: Steps of five minutes until somebody who asked for it is erased.
_STEPS = 60
#: Cards of those who are due; 0408 is charged without an answer.
_SILENT, _REFUSED = "0408", "0341"
_DUE_CARDS = ("4242", "4242", _SILENT)
_OLD = ("Ada Lovelace", "Lindenweg 4", "07743")
_NEW = {
    "name": "Ada Weber",
    "street": "Am Markt 1",
    "postcode": "07745",
    "city": "Jena",
    "country": "DE",
}


def refund_twice(scene: Scene) -> None:
    """C-11: two of the staff give the same charge back, each with two clicks."""
    invoice = scene.one(
        sa.select(Invoice.public_id)
        .where(Invoice.state == "paid", Invoice.credited_minor == 0)
        .order_by(Invoice.id.desc())
    )
    if invoice is None:
        return
    url, presses = f"/admin/documents/{invoice}/refund", []
    for _ in range(2):
        tab = scene.desk()
        wish = fields(tab.get(url)) | {"way": "card", "reason": "refund", "afterwards": "keep"}
        shown = fields(tab.post(url, **wish))
        presses += [partial(tab.again().post, url, **shown)] * 2
    scene.press("C-11", presses)
    notes = scene.many(CreditNote, CreditNote.invoice_id == scene.key_of(Invoice, invoice))
    if notes != 1:
        scene.fault("C-11", f"{invoice} has {notes} credit notes")
    scene.ended("C-11", "given back once")


def renewal_day(scene: Scene, day: date) -> list[int]:
    """C-07, C-09: the day comes on which they renew, and they change plan or leave.

    Returns the four that renew: who changes, who leaves, a refused card, one without an answer.
    """
    drawn = [scene.rng.choice(_DUE_CARDS) for _ in range(2)]
    made = [
        populate(scene.rt, scene.plan, scene.price, 1, day, card=card)[0]
        for card in (*drawn, _REFUSED, _SILENT)
    ]
    changer, leaver = scene.customer(made[0]), scene.customer(made[1])
    plan = f"/account/subscriptions/{changer[1]}/plan"
    tab, other = scene.account(changer[0]), scene.other.public_id
    shown = tab.get(f"{plan}?price={other}&when=boundary").field("quote_hash")
    gone = scene.account(leaver[0])
    leave = f"/account/subscriptions/{leaver[1]}/cancel"
    gone.get(leave)
    wish = {"price": other, "quote_hash": shown, "quantity": "1", "when": "boundary"}
    changes = [partial(tab.again().post, plan, **wish)] * 2
    scene.line("C-09").acts += 2
    scene.press(
        "C-07",
        changes + [partial(gone.again().post, leave)] * 2,
        at=datetime.combine(day, day_time(3), UTC),
    )
    scene.line("C-07").acts -= 2
    scene.quiet()
    _see_change(scene, made[0])
    _see_leaving(scene, made[1])
    return made


def _see_change(scene: Scene, key: int) -> None:
    price = scene.one(sa.select(Subscription.price_id).where(Subscription.id == key))
    waits = "the change first" if price == scene.other.id else "the renewal first"
    scene.ended("C-07", waits)


def _see_leaving(scene: Scene, key: int) -> None:
    row = scene.rt.session.execute(
        sa.select(Subscription.state, Subscription.cancel_on).where(Subscription.id == key)
    ).one()
    scene.rt.session.rollback()
    paid = _renewed(scene, key)
    if row.state == "canceled":
        scene.ended("C-09", "left first: nothing kept")
        if paid:
            scene.fault("C-09", f"subscription {key} left and pays for a period")
    elif row.cancel_on is not None:
        scene.ended("C-09", "charged first: runs to its end")
    else:
        scene.fault("C-09", f"subscription {key} pressed leave and runs on as {row.state}")


def _renewed(scene: Scene, key: int) -> int:
    """Return how many periods after the first are paid."""
    period = SubscriptionPeriod
    return scene.many(
        period, period.subscription_id == key, period.number > 0, period.state == "paid",
        period.kind == "billed",
    )  # fmt: skip


def retry(scene: Scene) -> None:
    """C-08: another card in the moment in which the refused one is tried again."""
    case = scene.rt.session.execute(
        sa.select(Invoice.id, Invoice.payer_id, DunningCase.next_at)
        .join(Invoice, Invoice.id == DunningCase.invoice_id)
        .where(
            DunningCase.state == "open",
            DunningCase.next_at < scene.rt.now() + timedelta(days=5),
        )
        .order_by(DunningCase.id.desc())
    ).first()
    scene.rt.session.rollback()
    if case is None:
        return
    tab = scene.account(case.payer_id)
    tab.get("/account/payment")
    away = tab.post("/account/payment/card").location
    scene.bank.choose(away.rpartition("/")[2], "4242")
    setup = scene.one(sa.select(GatewaySetup.public_id).order_by(GatewaySetup.id.desc()))
    url = f"/account/payment/card/{setup}"
    tab.get(url)
    at = max(case.next_at, scene.rt.now()) + timedelta(seconds=1)
    tries = scene.many(ChargeAttempt, ChargeAttempt.invoice_id == case.id)
    scene.press("C-08", [partial(tab.again().post, url)] * 2, at=at)
    state_now, deadline = sa.select(Invoice.state).where(Invoice.id == case.id), _deadline()
    # Time stands still: the new card is tried now, not on the next day of the schedule.
    while (state := scene.one(state_now)) == "open" and time.monotonic() < deadline:
        time.sleep(0.05)
    scene.quiet()
    # Stored before the refused card was tried again, or while that was on its way.
    tries = scene.many(ChargeAttempt, ChargeAttempt.invoice_id == case.id) - tries
    scene.ended("C-08", f"{state} with {tries} tries")
    if state != "paid" or tries > 2:
        scene.fault("C-08", f"invoice {case.id} is {state} after {tries} tries")


def refused(scene: Scene, day: date) -> None:
    """Let somebody's renewal be refused on ``day``, for C-08 played alone."""
    populate(scene.rt, scene.plan, scene.price, 1, day, card=_REFUSED)
    before, deadline = scene.many(DunningCase), _deadline()
    scene.move(datetime.combine(day, day_time(3), UTC))
    # Claimed and not planned yet looks as if nothing were due.
    while scene.many(DunningCase) == before and time.monotonic() < deadline:
        time.sleep(0.05)


def _deadline() -> float:
    return time.monotonic() + _PATIENCE


def tell_often(scene: Scene, subscription: int) -> None:
    """W-01: twenty copies of a message about a charge without an answer, while it is asked."""
    row = _unknown_of(scene, subscription)
    if row is None:
        scene.fault("W-01", f"subscription {subscription} has no charge without an answer")
        return
    raw = message(scene.rt, f"evt_{row}", "charge", row)
    # Signed less than five minutes before it is heard, or it would be too old.
    clock_of(scene.rt).move_to(scene.rt.now() + timedelta(minutes=4))
    at = scene.rt.now() + timedelta(minutes=1, seconds=1)
    scene.press("W-01", [partial(scene.hear, raw)] * COPIES, at=at)
    state_now = sa.select(ChargeAttempt.state).where(ChargeAttempt.public_id == row)
    deadline = time.monotonic() + _PATIENCE
    # A message is stored when it is heard; a worker applies it.
    while (state := scene.one(state_now)) == "unknown" and time.monotonic() < deadline:
        time.sleep(0.05)
    scene.ended("W-01", f"the charge {state}")
    if state != "succeeded":
        scene.fault("W-01", f"{row} is {state} after the bank said so {COPIES} times")


def leave_unknown(scene: Scene, day: date) -> None:
    """C-10: somebody leaves in the moment in which their charge without an answer is asked."""
    [key] = populate(scene.rt, scene.plan, scene.price, 1, day, card=_SILENT)
    scene.move(datetime.combine(day, day_time(3), UTC))
    row = _unknown_of(scene, key)
    if row is None:
        scene.fault("C-10", f"subscription {key} has no charge without an answer")
        return
    customer, public = scene.customer(key)
    tab, url = scene.account(customer), f"/account/subscriptions/{public}/cancel"
    tab.get(url)
    scene.press(
        "C-10",
        [partial(tab.again().post, url)] * 2,
        at=scene.rt.now() + timedelta(minutes=1, seconds=1),
    )
    scene.quiet()
    sub = scene.rt.session.execute(
        sa.select(Subscription.state, Subscription.cancel_on).where(Subscription.id == key)
    ).one()
    scene.rt.session.rollback()
    if sub.state == "canceled":
        scene.ended("C-10", "left first: what was taken goes back")
    elif sub.cancel_on is not None:
        scene.ended("C-10", "answered first: runs to its end")
    else:
        scene.fault("C-10", f"{public} pressed leave and runs on as {sub.state}")


def _unknown_of(scene: Scene, subscription: int) -> str | None:
    """Return the charge of a subscription that the bank has not answered, once it is there."""
    attempt, line = table_of(ChargeAttempt), table_of(InvoiceLine)
    statement = (
        sa.select(attempt.c.public_id)
        .join(line, line.c.invoice_id == attempt.c.invoice_id)
        .where(line.c.subscription_id == subscription, attempt.c.state == "unknown")
    )
    deadline = time.monotonic() + _PATIENCE
    while (found := scene.one(statement)) is None:
        # Claimed and not planned yet looks as if nothing were due.
        if time.monotonic() > deadline:
            return None
        time.sleep(0.05)
    return str(found)


def quick_clicks(scene: Scene, subscription: int) -> None:
    """C-13: pause, no pause, skip, take it back, all at once from the parts of a page."""
    customer, public = scene.customer(subscription)
    before = _view(scene, customer, public)
    tab = scene.account(customer, is_htmx=True)
    base = f"/account/subscriptions/{public}"
    tab.get(base)
    cycles = [box.cycle for box in before.boxes if box.can_skip and box.cycle][:1]
    boxes = [f"{base}/boxes/{cycle}" for cycle in cycles]
    pause, drop = partial(_post, tab, f"{base}/pause", until="open"), f"{base}/pause/drop"
    back = [partial(_post, tab, f"{box}/undo-skip") for box in boxes]
    skips = [partial(_post, tab, f"{box}/skip") for box in boxes]
    scene.press("C-13", [pause, pause, partial(_post, tab, drop), *skips, *skips, *back])
    for undo in (partial(_post, tab, drop), *back):
        undo()
    after = _view(scene, customer, public)
    if (after.boxes, after.next_charge_on) != (before.boxes, before.next_charge_on):
        scene.fault("C-13", f"{public} stood as {before}, stands as {after}")
    scene.ended("C-13", "stands as before")


def _post(tab: Tab, path: str, **values: str) -> Page:
    return tab.again().post(path, **values)


def _view(scene: Scene, customer: int, public: str) -> SubscriptionView:
    rt = scene.rt
    found = account_view(rt.session, customer, public, rt.moment(), rt.shop.taxes)
    rt.session.rollback()
    assert found is not None
    return found


def merge_accounts(scene: Scene, day: date) -> None:
    """C-16: two clicks make two accounts one in the moment in which both renew."""
    made = populate(scene.rt, scene.plan, scene.price, 2, day)
    refs = [
        str(
            scene.one(
                sa.select(Customer.public_id)
                .join(Subscription, Subscription.customer_id == Customer.id)
                .where(Subscription.id == key)
            )
        )
        for key in made
    ]
    at = datetime.combine(day, day_time(3), UTC)
    scene.press("C-16", [partial(_merge, scene, refs)] * 2, at=at)
    scene.quiet()
    owner = scene.key_of(Customer, refs[0])
    for _ in range(100):
        if scene.many(Subscription, Subscription.customer_id == owner) == 2:
            break
        # A charge without an answer is waited for; whoever asked asks again.
        _merge(scene, refs)
        time.sleep(0.1)
    deadline = time.monotonic() + _PATIENCE
    # Claimed and not planned yet looks as if nothing were due.
    while (paid := [_renewed(scene, key) for key in made]) != [1, 1]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    owned = scene.many(Subscription, Subscription.customer_id == owner)
    if owned != 2 or paid != [1, 1]:
        scene.fault("C-16", f"{owned} of two belong to {refs[0]}, and {paid} periods are paid")
    scene.ended("C-16", "one owner, both paid once")


def _merge(scene: Scene, refs: list[str]) -> Page:
    """Merge as the desk does; 409 while a payment has no answer."""
    with scene.app.app_context():
        try:
            merge_customers(scene.app.extensions["storefront"], scene.staff, refs[0], refs[1])
        except (MergeRefused, StaleSubscription):
            return Page(409, "", "")
    return Page(200, "", "")


def erase_open(scene: Scene) -> None:
    """C-17: two ask to erase somebody in the moment in which their charge is looked up."""
    [key] = populate(scene.rt, scene.plan, scene.price, 1, scene.rt.today(), card=_SILENT)
    attempt = _unknown_of(scene, key)
    customer, public = scene.customer(key)
    ref = str(scene.one(sa.select(Customer.public_id).where(Customer.id == customer)))
    # They left before, so what was taken goes back first.
    cancel(scene.rt, customer, public)
    at = scene.rt.now() + timedelta(minutes=1, seconds=1)
    scene.press("C-17", [partial(_erase, scene, ref)] * 2, at=at)
    erased = sa.select(Customer.erased_at).where(Customer.id == customer)
    for _ in range(_STEPS):
        if scene.one(erased) is not None:
            break
        # First the charge is looked up again, then it goes back, then they go.
        clock_of(scene.rt).move_to(scene.rt.now() + timedelta(minutes=5))
        time.sleep(0.5)
    row = scene.rt.session.execute(
        sa.select(
            ChargeAttempt.state, ChargeAttempt.amount_minor, ChargeAttempt.refunded_minor
        ).where(ChargeAttempt.public_id == attempt)
    ).one()
    scene.rt.session.rollback()
    is_final = row.state == "succeeded" and row.refunded_minor == row.amount_minor
    if scene.one(erased) is None or not is_final:
        scene.fault("C-17", f"{ref} is erased {scene.one(erased)}, their charge {tuple(row)}")
    scene.ended("C-17", "given back, then erased")


def _erase(scene: Scene, ref: str) -> Page:
    with scene.app.app_context():
        try:
            done = ask_erasure(scene.app.extensions["storefront"], ref)
        except AlreadyErased:
            return Page(410, "", "")
    return Page(200 if done.is_done else 202, "", "")


def address_at_lock(scene: Scene, number: int) -> None:
    """C-15: two clicks on another address in the second in which the box is locked."""
    key = begin(scene.rt, scene.late, email=f"mover{number}@example.org")
    placed = order(scene.rt, key)
    scene.bank.choose(placed.url.rpartition("/")[2], "4242")
    finish_checkout(scene.rt, key)
    box = scene.rt.session.execute(
        sa.select(Box.id, Subscription.public_id, Subscription.customer_id, BoxCycle.lock_on)
        .join(Subscription, Subscription.id == Box.subscription_id)
        .join(BoxCycle, BoxCycle.id == Box.cycle_id)
        .join(Customer, Customer.id == Subscription.customer_id)
        .where(Customer.email == f"mover{number}@example.org")
    ).one()
    scene.rt.session.rollback()
    over = scene.rt.moment().start_of(box.lock_on + timedelta(days=1))
    # The clock runs on while the page is loaded.
    scene.move(over - timedelta(minutes=10))
    tab, url = scene.account(box.customer_id), f"/account/subscriptions/{box.public_id}/address"
    tab.get(url)
    scene.press("C-15", [partial(tab.again().post, url, **_NEW)] * 2, at=over)
    _until_locked(scene, box.id)
    packed = scene.one(sa.select(Box.ship_to).where(Box.id == box.id)) or {}
    has = tuple(packed.get(part) for part in ("name", "street", "postcode"))
    new = tuple(_NEW[part] for part in ("name", "street", "postcode"))
    if has not in (_OLD, new):
        scene.fault("C-15", f"a box goes to {has}")
    street = scene.one(
        sa.select(Address.street)
        .join(Subscription, Subscription.address_id == Address.id)
        .where(Subscription.public_id == box.public_id)
    )
    if street != _NEW["street"]:
        scene.fault("C-15", f"{box.public_id} was told the new address and has {street}")
    scene.ended("C-15", "packed for the old address" if has == _OLD else "for the new one")


def _until_locked(scene: Scene, box: int) -> None:
    """Wait until a worker has closed the cycle of the box."""
    deadline = time.monotonic() + _PATIENCE
    while scene.one(sa.select(Box.state).where(Box.id == box)) == "planned":
        if time.monotonic() > deadline:
            scene.fault("C-15", f"box {box} was not locked")
            return
        time.sleep(0.02)
    scene.quiet()


def leave_old(scene: Scene) -> None:
    """Let those of earlier months go, so that each month has the same work."""
    born = scene.rt.now() - timedelta(days=65)
    old = scene.rt.session.execute(
        sa.select(Subscription.customer_id, Subscription.public_id).where(
            Subscription.created_at < born,
            Subscription.state.in_(BILLABLE),
            Subscription.cancel_on.is_(None),
        )
    ).all()
    scene.rt.session.rollback()
    for row in old:
        if row.customer_id is not None:
            cancel(scene.rt, row.customer_id, row.public_id)
