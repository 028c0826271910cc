"""Subscribers in the admin: found in seconds, and acted for with the same services as customers."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import Afterwards, Way
from storefront.models import (
    Customer,
    Invoice,
    LoginLink,
    OutboxMessage,
    ParkedWork,
    Plan,
    Subscription,
)
from storefront.models.base import table_of
from storefront.queries import subscribers as query
from storefront.runtime import Runtime
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.testing import factories as make
from storefront.testing.population import populate
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import Desk, desk, make_staff
from tests.support.orders import begin, paid


@pytest.fixture
def pot(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def ada(rt: Runtime, pot: Plan, demo_gateway: DemoGateway) -> Customer:
    """A customer who ordered in the shop, with a paid box to come."""
    paid(rt, demo_gateway, begin(rt, pot))
    found = rt.session.execute(sa.select(Customer)).scalar_one()
    rt.session.expunge(found)
    rt.session.rollback()
    return found


@pytest.fixture
def support(app: Flask, rt: Runtime) -> Desk:
    return desk(app, rt, "support")


def sub(rt: Runtime) -> sa.Row:  # type: ignore[type-arg]
    row = rt.session.execute(sa.select(table_of(Subscription))).one()
    rt.session.rollback()
    return row


def names(page: str) -> list[str]:
    return re.findall(r'<span class="meta under">([^<]*@[^<]*)</span>', page)


# ------------------------------------------------------------------------------------ the list


def test_everything_a_caller_may_say_finds_them(
    rt: Runtime, ada: Customer, pot: Plan, support: Desk
) -> None:
    invoice = rt.session.execute(sa.select(Invoice.number, Invoice.public_id)).one()
    reference = sub(rt).public_id
    populate(rt, pot, make.price_of(rt, pot), 2, date(2027, 4, 12))
    said = ("Lovelace", "LOVE", "ada@exam", reference, ada.public_id, invoice.public_id)
    for words in (*said, str(invoice.number)):
        page = support.get("/admin/subscribers", query_string={"q": words}).text
        assert names(page) == [ada.email], words
    for words in ("nobody", "%", "_", "sub_x", "999999", "da@example"):
        page = support.get("/admin/subscribers", query_string={"q": words}).text
        assert names(page) == [], words
        assert "No one matches. Remove a filter." in page


def test_the_search_of_every_page_opens_a_single_hit(
    rt: Runtime, ada: Customer, pot: Plan, support: Desk
) -> None:
    populate(rt, pot, make.price_of(rt, pot), 2, date(2027, 4, 12))
    assert support.get("/admin/search?q=lovelace").location == f"/admin/subscribers/{ada.public_id}"
    assert support.get("/admin/search?q=weber").location == "/admin/subscribers?q=weber"
    assert support.get("/admin/search?q=").location == "/admin/subscribers"


def test_filters_are_the_address_and_each_chip_takes_one_away(
    rt: Runtime, pot: Plan, support: Desk
) -> None:
    cup = make.make_plan(rt, code="cup", name="Cup")
    populate(rt, pot, make.price_of(rt, pot), 3, date(2027, 3, 12))
    populate(rt, cup, make.price_of(rt, cup), 2, date(2027, 3, 13))
    table = table_of(Subscription)
    rt.session.execute(
        sa.update(table)
        .where(table.c.id == sa.select(sa.func.min(table.c.id)).scalar_subquery())
        .values(state="past_due")
    )
    rt.session.commit()
    page = support.get("/admin/subscribers?state=past_due&plan=pot").text
    assert "1 subscription" in page
    assert 'href="/admin/subscribers?plan=pot"' in page
    assert 'href="/admin/subscribers?state=past_due"' in page
    assert "2 subscriptions" in support.get("/admin/subscribers?renews=2027-03-13").text
    everything = support.get("/admin/subscribers?state=nonsense&renews=never&older=sub_x")
    assert "5 subscriptions" in everything.text


def test_paging_shows_each_subscription_once_there_and_back(
    rt: Runtime, pot: Plan, support: Desk
) -> None:
    populate(rt, pot, make.price_of(rt, pot), query.PAGE * 2 + 5, date(2027, 3, 12))
    pages, path = [], "/admin/subscribers"
    while path:
        page = support.get(path).text
        pages.append(names(page))
        found = re.search(r'rel="next" href="([^"]+)"', page)
        path = found[1].replace("&amp;", "&") if found else ""
    assert [len(each) for each in pages] == [query.PAGE, query.PAGE, 5]
    assert len({email for each in pages for email in each}) == query.PAGE * 2 + 5
    found = re.search(r'rel="prev" href="([^"]+)"', page)
    assert found is not None
    back = support.get(found[1].replace("&amp;", "&")).text
    assert names(back) == pages[1]
    first = re.search(r'rel="prev" href="([^"]+)"', back)
    assert first is not None
    newest = support.get(first[1].replace("&amp;", "&")).text
    assert names(newest) == pages[0]
    assert 'rel="prev"' not in newest


def test_htmx_gets_the_list_alone(rt: Runtime, pot: Plan, support: Desk) -> None:
    populate(rt, pot, make.price_of(rt, pot), 1, date(2027, 3, 12))
    headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
    answer = support.get("/admin/subscribers?state=active", headers=headers)
    assert answer.text.lstrip().startswith('<div id="subscribers"')
    assert "HX-Request" in answer.headers["Vary"]


# ------------------------------------------------------------------------------- the customer


def test_the_page_says_what_the_engine_does_next(ada: Customer, support: Desk) -> None:
    page = support.get(f"/admin/subscribers/{ada.public_id}").text
    for words in (
        "Charge €26.00 to Visa 4242",
        "Mon 12 April",
        "The next box leaves",
        "Thu 18 March",
        "€26.00 paid",
        "Began. €26.00 paid.",
        "Invoice 1",
    ):
        assert words in page


def test_support_skips_and_takes_it_back(rt: Runtime, ada: Customer, support: Desk) -> None:
    path = f"/admin/subscribers/{ada.public_id}"
    page = support.get(path).text
    skip = re.search(r'action="([^"]+/skip/[^"]+)"', page)
    assert skip is not None
    done = support.post(skip[1], partial=True)
    assert "Skipped." in done.text
    undo = re.search(r'action="([^"]+/undo-skip/[^"]+)"', done.text)
    assert undo is not None
    assert "ships on" in support.post(undo[1], partial=True).text
    assert "by staff" in support.get(path).text


def test_support_cancels_in_two_steps_and_takes_it_back(
    rt: Runtime, ada: Customer, support: Desk
) -> None:
    path = f"/admin/subscribers/{ada.public_id}"
    cancel = f"{path}/{sub(rt).public_id}/cancel"
    asked = support.get(cancel).text
    assert "It runs until" in asked
    assert sub(rt).cancel_on is None
    assert support.post(cancel, {"note": "moves away"}).status_code == 303
    page = support.get(path).text
    assert "Cancelled. It ends on" in page
    assert "“moves away”" in page
    assert sub(rt).cancel_on is not None
    undone = support.post(f"{path}/{sub(rt).public_id}/undo-cancel", partial=True)
    assert "The subscription goes on." in undone.text
    assert sub(rt).cancel_on is None


def test_a_hold_needs_a_reason_and_shows_it(rt: Runtime, ada: Customer, support: Desk) -> None:
    path = f"/admin/subscribers/{ada.public_id}"
    hold = f"{path}/{sub(rt).public_id}/hold"
    support.get(path)
    wrong = support.post(hold, {"note": " "}, partial=True)
    assert (wrong.status_code, "Say why, so that the next person knows" in wrong.text) == (
        422,
        True,
    )
    held = support.post(hold, {"note": "<b>odd</b> call"}, partial=True)
    assert "On hold. Nothing is charged or packed" in held.text
    assert "&lt;b&gt;odd&lt;/b&gt; call" in held.text
    assert "by Mia support" in held.text
    released = support.post(f"{path}/{sub(rt).public_id}/release", partial=True)
    assert "Released." in released.text
    assert sub(rt).held_at is None


def test_a_sign_in_link_goes_to_the_customer(rt: Runtime, ada: Customer, support: Desk) -> None:
    path = f"/admin/subscribers/{ada.public_id}"
    support.get(path)
    sent = support.post(f"{path}/sign-in-link", partial=True)
    assert f"on its way to {ada.email}" in sent.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(LoginLink)) == 1
    topics = rt.session.scalars(sa.select(OutboxMessage.topic)).all()
    assert "sign_in" in topics


def test_only_who_may_charge_tries_a_failed_renewal_again(
    app: Flask, rt: Runtime, ada: Customer, support: Desk
) -> None:
    reference = sub(rt).public_id
    rt.session.execute(sa.update(Subscription).values(parked_at=rt.now()))
    rt.session.execute(
        sa.insert(ParkedWork).values(
            kind="renewal", subject=reference, reason="DataError", detail="", parked_at=rt.now()
        )
    )
    rt.session.commit()
    path = f"/admin/subscribers/{ada.public_id}"
    page = support.get(path).text
    assert "The renewal failed: DataError." in page
    assert "/try-again" not in page
    assert support.post(f"{path}/{reference}/try-again").status_code == 403
    owner = desk(app, rt)
    assert "/try-again" in owner.get(path).text
    assert owner.post(f"{path}/{reference}/try-again").status_code == 303
    assert sub(rt).parked_at is None


def test_what_is_not_there_is_not_found(ada: Customer, support: Desk, rt: Runtime) -> None:
    other = make.make_customer(rt)
    reference = sub(rt).public_id
    assert support.get("/admin/subscribers/cus_x").status_code == 404
    assert (
        support.get(f"/admin/subscribers/{other.public_id}/{reference}/cancel").status_code == 404
    )
    support.get(f"/admin/subscribers/{ada.public_id}")
    for act in ("undo-cancel", "hold", "release", "skip/cyc_x"):
        fields = {"note": "x"}
        path = f"/admin/subscribers/{other.public_id}/{reference}/{act}"
        assert support.post(path, fields).status_code == 404, act
    assert sub(rt).held_at is None


def test_a_name_cannot_bring_its_own_markup(rt: Runtime, ada: Customer, support: Desk) -> None:
    rt.session.execute(sa.update(Customer).values(name="<script>alert(1)</script>"))
    rt.session.commit()
    for path in ("/admin/subscribers", f"/admin/subscribers/{ada.public_id}"):
        page = support.get(path).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_a_declined_charge_is_shown_with_what_comes_next(
    rt: Runtime, pot: Plan, support: Desk
) -> None:
    from storefront.services.renewals import run_renewals

    populate(rt, pot, make.price_of(rt, pot), 1, rt.today() - timedelta(days=0), card="0002")
    run_renewals(rt)
    ref = rt.session.scalar(sa.select(Customer.public_id))
    rt.session.rollback()
    page = support.get(f"/admin/subscribers/{ref}").text
    assert "Try the declined charge again" in page
    assert "Declined" in page


def test_credit_notes_stand_below_their_invoice(
    app: Flask, rt: Runtime, ada: Customer, support: Desk
) -> None:
    invoice = str(rt.session.scalar(sa.select(Invoice.public_id)))
    rt.session.rollback()
    line = offer(rt, invoice).lines[0]
    wish = Wish({line.head.id: 500}, Way.CARD, CreditReason.GOODWILL, Afterwards.KEEP)
    note = refund(
        rt, make_staff(rt, "owner"), invoice, wish, quote_refund(rt, invoice, wish).quote_hash
    )

    page = support.get(f"/admin/subscribers/{ada.public_id}").text
    assert f"/admin/invoices/{note}" in page or f"/{note}" in page
    assert "Credit note " in page
    assert "−€5.00" in page or "-€5.00" in page


def test_the_timeline_names_sums_in_the_currency_that_was_paid(rt: Runtime, app: Flask) -> None:
    plan = make.make_plan(rt, amount_minor=None)
    make.make_price(rt, plan, amount_minor=2900, currency="JPY", country="DE")
    customer = make.make_customer(rt)
    make.make_subscription(rt, plan=plan, customer=customer)
    page = desk(app, rt, "support").get(f"/admin/subscribers/{customer.public_id}").text
    assert "€29.00 paid" not in page
    assert "<li>JP¥2,900 paid</li>" in page
    assert "Began. JP¥2,900 paid." in page
