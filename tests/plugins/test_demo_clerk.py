"""The demo bank tells the shop by message what happened there; the shop believes only the bank."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from flask.testing import FlaskClient
from werkzeug.wrappers import Request, Response

from storefront.cli import main
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import ChargeAttempt, Dispute, Refund, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import webhooks
from storefront.settings import PREFIX
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.clerk import Clerk, Told, over_http
from storefront_demo_gateway.gateway import DemoGateway
from tests.emulators.serving import served
from tests.support.hooks import lost_renewal, never


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime) -> Iterator[None]:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def clerk(rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway) -> Clerk:
    """A clerk whose messages come in at the shop's own address."""

    def send(raw: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        answer = client.post("/hooks/demo", data=raw, headers=dict(headers))
        return answer.status_code, answer.text

    return Clerk(demo_gateway, send, rt.now)


def rows(rt: Runtime, model: type) -> list[AnyRow]:
    table = table_of(model)
    found = list(rt.session.execute(sa.select(table).order_by(table.c.id)))
    rt.session.rollback()
    return found


def subscribed(rt: Runtime) -> str:
    """Return the reference of the charge of a sign-up."""
    make.make_subscription(rt, plan=make.make_plan(rt, group=make.make_group(rt, cycles=30)))
    return str(rows(rt, ChargeAttempt)[0].public_id)


def test_a_lost_answer_arrives_by_message_and_a_repeat_is_known_as_one(
    rt: Runtime, clock: FrozenClock, clerk: Clerk, demo_gateway: DemoGateway
) -> None:
    reference = lost_renewal(rt, clock, demo_gateway)
    told = clerk.do("tell", reference)
    assert (told.status, told.answer) == (200, "stored")
    assert rows(rt, ChargeAttempt)[-1].state == "succeeded"
    assert clerk.do("tell", reference) == Told(told.event, 200, "repeated")


def test_a_dispute_holds_and_its_end_is_told_too(rt: Runtime, clerk: Clerk) -> None:
    reference = subscribed(rt)
    assert clerk.do("dispute", reference).status == 200
    webhooks.apply_due(rt, never)
    assert [one.state for one in rows(rt, Dispute)] == ["open"]
    assert rows(rt, Subscription)[0].held_at is not None
    assert clerk.do("win", reference).status == 200
    webhooks.apply_due(rt, never)
    assert [one.state for one in rows(rt, Dispute)] == ["won"]
    clerk.do("lose", reference)
    webhooks.apply_due(rt, never)
    assert [one.state for one in rows(rt, Dispute)] == ["won"]
    assert rows(rt, Subscription)[0].state == SubscriptionState.ACTIVE


@pytest.mark.parametrize("action", ["tell", "return", "dispute", "win", "lose", "pay"])
def test_what_the_bank_does_not_know_is_said_and_sends_nothing(
    rt: Runtime, clerk: Clerk, action: str
) -> None:
    with pytest.raises(LookupError):
        clerk.do(action, "pay_nobody")
    assert rows(rt, Refund) == []


def test_a_shop_that_is_not_there_is_said_and_the_bank_has_done_it(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    reference = subscribed(rt)
    away = Clerk(demo_gateway, over_http("http://127.0.0.1:9/hooks/demo"), rt.now)
    assert away.do("dispute", reference).status == 0
    assert len(demo_gateway.disputes(reference)) == 1


def test_a_message_over_a_socket_is_what_was_signed(rt: Runtime, demo_gateway: DemoGateway) -> None:
    heard: list[Any] = []

    @Request.application
    def shop(request: Request) -> Response:
        heard.append(demo_gateway.parse_webhook(dict(request.headers), request.get_data()))
        return Response("stored")

    reference = subscribed(rt)
    with served(shop) as address:
        told = Clerk(demo_gateway, over_http(f"{address}/hooks/demo"), rt.now).do("tell", reference)
    assert (told.status, told.answer) == (200, "stored")
    assert [(one.reference, one.type) for one in heard] == [(reference, "charge.succeeded")]


@pytest.fixture
def demo_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty demo shop of its own, and nothing of the machine's environment."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STOREFRONT_ENVIRONMENT", "demo")
    monkeypatch.setenv("STOREFRONT_DATA_DIR", str(tmp_path / "instance"))
    monkeypatch.setenv("STOREFRONT_DATABASE_URL", f"sqlite:///{tmp_path / 'shop.sqlite'}")
    monkeypatch.setenv("STOREFRONT_BASE_URL", "http://127.0.0.1:9")
    assert CliRunner().invoke(main, ["migrate"]).exit_code == 0


def test_the_command_lists_charges_and_says_what_can_be_done(demo_shop: None) -> None:
    listed = CliRunner().invoke(main, ["demo", "bank"])
    assert listed.exit_code == 0, listed.output
    assert "demo bank dispute" in listed.output
    for arguments, said in (
        (["dance", "pay_1"], "cannot dance"),
        (["dispute"], "taken no money"),
        (["tell", "pay_1"], "no such charge"),
    ):
        done = CliRunner().invoke(main, ["demo", "bank", *arguments])
        assert done.exit_code == 1
        assert said in done.output


def test_the_command_is_for_demos_alone(demo_shop: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOREFRONT_ENVIRONMENT", "development")
    done = CliRunner().invoke(main, ["demo", "bank"])
    assert done.exit_code == 1
    assert "no demo shop" in done.output
