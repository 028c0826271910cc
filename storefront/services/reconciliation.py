"""Compare our charges with each gateway's own list, every night.

Their list is read page by page, and each page is matched with ours in one statement. What is
kept while it runs is eight bytes for each charge of ours that was found.
Source: docs/decisions/0130-nightly-comparison.md.
"""

from __future__ import annotations

import logging
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from storefront import charges
from storefront.database import reading, retrying
from storefront.domain.charging import ANSWERABLE, AnswerStatus, AttemptState
from storefront.domain.gateways import ChargeRecord, Gateway
from storefront.domain.money import Money
from storefront.domain.privacy import mask_card_numbers
from storefront.domain.reconciliation import Difference, DifferenceKind, Ours, compare
from storefront.operations import audit, comparing
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow
from storefront.operations.references import known_mark
from storefront.runtime import Runtime

log = logging.getLogger(__name__)

#: Each comparison goes back so far behind the last one: refunds come later than charges.
OVERLAP = timedelta(days=3)
#: How far back the first one goes, and the furthest for the sake of what is still open.
FURTHEST = timedelta(days=35)
#: Younger charges of ours may not be in their list yet, whatever the gateway declares.
SETTLED_AFTER = timedelta(hours=6)
#: The clocks of both sides differ by less.
SKEW = timedelta(hours=1)
#: Charges of one page.
PAGE = 500
#: One that could not be done is tried again after this.
AGAIN_AFTER = timedelta(minutes=10)


@dataclass(slots=True)
class Compared:
    """What comparisons found; ``failed`` counts gateways that did not answer."""

    compared: int = 0
    recorded: int = 0
    differences: int = 0
    closed: int = 0
    failed: int = 0


class _NoAnswer(Exception):
    """The gateway could not say what became of a charge."""


@dataclass(slots=True)
class _Run:
    gateway: Gateway
    since: datetime
    now: datetime
    #: Of this installation, as its references carry it.
    mark: str
    report: Compared = field(default_factory=Compared)
    #: Keys of our charges that are in their list.
    seen: array[int] = field(default_factory=lambda: array("q"))


def compare_due(rt: Runtime) -> Compared:
    """Compare every account that was not compared yet on this shop-local day; none in a copy."""
    total = Compared()
    if not charges.is_unlocked(rt):
        return total
    for gateway in rt.gateways.values():
        if _is_due(rt, gateway):
            _add(total, compare_account(rt, gateway))
    return total


def compare_account(rt: Runtime, gateway: Gateway) -> Compared:
    """Compare one account now; that it could not be done is noted, never raised.

    What the gateway took and we do not know yet is looked up and recorded at once.
    """
    now = rt.now()
    since, mark = _since(rt, gateway, now)
    run = _Run(gateway, since, now, mark)
    error = ""
    try:
        for page in _pages(gateway.list_charges(run.since)):
            _match(rt, run, page)
        _find_missing(rt, run)
    except Exception as failure:
        # It is tried again, and shown meanwhile.
        log.exception("the charges of %s could not be compared", gateway.name)
        error = _reason(failure)
        run.report.failed = 1
    rt.session.rollback()
    retrying(rt.session, lambda: _note_run(rt, run, error))
    return run.report


def ask_again(rt: Runtime, who: Who) -> None:
    """Have the worker compare every account in its next tick, within a quarter of an hour."""

    def write() -> None:
        moment = rt.moment()
        for gateway in rt.gateways.values():
            until = comparing.compared_until(rt.session, gateway.name, gateway.account)
            if until is not None:
                day_before = moment.start_of(moment.today) - timedelta(seconds=1)
                until = min(until, day_before)
                comparing.mark_compared(rt.session, gateway.name, gateway.account, until)
        audit.write(rt.session, who.id, "differences.asked", "shop", {}, {}, moment, who.ip)
        rt.session.commit()

    retrying(rt.session, write)


def settle(rt: Runtime, who: Who, difference: str, note: str) -> bool:
    """Note that somebody has put a difference right; False when it is settled already."""

    def write() -> bool:
        moment, words = rt.moment(), mask_card_numbers(note)[:255]
        by = f"staff:{who.id}"
        found = comparing.settle(rt.session, difference, by, words, moment)
        if found:
            after = {"note": words}
            audit.write(
                rt.session, who.id, "difference.settled", difference, {}, after, moment, who.ip
            )
        rt.session.commit()
        return found

    return retrying(rt.session, write)


def _is_due(rt: Runtime, gateway: Gateway) -> bool:
    with reading():
        until = comparing.compared_until(rt.session, gateway.name, gateway.account)
        last = comparing.last_run(rt.session, gateway.name, gateway.account)
        rt.session.rollback()
    if last is not None and last.error and rt.now() - last.at < AGAIN_AFTER:
        return False
    return until is None or rt.day_of(until) < rt.today()


def _since(rt: Runtime, gateway: Gateway, now: datetime) -> tuple[datetime, str]:
    """Return from when on to compare, and our mark.

    Also what was open is compared again, so that it can close itself.
    """
    with reading():
        until = comparing.compared_until(rt.session, gateway.name, gateway.account)
        opened = comparing.oldest_open(rt.session, gateway.name)
        mark = known_mark(rt.session)
        rt.session.rollback()
    if until is None:
        return now - FURTHEST, mark
    since = until - OVERLAP
    if opened is not None:
        since = min(since, max(opened - OVERLAP, now - FURTHEST))
    return since, mark


def _pages(records: Iterable[ChargeRecord]) -> Iterator[list[ChargeRecord]]:
    rest = iter(records)
    while page := list(islice(rest, PAGE)):
        yield page


def _match(rt: Runtime, run: _Run, page: Sequence[ChargeRecord]) -> None:
    """Match one page of their list with ours; record what we did not know, note what differs."""
    pairs = _pairs(rt, run, page)
    open_here = [
        row.id
        for theirs, row in pairs
        if row is not None and theirs.status is AnswerStatus.SUCCEEDED and _is_open(row)
    ]
    for key in open_here:
        told = charges.look_up(rt, key)
        run.report.recorded += told.settled + told.surplus
    if open_here:
        pairs = _pairs(rt, run, page)
    found = []
    for theirs, row in pairs:
        if row is not None:
            run.seen.append(row.id)
        difference = compare(_ours(row), theirs, run.mark)
        if difference is not None:
            found.append(difference)
    run.report.compared += len(page)
    names = [row.public_id if row is not None else theirs.reference for theirs, row in pairs]
    _write(rt, run, found, [name for name in names if name])


def _pairs(
    rt: Runtime, run: _Run, page: Sequence[ChargeRecord]
) -> list[tuple[ChargeRecord, AnyRow | None]]:
    references = [one.reference for one in page if one.reference]
    unnamed = [one.gateway_reference for one in page if not one.reference]
    with reading():
        rows = comparing.charges_named(rt.session, run.gateway.name, references, unnamed)
        rt.session.rollback()
    ours = {row.public_id: row for row in rows}
    theirs = {row.gateway_reference: row for row in rows}
    return [
        (one, ours.get(one.reference) if one.reference else theirs.get(one.gateway_reference))
        for one in page
    ]


def _find_missing(rt: Runtime, run: _Run) -> None:
    """Ask for every charge that we have as paid and that their list did not hold."""
    seen = sorted(run.seen)
    settle_time = timedelta(seconds=run.gateway.capabilities.lookup_settle_seconds)
    until, after = run.now - max(settle_time, SETTLED_AFTER), 0
    while True:
        with reading():
            rows = comparing.paid_charges(
                rt.session,
                run.gateway.name,
                run.gateway.account,
                run.since + SKEW,
                until,
                after,
                PAGE,
            )
            rt.session.rollback()
        if not rows:
            return
        after = rows[-1].id
        missing = [row for row in rows if not _holds(seen, row.id)]
        found = [one for one in (_ask(run, row) for row in missing) if one is not None]
        if missing:
            _write(rt, run, found, [row.public_id for row in missing])


def _ask(run: _Run, row: AnyRow) -> Difference | None:
    answer = run.gateway.lookup(row.public_id, row.gateway_reference)
    if answer is not None and answer.status is AnswerStatus.UNKNOWN:
        raise _NoAnswer(row.public_id)
    if answer is not None and answer.status is AnswerStatus.SUCCEEDED:
        return None
    return Difference(
        DifferenceKind.MISSING_THERE,
        row.public_id,
        row.gateway_reference,
        row.amount_minor,
        None,
        row.currency,
    )


def _write(rt: Runtime, run: _Run, found: Sequence[Difference], references: Sequence[str]) -> None:
    """Note what differs, and close what agrees again."""

    def write() -> int:
        moment = rt.moment()
        comparing.note_differences(rt.session, run.gateway.name, found, moment)
        closed = comparing.close_agreed(rt.session, run.gateway.name, references, moment)
        rt.session.commit()
        return closed

    run.report.closed += retrying(rt.session, write)
    run.report.differences += len(found)


def _reason(failure: Exception) -> str:
    """Return the stable code a plugin gave, such as a missing permission, else the kind of error.

    No other text: it could hold an address or what was sent.
    """
    told = failure.args[0] if failure.args else ""
    is_code = isinstance(told, str) and re.fullmatch(r"[a-z][a-z0-9_]{2,60}", told)
    return f"{type(failure).__name__}: {told}" if is_code else type(failure).__name__


def _note_run(rt: Runtime, run: _Run, error: str) -> None:
    comparing.note_run(
        rt.session,
        {
            "gateway": run.gateway.name,
            "account": run.gateway.account,
            "at": rt.now(),
            "since": run.since,
            "until": run.now,
            "compared": run.report.compared,
            "differences": run.report.differences,
            "error": error[:255],
        },
    )
    rt.session.commit()


def _ours(row: AnyRow | None) -> Ours | None:
    if row is None:
        return None
    amount = Money(row.amount_minor, row.currency)
    state = AttemptState(row.state)
    return Ours(state, amount, int(row.given_back_minor), bool(row.is_refunding))


def _is_open(row: AnyRow) -> bool:
    return AttemptState(row.state) in ANSWERABLE


def _holds(seen: Sequence[int], key: int) -> bool:
    place = bisect_left(seen, key)
    return place < len(seen) and seen[place] == key


def _add(total: Compared, one: Compared) -> None:
    for name in Compared.__dataclass_fields__:
        setattr(total, name, getattr(total, name) + getattr(one, name))
