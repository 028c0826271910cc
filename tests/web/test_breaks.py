"""Pause, coming back, another date and ordering again, as their customer meets them."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.lifecycle import SubscriptionState
from storefront.models import Checkout, Customer, Plan, Subscription
from storefront.models.base import table_of
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


def ordered(rt: Runtime, plan: Plan) -> Subscription:
    customer = rt.session.get(Customer, customer_with_password(rt, ADA))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    return make.make_subscription(rt, plan=plan, customer=customer)


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    return ordered(rt, make.make_plan(rt))


@pytest.fixture
def rolling(rt: Runtime) -> Subscription:
    """Packed every Thursday; ordered on 2 March, so it renews on the 2nd."""
    group = make.make_group(
        rt,
        unit="week",
        charge_day=None,
        anchor_on=date(2027, 2, 25),
        cycles=60,
        cutoff_days=1,
        lock_days=0,
        ship_days=1,
    )
    return ordered(rt, make.make_plan(rt, group=group))


def visitor(app: Flask) -> Visitor:
    return Visitor.of(app).sign_in(ADA)


def now(rt: Runtime) -> Subscription:
    row = rt.session.execute(sa.select(Subscription.__table__)).one()
    rt.session.rollback()
    return row  # type: ignore[return-value]


@pytest.mark.parametrize("htmx", [False, True])
def test_a_pause_is_chosen_shown_and_taken_back(
    app: Flask, rt: Runtime, sub: Subscription, htmx: bool
):
    ada, url = visitor(app), f"/account/subscriptions/{sub.public_id}"
    shown = ada.get(f"{url}/pause")
    assert "Next charge on Wed 12 May, €26.00" in shown.text
    assert "still ships on Thu 18 March" in shown.text

    answer = ada.post(f"{url}/pause", htmx=htmx, until="2027-05-12")

    assert answer.status_code == (200 if htmx else 303)
    assert now(rt).resumes_on == date(2027, 5, 12)
    assert "Mon 12 April to Wed 12 May" in ada.get(url).text
    assert "Mon 12 April to Wed 12 May" in ada.get("/account/").text
    ada.post(f"{url}/pause/drop", htmx=htmx)
    assert now(rt).pauses_on is None


def test_a_pause_without_a_choice_is_asked_again(app: Flask, rt: Runtime, sub: Subscription):
    answer = visitor(app).post(f"/account/subscriptions/{sub.public_id}/pause", until="soon")

    assert answer.status_code == 422
    assert "Choose how long" in answer.text


def test_somebody_who_pauses_comes_back_on_the_usual_day(
    app: Flask, rt: Runtime, clock: FrozenClock, sub: Subscription
):
    url = f"/account/subscriptions/{sub.public_id}"
    visitor(app).post(f"{url}/pause", until="open")
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    clock.set(datetime(2027, 4, 20, 9, 0, tzinfo=UTC))
    ada = visitor(app)

    assert "from Mon 12 April, until you come back" in ada.get(url).text
    assert "Charged on Wed 12 May, €26.00" in ada.get(f"{url}/resume").text
    assert ada.post(f"{url}/resume", when="grid").status_code == 303
    assert (now(rt).state, now(rt).next_on) == (SubscriptionState.PAUSED, date(2027, 5, 12))


def test_where_all_are_charged_on_one_day_the_date_is_said_to_be_fixed(
    app: Flask, sub: Subscription
):
    answer = visitor(app).get(f"/account/subscriptions/{sub.public_id}/date")

    assert "leave on the same day here" in answer.text
    assert "Send now and pay" not in answer.text
    assert (
        f"{sub.public_id}/date"
        not in visitor(app).get(f"/account/subscriptions/{sub.public_id}").text
    )


@pytest.mark.parametrize("htmx", [False, True])
def test_another_day_is_shown_before_it_is_taken(
    app: Flask, rt: Runtime, rolling: Subscription, htmx: bool
):
    ada, url = visitor(app), f"/account/subscriptions/{rolling.public_id}/date"

    looked = ada.post(url, htmx=htmx, day="2027-04-20")
    assert "You pay €26.00 on Tue 20 April instead of Fri 2 April." in looked.text
    assert now(rt).anchor_on == date(2027, 4, 2)

    ada.post(url, htmx=htmx, day="2027-04-20", shown="2027-04-20 €26.00")
    assert now(rt).anchor_on == date(2027, 4, 20)


def test_a_box_sent_now_is_charged_today(
    app: Flask, rt: Runtime, clock: FrozenClock, rolling: Subscription
):
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    ada, url = visitor(app), f"/account/subscriptions/{rolling.public_id}"
    assert f"{rolling.public_id}/date" in ada.get(url).text
    assert "Send now and pay €26.00" in ada.get(f"{url}/date").text

    assert ada.post(f"{url}/send-now", shown="2027-03-16 €1.00").status_code == 409
    assert ada.post(f"{url}/send-now", shown="2027-03-16 €26.00").status_code == 303

    assert now(rt).next_on == date(2027, 3, 16)
    assert run_renewals(rt).charges.settled == 1


def test_who_left_orders_again_with_what_is_known(
    app: Flask, rt: Runtime, clock: FrozenClock, sub: Subscription
):
    make.make_options(rt, rt.session.get_one(Plan, sub.plan_id))
    rt.session.execute(sa.update(Subscription).values(options={"taste": "strong"}))
    rt.session.commit()
    cancel(rt, sub.customer_id or 0, sub.public_id)
    clock.set(datetime(2027, 4, 2, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    ada, url = visitor(app), f"/account/subscriptions/{sub.public_id}"
    page = ada.get(url).text
    assert "Subscribe again" in page
    assert f"/account/inquiries/new?about={url.rsplit('/', 1)[1]}" in page
    # The first page offers the same, not the prices anew.
    assert f'action="{url}/again"' in ada.get("/account/").text

    answer = ada.post(f"{url}/again")

    assert answer.status_code == 303
    row = rt.session.execute(sa.select(Checkout).order_by(Checkout.id.desc()).limit(1)).scalar_one()
    assert (row.plan_id, row.address["city"], row.email) == (sub.plan_id, "Jena", ADA)
    assert row.options == {"taste": "strong"}
    rt.session.rollback()


def test_where_the_plan_is_gone_the_nearest_is_named(
    app: Flask, rt: Runtime, clock: FrozenClock, sub: Subscription
):
    cancel(rt, sub.customer_id or 0, sub.public_id)
    clock.set(datetime(2027, 4, 2, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    rt.session.execute(sa.update(table_of(Plan)).values(archived_at=rt.now()))
    rt.session.commit()
    make.make_plan(rt, name="Cup", amount_minor=2500)
    make.make_plan(rt, name="Chest", amount_minor=9900)
    ada = visitor(app)

    answer = ada.post(f"/account/subscriptions/{sub.public_id}/again")

    assert "Cup comes nearest" in ada.get(answer.headers["Location"]).text or (
        "Cup comes nearest" in ada.get(ada.get(answer.headers["Location"]).location or "/").text
    )


def test_what_is_somebody_elses_is_not_there(app: Flask, rt: Runtime, sub: Subscription):
    customer_with_password(rt, "bea@example.org")
    bea = Visitor.of(app).sign_in("bea@example.org")
    url = f"/account/subscriptions/{sub.public_id}"

    for path in ("pause", "resume", "date"):
        assert bea.get(f"{url}/{path}").status_code == 404
    for path in ("pause/drop", "send-now", "again"):
        assert bea.post(f"{url}/{path}", shown="x").status_code in (404, 409)


def test_the_page_says_how_many_boxes_were_agreed_to(app: Flask, rt: Runtime):
    sub = ordered(rt, make.make_plan(rt, min_boxes=3))
    ada, url = visitor(app), f"/account/subscriptions/{sub.public_id}"

    assert "at least 3 boxes, 2 to come" in ada.get(url).text
    assert "It ends after box 3, on Sat 12 June." in ada.get(f"{url}/cancel").text
    ada.post(f"{url}/cancel")
    assert now(rt).cancel_on == date(2027, 6, 12)
    assert "Cancelled. It ends after box 3." in ada.get(f"{url}/cancelled").text
