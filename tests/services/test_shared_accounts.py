"""P-07: two installations share one gateway account; neither takes the other's for its own."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from storefront.domain.references import is_foreign, mark_of
from storefront.models import ChargeAttempt, Difference, GatewaySetup, Installation, Refund
from storefront.models.base import table_of
from storefront.operations.references import known_mark, new_references
from storefront.queries.installation import confirmed
from storefront.runtime import Runtime
from storefront.services import webhooks
from storefront.services.installation import confirm, describe
from storefront.services.methods import begin_card
from storefront.services.reconciliation import compare_due
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.hooks import events, never, send


@pytest.fixture
def mark(rt: Runtime) -> str:
    """The mark of this installation, which has charged somebody."""
    make.make_subscription(rt, plan=make.make_plan(rt, group=make.make_group(rt, cycles=30)))
    found = known_mark(rt.session)
    rt.session.rollback()
    assert len(found) == 4
    return found


def all_of(rt: Runtime, model: type) -> list[Any]:
    rows = list(rt.session.scalars(sa.select(table_of(model).c.public_id)))
    rt.session.rollback()
    return rows


def charge_at(gateway: DemoGateway, reference: str) -> None:
    details = {
        "token": gateway.bank.token_for("4242"),
        "amount_minor": 2600,
        "currency": "EUR",
        "on_session": False,
        "return_url": "",
        "merchant": "",
        "invoice": "",
    }
    gateway.bank.charge(reference, details)


def test_what_goes_to_a_gateway_carries_the_mark_of_its_installation(
    rt: Runtime, mark: str
) -> None:
    owner = make.make_customer(rt)
    rt.session.commit()
    begin_card(rt, owner.id, "https://shop.example/back")
    assert [each[:9] for each in all_of(rt, ChargeAttempt)] == [f"pay_{mark}_"]
    assert {each[:9] for each in all_of(rt, GatewaySetup)} == {f"set_{mark}_"}
    assert max(len(each) for each in all_of(rt, ChargeAttempt)) <= 40
    assert all_of(rt, Refund) == []
    [refund] = new_references(rt.session, "ref", 1, rt.now())
    assert refund.startswith(f"ref_{mark}_")


def test_an_installation_has_one_mark_and_nobody_confirmed_it_by_that(
    rt: Runtime, mark: str
) -> None:
    new_references(rt.session, "pay", 1, rt.now())
    rt.session.commit()
    assert [mark_of(each) for each in all_of(rt, Installation)] == [mark]
    assert confirmed(rt.session) is None
    rt.session.rollback()
    assert describe(rt) == ""
    confirm(rt)
    assert known_mark(rt.session) == mark
    rt.session.rollback()


def test_a_charge_of_another_installation_is_no_difference_and_one_of_ours_is(
    rt: Runtime, mark: str, demo_gateway: DemoGateway
) -> None:
    theirs = "aaaa" if mark != "aaaa" else "bbbb"
    charge_at(demo_gateway, f"pay_{theirs}_" + "x" * 26)
    assert compare_due(rt).differences == 0
    charge_at(demo_gateway, f"pay_{mark}_" + "x" * 26)
    rt.session.execute(sa.text("UPDATE gateway_state SET compared_until = NULL"))
    rt.session.commit()
    assert compare_due(rt).differences == 1


@pytest.mark.parametrize("about", ["charge", "refund", "setup", "dispute"])
def test_messages_of_another_installation_are_ignored_and_wait_for_nobody(
    rt: Runtime, client: FlaskClient, mark: str, demo_gateway: DemoGateway, about: str
) -> None:
    theirs = "aaaa" if mark != "aaaa" else "bbbb"
    strange = f"pay_{theirs}_" + "x" * 26
    charge_at(demo_gateway, strange)
    assert send(client, rt, about=about, reference=strange).status_code == 200
    webhooks.apply_due(rt, never)
    [event] = events(rt)
    assert (event.state, event.error) == ("applied", "other_installation")
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Difference)) == 0
    rt.session.rollback()


def test_what_is_in_our_books_is_ours_whatever_its_mark(
    rt: Runtime, client: FlaskClient, mark: str
) -> None:
    """Such as after the row of the installation was made anew."""
    table = table_of(Installation)
    rt.session.execute(sa.update(table).values(public_id="ins_zzzz" + "q" * 22))
    rt.session.commit()
    [ours] = all_of(rt, ChargeAttempt)
    assert is_foreign(ours, "zzzz")
    send(client, rt, reference=ours)
    webhooks.apply_due(rt, never)
    [event] = events(rt)
    assert (event.state, event.error) == ("applied", "")
