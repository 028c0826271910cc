"""A browser that says it is not to be followed: honoured, shown, and told to plugins."""

from collections.abc import Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient

from storefront.hooks import hookimpl
from storefront.models import Checkout
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import only
from tests.support.shopper import Shopper

SAYS_NO = {"Sec-GPC": "1"}
SHOWN = "Opt-out request honored"
FROM_A_LETTER = "/?utm_source=letter"


@pytest.fixture(autouse=True)
def _plan(rt: Runtime) -> None:
    make.make_plan(rt, code="pot", name="Pot")


@pytest.mark.parametrize("page", ["/", "/plans/pot", "/gifts", "/sign-in", "/checkout?plan=pot"])
def test_the_foot_of_a_page_says_that_it_is_honoured_to_who_sent_it_alone(
    client: FlaskClient, page: str
) -> None:
    # Kept pages of the one are not sent to the other.
    for _twice in range(2):
        assert SHOWN in client.get(page, headers=SAYS_NO).text
        assert SHOWN not in client.get(page).text
        assert SHOWN not in client.get(page, headers={"Sec-GPC": "0"}).text


def test_a_cache_keeps_the_two_apart(client: FlaskClient) -> None:
    said_no, said_nothing = client.get("/", headers=SAYS_NO), client.get("/")

    assert "sec-gpc" in {name.lower() for name in said_nothing.vary}
    assert said_no.headers["ETag"] != said_nothing.headers["ETag"]


def test_where_they_came_from_is_neither_carried_along_nor_kept(
    client: FlaskClient, rt: Runtime, demo_gateway: DemoGateway
) -> None:
    carried = "interval=1m&amp;utm_source=letter"
    assert carried in client.get(FROM_A_LETTER).text
    assert carried not in client.get(FROM_A_LETTER, headers=SAYS_NO).text
    came = {**SAYS_NO, "Referer": "https://blog.example/tea"}
    assert "blog.example" not in client.get("/", headers=came).text

    client.environ_base["HTTP_SEC_GPC"] = "1"
    Shopper(client, demo_gateway).begin(utm_source="letter")
    assert only(rt, Checkout).source == {}


def test_plugins_are_told(rt: Runtime, client: FlaskClient) -> None:
    told: list[object] = []

    class Ear:
        @hookimpl
        def slot(self, ctx: Mapping[str, Any]) -> None:
            told.append(ctx["opted_out"])

    rt.hooks.register(Ear(), name="ear")
    client.get("/sign-in", headers=SAYS_NO)
    client.get("/sign-in")

    assert told == [True, False]


def test_programs_find_that_it_is_honoured_where_its_specification_says(
    client: FlaskClient,
) -> None:
    answer = client.get("/.well-known/gpc.json")

    assert answer.mimetype == "application/json"
    assert answer.json is not None
    assert answer.json["gpc"] is True
