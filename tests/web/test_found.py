"""What crawlers and shared links read: the price that people read, and nothing of private plans."""

from __future__ import annotations

import json
import re
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from storefront.models import Plan
from storefront.runtime import Runtime
from storefront.testing import factories as make

_BLOCK = re.compile(r'<script type="application/ld\+json">(.*?)</script>', re.DOTALL)


def structured(page: str) -> dict[str, Any]:
    found = _BLOCK.findall(page)
    assert len(found) == 1
    told: dict[str, Any] = json.loads(found[0])
    return told


def test_a_plan_tells_machines_the_price_it_tells_people(rt: Runtime, client: FlaskClient) -> None:
    plan = make.make_plan(rt, code="pot", name="Pot </script><b>")
    make.make_price(rt, plan, amount_minor=7410, count=3)

    page = client.get("/plans/pot?interval=3m&utm_source=letter").text

    told = structured(page)
    assert told["name"] == "Pot </script><b>"
    assert {one["price"] for one in told["offers"]} == {"26.00", "74.10"}
    assert {one["priceCurrency"] for one in told["offers"]} == {"EUR"}
    assert {one["availability"] for one in told["offers"]} == {"https://schema.org/InStock"}
    assert told["offers"][1]["url"] == "http://localhost/plans/pot?interval=3m"
    assert "€74.10" in page
    assert '<link rel="canonical" href="http://localhost/plans/pot">' in page


def test_the_pricing_page_lists_its_plans(rt: Runtime, client: FlaskClient) -> None:
    make.make_plan(rt, code="pot", name="Pot")
    page = client.get("/?interval=1m").text
    (listed,) = structured(page)["itemListElement"]
    assert (listed["name"], listed["url"]) == ("Pot", "http://localhost/plans/pot")
    assert '<link rel="canonical" href="http://localhost/">' in page
    assert '<meta property="og:title" content="Plans and prices">' in page


def test_a_plan_that_is_not_listed_is_told_to_nobody(rt: Runtime, client: FlaskClient) -> None:
    make.make_plan(rt, code="pot", name="Pot")
    make.make_plan(rt, code="friends", name="Friends", is_public=False)

    page = client.get("/plans/friends").text

    assert '<meta name="robots" content="noindex">' in page
    assert _BLOCK.findall(page) == []
    assert "friends" not in client.get("/sitemap.xml").text
    assert '<meta name="robots"' not in client.get("/plans/pot").text


def test_the_sitemap_lists_pages_that_are_there(rt: Runtime, client: FlaskClient) -> None:
    make.make_plan(rt, code="pot")
    make.make_plan(rt, code="gone")
    rt.session.execute(sa.update(Plan).where(Plan.code == "gone").values(archived_at=rt.now()))
    rt.session.commit()

    answer = client.get("/sitemap.xml")

    assert answer.mimetype == "application/xml"
    addresses = re.findall(r"<url><loc>([^<&]*)</loc>", answer.text)
    assert addresses == [
        f"http://localhost/{page}{language}"
        for page in ("", "plans/pot", "gifts")
        for language in ("?lang=en", "?lang=de", "?lang=fr", "")
    ]
    assert answer.text.count('hreflang="x-default" href="http://localhost/plans/pot"/>') == 4
    for address in addresses:
        assert client.get(address).status_code == 200


def test_crawlers_are_sent_to_the_sitemap_and_away_from_accounts(client: FlaskClient) -> None:
    answer = client.get("/robots.txt")
    assert answer.mimetype == "text/plain"
    lines = answer.text.splitlines()
    assert "Sitemap: http://localhost/sitemap.xml" in lines
    assert {"Disallow: /account", "Disallow: /admin", "Disallow: /checkout"} <= set(lines)
    assert "Disallow: /" not in lines
    assert "Set-Cookie" not in answer.headers
