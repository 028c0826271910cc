"""Change where a customer's boxes go, as staff: by the rule the customer has."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, url_for

from storefront.blueprints.account.forms import AddressForm
from storefront.blueprints.account.subscriptions import changed_words, sent_home
from storefront.blueprints.address_changes import (
    Asked,
    address_form,
    asked_box,
    first_effect,
    shown,
    take,
)
from storefront.blueprints.address_parts import is_turning
from storefront.blueprints.admin.base import page, who
from storefront.blueprints.context import runtime
from storefront.blueprints.places import asked_of_address
from storefront.domain import permissions
from storefront.domain.events import Actor
from storefront.htmx import go
from storefront.queries import profile
from storefront.queries import subscriber as query
from storefront.queries.profile import AddressView
from storefront.security import register_policy, staff
from storefront.services import addresses

_MANAGE = staff(permissions.SUBSCRIPTIONS_MANAGE)
register_policy(
    {"admin.subscription_address": _MANAGE, "admin.subscription_usual_address": _MANAGE}
)


def add_addresses(bp: Blueprint) -> None:
    """Add the page to the admin's blueprint."""
    bp.add_url_rule(
        "/subscribers/<ref>/<sub>/address",
        "subscription_address",
        change,
        methods=["GET", "POST"],
    )
    bp.add_url_rule(
        "/subscribers/<ref>/<sub>/address/<cycle>/usual",
        "subscription_usual_address",
        usual,
        methods=["POST"],
    )


def change(ref: str, sub: str) -> Response:
    """Show the address and change it; boxes whose cut-off is over keep theirs."""
    rt = runtime()
    customer_id = query.customer_key(rt.session, ref)
    present = profile.address_of(rt.session, customer_id, sub, asked_box()) if customer_id else None
    rt.session.rollback()
    if present is None or customer_id is None:
        abort(404)
    form = address_form(rt, present)
    if request.method == "GET" or is_turning():
        return _show(form, ref, customer_id, present, None)
    found = take(rt, customer_id, present, form, Actor.STAFF, who())
    if isinstance(found, Asked):
        return _show(form, ref, customer_id, present, found)
    return go(url_for("admin.subscriber", ref=ref), changed_words(first_effect(found)))


def usual(ref: str, sub: str, cycle: str) -> Response:
    """Send a box that was given an address alone where all others go."""
    rt = runtime()
    customer_id = query.customer_key(rt.session, ref)
    rt.session.rollback()
    if customer_id is None:
        abort(404)
    return go(url_for("admin.subscriber", ref=ref), sent_home(customer_id, sub, cycle, who()))


def _show(
    form: AddressForm, ref: str, customer_id: int, present: AddressView, asked: Asked | None
) -> Response:
    rt = runtime()
    return page(
        "subscribers/address",
        asked.status if asked else 200,
        form=form,
        ref=ref,
        sub=present.subscription,
        plan=present.plan,
        effect=addresses.first_box_after(rt, customer_id, present.subscription, asked_box()),
        asked=asked_of_address(rt, [form.place_country], ships=present.ships),
        **shown(rt, customer_id, present, asked),
    )
