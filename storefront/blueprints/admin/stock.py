"""Stock of one variant: receive, lose, count anew, and what is done when it runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import BooleanField, SelectChoice, SelectField, StringField, ValidationError
from wtforms.validators import Length

from storefront.blueprints.admin.base import who
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain import permissions as may
from storefront.domain.product_rows import CellProblem, whole
from storefront.domain.shortages import Policy
from storefront.operations.stock import StockTooLow
from storefront.queries.products import VariantRow, product_of_variant
from storefront.security import register_policy, staff
from storefront.services import stock as service

_MOST = 1_000_000

register_policy(
    dict.fromkeys(("admin.adjust_stock", "admin.stock_rule"), staff(may.PRODUCTS_MANAGE))
)

#: Shows the product again: (product, status, stock forms, message).
ProductPage = Callable[..., Response]


class StockForm(Form):
    """A change of stock, with its reason."""

    kind = SelectField(
        lazy_gettext("What happened"),
        choices=[
            SelectChoice("receipt", lazy_gettext("Received")),
            SelectChoice("loss", lazy_gettext("Lost or broken")),
            SelectChoice("correction", lazy_gettext("Counted anew")),
        ],
    )
    pieces = StringField(lazy_gettext("Pieces"), filters=[one_line])
    reason = StringField(
        lazy_gettext("Reason"),
        [Length(max=120, message=lazy_gettext("Reason must be 120 characters or fewer"))],
        filters=[one_line],
    )

    def validate_pieces(self, field: StringField) -> None:
        try:
            count = whole(field.data or "")
        except CellProblem:
            raise ValidationError(_("Enter a whole number, like 120")) from None
        if count < 0 or count > _MOST or (not count and self.kind.data != "correction"):
            raise ValidationError(_("Enter a number from 1 to %(most)s", most=_MOST))

    def validate_reason(self, field: StringField) -> None:
        if self.kind.data == "loss" and not field.data:
            raise ValidationError(_("Say what happened to them"))

    @property
    def count(self) -> int:
        """The number typed. Only after validation."""
        return whole(self.pieces.data or "")


class RuleForm(Form):
    """Whether stock is counted, and what is done with boxes when it runs out."""

    is_counted = BooleanField(lazy_gettext("Count its stock"))
    policy = SelectField(
        lazy_gettext("When it runs out at the lock"),
        choices=[
            SelectChoice(Policy.HOLD.value, lazy_gettext("The box waits")),
            SelectChoice(Policy.SUBSTITUTE.value, lazy_gettext("Another product goes in")),
            SelectChoice(Policy.DROP.value, lazy_gettext("It is left out and credited")),
            SelectChoice(Policy.MAKE.value, lazy_gettext("It is made all the same")),
        ],
    )
    substitute = StringField(
        lazy_gettext("SKU that goes in instead"),
        [Length(max=80, message=lazy_gettext("SKU must be 80 characters or fewer"))],
        filters=[one_line],
    )

    def validate_substitute(self, field: StringField) -> None:
        if self.policy.data == Policy.SUBSTITUTE and not field.data:
            raise ValidationError(_("Enter the SKU that goes in instead"))


def rule_form(variant: VariantRow) -> RuleForm:
    """Return the form of a variant's rule as it is now."""
    known = {
        "is_counted": variant.is_counted,
        "policy": variant.policy,
        "substitute": variant.substitute,
    }
    return RuleForm(prefix=f"{variant.public_id}-rule-", data=known)


def add_stock_rules(bp: Blueprint, product_page: ProductPage) -> None:
    """Add what changes stock; each answers with the page of its product."""

    def adjust(variant: str) -> Response:
        """Receive, lose or count pieces of a variant."""
        product = _product_of(variant)
        form = StockForm(request.form, prefix=f"{variant}-")
        if not form.validate():
            return product_page(product, 422, stock={variant: form})
        try:
            there = _adjust(variant, form)
        except StockTooLow:
            form.pieces.errors = [_("There are not that many")]
            return product_page(product, 422, stock={variant: form})
        return product_page(product, message=_("Saved. There are %(num)s now.", num=there))

    def rule(variant: str) -> Response:
        """Count a variant's stock or not, and say what is done when it runs out."""
        product = _product_of(variant)
        form = RuleForm(request.form, prefix=f"{variant}-rule-")
        if not form.validate() or not _set_rule(variant, form):
            return product_page(product, 422, rules={variant: form})
        return product_page(product, message=_("Saved."))

    bp.add_url_rule("/stock/<variant>", "adjust_stock", adjust, methods=["POST"])
    bp.add_url_rule("/stock/<variant>/rule", "stock_rule", rule, methods=["POST"])


def _set_rule(variant: str, form: RuleForm) -> bool:
    """Write the rule; False with the reason beside its field."""
    try:
        service.set_rule(
            runtime(),
            variant,
            is_counted=bool(form.is_counted.data),
            policy=Policy(form.policy.data),
            substitute=form.substitute.data or "",
            who=who(),
        )
    except StockTooLow:
        form.policy.errors = [_("Pieces are owed to boxes. Receive stock first.")]
    except service.UnknownSubstitute:
        form.substitute.errors = [_("No other product has this SKU")]
    except service.NoValue:
        form.policy.errors = [_("Its price is not known, so nothing could be credited")]
    return not form.errors


def _adjust(variant: str, form: StockForm) -> int:
    """Write the change; "counted anew" sets the stock to the number."""
    rt, kind, reason = runtime(), str(form.kind.data), form.reason.data or ""
    if kind == "correction":
        return service.count_stock(rt, variant, form.count, reason, who())
    change: Any = form.count if kind == "receipt" else -form.count
    return service.adjust_stock(rt, variant, kind, change, reason, who())


def _product_of(variant: str) -> str:
    rt = runtime()
    found = product_of_variant(rt.session, variant)
    rt.session.rollback()
    if found is None:
        abort(404)
    return found
