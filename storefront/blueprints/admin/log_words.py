"""Words of the log of what staff did."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask_babel import gettext as _

from storefront.blueprints.admin.log_labels import label_of, labels
from storefront.blueprints.admin.words import amount
from storefront.blueprints.context import runtime
from storefront.domain.money import Money
from storefront.templating import FILTERS


def action_name(code: str) -> str:
    """Return what a staff user did, for the log."""
    return deeds().get(code, code.replace("_", " ").replace(".", ": "))


def deeds() -> dict[str, str]:
    """Return what staff can do in words, by the code that the log keeps."""
    return {
        "staff.added": _("Added to the staff"),
        "staff.role_changed": _("Role changed"),
        "staff.password_changed": _("Password changed"),
        "staff.disabled": _("Locked out"),
        "staff.enabled": _("Let in again"),
        "staff.link_sent": _("Sent a link to choose a password"),
        "staff.two_step_on": _("Two-step sign-in switched on"),
        "staff.two_step_off": _("Two-step sign-in switched off"),
        "staff.two_step_required": _("Two-step sign-in required of all staff"),
        "staff.two_step_free": _("Two-step sign-in left to each of the staff"),
        "customer.two_step_off": _("Two-step sign-in of a customer switched off"),
        "settings.changed": _("Settings changed"),
        "tax_rate.added": _("Tax rate added"),
        "tax_rate.removed": _("Tax rate removed"),
        "tax_id.confirmed": _("VAT number confirmed"),
        "tax_id.refused": _("VAT number refused"),
        "customer.exempt": _("Tax exemption changed"),
        "customer.merged": _("Accounts merged"),
        "customer.erasure_asked": _("Erasure of a customer asked for"),
        "customer.erasure_withdrawn": _("Erasure of a customer taken back"),
        "charging.held": _("Charging put on hold"),
        "charging.resumed": _("Charging turned on"),
        "outage.released": _("Released what an outage held"),
        "dispute.resumed": _("Let go on after a dispute"),
        "dispute.ended": _("Ended over a dispute"),
        "gateway_event.again": _("Message of a gateway tried again"),
        "subscription.held": _("Subscription put on hold"),
        "subscription.released": _("Subscription released"),
        "parked.tried_again": _("Failed work tried again"),
        "plan.added": _("Plan added"),
        "plan.changed": _("Plan changed"),
        "plan.archived": _("Plan archived"),
        "plan.restored": _("Plan offered again"),
        "plan.price_added": _("Price added"),
        "plan.price_changed": _("Price changed for new sales"),
        "plan.price_retired": _("Price no longer sold"),
        "plan.option_changed": _("Options changed"),
        "group.added": _("Cycle group added"),
        "group.changed": _("Cycle group changed"),
        "group.capacity": _("Boxes per cycle changed"),
        "cycle.capacity": _("Boxes of a cycle changed"),
        "cycle.days": _("Days of a cycle changed"),
        "days_off.changed": _("Days off changed"),
        "retry_schedule.saved": _("Retry schedule saved"),
        "retry_schedule.moved": _("Retry schedule moved up"),
        "retry_schedule.removed": _("Retry schedule removed"),
        "leaving_offer.added": _("Offer to stay added"),
        "leaving_offer.removed": _("Offer to stay removed"),
        "coupon.added": _("Promotion code added"),
        "coupon.archived": _("Promotion code archived"),
        "coupon.restored": _("Promotion code accepted again"),
        "coupon.named": _("Name of a discount in other languages"),
        "coupon.codes_made": _("Batch of codes made"),
        "coupon.batch_off": _("Batch of codes taken out of use"),
        "coupon.batch_on": _("Batch of codes accepted again"),
        "addon.saved": _("Add-on saved"),
        "addon.archived": _("Add-on taken off sale"),
        "addon.restored": _("Add-on on sale again"),
        "address.changed": _("Address of a subscription changed"),
        "box.address_changed": _("Address of one box changed"),
        "gift.link_sent": _("Link of a gift sent again"),
        "subscription.code_added": _("Code put on a subscription"),
        "subscription.code_removed": _("Code taken off a subscription"),
        "credit.given": _("Credit given"),
        "shipping.saved": _("Delivery zone saved"),
        "shipping.removed": _("Delivery zone removed"),
        "shipping.weights": _("Weight of boxes saved"),
        "product.customs": _("Data for customs saved"),
        "message.sent_again": _("Message sent again"),
        "message.stopped": _("Message stopped"),
        "accounting.exported": _("Books exported"),
        "accounting.codes": _("Account numbers changed"),
        "customer.pays_by": _("Way of paying changed"),
        "subscription.downgraded": _("Changed to something cheaper"),
        "subscription.let_go_early": _("Let go before the minimum"),
        "subscription.pause_planned": _("Pause asked for or taken back"),
        "subscription.date_moved": _("Next payment moved"),
        "invoice.refunded": _("Invoice refunded"),
        "invoice.marked_paid": _("Transfer noted"),
        "invoice.voided": _("Invoice voided"),
        "invoice.written_off": _("Invoice written off"),
        "invoice.link_sent": _("Payment link mailed again"),
        "invoice.extra": _("Something extra charged"),
        "invoice.draft_saved": _("Extra charge saved as a draft"),
        "invoice.draft_changed": _("Draft of an extra charge changed"),
        "invoice.draft_discarded": _("Draft of an extra charge discarded"),
        "refund.sent_again": _("Refund sent again"),
        "refund.to_credit": _("Refund given as credit"),
        "payment.corrected": _("Payment over another amount decided"),
        "installation.confirmed": _("Confirmed as the real shop"),
        "late.released": _("Let late renewals go on"),
        "difference.settled": _("Difference to a gateway settled by hand"),
        "differences.asked": _("Comparison with the gateways asked for"),
        "price_change.drafted": _("Price change drafted"),
        "price_change.deleted": _("Draft of a price change deleted"),
        "price_change.scheduled": _("Price change set going"),
        "price_change.withdrawn": _("Price change stopped"),
        "answers.changed": _("Preferences of a subscriber changed"),
        "choice.answered": _("Allergies of a subscriber noted"),
        "choice.saved": _("Contents of a box chosen"),
        "recipe.saved": _("Recipe saved"),
        "recipe.copied": _("Recipe copied"),
        "swaps.offered": _("What may be swapped saved"),
        "swap.saved": _("Something in a box swapped"),
        "cycle.locked": _("Cycle locked"),
        "logo.saved": _("Logo put up"),
        "logo.removed": _("Logo taken down"),
        "page.saved": _("Page saved"),
        "page.moved": _("Page moved up"),
        "page.removed": _("Page removed"),
        "faq.saved": _("Question saved"),
        "faq.moved": _("Question moved up"),
        "faq.removed": _("Question removed"),
        "announcement.saved": _("Announcement saved"),
        "announcement.removed": _("Announcement removed"),
        "inquiry.answered": _("Inquiry answered"),
        "inquiry.noted": _("Note added to an inquiry"),
        "inquiry.closed": _("Inquiry closed"),
        "declaration.settled": _("Declaration about a contract settled"),
        "boxes.exported": _("File for packing made"),
        "subscribers.downloaded": _("List of subscribers downloaded"),
        "exports.format_used": _("Format of exports chosen"),
        "exports.parcels": _("Setting of boxes in one parcel changed"),
        "exports.format_saved": _("Format of exports saved"),
        "exports.format_removed": _("Format of exports removed"),
        "parcel.address_corrected": _("Address of a parcel corrected"),
        "waiting.invited": _("Invited from a waiting list"),
        "waiting.removed": _("Removed from a waiting list"),
        "boxes.retried": _("Held boxes tried again"),
        "boxes.shipped": _("Boxes marked as shipped"),
        "boxes.delivered": _("Boxes marked as delivered"),
        "boxes.returned": _("Boxes marked as come back"),
        "boxes.numbered": _("Tracking numbers added"),
        "api_token.made": _("Key of a program made"),
        "api_token.revoked": _("Key of a program taken back"),
        "boxes.handed_again": _("Boxes offered to the shipping provider again"),
        "tracking.links": _("Tracking pages of carriers changed"),
        "box.outcome": _("What became of boxes noted"),
        "box.number": _("Tracking number of a parcel corrected"),
        "box.settled": _("Box that came back put aside"),
        "late_change.accepted": _("Late change accepted"),
        "late_change.refused": _("Late change refused"),
        "late_change.expired": _("Late change came too late"),
        "box.replaced": _("Box sent again"),
        "box.replacement_taken_back": _("Box not sent again after all"),
        "paper.asked_for": _("Packing slips or labels made"),
        "product.saved": _("Product saved"),
        "products.imported": _("Products imported"),
        "subscribers.imported": _("Subscribers imported"),
        "stock.adjusted": _("Stock corrected"),
        "stock.rule": _("Rule for stock changed"),
    }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (what, before, after) of an entry, as short texts."""
    currency = after.get("currency") or before.get("currency") or runtime().shop.currency
    rows = []
    for key in sorted({*before, *after}):
        if key == "currency" and any(name.endswith("_minor") for name in after):
            continue
        if key == "once":
            # Names the form, so that a second click does nothing; it tells a person nothing.
            continue
        texts = [_shown(key, side.get(key), currency) for side in (before, after)]
        rows.append((label_of(key), texts[0], texts[1]))
    return rows


def _shown(key: str, value: Any, currency: str) -> str:
    """Return a value of the log in words: sums with their currency, moments in shop time."""
    if key.endswith("_minor") and isinstance(value, int):
        return amount(Money(value, currency))
    if key.endswith("_at") and isinstance(value, str):
        return str(FILTERS["moment"](datetime.fromisoformat(value)))
    return _short(value)


def _short(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "–"
    text = _plain(value)
    if len(text) <= 120:
        return text
    # Of a list nothing is cut in two.
    head, comma, _rest = text[:118].rpartition(", ")
    return f"{head}, …" if comma else f"{text[:119]}…"


def _plain(value: Any) -> str:
    """Return a value as people write it: lists with commas, yes and no."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, Mapping):
        names = labels()
        return ", ".join(f"{names.get(key, key)}: {_plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)
