"""One offer below the button to cancel: what it means, taken, declined, and as staff keep it."""

from __future__ import annotations

import html
import re

import pytest
from flask import Flask

from storefront.models import Customer, Subscription
from storefront.runtime import Runtime
from storefront.services.leaving_offers import OfferDraft, add_offer
from storefront.testing import factories as make
from tests.support.admin import desk, make_staff
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"
VIENNA = {"country": "AT", "postcode": "1070", "city": "Wien"}


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Ada's subscription, ordered on 2 March, whose boxes go to Vienna."""
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    return make.make_subscription(rt, plan=make.make_plan(rt), customer=customer, address=VIENNA)


@pytest.fixture
def ada(app: Flask, sub: Subscription) -> Visitor:
    return Visitor.of(app).sign_in(ADA)


def words(page: str) -> str:
    """Return what a page says, without its markup."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def button(page: str) -> tuple[str, str]:
    """Return address and agreement of the offer on a page."""
    form = re.search(r'action="([^"]+/offers/[^"]+)".*?name="shown" value="([^"]*)"', page, re.S)
    assert form is not None
    return form[1], html.unescape(form[2])


def test_a_pause_says_what_it_means_below_the_button_and_is_taken_with_one_click(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    add_offer(rt, make_staff(rt), OfferDraft("pause", 30, boxes=2))
    own = f"/account/subscriptions/{sub.public_id}"
    page = ada.get(f"{own}/cancel").text
    assert "Pause for 2 boxes" in words(page)
    assert "Nothing is charged from Mon 12 April on." in words(page)
    assert re.search(r"It goes on by itself on Sat 12 June, with €\d+\.\d\d\.", words(page))
    assert page.index("<span>Cancel subscription</span></button>") < page.index("/offers/")
    assert page.count("/offers/") == 1
    assert "Rather a break?" not in page
    path, shown = button(page)
    done = ada.post(path, shown=shown)
    assert done.location.endswith(own)
    after = words(ada.get(own).text)
    assert "Paused from Mon 12 April. It goes on by itself on Sat 12 June." in after
    assert "You took our offer." in after
    assert "/offers/" not in ada.get(f"{own}/cancel").text
    again = ada.post(path, shown=shown)
    assert "This offer is taken already" in words(ada.get(again.location).text)


def test_leaving_all_the_same_takes_one_click_and_is_counted(
    app: Flask, rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    ref = add_offer(rt, make_staff(rt, "support"), OfferDraft("skip", 30))
    own = f"/account/subscriptions/{sub.public_id}"
    page = ada.get(f"{own}/cancel").text
    assert f'name="offer" value="{ref}"' in page
    done = ada.post(f"{own}/cancel", offer=ref)
    assert "Cancelled. You will not be charged again." in words(ada.get(done.location).text)
    table = words(desk(app, rt).get("/admin/leaving").text)
    assert re.search(r"Skip the next box Any plan 30 days 0 1 ", table)


def test_the_next_box_is_left_out_only_as_it_was_shown(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    add_offer(rt, make_staff(rt), OfferDraft("skip", 30))
    own = f"/account/subscriptions/{sub.public_id}"
    path, shown = button(ada.get(f"{own}/cancel").text)
    other = ada.post(path, shown="skip something else")
    assert other.location.endswith("/cancel")
    assert "This changed meanwhile." in words(ada.get(other.location).text)
    done = ada.post(path, shown=shown)
    assert "Skipped. Your subscription goes on after that." in words(ada.get(done.location).text)


def test_a_discount_names_the_next_payment_without_and_with_it(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    make.make_code(rt, code="STAY20", percent_bp=2000, duration="cycles", duration_cycles=3)
    add_offer(rt, make_staff(rt), OfferDraft("discount", 30, code="stay20"))
    own = f"/account/subscriptions/{sub.public_id}"
    page = ada.get(f"{own}/cancel").text
    assert "It lowers your next 3 payments." in words(page)
    said = re.search(r"On (.+?) you pay €([\d.]+) instead of €([\d.]+)\.", words(page))
    assert said is not None
    assert float(said[2]) < float(said[3])
    path, shown = button(page)
    done = ada.post(path, shown=shown)
    after = words(ada.get(done.location).text)
    assert f"€{said[2]} on {said[1]}" in after
    assert "Code STAY20 3 payments left" in after


def test_a_box_to_germany_brings_the_note_about_a_pause_and_no_offer(
    app: Flask, rt: Runtime
) -> None:
    key = customer_with_password(rt, "bob@example.org")
    customer = rt.session.get(Customer, key)
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    sub = make.make_subscription(rt, customer=customer)
    add_offer(rt, make_staff(rt), OfferDraft("pause", 30, boxes=2))
    bob = Visitor.of(app).sign_in("bob@example.org")
    page = bob.get(f"/account/subscriptions/{sub.public_id}/cancel").text
    assert "/offers/" not in page
    assert "Rather a break?" in page


def test_staff_add_and_remove_an_offer(app: Flask, rt: Runtime) -> None:
    owner, plan = desk(app, rt), make.make_plan(rt)
    assert "No offers yet" in owner.get("/admin/leaving").text
    assert "/admin/leaving" in owner.get("/admin/plans").text
    fields = {"kind": "pause", "boxes": "2", "code": "", "plan": "", "rest_days": "90"}
    fields["to_plan"] = ""
    for wrong, said in (
        ({"boxes": "9"}, "Enter a whole number"),
        ({"boxes": ""}, "Enter a whole number"),
        ({"rest_days": ""}, "Enter a whole number"),
        ({"kind": "discount", "code": "NOWHERE"}, "Enter a code of yours"),
    ):
        page = owner.post("/admin/leaving/new", fields | wrong)
        assert (page.status_code, said in page.text) == (422, True)
    added = owner.post("/admin/leaving/new", fields | {"plan": plan.public_id})
    assert added.status_code == 303
    page = owner.get("/admin/leaving").text
    assert "Pause for 2 boxes" in page
    assert "90 days" in page
    path = re.search(r'action="(/admin/leaving/[^"]+/remove)"', page)
    assert path is not None
    assert "Removed." in owner.post(path[1], {}, partial=True).text
    assert owner.post(path[1], {}).status_code == 404


def offered(rt: Runtime, minor: int) -> str:
    """Offer a plan at ``minor`` a month to everybody; return its public id."""
    plan = make.make_plan(rt, code="cup", name="Cup", amount_minor=minor)
    add_offer(rt, make_staff(rt), OfferDraft("plan", 30, to_plan=plan.public_id))
    return plan.public_id


def test_a_cheaper_plan_says_from_when_and_for_how_much_and_waits_for_the_next_payment(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    offered(rt, 1600)
    own = f"/account/subscriptions/{sub.public_id}"
    page = ada.get(f"{own}/cancel").text
    assert "Cup, which costs less" in words(page)
    assert re.search(
        r"From Mon 12 April you have Cup for €16\.\d\d a month\. Until then", words(page)
    )
    assert "You can take it back until then." in words(page)
    assert page.index("<span>Cancel subscription</span></button>") < page.index("/offers/")
    path, shown = button(page)
    done = ada.post(path, shown=shown)
    assert "Noted. It changes with your next payment" in words(ada.get(done.location).text)
    plan_page = words(ada.get(f"{own}/plan").text)
    assert "From Mon 12 April you have Cup for" in plan_page
    assert "You took our offer." in words(ada.get(own).text)
    assert "/offers/" not in ada.get(f"{own}/cancel").text
    ada.post(f"{own}/plan/keep")
    assert "From Mon 12 April you have Cup for" not in words(ada.get(f"{own}/plan").text)


@pytest.mark.parametrize("minor", [2600, 9000])
def test_a_plan_that_costs_as_much_or_more_is_never_offered(
    rt: Runtime, ada: Visitor, sub: Subscription, minor: int
) -> None:
    offered(rt, minor)
    page = ada.get(f"/account/subscriptions/{sub.public_id}/cancel").text
    assert "/offers/" not in page
    assert "Rather a break?" in page


def test_a_cheaper_plan_is_not_offered_where_a_change_waits_or_its_price_was_taken_back(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    offered(rt, 1600)
    own = f"/account/subscriptions/{sub.public_id}"
    path, shown = button(ada.get(f"{own}/cancel").text)
    target = re.findall(r'name="price" value="([^"]+)"', ada.get(f"{own}/plan").text)[1]
    asked = ada.get(f"{own}/plan?price={target}&when=boundary").text
    posted = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', asked))
    assert ada.post(f"{own}/plan", **posted).location.endswith(own)
    assert "/offers/" not in ada.get(f"{own}/cancel").text
    late = ada.post(path, shown=shown)
    assert "does not stand any more" in words(ada.get(late.location).text)


def test_staff_offer_a_plan_that_is_not_the_one_they_have(app: Flask, rt: Runtime) -> None:
    owner, pot, cup = desk(app, rt), make.make_plan(rt), make.make_plan(rt, code="c", name="Cup")
    fields = {"kind": "plan", "boxes": "2", "code": "", "plan": pot.public_id, "rest_days": "90"}
    for to_plan, said in (
        ("", "Choose the plan that is offered"),
        (pot.public_id, "That is the plan they have"),
        ("plan_nowhere", "Choose one from the list"),
    ):
        page = owner.post("/admin/leaving/new", {**fields, "to_plan": to_plan})
        assert (page.status_code, said in page.text) == (422, True), to_plan
    added = owner.post("/admin/leaving/new", {**fields, "to_plan": cup.public_id})
    assert added.status_code == 303
    assert "Change to Cup" in owner.get("/admin/leaving").text
