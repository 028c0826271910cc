"""What somebody may have instead of leaving, with what it means in money and days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from flask import Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.account import breaks, plan, words
from storefront.blueprints.account.base import bp
from storefront.blueprints.account.words import long_day
from storefront.blueprints.context import customer, runtime
from storefront.domain.changes import ChangeQuote, NotChangeable, Wish
from storefront.domain.errors import DomainError
from storefront.domain.pauses import NotPausable
from storefront.formats import money
from storefront.htmx import go
from storefront.merchant_texts import said
from storefront.queries import account as accounts
from storefront.queries.account import SubscriptionView
from storefront.queries.leaving import cheaper_price, lowered_by
from storefront.queries.next_payment import next_price
from storefront.services import added_codes, changes, leaving_offers, pauses, skips
from storefront.services.leaving_offers import Offer
from storefront.templating import FILTERS, writing_locale


@dataclass(frozen=True, slots=True)
class Shown:
    """One offer in words. ``shown`` is what its button agrees to; the rest is how to do it."""

    ref: str
    kind: str
    what: str
    means: tuple[str, ...]
    button: str
    until: date | None = None
    cycle: str = ""
    code: str = ""
    price: str = ""
    quote: ChangeQuote | None = None

    @property
    def shown(self) -> str:
        return " ".join((self.kind, self.cycle, self.code, self.price, *self.means))


def offer_of(view: SubscriptionView | None) -> Shown | None:
    """Return the one offer that stands beside the button to cancel, or None."""
    rt = runtime()
    if view is None:
        return None
    found = leaving_offers.offers_for(rt, customer().id, view.public_id)
    rt.session.rollback()
    shown = {"pause": _pause, "skip": _skip, "discount": _discount, "plan": _plan}
    return next((one for each in found if (one := shown[each.kind](each, view))), None)


def _pause(offer: Offer, view: SubscriptionView) -> Shown | None:
    rt, me = runtime(), customer()
    try:
        quote = pauses.quote_pause(rt, me.id, view.public_id)
    except (pauses.NotFound, NotPausable):
        return None
    if quote.stands or quote.unpaid or len(quote.ends) < offer.boxes:
        return None
    until = quote.ends[offer.boxes - 1]
    amount = next_price(rt.session, me.id, view.public_id, until, rt.shop.taxes)
    rt.session.rollback()
    means = [_("Nothing is charged from %(day)s on.", day=long_day(quote.starts_on))]
    if amount:
        means.append(
            _(
                "It goes on by itself on %(day)s, with %(amount)s.",
                day=long_day(until),
                amount=money(amount, writing_locale()),
            )
        )
    what = ngettext("Pause for %(num)s box", "Pause for %(num)s boxes", offer.boxes)
    return Shown(offer.ref, offer.kind, what, tuple(means), _("Pause instead"), until=until)


def _skip(offer: Offer, view: SubscriptionView) -> Shown | None:
    box = view.changeable
    if box is None or not box.can_skip or not box.cycle or box.ship_from is None:
        return None
    means = [_("The box of %(day)s is left out.", day=long_day(box.ship_from))]
    if box.charge_on and box.amount:
        means.append(
            _(
                "No charge of %(amount)s on %(day)s.",
                amount=money(box.amount, writing_locale()),
                day=long_day(box.charge_on),
            )
        )
    else:
        means.append(_("It is paid already, so it comes later."))
    what, button = _("Skip the next box"), _("Skip it instead")
    return Shown(offer.ref, offer.kind, what, tuple(means), button, cycle=box.cycle)


def _discount(offer: Offer, view: SubscriptionView) -> Shown | None:
    rt, me = runtime(), customer()
    code = added_codes.fits(rt, me.id, view.public_id, offer.code)
    found = code and lowered_by(rt.session, me.id, view.public_id, code, rt.shop.taxes, rt.moment())
    rt.session.rollback()
    if not code or not found or found.after.minor >= found.before.minor:
        return None
    if code.terms.lasts is None:
        lasts = _("It lowers every payment for as long as you subscribe.")
    else:
        lasts = ngettext(
            "It lowers %(num)s payment.", "It lowers your next %(num)s payments.", code.terms.lasts
        )
    pays = _(
        "On %(day)s you pay %(after)s instead of %(before)s.",
        day=long_day(found.day),
        after=money(found.after, writing_locale()),
        before=money(found.before, writing_locale()),
    )
    return Shown(
        offer.ref, offer.kind, _("Pay less"), (pays, lasts), _("Stay and pay less"), code=code.code
    )


def _plan(offer: Offer, view: SubscriptionView) -> Shown | None:
    """A cheaper plan from the next payment on; none that binds otherwise or costs something now."""
    rt, me = runtime(), customer()
    price = cheaper_price(rt.session, me.id, view.public_id, offer.to_plan or 0, rt.today())
    rt.session.rollback()
    if price is None:
        return None
    wish = Wish(price, when="boundary")
    try:
        quote = changes.quote_change(rt, me.id, view.public_id, wish)
    except (LookupError, NotChangeable):
        return None
    least = min(view.price.minor, view.next_amount.minor) if view.next_amount else view.price.minor
    if quote.at_once or quote.ends != quote.ended or quote.amount.minor >= least:
        return None
    name = said(quote.plan)
    listing = FILTERS["listing"]
    pays = f"{money(quote.amount, writing_locale())} {FILTERS['interval_per'](quote.interval)}"
    means = [
        _(
            "From %(day)s you have %(plan)s for %(price)s. Until then nothing changes.",
            day=long_day(quote.effective_on),
            plan=name,
            price=pays,
        )
    ]
    means += [
        _("What you chose falls out of the box of %(day)s: %(list)s.", day=day, list=listing(lost))
        for day, lost in plan.losses_of(view.public_id, wish, quote)
    ]
    means.append(_("You can take it back until then."))
    if quote.asks_consent:
        means.append(words.change_consent(quote))
    what, button = _("%(plan)s, which costs less", plan=name), _("Change to %(plan)s", plan=name)
    return Shown(offer.ref, offer.kind, what, tuple(means), button, price=price, quote=quote)


@bp.post("/subscriptions/<subscription>/offers/<offer>")
def leaving_offer(subscription: str, offer: str) -> Response:
    """Take the offer that stood beside the button to cancel."""
    rt, me = runtime(), customer()
    view = accounts.subscription(rt.session, me.id, subscription, rt.moment(), rt.shop.taxes)
    rt.session.rollback()
    if view is None:
        abort(404)
    back = url_for("account.subscription", subscription=subscription)
    found = offer_of(view)
    if found is None or found.ref != offer:
        return go(back, _("This offer is taken already, or does not stand any more."))
    if request.form.get("shown") != found.shown:
        text = _("This changed meanwhile. Please look again before you decide.")
        return go(url_for("account.cancel", subscription=subscription), text)
    try:
        text = _take(subscription, found)
    except DomainError:
        return go(back, _("This offer is taken already, or does not stand any more."))
    leaving_offers.note(rt, me.id, subscription, offer, taken=True)
    return go(back, text)


def _take(subscription: str, offer: Shown) -> str:
    """Do what was offered and say so."""
    rt, me = runtime(), customer()
    if offer.kind == "pause":
        return breaks.paused_words(pauses.pause(rt, me.id, subscription, offer.until))
    if offer.kind == "skip":
        skips.skip_box(rt, me.id, subscription, offer.cycle)
        return _("Skipped. Your subscription goes on after that.")
    if offer.quote is not None:
        wish, shown = Wish(offer.price, when="boundary"), offer.quote
        done = changes.change(
            rt, me.id, subscription, wish, shown.quote_hash, plan.agreed_to(shown)
        )
        return plan.said_of(done)
    code = added_codes.add_code(rt, me.id, subscription, offer.code)
    return _("Saved. %(code)s lowers your next payment.", code=code)
