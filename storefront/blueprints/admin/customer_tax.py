"""A customer's VAT number and exemption, judged by staff."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import saved, who
from storefront.blueprints.admin.subscribers import subscriber_context
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.security import register_policy, staff
from storefront.services import tax_ids

_ACT = staff(permissions.SUBSCRIPTIONS_MANAGE)
register_policy(
    {f"admin.{name}": _ACT for name in ("tax_id_confirm", "tax_id_refuse", "tax_exempt")}
)


def add_customer_tax(bp: Blueprint) -> None:
    """Add what staff do about a customer's tax."""
    base = "/subscribers/<ref>/tax"
    bp.add_url_rule(f"{base}/confirm", "tax_id_confirm", confirm, methods=["POST"])
    bp.add_url_rule(f"{base}/refuse", "tax_id_refuse", refuse, methods=["POST"])
    bp.add_url_rule(f"{base}/exempt", "tax_exempt", exempt, methods=["POST"])


def confirm(ref: str) -> Response:
    """Say that the number is in the register: the next invoices may bear no tax."""
    return _judge(ref, is_valid=True, text=_("Confirmed. It counts from the next invoice on."))


def refuse(ref: str) -> Response:
    """Say that the number is in no register: tax is charged."""
    return _judge(ref, is_valid=False, text=_("Refused. Tax is charged."))


def _judge(ref: str, *, is_valid: bool, text: str) -> Response:
    number = request.form.get("number", "")[:24]

    def act() -> bool:
        return tax_ids.judge_tax_id(runtime(), who(), ref, number, is_valid=is_valid)

    return _do(ref, act, text)


def exempt(ref: str) -> Response:
    """Charge no tax from the next invoice on, or charge it again."""
    wanted = request.form.get("exempt") == "yes"

    def act() -> bool:
        return tax_ids.set_exempt(runtime(), who(), ref, is_exempt=wanted)

    return _do(ref, act, _("Exempt from tax.") if wanted else _("Tax is charged again."))


def _do(ref: str, act: Callable[[], bool], text: str) -> Response:
    try:
        changed = act()
    except LookupError:
        abort(404)
    message = text if changed else _("Nothing was changed: look at what stands here now.")
    to = url_for("admin.subscriber", ref=ref)
    return saved(message, "subscribers/subscriber", to, **subscriber_context(ref))
