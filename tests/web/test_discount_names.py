"""Discounts without a code are named in the language of who reads them."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale

from storefront.merchant_texts import said
from storefront.models import AuditEntry, Coupon
from storefront.operations.catalogue import raise_version
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import Desk, desk
from tests.web.test_merchant_texts import GERMAN, pot


def spring(rt: Runtime, app: Flask, **told: str) -> tuple[Desk, str]:
    """Make a discount without a code; return the desk and the path of its page."""
    pot(rt, GERMAN)
    owner = desk(app, rt)
    owner.get("/admin/codes/new")
    typed = {"way": "automatic", "code": "", "name": "Spring", "kind": "percent", "percent": "10"}
    path = str(owner.post("/admin/codes/new", typed | {"duration": "once"}).location)
    if told:
        assert owner.post(f"{path}/names", told).status_code == 303
    return owner, path


def test_shoppers_read_a_discount_without_a_code_in_their_language(
    rt: Runtime, app: Flask, client: FlaskClient
) -> None:
    spring(rt, app, name_de="Frühling", name_fr="Printemps")
    for code, name in (("de", "Frühling"), ("fr", "Printemps"), ("en", "Spring")):
        page = client.get(f"/checkout?plan=pot&lang={code}").text
        assert f"<dt>{name}" in page
        assert (code == "en") == ("Spring" in page)


def test_staff_name_a_discount_in_other_languages_and_what_is_wrong_is_kept(
    rt: Runtime, app: Flask
) -> None:
    owner, path = spring(rt, app)
    wrong = owner.post(f"{path}/names", {"name_de": "F" * 81, "name_fr": "Printemps"})
    assert wrong.status_code == 422
    assert "A name has 80 characters at most" in wrong.text
    assert 'value="Printemps"' in wrong.text
    assert owner.post(f"{path}/names", {"name_fr": "Printemps"}).status_code == 303
    assert 'value="Printemps"' in owner.get(path).text
    again = owner.post(f"{path}/names", {"name_fr": "Printemps"}, partial=True)
    assert "Nothing to save" in again.text
    actions = rt.session.scalars(sa.select(AuditEntry.action)).all()
    rt.session.rollback()
    assert actions.count("coupon.named") == 1


def test_a_code_has_no_name_that_shoppers_read(rt: Runtime, app: Flask) -> None:
    pot(rt, {})
    make.make_code(rt, "LEMON10")
    owner = desk(app, rt)
    ref = rt.session.scalars(sa.select(Coupon.public_id)).one()
    rt.session.rollback()
    assert "In other languages" not in owner.get(f"/admin/codes/{ref}").text
    assert owner.post(f"/admin/codes/{ref}/names", {"name_de": "Zitrone"}).status_code == 404


def test_a_long_name_is_said_also_where_a_subscription_keeps_the_beginning_of_it(
    rt: Runtime, app: Flask
) -> None:
    make.make_code(rt, "SPRING", is_automatic=True)
    name = "For everybody who has been with us since spring"
    told = {"de": {"name": "Für alle seit dem Frühling"}}
    rt.session.execute(sa.update(Coupon).values(name=name, translations=told))
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()
    with app.app_context(), force_locale("de"):
        assert said(name) == said(name[:40]) == "Für alle seit dem Frühling"
