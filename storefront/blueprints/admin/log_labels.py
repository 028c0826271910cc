"""What the values in the log of staff are called."""

from __future__ import annotations

from flask_babel import gettext as _


def label_of(key: str) -> str:
    """Return the heading of a value of the log; what nobody has named is shown as it is kept."""
    plain = key.removesuffix("_minor")
    return labels().get(plain) or plain.replace("_", " ").capitalize()


def labels() -> dict[str, str]:
    """Return the names of what the log keeps, sums without the ending of their column."""
    return _of_sales() | _of_plans() | _of_boxes() | _of_money() | _of_people()


def _of_sales() -> dict[str, str]:
    return {
        "applies_to": _("Applies to"),
        "code": _("Code"),
        "codes": _("Codes"),
        "combines": _("Combines with others"),
        "duration": _("How long it holds"),
        "duration_cycles": _("Number of payments"),
        "ends_on": _("Ends on"),
        "first_time_only": _("Only for new customers"),
        "from_billed": _("From payment number"),
        "is_automatic": _("Without a code"),
        "limits": _("Limits"),
        "declines_person": _("Declined cards of one person"),
        "declines_address": _("Declined cards from one network address"),
        "declines_alarm": _("Declined cards before we are warned"),
        "intervals": _("Rhythms"),
        "max_per_customer": _("Most uses per customer"),
        "max_uses": _("Most uses"),
        "percent_bp": _("Hundredths of a percent"),
        "priority": _("Order of priority"),
        "starts_on": _("Starts on"),
        "offer": _("Offer"),
        "rest_days": _("Not again for"),
        "used": _("Used"),
    }


def _of_plans() -> dict[str, str]:
    return {
        "plan": _("Plan"),
        "plans": _("Plans"),
        "offered_plan": _("Cheaper plan"),
        "price": _("Price"),
        "prices": _("Prices"),
        "interval": _("Rhythm"),
        "options": _("Options"),
        "questions": _("Questions"),
        "quantity": _("Quantity"),
        "position": _("Position"),
        "hint": _("Hint"),
        "translations": _("In other languages"),
        "lines": _("In other languages"),
        "title": _("Title"),
        "text": _("Text"),
        "question": _("Question"),
        "size": _("Size"),
        "slug": _("Address"),
        "linked_from": _("Linked from"),
        "is_public": _("Everybody reads it"),
        "access_code": _("Code that opens it"),
        "place": _("Place"),
        "min_boxes": _("Least number of boxes"),
        "notice_days": _("Days of notice"),
        "places": _("Places"),
        "sells_by_stock": _("Sold only while there is stock"),
        "invite_hours": _("Hours an invitation holds"),
        "capacity": _("Boxes per cycle"),
        "tax_class": _("Tax class"),
        "policy": _("Rule"),
        "substitute": _("Substitute"),
        "variant_id": _("Number of the variant"),
        "is_counted": _("Stock is counted"),
        "may_oversell": _("May be sold without stock"),
        "goods": _("Goods"),
        "amounts": _("Amounts"),
        "shipping": _("Delivery"),
        "free_from": _("Free from"),
        "is_blocked": _("Nothing is sent there"),
    }


def _of_boxes() -> dict[str, str]:
    return {
        "box": _("Box"),
        "boxes": _("Boxes"),
        "cycle": _("Cycle"),
        "batch": _("Batch"),
        "parcels": _("Parcels"),
        "first": _("First"),
        "last": _("Last"),
        "address": _("Address"),
        "country": _("Country"),
        "city": _("Town"),
        "region": _("Region"),
        "countries": _("Countries"),
        "carrier": _("Carrier"),
        "grams": _("Grams"),
        "layout": _("Layout"),
        "columns": _("Columns"),
        "format": _("Format"),
        "file": _("File"),
        "rows": _("Rows"),
        "ship_on": _("Ship day"),
        "closed_weekdays": _("Days of the week off"),
        "holidays": _("Holidays"),
        "allergens": _("Allergens"),
        "no_withdrawal": _("No right of withdrawal"),
        "choice": _("Choice"),
        "hs_code": _("Customs number"),
        "origin_country": _("Country of origin"),
        "customs_text": _("Words for customs"),
        "afterwards": _("Afterwards"),
        "instead": _("Instead"),
        "from": _("From"),
        "to": _("To"),
        "until": _("Up to"),
        "since": _("Since"),
    }


def _of_money() -> dict[str, str]:
    return {
        "amount": _("Amount"),
        "total": _("Total"),
        "credit": _("Credit"),
        "credit_note": _("Credit note"),
        "currency": _("Currency"),
        "invoice": _("Invoice"),
        "number": _("Number"),
        "payment": _("Payment"),
        "payment_days": _("Days to pay"),
        "pays_by": _("Way of paying"),
        "gateway": _("Payment partner"),
        "gateway_reference": _("Reference at the payment partner"),
        "by_bank": _("By transfer"),
        "accounts": _("Accounts"),
        "due": _("Due"),
        "tax_id": _("VAT number"),
        "tax_rounding": _("Rounding of taxes"),
        "is_tax_exempt": _("Free of tax"),
        "rate_bp": _("Hundredths of a percent"),
        "charge_on": _("Charged on"),
        "cancel_on": _("Ends on"),
        "renews_at": _("Renews on"),
        "effective_on": _("Holds from"),
    }


def _of_people() -> dict[str, str]:
    return {
        "name": _("Name"),
        "email": _("E-mail"),
        "recipient_email": _("E-mail of the recipient"),
        "by": _("By"),
        "role": _("Role"),
        "note": _("Note"),
        "notes": _("Notes"),
        "reason": _("Reason"),
        "hold_reason": _("Why it is on hold"),
        "held": _("Held"),
        "held_at": _("On hold since"),
        "kind": _("Kind"),
        "state": _("State"),
        "topic": _("Topic"),
        "locale": _("Language"),
        "subscriptions": _("Subscriptions"),
        "sign_up_gateways": _("Payment partners at sign-up"),
        "site_url": _("Address of the shop"),
        "look": _("Look"),
        "evidence": _("Evidence"),
        "error": _("Error"),
        "issues": _("Problems"),
        "left_out": _("Left out"),
        "moved": _("Moved"),
        "ended": _("Ended"),
        "released": _("Released"),
        "changed": _("Changed"),
        "created_at": _("Made"),
        "archived_at": _("Archived"),
    }
