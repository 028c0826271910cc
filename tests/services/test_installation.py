"""The live-lock: a copy of a database charges nobody and mails nobody."""

from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa

from storefront import charges
from storefront.models import Invoice, OutboxMessage
from storefront.operations.outbox import Message, enqueue
from storefront.services.installation import confirm, describe
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
