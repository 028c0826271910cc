"""Shipping providers: how a batch stands there, and what each of them does for the shop."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, abort, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.context import external_url, runtime
from storefront.domain import permissions as may
from storefront.domain.parcels import ShippingProvider
from storefront.formats import moment
from storefront.htmx import go
from storefront.queries import cycles as cycle_queries
from storefront.queries.provider_parcels import handed_batch, provider_state
from storefront.runtime import Runtime
from storefront.security import register_policy, staff
from storefront.services.shipping_providers import try_again
from storefront.templating import writing_locale

register_policy(
    dict.fromkeys(("admin.batch_provider", "admin.batch_provider_again"), staff(may.BOXES_MANAGE))
)


def add_providers(bp: Blueprint) -> None:
    """Add the pages to the admin's blueprint."""
    bp.add_url_rule("/batches/<batch>/provider", "batch_provider", standing)
    bp.add_url_rule("/batches/<batch>/provider", "batch_provider_again", again, methods=["POST"])


def standing(batch: str) -> Response:
    """Say which boxes of a batch the provider has, and which not and why."""
    rt = runtime()
    found = cycle_queries.batch(rt.session, batch)
    handed = handed_batch(rt.session, batch)
    rt.session.rollback()
    if found is None or handed is None:
        abort(404)
    known = rt.shipping_providers.get(handed.provider)
    return page(
        "cycles/provider",
        batch=found,
        handed=handed,
        provider=known.title if known else handed.provider,
        trouble=trouble,
    )


def again(batch: str) -> Response:
    """Offer the refused boxes of a batch once more."""
    count = try_again(runtime(), who(), batch)
    text = (
        ngettext(
            "%(num)s box is offered again in a moment.",
            "%(num)s boxes are offered again in a moment.",
            count,
        )
        if count
        else _("Somebody has done that already.")
    )
    return go(url_for("admin.batch_provider", batch=batch), text)


def trouble(error: str) -> str:
    """Return why a box is not at the provider, with the provider's own words."""
    code, _colon, text = error.partition(": ")
    known = {
        "": _("not tried yet"),
        "no_weight": _(
            "it weighs nothing: send this one another way, and enter the weights of its products "
            "for the next lock"
        ),
        "no_customs": _(
            "customs have to be told more about its products: enter it under Delivery, Customs, "
            "and offer the box again"
        ),
        "unauthorized": _("our key is not accepted: put it right in the settings of the server"),
        "wrong_certificate": _("the provider could not prove who it is"),
        "rate_limited": _("too many at once; it goes on by itself"),
        "not_sent": _("the provider was not reached"),
        "timeout": _("no answer came; it is looked for before it is sent again"),
        "not_installed": _("the plugin of the provider is not installed"),
        "failed": _("the plugin failed; the log says why"),
    }
    words = known.get(code, code.replace("_", " "))
    return words if not text or code == "no_weight" else f"{words}: {text}"


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """A provider as the page of tracking numbers shows it."""

    title: str
    facts: list[tuple[str, str]]


def provider_facts(rt: Runtime) -> list[ProviderFacts]:
    """Return what each provider does, and how its messages fare."""
    found = [ProviderFacts(one.title, _facts(rt, one)) for one in rt.shipping_providers.values()]
    rt.session.rollback()
    return found


def _facts(rt: Runtime, provider: ShippingProvider) -> list[tuple[str, str]]:
    can, state = provider.capabilities, provider_state(rt.session, provider.name)
    does = [
        _("takes boxes, for labels to be made there") if can.takes_boxes else "",
        _("follows parcels that left with a number") if can.follows_numbers else "",
        _("is asked where they are") if can.answers else "",
    ]
    facts = [(_("What it does"), "; ".join(filter(None, does)))]
    if can.sends_messages:
        address = external_url("incoming.parcel", provider=provider.name)
        last = (
            moment(state.last_at, writing_locale(), rt.shop.zone_info, rt.today())
            if state.last_at
            else _("none yet")
        )
        facts += [(_("Send messages to"), address), (_("Last message"), last)]
    if state.orphans:
        facts.append((_("About parcels we do not know"), str(state.orphans)))
    if state.failed:
        facts.append((_("Could not be applied"), str(state.failed)))
    return facts
