"""The live-lock: a copy of a database charges nobody and mails nobody."""

from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa

from storefront import charges
from storefront.domain.charging import Refusal
from storefront.jobs.work import run_all
from storefront.models import ChargeAttempt, Customer, Invoice, OutboxMessage, PaymentMethod
from storefront.operations.outbox import Message, enqueue
from storefront.paying import NotNow, Paid, PaymentPartnerSilent, pay_now
from storefront.services.installation import confirm, describe
from storefront.services.method_changes import remove_method
from storefront.services.methods import begin_card, set_default
from storefront.services.outbox import deliver_due
from storefront.services.renewals import run_renewals
from storefront.testing import factories
from storefront.testing.population import populate

DUE = date(2027, 3, 12)


@pytest.fixture
def live(rt, monkeypatch):
    """The demo gateway, taken for one that moves real money."""
    monkeypatch.setattr(
        charges, "live_accounts", lambda rt: {name: g.account for name, g in rt.gateways.items()}
    )
    monkeypatch.setattr("storefront.services.installation.live_accounts", charges.live_accounts)


@pytest.fixture
def due(rt, clock):
    plan = factories.make_plan(rt)
    populate(rt, plan, factories.price_of(rt, plan), 1, DUE)
    clock.advance(days=(DUE - rt.today()).days)


def test_without_a_live_gateway_nothing_needs_to_be_confirmed(rt, due):
    assert run_renewals(rt).billed == 1


def test_an_unconfirmed_database_charges_nobody_and_mails_nobody(rt, due, live, demo_gateway):
    enqueue(rt.session, [Message("mail", "sign_in", "mail:x", {"nonce": "n"})], rt.now())
    rt.session.commit()

    run_renewals(rt)
    deliver_due(rt, lambda _delivery: None)

    assert demo_gateway.bank.executed_count() == 0
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Invoice)) == 0
    assert rt.session.scalar(sa.select(OutboxMessage.state)) == "waiting"


def test_once_confirmed_it_charges(rt, due, live, demo_gateway):
    confirm(rt)
    run_renewals(rt)
    assert demo_gateway.bank.executed_count() == 1
    assert "localhost" in describe(rt)


def test_a_copy_at_another_address_is_locked_again(rt, due, live, demo_gateway):
    confirm(rt)
    copy = replace(rt, settings=replace(rt.settings, base_url="https://staging.example"))

    run_renewals(copy)

    assert demo_gateway.bank.executed_count() == 0


def test_paying_an_invoice_is_refused_with_its_reason(rt, clock, live, demo_gateway):
    plan = factories.make_plan(rt)
    populate(rt, plan, factories.price_of(rt, plan), 1, DUE, card="0341")
    confirm(rt)
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)
    invoice = rt.session.scalars(sa.select(Invoice)).one()
    owner, ref = invoice.payer_id, invoice.public_id
    rt.session.rollback()

    def why(shop):
        with pytest.raises(NotNow) as refused:
            pay_now(shop, owner, ref)
        return refused.value.code

    staging = replace(rt, settings=replace(rt.settings, base_url="https://staging.example"))
    assert why(staging) == Refusal.LIVE_LOCK
    demo_gateway.bank.set_fault("lost")
    assert pay_now(rt, owner, ref) is Paid.WAITING
    assert why(rt) == Refusal.ATTEMPT_OPEN
    demo_gateway.bank.set_fault("lost", is_on=False)
    clock.advance(minutes=10)
    charges.look_up_open(rt)
    assert why(rt) == Refusal.NOTHING_DUE
    assert demo_gateway.bank.executed_count() == 1


ASKED = (
    "begin_setup",
    "finish_setup",
    "charge",
    "lookup",
    "cancel",
    "refund",
    "lookup_refund",
    "disputes",
    "read_method",
    "detach",
    "list_charges",
)


def test_a_copy_asks_gateways_nothing_and_the_original_goes_on(
    rt, clock, live, demo_gateway, monkeypatch
):
    """A cancel or a detach sent by a copy would undo what the original is waiting for."""
    plan = factories.make_plan(rt)
    price = factories.price_of(rt, plan)
    for card in ("0408", "3220", "4242"):
        populate(rt, plan, price, 1, DUE, card=card)
    removed = rt.session.scalars(sa.select(PaymentMethod).order_by(PaymentMethod.id)).all()[-1]
    confirm(rt)
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)
    states = rt.session.scalars(sa.select(ChargeAttempt.state).order_by(ChargeAttempt.id)).all()
    assert states[-3:] == ["unknown", "action_required", "succeeded"]
    owner = rt.session.get_one(Customer, removed.customer_id)
    spare = factories.make_method(rt, owner, is_default=False)
    assert set_default(rt, owner.id, spare.public_id)
    remove_method(rt, owner.id, removed.public_id)
    copy = replace(rt, settings=replace(rt.settings, base_url="https://staging.example"))
    asked = []
    for name in ASKED:
        own = getattr(demo_gateway, name)
        monkeypatch.setattr(
            demo_gateway, name, lambda *a, _own=own, _name=name: (asked.append(_name), _own(*a))[1]
        )
    waiting = rt.session.scalars(sa.select(Customer).order_by(Customer.id)).all()[1]
    other = factories.make_method(rt, waiting, is_default=False)

    assert set_default(copy, waiting.id, other.public_id)
    with pytest.raises(PaymentPartnerSilent):
        begin_card(copy, waiting.id, "https://staging.example/back")
    for _ in range(12):
        clock.advance(days=1)
        run_all(copy)
    assert asked == []

    run_all(rt)
    assert {"lookup", "cancel", "detach", "list_charges"} <= set(asked)
    assert demo_gateway.bank.double_charges() == []
