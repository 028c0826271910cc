"""Change where a customer's boxes go, as staff: by the rule the customer has."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.account.forms import AddressForm
from storefront.blueprints.account.subscriptions import changed_words
from storefront.blueprints.admin.base import page, who
from storefront.blueprints.context import runtime
from storefront.blueprints.places import refuse_blocked
from storefront.domain import permissions
from storefront.domain.events import Actor
from storefront.domain.rates import NoRate
from storefront.htmx import go
from storefront.queries import profile
from storefront.queries import subscriber as query
from storefront.queries.profile import AddressView
from storefront.security import register_policy, staff
from storefront.services import addresses
from storefront.services.addresses import PostalAddress
from storefront.templating import writing_locale

register_policy({"admin.subscription_address": staff(permissions.SUBSCRIPTIONS_MANAGE)})


def add_addresses(bp: Blueprint) -> None:
    """Add the page to the admin's blueprint."""
    bp.add_url_rule(
        "/subscribers/<ref>/<sub>/address",
        "subscription_address",
        change,
        methods=["GET", "POST"],
    )


def change(ref: str, sub: str) -> Response:
    """Show the address and change it; boxes whose cut-off is over keep theirs."""
    rt = runtime()
    customer_id = query.customer_key(rt.session, ref)
    present = profile.address_of(rt.session, customer_id, sub) if customer_id else None
    rt.session.rollback()
    if present is None or customer_id is None:
        abort(404)
    form = AddressForm(request.form, **asdict(present))
    form.offer(rt.shop.countries, writing_locale())
    if request.method == "GET" or not form.validate() or refuse_blocked(rt, form):
        return _show(form, ref, customer_id, present)
    parts = {name: form[name].data or "" for name in PostalAddress.__dataclass_fields__}
    try:
        effect = addresses.change_address(
            rt, customer_id, sub, PostalAddress(**parts), actor=Actor.STAFF, who=who()
        )
    except NoRate:
        rt.session.rollback()
        form.country.errors = [_("We cannot charge tax there yet. Choose another place")]
        return _show(form, ref, customer_id, present)
    return go(url_for("admin.subscriber", ref=ref), changed_words(effect))


def _show(form: AddressForm, ref: str, customer_id: int, present: AddressView) -> Response:
    rt = runtime()
    return page(
        "subscribers/address",
        200 if request.method == "GET" else 422,
        form=form,
        ref=ref,
        sub=present.subscription,
        plan=present.plan,
        effect=addresses.first_box_after(rt, customer_id, present.subscription),
        asks_region=any(map(rt.shop.taxes.asks_region, rt.shop.countries)),
    )
