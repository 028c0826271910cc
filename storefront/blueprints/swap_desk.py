"""What happens when a swap is sent, for the account's page and for that of the staff."""

from __future__ import annotations

from dataclasses import dataclass

from flask import abort, request
from flask_babel import gettext as _

from storefront.blueprints.context import runtime
from storefront.domain.swaps import SwapBar
from storefront.merchant_texts import said
from storefront.operations.audit import Who
from storefront.queries.swaps import Offered, SwapPage, swap_page
from storefront.services import swaps
from storefront.services.swaps import Swapped


@dataclass(frozen=True, slots=True)
class Answer:
    """What is shown now; ``problem`` says why nothing was done, ``done`` what was."""

    page: SwapPage
    status: int = 200
    problem: str = ""
    done: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """One box of one customer; ``who``: staff sit at it."""

    customer_id: int
    subscription: str
    cycle: str
    who: Who | None = None

    def look(self) -> Answer:
        """Return the box with what is taken instead by now."""
        return Answer(self._page())

    def act(self) -> Answer:
        """Take something else, or take that back."""
        own, instead = request.form.get("own", ""), request.form.get("instead", "")
        if not instead and request.form.get("do") != "undo":
            return Answer(self._page(), 422, _("Choose what comes instead."))
        try:
            done = swaps.take_instead(
                runtime(),
                self.customer_id,
                self.subscription,
                self.cycle,
                own,
                instead,
                is_standing=request.form.get("scope") == "always",
                who=self.who,
            )
        except swaps.NotFound:
            abort(404)
        except swaps.SwapTooLate:
            return Answer(self._page(), 409)
        except swaps.NotOffered as error:
            return Answer(self._page(), 422, _refused(error.bar))
        return Answer(self._page(), done=_done(done, undone=not instead))

    def _page(self) -> SwapPage:
        rt = runtime()
        rt.session.rollback()
        found = swap_page(
            rt.session,
            self.customer_id,
            self.subscription,
            self.cycle,
            rt.moment(),
            by_staff=self.who is not None,
        )
        rt.session.rollback()
        if found is None:
            abort(404)
        return found


def bar_words(offered: Offered) -> str:
    """Say why something cannot come instead; empty when it can."""
    if offered.bar == SwapBar.ALLERGEN:
        return _("Contains what you avoid")
    return _("Sold out") if offered.bar else ""


def _refused(bar: SwapBar | None) -> str:
    if bar is SwapBar.SOLD_OUT:
        return _("That is sold out by now. Choose something else; nothing was changed.")
    if bar is SwapBar.ALLERGEN:
        return _("That contains what you avoid. Nothing was changed.")
    return _("That is not offered instead. Nothing was changed.")


def _done(done: Swapped, *, undone: bool) -> str:
    own, instead = said(done.own), said(done.instead)
    if undone or not instead:
        return _("%(name)s is in your box again.", name=instead or own)
    if done.is_standing:
        return _(
            "From this box on, %(instead)s comes instead of %(own)s.", instead=instead, own=own
        )
    return _("In this box, %(instead)s comes instead of %(own)s.", instead=instead, own=own)
