"""Many declined cards: what the last hour was like, what to do, and what is let through."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import ValidationError

from storefront.blueprints.admin.base import page
from storefront.blueprints.admin.fields import WholeField
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions
from storefront.domain.card_testing import ADDRESS_RANGE, ALARM_RANGE, PERSON_RANGE
from storefront.queries.card_tries import declines
from storefront.security import register_policy, staff

register_policy({"admin.declines": staff(permissions.CHARGING_MANAGE)})


class DeclinesForm(Form):
    """How many declined cards within an hour are let through."""

    declines_person = WholeField(lazy_gettext("Of one person"), *PERSON_RANGE)
    declines_address = WholeField(lazy_gettext("From one network address"), *ADDRESS_RANGE)
    declines_alarm = WholeField(lazy_gettext("Warn us from"), *ALARM_RANGE)

    def _validate(self, field: WholeField) -> None:
        if field.number is None:
            raise ValidationError(
                _("Enter a whole number from %(low)s to %(high)s", low=field.low, high=field.high)
            )

    validate_declines_person = validate_declines_address = validate_declines_alarm = _validate

    def values(self) -> dict[str, Any]:
        return {field.name: field.number for field in self if isinstance(field, WholeField)}


def add_declines(bp: Blueprint) -> None:
    """Add the page behind the alarm."""
    bp.add_url_rule("/today/declines", "declines", show_declines)


def show_declines() -> Response:
    """Show how many cards were declined within the hour, and what can be done."""
    rt = runtime()
    return page("today/declines", found=declines(rt.session, rt.moment()))
