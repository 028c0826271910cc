"""The page of preferences, for subscribers and for staff."""

import re

import sqlalchemy as sa

from storefront.models import Customer, Option, Subscription
from storefront.testing.factories import make_group, make_options, make_plan, price_of
from tests.support.admin import desk
from tests.support.boxes import cycles_of, make_box, make_subscribed
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"
SIZES = [("s", "Small", 0), ("l", "Large", 400)]


def answered(rt, sub):
    found = rt.session.scalar(sa.select(Subscription.options).where(Subscription.id == sub))
    rt.session.rollback()
    return found


def checked(page):
    """Return what is chosen on a page, by question."""
    found = re.findall(r"<input[^>]*>", page)
    chosen = [dict(re.findall(r'(\S+)="([^"]*)"', one)) for one in found if " checked" in one]
    return {one["name"]: one["value"] for one in chosen}


def test_a_subscriber_and_staff_answer_anew_and_see_what_was_said(app, rt):
    group = make_group(rt)
    plan = make_plan(rt, group=group)
    make_options(rt, plan)
    make_options(rt, plan, code="size", choices=SIZES)
    who, said = customer_with_password(rt, ADA), {"taste": "mild", "size": "s"}
    sub = make_subscribed(rt, plan, customer_id=who, options=said)
    make_box(rt, plan, cycles_of(rt, group)[0], subscription=sub, options=said)
    ref, key, price = sub.public_id, sub.id, price_of(rt, plan).public_id
    customer = rt.session.scalar(sa.select(Customer.public_id).where(Customer.id == who))
    rt.session.expunge_all()
    rt.session.rollback()
    ada, url = Visitor.of(app).sign_in(ADA), f"/account/subscriptions/{ref}/answers"

    assert f'href="{url}"' in ada.get(f"/account/subscriptions/{ref}").text
    page = ada.get(url).text
    for words in ("Mild", "Strong", "counts from the box of", "23:59", "Other answers cost more"):
        assert words in page
    assert "Large" not in page
    wish = f"/account/subscriptions/{ref}/plan?price={price}&option-taste=strong"
    assert f'href="{url}?option-taste=strong"' in ada.get(wish).text

    dear = ada.post(url, **{"option-taste": "strong", "option-size": "l"})
    assert dear.status_code == 422
    # What else was chosen stays, the question that cannot be shows what is saved, focus is there.
    assert checked(dear.text) == {"option-taste": "strong"}
    assert 'id="answers-problem" tabindex="-1" autofocus' in dear.text
    assert ada.post(url, **{"option-taste": "none"}).status_code == 422
    assert answered(rt, key) == said
    assert ada.post(url, **{"option-taste": "strong"}).status_code == 303
    assert answered(rt, key) == {"taste": "strong", "size": "s"}
    rt.session.execute(sa.update(Option).where(Option.code == "mild").values(name="Gentle"))
    rt.session.commit()
    page = ada.get(url).text
    for words in ("Saved. It counts from the box of", "with the order", "<b>Mild</b>"):
        assert words in page
    assert "You changed your preferences." in ada.get(f"/account/subscriptions/{ref}").text

    mia, admin = desk(app, rt), f"/admin/subscribers/{customer}/{ref}/answers"
    assert f'href="{admin}"' in mia.get(f"/admin/subscribers/{customer}").text
    page = mia.get(admin).text
    for words in ("<b>Mild</b>", "now called Gentle", "if it is saved until", "subscription Pot"):
        assert words in page
    part = mia.post(admin, {"option-taste": "mild"}, partial=True)
    assert (part.status_code, "<html" in part.text) == (200, False)
    assert answered(rt, key) == said
    again = mia.post(admin, {"option-taste": "mild"}, partial=True)
    assert "Nothing to save: it is all as before." in again.text
