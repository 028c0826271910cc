"""Products: what there is of each, and what the shop itself knows about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from markupsafe import Markup
from wtforms import SelectChoice, SelectField, StringField, ValidationError
from wtforms.validators import Length

from storefront.blueprints.admin.base import who
from storefront.blueprints.admin.fields import LineField
from storefront.blueprints.admin.stock import RuleForm, StockForm, add_stock_rules, rule_form
from storefront.blueprints.admin.translated import (
    in_languages,
    translations_of,
    typed_translations,
)
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain import permissions as may
from storefront.domain.product_rows import split_list
from storefront.htmx import done, show
from storefront.languages import CODES
from storefront.pictures import SILHOUETTES
from storefront.queries import products as queries
from storefront.queries.places import stock_of_product
from storefront.queries.products import ProductDetail
from storefront.security import register_policy, staff
from storefront.services import products as service
from storefront.withdrawal_words import exclusion_choices

PAGE = "storefront/admin/products/detail.html"
PANEL = "storefront/admin/products/_detail.html"
_MOST_ALLERGENS = 30
_LONGEST_WORD = 40

register_policy(
    dict.fromkeys(
        ("admin.products", "admin.product", "admin.save_product"), staff(may.PRODUCTS_MANAGE)
    )
)


#: What of a product is typed in another language.
TEXTS: dict[str, Any] = {
    "name": lambda: LineField(
        lazy_gettext("Name"),
        [Length(max=120, message=lazy_gettext("A name has 120 characters at most"))],
        filters=[one_line],
    ),
    "allergens": lambda: LineField(
        lazy_gettext("Allergens"),
        description=lazy_gettext("With commas between, in the order of the words above"),
        filters=[one_line],
    ),
}


class DetailsForm(Form):
    """What no import touches."""

    allergens = StringField(
        lazy_gettext("Allergens"),
        description=lazy_gettext("With commas between, like nuts, gluten, milk"),
        filters=[one_line],
    )
    picture = SelectField(lazy_gettext("Picture"))
    no_withdrawal = SelectField(
        lazy_gettext("Right of withdrawal"),
        description=lazy_gettext(
            "Where the law gives one. The reasons stand beside each order and in its mail."
        ),
        default="",
    )

    def validate_allergens(self, field: StringField) -> None:
        words = split_list(field.data or "")
        if len(words) > _MOST_ALLERGENS:
            raise ValidationError(_("Enter %(most)s words or fewer", most=_MOST_ALLERGENS))
        if any(len(word) > _LONGEST_WORD for word in words):
            raise ValidationError(
                _("Each word must be %(most)s characters or fewer", most=_LONGEST_WORD)
            )


in_languages(DetailsForm, TEXTS)


def _check_words(form: Any, field: LineField) -> None:
    """Refuse words of another language that are not one for each word of the shop's."""
    words, told = split_list(form.allergens.data or ""), split_list(field.data or "")
    if told and len(told) != len(words):
        raise ValidationError(
            ngettext(
                "Enter %(num)s word, for the one above, or none",
                "Enter %(num)s words, one for each above, or none",
                len(words),
            )
            if words
            else _("Enter the words in the shop's language first, above")
        )
    if any(len(word) > _LONGEST_WORD for word in told):
        raise ValidationError(
            _("Each word must be %(most)s characters or fewer", most=_LONGEST_WORD)
        )


for _code in CODES:
    setattr(DetailsForm, f"validate_allergens_{_code}", _check_words)


def add_products(bp: Blueprint) -> None:
    """Add the product and stock pages to the admin's blueprint."""
    bp.add_url_rule("/products", "products", overview)
    bp.add_url_rule("/products/<product>", "product", detail)
    bp.add_url_rule("/products/<product>", "save_product", save, methods=["POST"])
    add_stock_rules(bp, product_page)


def overview() -> Response:
    """List products with search and stock filter."""
    args = request.args
    search, stock = one_line(args.get("q"))[:80], args.get("stock", "")
    stock = stock if stock in {"low", "out"} else ""
    found = queries.product_page(runtime().session, search, stock, args.get("after", ""))
    kept: dict[str, Any] = {key: value for key, value in (("q", search), ("stock", stock)) if value}
    return show(
        "storefront/admin/products/list.html",
        "storefront/admin/products/_list.html",
        found=found,
        search=search,
        stock=stock,
        is_later=bool(args.get("after")),
        first_url=url_for("admin.products", **kept),
        older_url=url_for("admin.products", after=found.older, **kept) if found.older else "",
    )


def detail(product: str) -> Response:
    """Show one product."""
    return product_page(product)


def save(product: str) -> Response:
    """Set what no import touches."""
    form = _details(request.form)
    if not form.validate():
        return product_page(product, 422, details=form)
    try:
        service.save_product(
            runtime(),
            product,
            split_list(form.allergens.data or ""),
            form.picture.data,
            who(),
            _translations(form),
            form.no_withdrawal.data or "",
        )
    except service.ProductNotFound:
        abort(404)
    here = url_for("admin.product", product=product)
    return done(_("Saved."), PANEL, here, **_context(product))


def _translations(form: DetailsForm) -> dict[str, Any]:
    """Return what was typed in other languages; allergens by the word of the shop's language."""
    found = translations_of(form, TEXTS, runtime().shop.locale)
    words = split_list(form.allergens.data or "")
    for texts in found.values():
        if "allergens" in texts:
            told = split_list(texts["allergens"])
            texts["allergens"] = dict(zip(words, told, strict=True))
    return found


def product_page(
    product: str,
    status: int = 200,
    *,
    details: DetailsForm | None = None,
    stock: Mapping[str, StockForm] | None = None,
    rules: Mapping[str, RuleForm] | None = None,
    message: str | None = None,
) -> Response:
    """Show a product, with forms as they were typed; with ``message`` after a change."""
    context = _context(product, details, stock, rules)
    if message is not None:
        return done(message, PANEL, url_for("admin.product", product=product), **context)
    return show(PAGE, PANEL, status, page_has_errors=status != 200, **context)


def _context(
    product: str,
    details: DetailsForm | None = None,
    stock: Mapping[str, StockForm] | None = None,
    rules: Mapping[str, RuleForm] | None = None,
) -> dict[str, Any]:
    rt = runtime()
    found = queries.product_detail(rt.session, product)
    rt.session.rollback()
    if found is None:
        abort(404)
    standing = stock_of_product(rt.session, product, rt.moment())
    rt.session.rollback()
    forms = {one.public_id: StockForm(prefix=f"{one.public_id}-") for one in found.variants}
    return {
        "product": found,
        # Made safe when it was written (adapters/html.py).
        "description": Markup(found.description),  # noqa: S704
        "form": details or _details(None, found),
        "stock_forms": {**forms, **(stock or {})},
        "rule_forms": {
            **{one.public_id: rule_form(one) for one in found.variants},
            **(rules or {}),
        },
        "kinds": kind_words(),
        # Staff users stand there by their names.
        "movers": {"worker": _("the shop by itself"), "customer": _("the customer")},
        "standing": standing,
        "translated": tuple(TEXTS),
        "shop_locale": rt.shop.locale,
        "sources": {
            "own": _("made in this shop"),
            "shopify": "Shopify",
            "woocommerce": "WooCommerce",
        },
    }


def _details(data: Any, product: ProductDetail | None = None) -> DetailsForm:
    values = {}
    if product is not None:
        known = product.picture if product.picture in SILHOUETTES else ""
        values = {"allergens": ", ".join(product.allergens), "picture": known}
        values["no_withdrawal"] = product.no_withdrawal
        values |= typed_translations(
            {code: _listed(texts, product) for code, texts in product.translations.items()}
        )
    form = DetailsForm(data, data=values)
    names = {
        "tall-tin": _("Tall tin"),
        "squat-tin": _("Squat tin"),
        "pouch": _("Pouch"),
        "jar": _("Jar"),
        "biscuit-box": _("Biscuit box"),
        "bottle": _("Bottle"),
        "cup": _("Cup"),
    }
    form.no_withdrawal.choices = [SelectChoice(*one) for one in exclusion_choices()]
    form.picture.choices = [SelectChoice("", _("Chosen by its code"))] + [
        SelectChoice(code, names.get(code, code)) for code in SILHOUETTES
    ]
    return form


def _listed(texts: Mapping[str, Any], product: ProductDetail) -> dict[str, Any]:
    """Return the texts of a language as its fields show them; nothing for words that lack some."""
    told = texts.get("allergens", {})
    words = [told.get(word, "") for word in product.allergens]
    return {**texts, "allergens": ", ".join(words) if all(words) else ""}


def kind_words() -> dict[str, str]:
    """Return what each kind of stock move is called."""
    return {
        "receipt": _("Received"),
        "loss": _("Lost or broken"),
        "correction": _("Counted anew"),
        "release": _("Back from a box"),
    }
