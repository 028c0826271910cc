"""What the checkout says: reasons, amounts, dates, and the consent, word for word."""

from __future__ import annotations

from datetime import date, datetime

from babel.dates import format_date
from flask_babel import gettext as _

from storefront import formats
from storefront.domain.addons import Cadence
from storefront.domain.baskets import BasketQuote
from storefront.domain.boxes import boxes_per_period
from storefront.domain.checkout import OrderQuote
from storefront.domain.coupons import Refusal
from storefront.domain.lifecycle import PeriodKind
from storefront.domain.money import Money
from storefront.domain.order_law import Button, OrderLaw, law_of_order, names_vat
from storefront.domain.pricing import QuoteLine
from storefront.domain.tax_treatment import Treatment
from storefront.merchant_texts import said
from storefront.operations.checkout import Order
from storefront.operations.coupons import TypedCode
from storefront.operations.offers import OrderPlan, OrderPrice, most_boxes
from storefront.operations.order_items import OrderItem
from storefront.templating import shop_today, shop_zone, writing_locale

#: Raised with every change of the consent's words, in any language.
CONSENT_VERSION = "renewal-3"


def long_day(day: date) -> str:
    """Return a date with its year: ``12 April 2027``; for texts that are kept."""
    return format_date(day, "long", locale=writing_locale())


def money(amount: Money) -> str:
    return formats.money(amount, writing_locale())


def day(value: date) -> str:
    return formats.day(value, writing_locale(), shop_today())


def consent_text(order: Order) -> str:
    """Return what the shopper agrees to, box by box. Stored as shown, so nothing may be vague."""
    return " ".join(
        _agreed(order, item, item.quote) for item in order.items if item.quote is not None
    )


def consent_version(order: Order) -> str:
    """Return the version of the consent's words and the law that its page was worded by."""
    return f"{CONSENT_VERSION} {law_of(order).name}"


def law_of(order: Order) -> OrderLaw:
    """Return the strictest entry among where it is sent and where the invoice goes."""
    return law_of_order(order.country, order.checkout.address, order.checkout.billing)


def _agreed(order: Order, item: OrderItem, quote: OrderQuote) -> str:
    renewal = _agreed_renewal(order, item, quote)
    last = quote.last_free_day
    if last is None:
        return renewal
    return " ".join([renewal, _("If I cancel by %(day)s, I pay nothing.", day=long_day(last))])


def _agreed_renewal(order: Order, item: OrderItem, quote: OrderQuote) -> str:
    if not quote.charges:
        agreed = _(
            "I agree to order %(plan)s for %(amount)s (%(included)s). It ends by itself and is "
            "not renewed.",
            plan=said(item.plan.name),
            amount=money(quote.due_today),
            included=included(order, item),
        )
        return " ".join(filter(None, [agreed, _own_end(item)]))
    values = {
        "plan": said(item.plan.name),
        "each": formats.interval_each(quote.renews_each),
        "amount": money(quote.charges[0].amount),
        "day": long_day(quote.charges[0].on),
        "included": included(order, item),
    }
    later = quote.charges[1] if len(quote.charges) > 1 else None
    if later is not None:
        values |= {"later": long_day(later.on), "full": money(later.amount)}
    bounds = _bounds(item)
    if bounds:
        return " ".join([_renewal(values, is_one_price=later is None), *bounds])
    if later is None:
        return _(
            "I agree that %(plan)s renews %(each)s for %(amount)s (%(included)s), first on "
            "%(day)s, until I cancel. I can cancel online at any time.",
            **values,
        )
    return _(
        "I agree that %(plan)s renews %(each)s, from %(day)s for %(amount)s and from %(later)s "
        "for %(full)s (%(included)s), until I cancel. I can cancel online at any time.",
        **values,
    )


def _renewal(values: dict[str, str], *, is_one_price: bool) -> str:
    """Return what comes again, without a word about how long."""
    if is_one_price:
        return _(
            "I agree that %(plan)s renews %(each)s for %(amount)s (%(included)s), first on "
            "%(day)s.",
            **values,
        )
    return _(
        "I agree that %(plan)s renews %(each)s, from %(day)s for %(amount)s and from %(later)s "
        "for %(full)s (%(included)s).",
        **values,
    )


def _bounds(item: OrderItem) -> list[str]:
    """Return what binds the shopper and what ends by itself; nothing where neither does."""
    least, end = item.plan.min_boxes, _own_end(item)
    if least <= 1 and not end:
        return []
    sentences = [end or _("It goes on until I cancel.")]
    if least > 1:
        sentences.append(
            _(
                "I agree to at least %(count)s boxes: if I cancel before, it ends after them. "
                "I can cancel online at any time.",
                count=least,
            )
        )
    else:
        sentences.append(_("I can cancel online at any time before."))
    return sentences


def _own_end(item: OrderItem) -> str:
    """Return when a subscription ends though nobody cancels it; empty for one that goes on."""
    most = most_boxes(item.plan, item.price) if item.price is not None else None
    on = item.plan.ends_on
    if most is not None and on is not None:
        return _(
            "It ends by itself after box %(count)s, at the latest on %(day)s.",
            count=most,
            day=long_day(on),
        )
    if most is not None:
        return _("It ends by itself after box %(count)s.", count=most)
    return _("It ends by itself on %(day)s.", day=long_day(on)) if on is not None else ""


def consent_missing(quote: BasketQuote) -> str:
    """Return what stands at the box when it was left empty."""
    if len(quote.items) > 1:
        return _("Tick the box to agree to the order and to how each box renews")
    only = quote.items[0]
    if not only.charges:
        return _("Tick the box to agree to the order")
    return _(
        "Tick the box to agree that the subscription renews %(each)s for %(amount)s",
        each=formats.interval_each(only.renews_each),
        amount=money(only.charges[0].amount),
    )


def included(order: Order, item: OrderItem) -> str:
    """Return what the price of a box holds."""
    if order.quote is not None and order.quote.treatment is not Treatment.STANDARD:
        return _("without VAT, delivery included") if item.plan.shipping else _("without VAT")
    if not names_vat(order.country):
        return _("incl. tax and delivery") if item.plan.shipping else _("incl. tax")
    if not item.plan.shipping:
        return _("incl. VAT")
    # Where delivery is a line of its own, the sum holds it as well.
    return _("incl. VAT and delivery")


def tax_note(order: Order) -> str:
    """Return why no tax is charged, or that it will be before a VAT number is checked."""
    treatment = order.quote.treatment if order.quote else Treatment.STANDARD
    if treatment is Treatment.STANDARD and order.sale.buyer.tax_id_state == "pending":
        return _("Your VAT number is not checked yet, so this order bears VAT.")
    return {
        Treatment.REVERSE_CHARGE: _("Reverse charge: your firm accounts for the VAT."),
        Treatment.EXEMPT: _("Exempt from VAT."),
        Treatment.EXPORT: _("Tax-free export. Import tax may be due on arrival."),
    }.get(treatment, "")


def then(item: OrderItem, quote: OrderQuote) -> list[str]:
    """Return the sentences below the total: what is charged next, and when the box leaves."""
    sentences = [
        _("Then %(amount)s on %(day)s.", amount=money(one.amount), day=day(one.on))
        if index == 0
        else _("From %(day)s %(amount)s.", amount=money(one.amount), day=day(one.on))
        for index, one in enumerate(quote.charges)
    ]
    sentences += [_ends(item, quote)]
    if item.picked and not quote.is_paid:
        sentences.append(_("What you added comes with the first payment."))
    place = quote.opening.place
    if place is not None and place.passed is not None:
        gone = day(place.passed.ship_from)
        sentences.append(
            _("The box of %(day)s is not on sale today.", day=gone)
            if place.passed_unsold
            else _("The box of %(day)s is sold out.", day=gone)
        )
    if quote.cycle is not None:
        sentences.append(_("First box ships %(day)s.", day=day(quote.cycle.ship_from)))
    if place is not None and place.is_closed:
        sentences.append(_("It cannot be changed or skipped any more."))
    return sentences


def addon_line(item: OrderItem, line: QuoteLine) -> tuple[str, str | None]:
    """Return the words of an add-on's line and how often it comes."""
    found = next((one for one in item.picked if one.ref == line.ref), None)
    name = said(line.text)
    text = f"{line.quantity} × {name}" if line.quantity > 1 else name
    if found is None or found.cadence is Cadence.ONCE:
        return text, _("once")
    return text, _("with every box") if item.plan.shipping else _("with every payment")


def discount_line(line: QuoteLine) -> str:
    """Return the name of a discount in the reader's language, with what stands behind it."""
    whole = said(line.text)
    name, bracket, rest = line.text.rpartition(" (")
    return whole if whole != line.text or not bracket else f"{said(name)}{bracket}{rest}"


def answer_line(line: QuoteLine) -> str:
    """Return question and answer that cost more, in the reader's language."""
    question, colon, answer = line.text.partition(": ")
    return f"{said(question)}{colon}{said(answer)}"


def begins(quote: OrderQuote, order: Order) -> str:
    """Return how the first days are paid for, empty for a whole period paid now."""
    opening = quote.opening
    until = long_day(opening.period.end)
    if opening.kind is PeriodKind.TRIAL:
        return _("with a free trial until %(day)s", day=until)
    if opening.kind is PeriodKind.FREE and order.follows_on is not None:
        return _("after your gift, with the first payment on %(day)s", day=until)
    if opening.kind is PeriodKind.FREE:
        return _("free until the first payment on %(day)s", day=until)
    if opening.share is not None:
        return _("with the days until %(day)s, paid by the day", day=until)
    return ""


def renews(item: OrderItem, quote: OrderQuote) -> str:
    """Return how often it renews, and for how long it binds."""
    if not quote.charges:
        return _("Does not renew. %(end)s", end=_own_end(item) or _("It ends by itself."))
    each = formats.interval_each(quote.renews_each)
    least, end = item.plan.min_boxes, _own_end(item)
    if least > 1:
        words = _("%(each)s, at least %(count)s boxes", each=each, count=least)
    elif end:
        words = each
    else:
        words = _("%(each)s, no minimum term", each=each)
    return f"{words}. {end}" if end else words


def _ends(item: OrderItem, quote: OrderQuote) -> str:
    """Say how long it goes on."""
    end = _own_end(item)
    if not quote.charges:
        return " ".join(filter(None, [end, _("It is not charged again.")]))
    if end:
        return end
    each = formats.interval_each(quote.renews_each)
    return _("It renews %(each)s until you cancel.", each=each)


def box_note(plan: OrderPlan, price: OrderPrice) -> str | None:
    """Return what one box costs where a payment pays for several; rounded up."""
    boxes = boxes_per_period(price.interval, plan.shipping) if plan.shipping else 1
    if boxes == 1:
        return None
    each = Money(-(-price.amount.minor // boxes), price.amount.currency)
    return _("%(count)s boxes, %(amount)s a box", count=boxes, amount=money(each))


def order_button(law: OrderLaw) -> str:
    """Return the order button's words; where a law fixes them they name no amount."""
    if law.button is Button.OBLIGATION:
        return _("Order with obligation to pay")
    return _("Subscribe and pay")


def refusal_words(refused: Refusal, typed: str, found: TypedCode | None) -> str:
    """Return why a code counts for nothing, beside its field."""
    code = found.code if found else typed[:40]
    rule = found.rule if found else None
    starts = day(rule.starts_on) if rule and rule.starts_on else ""
    ends = day(rule.ends_on) if rule and rule.ends_on else ""
    texts = {
        Refusal.UNKNOWN: _("We do not know %(code)s. Check the spelling", code=code),
        Refusal.NOT_STARTED: _("%(code)s starts on %(day)s", code=code, day=starts),
        Refusal.ENDED: _("%(code)s ended on %(day)s", code=code, day=ends),
        Refusal.WRONG_PLAN: _("%(code)s is for another box", code=code),
        Refusal.WRONG_INTERVAL: _wrong_interval(code, found),
        Refusal.WRONG_COUNTRY: _("%(code)s is for another country", code=code),
        Refusal.NOT_FIRST: _("%(code)s is for a first subscription", code=code),
        Refusal.USED_UP: _("%(code)s has been used up", code=code),
        Refusal.USED_BY_CUSTOMER: _("%(code)s has already been used with this e-mail", code=code),
        Refusal.HAS_IT: _("Your subscription has %(code)s already", code=code),
        Refusal.HAS_ANOTHER: _(
            "One code at a time: %(code)s can follow when it has ended", code=code
        ),
        Refusal.FIRST_ONLY: _("%(code)s is for the first payment of a new subscription", code=code),
    }
    return texts[refused]


def _wrong_interval(code: str, found: TypedCode | None) -> str:
    wanted = sorted(found.rule.intervals, key=str) if found else []
    if not wanted:
        return _("%(code)s is for another interval", code=code)
    names = formats.listing([formats.interval_each(one) for one in wanted], writing_locale())
    return _(
        "%(code)s is for plans paid %(each)s. Change how often you pay?", code=code, each=names
    )


def too_many(until: datetime) -> str:
    """Return when trying codes goes on."""
    time = formats.clock_time(until.astimezone(shop_zone()), writing_locale())
    return _("Too many tries. You can go on at %(time)s", time=time)


def decline_words(reason: str, amount: Money) -> str:
    """Return why nothing was charged and what to do, by the gateway's reason."""
    texts = {
        "insufficient_funds": _(
            "The card does not have enough money for %(amount)s. Nothing was charged.",
            amount=money(amount),
        ),
        "expired_card": _("The card has expired. Nothing was charged. Use another card."),
        "retry_limit": _("This card was tried too often. Nothing was charged. Use another card."),
        "authentication_failed": _("Your bank could not confirm it was you. Nothing was charged."),
        "cancelled": _("You left your bank's page. Nothing was charged."),
        "never_arrived": _(
            "The payment did not reach our payment partner. Nothing was charged. Try again."
        ),
    }
    standard = _(
        "Your bank declined the card. Nothing was charged. Try another card or ask your bank."
    )
    return texts.get(reason, standard)
