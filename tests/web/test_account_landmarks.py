"""Regions of the account's first page have names of their own, however many subscriptions run."""

import re
from datetime import timedelta

from flask import Flask

from storefront.domain.boxes import BoxState
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.boxes import cycles_of, make_box, make_subscribed
from tests.support.visitor import Visitor, customer_with_password

_REGION = re.compile(r'<(?:section|article|div)[^>]* aria-labelledby="([^"]+)"')


def test_regions_of_two_subscriptions_are_told_apart_by_their_names(app: Flask, rt: Runtime):
    key = customer_with_password(rt, "ada@example.org")
    group = make.make_group(rt)
    for name in ("Pot", "Cup"):
        plan = make.make_plan(rt, group=group, code=name.lower(), name=name)
        sub = make_subscribed(rt, plan, next_on=rt.today() + timedelta(days=30), customer_id=key)
        cycle = cycles_of(rt, group)[0]
        make_box(rt, plan, cycle, subscription=sub, state=BoxState.SHIPPED)

    page = Visitor.of(app).sign_in("ada@example.org").get("/account/").text

    heads = dict(re.findall(r'<h\d[^>]* id="([^"]+)"[^>]*>(.*?)</h\d>', page, re.DOTALL))
    names = [
        " ".join(re.sub(r"<[^>]+>", "", heads.get(one, "")) for one in region.split())
        for region in _REGION.findall(page)
    ]
    assert len([name for name in names if name.startswith("Last boxes")]) == 2
    assert len(set(names)) == len(names), names
