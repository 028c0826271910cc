"""Paying one invoice by the link of a mail: without an account session, without the script."""

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import (
    Box,
    Customer,
    DunningCase,
    GatewaySetup,
    Invoice,
    OutboxMessage,
    PaymentMethod,
    Plan,
    Subscription,
)
from storefront.operations.catalogue import raise_version
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import pay_links
from storefront.services.cancellations import cancel
from storefront.services.dunning import chase_due
from storefront.testing import factories
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.cards import DOWN
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.paying import (
    attempts,
    lead,
    mailed,
    only,
    renewed,
    type_card,
)
from tests.support.visitor import Visitor


@pytest.fixture(autouse=True)
def invariants(rt):
    """After each story everything that must always hold still holds."""
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def anybody(app: Flask) -> Visitor:
    return Visitor.of(app)


@pytest.fixture
def path(rt: Runtime, clock: FrozenClock) -> str:
    """The link in the mail about a renewal that was declined softly; paid, the card is good."""
    renewed(rt, clock, "0341")
    return mailed(rt)


def test_the_page_names_the_plan_in_the_readers_language(
    rt: Runtime, anybody: Visitor, path: str
) -> None:
    words = {"de": {"name": "Kanne"}}
    rt.session.execute(sa.update(Plan).values(translations=words))
    raise_version(rt.session)
    rt.session.commit()
    page = anybody.get(f"{path}?lang=de")
    assert "Kanne" in page.text
    assert "Pot" not in page.text


def test_the_mail_about_a_failed_payment_leads_to_a_page_without_signing_in(
    rt: Runtime, anybody: Visitor, path: str
) -> None:
    page = anybody.get(path)

    assert page.status_code == 200
    assert lead(page.text) == "Pay €26.00"
    assert "ending 0341" in page.text
    assert "Pot" in page.text
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Robots-Tag"] == "noindex"
    customer = only(rt, Customer)
    assert customer.email not in page.text
    assert customer.name not in page.text


def test_a_link_scanner_changes_nothing(
    rt: Runtime, anybody: Visitor, path: str, demo_gateway: DemoGateway
) -> None:
    before = attempts(rt)
    for _ in range(3):
        for address in (path, f"{path}/card", f"{path}/confirm", f"{path}/check", f"{path}/again"):
            anybody.client.get(address)
            anybody.client.head(address)

    assert attempts(rt) == before
    assert demo_gateway.bank.executed_count() == 0
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(GatewaySetup)) == 0


def test_paying_recovers_the_subscription_and_its_box(
    rt: Runtime, anybody: Visitor, path: str, demo_gateway: DemoGateway
) -> None:
    done = anybody.post(path, method=only(rt, PaymentMethod).public_id)

    assert (done.status_code, done.location) == (303, path)
    assert lead(anybody.get(path).text) == "This is paid"
    assert demo_gateway.bank.executed_count() == 1
    assert only(rt, Subscription).state is SubscriptionState.ACTIVE
    assert only(rt, DunningCase).state == "recovered"
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Box)) == 1


def test_a_double_click_and_two_tabs_are_one_charge(
    rt: Runtime, app: Flask, anybody: Visitor, path: str, demo_gateway: DemoGateway
) -> None:
    other = Visitor.of(app)
    for visitor in (anybody, anybody, other):
        visitor.get(path)
        assert visitor.post(path).location == path

    assert attempts(rt) == ["declined", "succeeded"]
    assert demo_gateway.bank.executed_count() == 1
    assert lead(other.get(path).text) == "This is paid"


def test_a_new_card_is_charged_at_once_and_pays_from_now_on(
    rt: Runtime, anybody: Visitor, path: str, demo_gateway: DemoGateway
) -> None:
    back = type_card(rt, anybody, path, demo_gateway.bank, "4242")
    assert "charge €26.00 on it" in anybody.get(back).text
    assert demo_gateway.bank.executed_count() == 0

    first, second = anybody.post(back), anybody.post(back)

    assert (first.status_code, second.status_code) == (303, 303)
    assert lead(anybody.get(first.location).text) == "This is paid"
    assert demo_gateway.bank.executed_count() == 1
    assert attempts(rt) == ["declined", "succeeded"]
    rt.session.rollback()
    last4 = rt.session.scalars(sa.select(PaymentMethod.last4).where(PaymentMethod.is_default)).all()
    assert last4 == ["4242"]
    assert only(rt, Subscription).state is SubscriptionState.ACTIVE


def test_a_new_card_that_is_declined_is_charged_once_and_the_schedule_stays(
    rt: Runtime, anybody: Visitor, path: str, demo_gateway: DemoGateway
) -> None:
    due = only(rt, DunningCase).next_at
    back = type_card(rt, anybody, path, demo_gateway.bank, "9995")

    for _ in range(2):
        anybody.post(back)
    chase_due(rt)

    said = "The last try (Fri 12 March, 10:00) failed: "
    for _ in range(2):
        # It stays, with its time: a message that goes away leaves the page as it was before.
        assert said in anybody.get(path).text
    assert attempts(rt) == ["declined", "declined"]
    case = only(rt, DunningCase)
    assert (case.step, case.next_at, case.resume_at) == (0, due, None)


def test_another_known_card_can_be_chosen_and_pays_from_now_on(
    rt: Runtime, anybody: Visitor, path: str, demo_gateway: DemoGateway
) -> None:
    owner = only(rt, PaymentMethod).customer_id
    row = PaymentMethod(
        public_id="pm_other",
        customer_id=owner,
        gateway="demo",
        account="demo",
        token=demo_gateway.bank.token_for("4242"),
        brand="visa",
        last4="4242",
        fingerprint="other",
        is_backup=True,
        created_at=rt.now(),
    )
    rt.session.add(row)
    rt.session.commit()
    assert 'value="pm_other"' in anybody.get(path).text

    anybody.post(path, method="pm_other")

    assert lead(anybody.get(path).text) == "This is paid"
    rt.session.rollback()
    chosen = rt.session.scalars(sa.select(PaymentMethod).where(PaymentMethod.is_default)).one()
    assert (chosen.public_id, chosen.is_backup) == ("pm_other", False)


def test_somebody_elses_card_cannot_be_named(
    rt: Runtime, anybody: Visitor, path: str, demo_gateway: DemoGateway
) -> None:
    stranger = factories.make_customer(rt, email="bob@example.org")
    factories.make_subscription(rt, customer=stranger)
    rt.session.rollback()
    foreign = rt.session.scalars(
        sa.select(PaymentMethod.public_id).where(PaymentMethod.customer_id == stranger.id)
    ).one()
    rt.session.rollback()
    count = demo_gateway.bank.executed_count()

    anybody.get(path)
    anybody.post(path, method=foreign)

    assert demo_gateway.bank.executed_count() == count
    assert attempts(rt)[0] == "declined"


@pytest.mark.parametrize("change", ["inv", "until", "mac"])
def test_a_link_that_was_changed_is_not_there(anybody: Visitor, path: str, change: str) -> None:
    invoice, until, mac = path.removeprefix("/pay/").split(".")
    other = {
        "inv": (invoice[:-1] + ("a" if invoice[-1] != "a" else "b"), until, mac),
        "until": (invoice, str(int(until) + 1), mac),
        "mac": (invoice, until, ("A" if mac[0] != "A" else "B") + mac[1:]),
    }[change]
    forged = "/pay/" + ".".join(other)

    assert anybody.get(forged).status_code == 404
    assert anybody.post(forged).status_code == 404
    assert len(mac) == 32  # 192 bits


def test_an_old_link_charges_nothing_and_mails_a_new_one(
    rt: Runtime, clock: FrozenClock, anybody: Visitor, path: str, demo_gateway: DemoGateway
) -> None:
    clock.advance(days=14)
    assert lead(anybody.get(path).text) == "This link is too old"
    anybody.post(path)
    assert attempts(rt) == ["declined"]

    anybody.post(f"{path}/again")
    fresh = mailed(rt, "payment_link")

    assert fresh != path
    assert lead(anybody.get(fresh).text) == "Pay €26.00"
    for _ in range(4):
        anybody.post(f"{path}/again")
    rt.session.rollback()
    sent = rt.session.scalar(
        sa.select(sa.func.count())
        .select_from(OutboxMessage)
        .where(OutboxMessage.topic == "payment_link")
    )
    assert sent <= 3


def test_after_a_cancellation_the_link_says_that_nothing_is_owed(
    rt: Runtime, anybody: Visitor, path: str, demo_gateway: DemoGateway
) -> None:
    sub = only(rt, Subscription)
    customer, public = sub.customer_id, sub.public_id
    rt.session.rollback()
    cancel(rt, customer, public)

    assert lead(anybody.get(path).text) == "Nothing is owed any more"
    anybody.post(path)

    assert demo_gateway.bank.executed_count() == 0
    assert only(rt, Subscription).state is SubscriptionState.CANCELED
    assert only(rt, Invoice).state is InvoiceState.VOID


def test_while_a_charge_has_no_answer_the_page_says_so_and_asks_nobody_again(
    rt: Runtime, anybody: Visitor, path: str, demo_gateway: DemoGateway
) -> None:
    token = only(rt, PaymentMethod).token
    demo_gateway.bank.script(token, [DOWN])
    anybody.get(path)
    anybody.post(path)

    assert lead(anybody.get(path).text) == "Your payment is on its way"
    anybody.post(path)

    assert attempts(rt) == ["declined", "unknown"]


def test_somebody_who_tries_cards_is_slowed_down(rt: Runtime, anybody: Visitor, path: str) -> None:
    anybody.get(path)
    answers = [anybody.post(f"{path}/card").location for _ in range(11)]

    assert all("/x/demo-gateway/" in each for each in answers[:10])
    assert answers[10] == path


def test_the_link_of_another_invoice_is_its_own(rt: Runtime, path: str) -> None:
    found = pay_links.opened(rt, path.removeprefix("/pay/"))
    assert found is not None
    assert found.invoice == only(rt, Invoice).public_id
