"""The list of differences as staff see it, and the line on the first page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from storefront.runtime import Runtime
from storefront.services.reconciliation import compare_due
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import desk


@pytest.fixture(params=["sqlite"])
def database(databases: Any, tmp_path: Any) -> Any:
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def strange(rt: Runtime, demo_gateway: DemoGateway) -> str:
    """A charge at the gateway that no book of ours has."""
    make.make_shop(rt)
    details = {
        "token": demo_gateway.bank.token_for("4242"),
        "amount_minor": 2600,
        "currency": "EUR",
        "on_session": False,
        "return_url": "",
        "merchant": "",
        "invoice": "",
    }
    reference = "pay_" + "x" * 26
    demo_gateway.bank.charge(reference, details)
    compare_due(rt)
    return reference


def test_staff_see_a_difference_in_plain_words_and_settle_it(
    app: Flask, rt: Runtime, strange: str
) -> None:
    browser = desk(app, rt)
    assert "1 payment differs from the list of a gateway" in browser.get("/admin/").text
    page = browser.get("/admin/differences").text
    assert "demo took €26.00 that is in no book here." in page
    assert strange in page
    (address,) = re.findall(r'action="/admin/differences/(dif_\w+)/settle"', page)

    empty = browser.post(f"/admin/differences/{address}/settle", {"note": " "})
    assert empty.status_code == 422
    assert "Say in a few words what you did" in empty.text
    done = browser.post(f"/admin/differences/{address}/settle", {"note": "Given back there"})
    assert done.status_code == 303

    assert "agree." in browser.get("/admin/differences").text
    settled = browser.get("/admin/differences?state=settled").text
    assert "Settled by Mia owner: Given back there" in settled
    assert "Nothing matches." in browser.get("/admin/differences?kind=amount&gateway=demo").text
    assert "differs from the list" not in browser.get("/admin/").text


def test_comparing_now_is_asked_of_the_worker(app: Flask, rt: Runtime, strange: str) -> None:
    browser = desk(app, rt)
    browser.get("/admin/differences")
    assert compare_due(rt).compared == 0
    assert browser.post("/admin/differences/compare").status_code == 303
    assert compare_due(rt).compared == 1


@pytest.mark.usefixtures("strange")
def test_only_who_may_decide_about_charges_sees_them(app: Flask, rt: Runtime) -> None:
    support = desk(app, rt, "support")
    assert support.get("/admin/differences").status_code == 403
    assert "differs from the list" not in support.get("/admin/").text


def test_the_health_page_says_what_differs_and_when_it_was_compared(
    client: FlaskClient, strange: str
) -> None:
    told = client.get("/readyz").get_json()
    assert told["differences"] == 1
    assert told["compared"]["demo"] == {"seconds_ago": 0, "error": ""}
