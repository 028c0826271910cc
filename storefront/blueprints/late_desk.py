"""Asking for a late change, for the account's page and for the one of the staff."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from storefront.blueprints import choosing
from storefront.blueprints.address_parts import Needed, PostalParts, RegionField, region_missing
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain.errors import DomainError
from storefront.domain.late_changes import LateKind
from storefront.domain.postal import WITH_REGION
from storefront.htmx import go
from storefront.queries.late_changes import LateBox
from storefront.queries.late_contents import LateContents, late_contents
from storefront.services import late_changes
from storefront.services.late_changes import Wish

_SHORT = Length(max=80, message=lazy_gettext("Use 80 characters or fewer"))
_LONG = Length(max=120, message=lazy_gettext("Use 120 characters or fewer"))
_PARTS = ("name", "company", "street", "extra", "postcode", "city")
_SWAP = "swap-"


class NoteForm(Form):
    """Something to tell the shop with the wish."""

    note = TextAreaField(
        lazy_gettext("A word to the shop"),
        [Length(max=400, message=lazy_gettext("Use 400 characters or fewer"))],
    )


class ElsewhereForm(PostalParts, NoteForm):
    """Where this one box is to go; another country would be another price."""

    name = StringField(
        lazy_gettext("Full name"),
        [InputRequired(lazy_gettext("Enter the name on the doorbell or parcel box")), _SHORT],
        filters=[one_line],
    )
    company = StringField(lazy_gettext("Company"), [_SHORT], filters=[one_line])
    street = StringField(
        lazy_gettext("Street and number"),
        [InputRequired(lazy_gettext("Enter the street and house number")), _LONG],
        filters=[one_line],
    )
    extra = StringField(lazy_gettext("Flat, floor or note"), [_LONG], filters=[one_line])
    postcode = StringField(
        lazy_gettext("Postcode"),
        [
            Needed(),
            Length(max=16, message=lazy_gettext("Use 16 or fewer")),
        ],
        filters=[one_line],
    )
    city = StringField(
        lazy_gettext("Town"),
        [Needed(), _SHORT],
        filters=[one_line],
    )
    region = RegionField(lazy_gettext("State or region"), [_SHORT], filters=[one_line])


@dataclass(frozen=True, slots=True)
class Desk:
    """One box, and who asks for its change: its owner, or staff for them."""

    find: Callable[[], LateBox | None]
    ask: Callable[[Wish], str]
    show: Callable[..., Response]
    #: The page of the box's wishes and the one for its contents.
    url: str
    contents_url: str
    by_staff: bool = False

    def look(self) -> Response:
        """Show what can be asked of the box, and what became of the last wish."""
        box = self._found()
        return self._show(box, _filled(box))

    def act(self) -> Response:
        """Put a wish for another address, or not to send the box, into the queue."""
        box = self._found()
        is_address = request.form.get("kind") != LateKind.KEEP_BACK.value
        form = _elsewhere(box, request.form) if is_address else NoteForm(request.form)
        is_good = form.validate()
        if isinstance(form, ElsewhereForm) and box.country in WITH_REGION and not form.region.data:
            form.region.errors = [region_missing(box.country)]
            is_good = False
        if not is_good:
            shown = form if isinstance(form, ElsewhereForm) else _filled(box)
            return self._show(box, shown, status=422)
        # What is not asked stays as it is.
        asked = (*_PARTS, "region") if _asks_region(box) else _PARTS
        parts = {name: form[name].data for name in asked} if is_address else {}
        kind = LateKind.ADDRESS if is_address else LateKind.KEEP_BACK
        try:
            self._ask(Wish(kind, parts, (form.note.data or "").strip()))
        except DomainError as error:
            box = self._found()
            return self._show(box, _filled(box), status=409, problem=self._problem(error))
        return self._thanks()

    def look_inside(self) -> Response:
        """Show what may be in the box instead."""
        box, found = self._contents()
        form = choosing.stored_form(found.choice) if found.choice else None
        return self._show_contents(box, found, form, NoteForm())

    def act_inside(self) -> Response:
        """Put a wish for other contents into the queue; a button beside a number saves nothing."""
        box, found = self._contents()
        note, typed = NoteForm(request.form), choosing.typed_picks()
        form = choosing.filled_form(found.choice, typed) if found.choice else None
        is_counting = choosing.is_stepping() or request.form.get("do") == "show"
        if found.choice and is_counting:
            return self._show_contents(box, found, form, note)
        if not note.validate() or (form is not None and form.summary):
            return self._show_contents(box, found, form, note, status=422)
        words = (note.note.data or "").strip()
        if found.choice:
            wish = Wish(LateKind.CONTENTS, {}, words, picks=choosing.picks_of(typed))
        else:
            wish = Wish(LateKind.CONTENTS, {}, words, swaps=_swaps(found))
        try:
            self._ask(wish)
        except late_changes.ContentsRefused as refused:
            box, found = self._contents()
            faults = refused.verdict.faults if refused.verdict else ()
            if found.choice and faults:
                form = choosing.filled_form(found.choice, typed, faults)
                return self._show_contents(box, found, form, note, status=422)
            is_short = bool(refused.verdict and refused.verdict.is_short)
            problem = _problem("short" if is_short else refused.code)
            return self._show_contents(box, found, form, note, status=422, problem=problem)
        except DomainError as error:
            problem = self._problem(error)
            return self._show_contents(box, found, form, note, status=409, problem=problem)
        return self._thanks()

    def _problem(self, error: DomainError) -> str:
        is_known = self.by_staff and error.code == "already_asked"
        return _problem("asked_by_others" if is_known else error.code)

    def _ask(self, wish: Wish) -> None:
        runtime().session.rollback()
        try:
            self.ask(wish)
        except late_changes.LateNotFound:
            abort(404)

    def _found(self) -> LateBox:
        runtime().session.rollback()
        box = self.find()
        if box is None:
            abort(404)
        return box

    def _contents(self) -> tuple[LateBox, LateContents]:
        box, rt = self._found(), runtime()
        found = late_contents(rt.session, box.ref, rt.moment())
        if found is None or LateKind.CONTENTS not in box.kinds:
            abort(404)
        return box, found

    def _show(
        self, box: LateBox, form: ElsewhereForm, status: int = 200, problem: str = ""
    ) -> Response:
        return self.show(
            "late",
            status,
            **self._context(box),
            form=form,
            problem=problem,
            asks_region=_asks_region(box),
            region_needed=box.country in WITH_REGION,
        )

    def _show_contents(
        self,
        box: LateBox,
        found: LateContents,
        form: choosing.Form | None,
        note: NoteForm,
        status: int = 200,
        problem: str = "",
    ) -> Response:
        rules = choosing.rule_words(found.choice) if found.choice else []
        return self.show(
            "late_contents",
            status,
            **self._context(box),
            choice=found.choice,
            form=form,
            rules=rules,
            lines=[(line, _taken(line)) for line in found.lines],
            quantity=found.quantity,
            note=note,
            problem=problem,
            page_has_errors=status == 422,
        )

    def _context(self, box: LateBox) -> dict[str, Any]:
        return {
            "box": box,
            "url": self.url,
            "contents_url": self.contents_url,
            "by_staff": self.by_staff,
        }

    def _thanks(self) -> Response:
        if self.by_staff:
            return go(self.url, _("It is in the queue of late changes now."))
        return go(self.url, _("We have your wish and write to you as soon as it is decided."))


def _asks_region(box: LateBox) -> bool:
    return box.country in WITH_REGION or runtime().shop.taxes.asks_region(box.country)


def _filled(box: LateBox) -> ElsewhereForm:
    return _elsewhere(box)


def _elsewhere(box: LateBox, given: Any = None) -> ElsewhereForm:
    form = ElsewhereForm(given, data=dict(box.address))
    form.of_country = box.country
    return form


def _taken(line: Any) -> str:
    """Return what is selected for a product of the recipe: what was sent, or what comes now."""
    now = (line.instead or line.own).public_id
    return request.form.get(f"{_SWAP}{line.own.public_id}", now)


def _swaps(found: LateContents) -> dict[str, str]:
    taken = {line.own.public_id: _taken(line) for line in found.lines}
    return {own: instead for own, instead in taken.items() if instead != own}


def _problem(code: str) -> str:
    return {
        "already_asked": _("You have asked already. We are looking at it."),
        "asked_by_others": _("Something is asked of this box already, and waits for a decision."),
        "not_askable": _("This box is with the packers, so it stays as it is."),
        "nothing_asked": _("That is what the box holds. Choose something else."),
        "short": _("Of that too little is left. Choose something else."),
        "contents_refused": _("That is not offered for this box. Choose something else."),
    }.get(code, _("Please fill in the whole address."))
