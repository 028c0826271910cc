"""Somebody tries out cards: what is declined is counted, and then a break has to be taken."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.card_breaks import CardBreak
from storefront.domain.card_testing import Asker
from storefront.domain.charging import AnswerStatus
from storefront.jobs.work import GATEWAY_EVENTS, run_job
from storefront.models import (
    CardTry,
    ChargeAttempt,
    Checkout,
    Customer,
    GatewaySetup,
    PaymentMethod,
    Plan,
    ShopSettings,
    Subscription,
)
from storefront.runtime import Runtime
from storefront.services.checkout import Agreement, Placed, Step, place_order
from storefront.services.erasure import ask_erasure
from storefront.services.finishing import Finished, Outcome, finish_checkout, leave_bank
from storefront.services.method_changes import forget_methods
from storefront.services.methods import begin_card, finish_card
from storefront.services.old_messages import delete_old_tries
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.hooks import events, send
from tests.support.orders import begin, choose, count, in_parallel, quote_hash

HERE, THERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def limits(rt: Runtime, plan: Plan) -> None:
    set_limits(rt, person=4, address=6)


def set_limits(rt: Runtime, *, person: int, address: int, alarm: int = 30) -> None:
    rt.session.execute(
        sa.update(ShopSettings.__table__).values(  # type: ignore[arg-type]
            declines_person=person, declines_address=address, declines_alarm=alarm
        )
    )
    rt.session.commit()
    rt.forget_shop()


def order_from(rt: Runtime, key: str, address: str = HERE) -> Placed:
    agreement = Agreement(quote_hash(rt, key), "I agree.", "renewal-1", address, "UA")
    url = f"http://localhost/checkout/{key}"
    return place_order(
        rt,
        key,
        agreement,
        gateway="demo",
        return_url=f"{url}/finish",
        cancel_url=f"{url}/pay",
        asker=Asker.of(None, key, address),
    )


def try_card(
    rt: Runtime, gateway: DemoGateway, key: str, card: str, address: str = HERE
) -> Finished:
    choose(gateway, order_from(rt, key, address), card)
    return finish_checkout(rt, key)


def newest_setup(rt: Runtime) -> str:
    found = rt.session.scalars(sa.select(GatewaySetup).order_by(GatewaySetup.id.desc())).first()
    assert found is not None
    setup = found.public_id
    rt.session.rollback()
    return setup


def declined(rt: Runtime) -> int:
    return count(rt, CardTry, CardTry.declined_at.is_not(None))


@pytest.mark.usefixtures("limits")
def test_after_so_many_declined_cards_an_order_takes_none_for_an_hour(
    rt: Runtime, plan: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, plan)
    for card in ("0002", "9995", "0069", "9995"):
        assert try_card(rt, demo_gateway, key, card).outcome is Outcome.DECLINED
        clock.advance(minutes=1)

    stopped = order_from(rt, key)

    assert stopped.step is Step.BREAK
    assert stopped.until == rt.now() + timedelta(minutes=56)
    assert declined(rt) == 4
    clock.advance(minutes=57)
    assert try_card(rt, demo_gateway, key, "4242").outcome is Outcome.DONE


def test_three_declined_cards_stop_nobody(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
) -> None:
    set_limits(rt, person=4, address=4)
    key = begin(rt, plan)
    for card in ("0002", "9995", "0069"):
        try_card(rt, demo_gateway, key, card)

    assert try_card(rt, demo_gateway, key, "4242").outcome is Outcome.DONE
    assert declined(rt) == 3


@pytest.mark.usefixtures("limits")
def test_an_address_is_stopped_over_many_orders_and_another_address_is_not(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
) -> None:
    for number in range(6):
        key = begin(rt, plan, email=f"eve{number}@example.org")
        assert try_card(rt, demo_gateway, key, "9995").outcome is Outcome.DECLINED

    assert order_from(rt, begin(rt, plan)).step is Step.BREAK
    key = begin(rt, plan, email="ben@example.org")
    assert try_card(rt, demo_gateway, key, "4242", THERE).outcome is Outcome.DONE


@pytest.mark.usefixtures("limits")
def test_the_email_of_somebody_else_uses_up_none_of_their_tries(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
) -> None:
    victim = make.make_customer(rt, email="ada@example.org")
    key = begin(rt, plan)
    for card in ("0002", "9995", "0069", "9995"):
        try_card(rt, demo_gateway, key, card)

    assert begin_card(rt, victim.id, "http://localhost/back", address=THERE)


@pytest.mark.usefixtures("limits")
def test_paid_orders_count_nothing(rt: Runtime, plan: Plan, demo_gateway: DemoGateway) -> None:
    for number in range(8):
        key = begin(rt, plan, email=f"guest{number}@example.org")
        assert try_card(rt, demo_gateway, key, "4242").outcome is Outcome.DONE

    assert declined(rt) == 0


@pytest.mark.usefixtures("limits")
def test_pages_that_were_opened_before_the_break_charge_nothing_during_it(
    rt: Runtime, plan: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    keys = [begin(rt, plan, email=f"eve{number}@example.org") for number in range(8)]
    for key in keys:
        choose(demo_gateway, order_from(rt, key), "9995")
    # The worker finishes them as well, when the gateway's message comes.
    outcomes = [finish_checkout(rt, key).outcome for key in keys]

    assert outcomes == [Outcome.DECLINED] * 6 + [Outcome.BREAK] * 2
    assert declined(rt) == 6
    clock.advance(minutes=61)
    assert finish_checkout(rt, keys[-1]).outcome is Outcome.DECLINED


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize("in_account", [False, True])
def test_a_card_typed_in_the_break_of_others_is_finished_after_it_though_the_tab_was_closed(
    rt: Runtime,
    plan: Plan,
    clock: FrozenClock,
    client: FlaskClient,
    demo_gateway: DemoGateway,
    in_account: bool,
) -> None:
    if in_account:
        ben = make.make_customer(rt, email="ben@example.org")
        page = begin_card(rt, ben.id, "http://localhost/back", address=HERE)
    else:
        page = order_from(rt, begin(rt, plan, email="ben@example.org")).url
    setup = newest_setup(rt)
    for number in range(6):
        try_card(rt, demo_gateway, begin(rt, plan, email=f"eve{number}@example.org"), "9995")
    demo_gateway.bank.choose(page.rpartition("/")[2], "4242")
    send(client, rt, about="setup", reference=setup)

    clock.advance(minutes=1)
    assert run_job(rt, GATEWAY_EVENTS)
    [waiting] = events(rt)
    assert (waiting.state, waiting.error) == ("waiting", "card_break")
    assert count(rt, PaymentMethod, PaymentMethod.last4 == "4242") == 0

    clock.advance(minutes=60)
    assert run_job(rt, GATEWAY_EVENTS)
    assert [event.state for event in events(rt)] == ["applied"]
    assert count(rt, PaymentMethod, PaymentMethod.last4 == "4242") == 1
    assert count(rt, Subscription, Subscription.state == "active") == int(not in_account)


@pytest.mark.usefixtures("limits")
def test_a_decline_that_is_asked_for_again_counts_once(
    app: Flask, rt: Runtime, plan: Plan, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, plan)
    choose(demo_gateway, order_from(rt, key), "9995")

    said = in_parallel(app, 4, lambda own, _number: finish_checkout(own, key).outcome)

    assert set(said) == {Outcome.DECLINED}
    assert finish_checkout(rt, key).outcome is Outcome.DECLINED
    assert declined(rt) == 1


@pytest.mark.usefixtures("limits")
def test_declines_of_several_orders_at_once_are_all_counted(
    app: Flask, rt: Runtime, plan: Plan, demo_gateway: DemoGateway
) -> None:
    keys = [begin(rt, plan, email=f"eve{number}@example.org") for number in range(4)]
    for key in keys:
        choose(demo_gateway, order_from(rt, key), "9995")

    in_parallel(app, 4, lambda own, number: finish_checkout(own, keys[number]).outcome)

    assert declined(rt) == 4


@pytest.mark.usefixtures("limits")
def test_leaving_the_bank_counts_and_waits_during_a_break(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, plan)
    assert try_card(rt, demo_gateway, key, "3220").outcome is Outcome.ACTION
    assert leave_bank(rt, key).outcome is Outcome.DECLINED
    assert declined(rt) == 1
    assert try_card(rt, demo_gateway, key, "3220").outcome is Outcome.ACTION
    for number in range(5):
        other = begin(rt, plan, email=f"eve{number}@example.org")
        try_card(rt, demo_gateway, other, "9995")

    assert leave_bank(rt, key).outcome is Outcome.BREAK
    assert count(rt, Checkout, Checkout.state == "paying") == 1


@pytest.mark.usefixtures("limits")
def test_refused_cards_in_the_account_are_counted_for_the_customer(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    ada = make.make_customer(rt, email="ada@example.org")
    ben = make.make_customer(rt, email="ben@example.org")

    def add(who: Customer, card: str, address: str) -> AnswerStatus:
        page = begin_card(rt, who.id, "http://localhost/back", address=address)
        demo_gateway.bank.choose(page.rpartition("/")[2], card)
        return finish_card(rt, who.id, newest_setup(rt), {}).status

    begin_card(rt, ada.id, "http://localhost/back", address=HERE)
    left_open = newest_setup(rt)
    for number in range(4):
        assert add(ada, "0002", f"203.0.113.{number}") is AnswerStatus.DECLINED

    with pytest.raises(CardBreak) as refused:
        begin_card(rt, ada.id, "http://localhost/back", address=THERE)
    assert refused.value.params["until"] == rt.now() + timedelta(hours=1)
    with pytest.raises(CardBreak):
        finish_card(rt, ada.id, left_open, {})
    assert add(ben, "4242", HERE) is AnswerStatus.SUCCEEDED
    clock.advance(hours=1)
    assert add(ada, "4242", HERE) is AnswerStatus.SUCCEEDED


def test_many_declines_over_the_whole_shop_are_written_to_the_log(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, caplog: pytest.LogCaptureFixture
) -> None:
    set_limits(rt, person=4, address=100, alarm=5)
    with caplog.at_level(logging.WARNING, "storefront.operations.card_tries"):
        for number in range(5):
            key = begin(rt, plan, email=f"eve{number}@example.org")
            try_card(rt, demo_gateway, key, "9995")

    said = [record.getMessage() for record in caplog.records]
    assert [text for text in said if text.startswith("5 new cards were declined")]
    assert not [text for text in said if text.startswith("4 ")]
    assert HERE not in "".join(said)


@pytest.mark.usefixtures("limits")
def test_neither_address_nor_order_is_stored_as_it_is(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, plan)
    try_card(rt, demo_gateway, key, "9995")

    [row] = rt.session.execute(sa.select(CardTry.__table__)).all()  # type: ignore[arg-type]
    rt.session.rollback()
    assert (len(row.person), len(row.sender)) == (64, 64)
    assert key not in row.person
    assert HERE not in row.sender


def test_tries_of_a_week_ago_are_forgotten(
    rt: Runtime, plan: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    try_card(rt, demo_gateway, begin(rt, plan), "9995")
    clock.advance(days=6)
    try_card(rt, demo_gateway, begin(rt, plan), "9995")
    assert delete_old_tries(rt) == {"card_tries": 0}

    clock.advance(days=2)
    assert delete_old_tries(rt) == {"card_tries": 1}
    assert count(rt, CardTry) == 1


def test_a_card_that_no_bank_accepted_is_forgotten_after_a_week(
    rt: Runtime, plan: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, plan)
    try_card(rt, demo_gateway, key, "9995")
    assert try_card(rt, demo_gateway, key, "4242").outcome is Outcome.DONE
    clock.advance(days=6)
    delete_old_tries(rt)
    assert kept_cards(rt) == {"9995": False, "4242": False}

    clock.advance(days=2)
    delete_old_tries(rt)
    assert kept_cards(rt) == {"9995": True, "4242": False}
    assert forget_methods(rt) == {"forgotten": 1, "silent": 0}


def test_a_card_declined_first_and_accepted_later_stays(
    rt: Runtime, plan: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    try_card(rt, demo_gateway, begin(rt, plan), "9995")
    rt.session.execute(
        sa.update(ChargeAttempt.__table__).values(state="succeeded")  # type: ignore[arg-type]
    )
    rt.session.commit()
    clock.advance(days=8)
    assert delete_old_tries(rt) == {"card_tries": 1}
    assert kept_cards(rt) == {"9995": False}


def kept_cards(rt: Runtime) -> dict[str, bool]:
    """Say of each stored card by its last digits whether it was taken away."""
    table = PaymentMethod.__table__
    rows = rt.session.execute(sa.select(table.c.last4, table.c.detached_at)).all()
    rt.session.rollback()
    return {row.last4: row.detached_at is not None for row in rows}


def test_the_tries_of_an_erased_person_go_with_them(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
) -> None:
    make.make_shop(rt)
    ada = make.make_customer(rt, email="ada@example.org")
    page = begin_card(rt, ada.id, "http://localhost/back", address=HERE)
    demo_gateway.bank.choose(page.rpartition("/")[2], "0002")
    finish_card(rt, ada.id, newest_setup(rt), {})
    try_card(rt, demo_gateway, begin(rt, plan, email="ben@example.org"), "9995")
    assert declined(rt) == 2

    assert ask_erasure(rt, ada.public_id).is_done

    assert count(rt, CardTry) == 1
