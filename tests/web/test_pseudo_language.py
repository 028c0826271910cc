"""No text of a page or mail is written into the source: all of them can be translated.

The demo shop is shown in a language nobody speaks (``tests/support/pseudo.py``), to a guest, to
customers in different states and to the owner. Names, notes and whatever else people have written
are taken from the database; what is left in plain letters is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.blueprints.admin.plan_terms import CURRENCIES
from storefront.demo import catalogue, seed
from storefront.demo.cast import CAST, PRESENTS
from storefront.demo.history import Scale, StoryClock
from storefront.documents import sheet
from storefront.domain.carriers.presets import PRESETS
from storefront.domain.invoices import CreditReason
from storefront.domain.least_terms import LIMITS
from storefront.domain.regions import regions_of
from storefront.domain.subscriber_rows import COLUMNS
from storefront.mails import TOPICS, compose
from storefront.models import Box, Customer, FulfilmentBatch, Invoice
from storefront.models.base import table_of
from storefront.operations.papers import Paper, boxes_by_key
from storefront.paper_words import slip
from storefront.queries.documents import document
from storefront.queries.translations import merchant_words
from storefront.runtime import Runtime
from storefront.templating import LANGUAGES
from tests.support import every_mail, pseudo
from tests.support.databases import Database, Databases
from tests.support.forms import pages
from tests.support.visitor import Visitor
from tests.web.test_every_form import ADA, HOME, Trial, walk_to_payment


@pytest.fixture
def clock() -> StoryClock:
    return StoryClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(params=["sqlite"])
def database(databases: Databases, tmp_path: Path) -> Database:
    """One kind is enough for words."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def known(rt: Runtime, app: Flask, clock: StoryClock, tmp_path: Path) -> set[str]:
    """A small demo shop that speaks the language alone; return what its people have written."""
    end = datetime(2027, 3, 24, 15, 30, tzinfo=UTC)
    seed.tell(rt, clock, end, Scale(months=2, shoppers=6), lambda *_: None)
    with app.app_context():
        rt.session.execute(sa.update(table_of(Customer)).values(locale=pseudo.CODE))
        rt.session.commit()
        written = pseudo.stored(rt.session)
        pseudo.translate(rt.session)
        rt.session.rollback()
    pseudo.speak(app, tmp_path)
    return written | set().union(*(pseudo.pieces(name) for name in names()))


def names() -> list[str]:
    """Return what has one name in every language, and what stands in files."""
    return [
        *(name for _code, name in LANGUAGES),
        *available_timezones(),
        *CURRENCIES,
        *(limit.source for limit in LIMITS),
        *(preset.layout.name for preset in PRESETS.values()),
        *(f"{preset.source}. {'. '.join(preset.typed)}" for preset in PRESETS.values()),
        *(one.name.split()[0] for one in (*CAST, *PRESENTS)),
        *(name for _code, name in regions_of("US")),
        *COLUMNS,
        *NAMES,
    ]


#: Endpoints whose pages are written for those who change the product, in its own language.
SKIPPED = {"admin.design"}
#: The log shows values as they were kept, codes too; what they are called is in words.
KEEPS_CODES = {"admin.staff_log"}
#: Papers are in the shop's language (0251), and a consent is kept in the words that were shown.
KEEPS_WORDS = {"account.invoice", "account.privacy"}
NAMES = (
    *ADA.values(),
    # Named by banks, machines and files.
    *("Visa", "Mastercard", "SEPA", "JSON", "CSV", "UTF", "Windows", "Latin", "Demo", "number"),
    # An allergen, a tag and codes of plans of the demo, which are also codes of ours.
    *("nuts", "friends", *(plan.code for plan in catalogue.PLANS)),
    # The snippet for other sites, and an address of ours inside it.
    *(
        "pages",
        "pages/about-us",
        "script async src",
        "script",
        "storefront-plans",
        "a href",
        "js",
        "www.example.com",
    ),
)


def found(
    trial: Trial,
    starts: list[str],
    known: set[str],
    kinds: set[str],
    own: AbstractSet[str] = frozenset(),
) -> dict[str, str]:
    """Return what is not in the language, and where, on each kind of page from ``starts``.

    ``own``: what merchants have written in the language too, and who reads it must find there.
    """
    wrong: dict[str, str] = {}
    read: list[str] = []

    def get(address: str):  # type: ignore[no-untyped-def]
        answer = trial.get(address)
        read[:] = [answer.text if answer.mimetype == "text/html" else ""]
        return answer

    for kind, address, _page in pages(trial.app, get, starts):
        kinds.add(kind)
        if kind not in SKIPPED:
            texts = pseudo.Texts(read[0]).found
            here = pseudo.foreign(texts, known if kind in KEEPS_WORDS else known - own)
            if kind in KEEPS_CODES:
                here = {text for text in here if not text.islower()}
            wrong |= {f"{text} ({kind})": address for text in here}
    return wrong


def told(wrong: dict[str, str]) -> str:
    return "\n".join(f"{text!r}: {where}" for text, where in wrong.items())


def merchants_words(rt: Runtime) -> set[str]:
    """Return the pieces of all texts that a merchant can say in several languages, and has."""
    words = merchant_words(rt.session)[pseudo.CODE]
    rt.session.rollback()
    return {piece for text in words for piece in pseudo.pieces(text)} - set(NAMES)


def test_every_text_of_every_page_can_be_translated(
    rt: Runtime, app: Flask, known: set[str]
) -> None:
    own = merchants_words(rt)
    guest = Trial(app, Visitor.of(app))
    starts = ["/", "/sign-in", "/sign-in/code", "/contracts/end", "/contracts/withdraw", "/gifts"]
    steps = walk_to_payment(guest)
    kinds: set[str] = set()
    wrong = found(guest, [*(HOME + path for path in starts), *steps], known, kinds, own)
    for email in [*(one.email for one in CAST), PRESENTS[0].email]:
        trial = Trial(app, Visitor.of(app), email).sign_in()
        wrong |= found(trial, [f"{HOME}/account/"], known, kinds, own)
    greta = Trial(app, Visitor.of(app), catalogue.STAFF[0].email, is_staff=True).sign_in()
    wrong |= found(greta, [f"{HOME}/admin/"], known, kinds)
    assert not wrong, told(wrong)
    assert len(kinds) > 115, f"the walk misses pages: {sorted(kinds)}"


def test_every_text_of_every_mail_can_be_translated(
    rt: Runtime, app: Flask, known: set[str]
) -> None:
    fine = known - merchants_words(rt) | set(every_mail.TYPED)
    wrong: dict[str, str] = {}
    topics: set[str] = set()
    with app.app_context():
        for delivery in every_mail.deliveries(rt, pseudo.CODE):
            mail = compose(rt, delivery)
            if mail is not None:
                topics.add(delivery.topic)
                texts = [mail.subject, mail.text, *pseudo.Texts(mail.html).found]
                wrong |= dict.fromkeys(pseudo.foreign(texts, fine), delivery.topic)
        rt.session.rollback()
    assert not wrong, told(wrong)
    assert topics == set(TOPICS), sorted(set(TOPICS) - topics)


def test_every_text_of_invoices_and_credit_notes_can_be_translated(
    rt: Runtime, app: Flask, known: set[str]
) -> None:
    wrong: dict[str, str] = {}
    with app.app_context():
        refs = rt.session.scalars(sa.select(Invoice.public_id)).all()
        for ref in refs:
            found = document(rt.session, ref)
            assert found is not None
            note = replace(found, kind="credit_note", invoice_number="1", invoice_on=found.on)
            notes = [replace(note, reason=why, to=to) for why in CreditReason for to in TO]
            for one in (found, *notes):
                texts = leaves(asdict(sheet(one, pseudo.CODE)))
                wrong |= dict.fromkeys(pseudo.foreign(texts, known), f"{one.kind} {ref}")
        rt.session.rollback()
    # A language tag is no text, and cards are named by banks.
    wrong.pop(pseudo.CODE.replace("_", "-"), None)
    assert not wrong, told(wrong)
    assert refs


def test_every_text_of_packing_slips_can_be_translated(
    rt: Runtime, app: Flask, known: set[str]
) -> None:
    box, batch = table_of(Box), table_of(FulfilmentBatch)
    ways = [("Malty Assam", *way) for way in LACKS]
    wrong: dict[str, str] = {}
    drawn = 0
    with app.app_context():
        row = rt.session.execute(sa.select(batch).limit(1)).one()
        shop = {"shop": "Nine Kettles", "name": "", "address": "", "email": ""}
        paper = Paper(
            *(1, "ppr_1", row.id, row.public_id, row.number, "2027-03", "slips", "a4"),
            *(
                shop | {"country": "FR", "locale": pseudo.CODE},
                [],
                row.created_at,
                row.created_at,
                None,
            ),
        )
        own = sa.or_(box.c.parcel_id.is_(None), box.c.parcel_id == box.c.id)
        packed = sa.select(box.c.id).where(box.c.packing.is_not(None), own)
        keys = rt.session.scalars(packed).all()
        for one in boxes_by_key(rt.session, keys):
            if not one.ship_to:  # nobody's any more
                continue
            frozen = {**one.packing, "language": pseudo.CODE, "lacks": ways, "ordinal": 2, "of": 3}
            given = frozen | {"gift": {"from": "Ada Lovelace", "message": ""}}
            other = replace(one, public_id="000001", packing=frozen, others=(), quantity=2)
            for like in (other, replace(other, packing=given), replace(other, others=(other,))):
                texts = leaves(asdict(slip(like, paper)))
                wrong |= dict.fromkeys(pseudo.foreign(texts, known), one.public_id)
                drawn += 1
        rt.session.rollback()
    assert not wrong, told(wrong)
    assert drawn > 20


#: What is in a box instead of something, whether that is credited, and whether it was asked for.
LACKS = (
    ("Spring Sencha", False, True),
    ("", False, True),
    ("Spring Sencha", False, False),
    ("", True, False),
    ("", False, False),
)


@pytest.mark.parametrize(
    ("path", "more"), [("/contracts/end", {"how": "cause"}), ("/contracts/withdraw", {})]
)
def test_every_text_of_the_receipts_of_declarations_can_be_translated(
    app: Flask, known: set[str], path: str, more: dict[str, str]
) -> None:
    anybody = Visitor.of(app)
    once = re.search(r'name="once"[^>]*value="([^"]+)"', anybody.get(path).text)
    assert once
    form = {"name": "Ada Lovelace", "email": "ada@example.org", "contract": "4711"}
    form |= {"once": once[1], "reason": "Moved", **more}
    review = anybody.post(path, step="review", **form)
    done = anybody.post(path, step="send", **form)
    assert done.status_code == 303, pseudo.Texts(done.text).found
    receipt, file = anybody.get(done.location), anybody.get(f"{done.location}/file")
    fine = known | {"Moved", "Ada Lovelace", "ada@example.org"}
    for page in (review, receipt):
        assert page.status_code == 200
        assert not pseudo.foreign(pseudo.Texts(page.text).found, fine)
    assert "4711" in file.text
    assert not pseudo.foreign([file.text], fine)


#: Where the money of a credit note goes.
TO = ("open", "card", "credit", "bank")


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from leaves(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from leaves(one)


def test_a_text_of_the_source_is_noticed_beside_translated_ones() -> None:
    page = f"""<title>{pseudo.pseudo("Your plan")}</title><p title="Hard">{pseudo.pseudo("Hello")}
        Ada Lovelace, <b>Next box</b> 3 Μαρτίου</p><input type="submit" value="Send"><svg>in</svg>
        <p>{pseudo.pseudo("Paid: %(sum)s") % {"sum": "€3, active"}}</p>"""
    assert pseudo.foreign(pseudo.Texts(page).found, {"Ada Lovelace"}) == {
        "Hard",
        "Next box",
        "Send",
        "active",
    }
    assert pseudo.pseudo("<b>%(n)s</b> of 50&nbsp;%%") == "<b>%(n)s</b> ｏｆ 50&nbsp;%%"
