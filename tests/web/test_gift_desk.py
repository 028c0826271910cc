"""The page of a gift that nobody has claimed, as staff use it for who gave it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.boxes import BoxState
from storefront.models import Box, BoxCycle, Customer, Gift
from storefront.runtime import Runtime
from storefront.services.cycles import close_cycles
from storefront.services.gifts import claim, run_gifts
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import desk
from tests.support.gifts import HOME, code_of, make_gift, wish_for

TYPED = {name: value for name, value in HOME.items() if name != "country"}


@pytest.fixture
def gift(rt: Runtime) -> Gift:
    plan = make.make_plan(rt, name="Pot")
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, on_hand=0)])
    return make_gift(rt, plan, wish_for(rt.today(), email="typo@example.org"))


def refs(rt: Runtime, gift: Gift) -> tuple[str, str]:
    """Return the page of the gift, and that of its giver."""
    giver = rt.session.scalar(sa.select(Customer.public_id).where(Customer.id == gift.giver_id))
    rt.session.rollback()
    return f"/admin/gifts/{gift.public_id}", f"/admin/subscribers/{giver}"


def test_staff_enter_the_address_and_send_the_link_again(
    app: Flask, rt: Runtime, gift: Gift
) -> None:
    url, giver = refs(rt, gift)
    run_gifts(rt)
    support = desk(app, rt, "support")
    assert f'href="{url}"' in support.get(giver).text
    page = support.get(url).text
    assert "not claimed yet" in page
    assert 'value="typo@example.org"' in page
    assert "Enter the address" in page

    wrong = support.post(f"{url}/address", TYPED | {"postcode": "7743", "street": "Ring 1"})
    assert wrong.status_code == 422
    assert "Postcodes there look like 07743. Check yours" in wrong.text
    assert 'value="Ring 1"' in wrong.text
    assert 'value="typo@example.org"' in wrong.text

    # The country is not what is typed, but what was paid for.
    done = support.post(f"{url}/address", TYPED | {"country": "AT"})
    assert done.location == url
    page = support.get(url).text
    assert "Saved. Boxes whose cut-off is not over go there." in page
    assert "Ada Lovelace, Lindenweg 4, 07743 Jena" in page
    assert "Correct the address" in page

    wrong = support.post(f"{url}/link", {"email": "ada at example"})
    assert wrong.status_code == 422
    assert 'value="ada at example"' in wrong.text
    assert "Enter an e-mail like name@example.com" in wrong.text
    assert support.post(f"{url}/link", {"email": "ADA@example.org"}).location == url
    page = support.get(url).text
    assert "The link is on its way to" in page
    assert 'value="ada@example.org"' in page.lower()


def test_a_claimed_gift_is_its_recipients_to_change(app: Flask, rt: Runtime, gift: Gift) -> None:
    url, _giver = refs(rt, gift)
    run_gifts(rt)
    support = desk(app, rt, "support")
    support.get(url)
    claim(rt, code_of(rt, gift), "ada@example.org", HOME)

    page = support.get(url).text
    assert "Whoever got it says where it goes." in page
    assert "Lindenweg" not in page
    assert "Save address" not in page
    late = support.post(f"{url}/address", TYPED)
    assert late.location == url
    assert "Somebody has claimed it meanwhile" in support.get(url).text


def test_only_who_manages_subscriptions_changes_a_gift(app: Flask, rt: Runtime, gift: Gift) -> None:
    url, _giver = refs(rt, gift)
    run_gifts(rt)
    packer = desk(app, rt, "fulfilment")
    for path, fields in (("address", TYPED), ("link", {"email": "ada@example.org"})):
        assert packer.post(f"{url}/{path}", fields).status_code == 403
    owner = desk(app, rt)
    assert owner.get("/admin/gifts/gft_none").status_code == 404
    assert owner.post("/admin/gifts/gft_none/address", TYPED).status_code == 404


def test_a_box_that_waits_for_nobody_leads_to_its_gift(
    app: Flask, rt: Runtime, clock: FrozenClock
) -> None:
    plan = make.make_plan(rt, name="Pot")
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, on_hand=0)])
    given = make_gift(rt, plan, wish_for(rt.today(), address=HOME))
    url, _giver = refs(rt, given)
    clock.set(datetime(2027, 3, 16, 9, tzinfo=UTC))
    close_cycles(rt)
    held = sa.select(Box.cycle_id).where(Box.state == BoxState.HELD)
    cycle = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.id.in_(held))).one()
    rt.session.rollback()

    page = desk(app, rt).get(f"/admin/cycles/{cycle}").text

    assert f'<a href="{url}">Nobody yet</a>' in page
    support = desk(app, rt, "support")
    support.get(url)
    late = support.post(f"{url}/address", TYPED | {"street": "Am Ufer 1"})
    assert late.status_code == 422
    assert "Every box of it is being packed or has left" in late.text
    assert 'value="Am Ufer 1"' in late.text
