"""Take over running subscribers of another system: look first, then write, twice does nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from storefront.charges import is_unlocked
from storefront.database import reading, retrying
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor
from storefront.domain.gateways import Gateway, VaultedMethod
from storefront.domain.subscriber_rows import Finding, Level, SubscriberRow, read_subscribers
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.kept_methods import Card
from storefront.operations.subscriber_facts import Judged, Known, Sold, judge, read_known, read_sold
from storefront.operations.subscriber_imports import Arrival, write_arrivals
from storefront.runtime import Runtime

log = logging.getLogger(__name__)

#: Rows looked at and written in one transaction.
_SLICE = 100
#: Stored methods asked for at once.
_AT_ONCE = 8
#: Languages that customers read in.
_LANGUAGES = ("en", "de", "fr")

Report = Callable[[int, int], None]


@dataclass(slots=True)
class SubscriberReport:
    """What an import did, or as a dry run would do."""

    is_dry_run: bool
    row_count: int
    #: Subscriptions made, or that would be.
    new: int = 0
    #: Rows that came with an earlier import.
    here: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def left_out(self) -> int:
        """Return how many rows cannot be taken over."""
        return len({one.row for one in self.findings if one.level is Level.ERROR})

    @property
    def still_billed(self) -> int:
        """Return how many rows say that the other system still charges."""
        return sum(1 for one in self.findings if one.code == "still_billed")

    @property
    def has_card_numbers(self) -> bool:
        """Return whether the file holds a card number: it must not be kept."""
        return any(one.code == "card_number" for one in self.findings)


def import_subscribers(
    rt: Runtime,
    data: bytes,
    *,
    dry_run: bool = True,
    stopped_elsewhere: bool = False,
    who: Who | None = None,
    report: Report | None = None,
) -> SubscriberReport:
    """Import running subscriptions with their stored methods; twice the same makes nothing.

    A row with an error is left out and named, all others are written, 100 in a transaction. A
    dry run, which also asks the gateways for every method, writes nothing. A row that says it
    is still billed elsewhere is written only with ``stopped_elsewhere``. Raises ``FileRefused``
    for a file that cannot be read at all.
    """
    file = read_subscribers(data, rt.shop.currency, rt.today(), _LANGUAGES)
    done = SubscriberReport(dry_run, file.row_count)
    done.findings += file.findings
    with reading():
        sold = read_sold(rt.session)
        rt.session.rollback()
    run = _Run(rt, sold, dry_run, stopped_elsewhere, who)
    for start in range(0, len(file.rows), _SLICE):
        run.take(file.rows[start : start + _SLICE], done)
        if report is not None:
            report(min(start + _SLICE, len(file.rows)), len(file.rows))
    if who is not None and not dry_run:
        after = {"new": done.new, "here": done.here, "left_out": done.left_out}
        moment = rt.moment()
        audit.write(rt.session, who.id, "subscribers.imported", "", {}, after, moment, who.ip)
        rt.session.commit()
    done.findings.sort(key=lambda one: one.row)
    return done


@dataclass(frozen=True, slots=True)
class _Run:
    rt: Runtime
    sold: Sold
    dry_run: bool
    stopped_elsewhere: bool
    who: Who | None

    def take(self, rows: Sequence[SubscriberRow], done: SubscriberReport) -> None:
        """Look at a slice, ask for its methods with no transaction open, and write it."""
        with reading():
            judged = self._judge(rows)
            self.rt.session.rollback()
        ready = [one for one in judged if one.is_ready]
        cards: dict[int, Card] = {}
        for row, (card, findings) in zip(
            [one.row for one in ready], self._ask([one.row for one in ready]), strict=True
        ):
            done.findings += findings
            if card is not None:
                cards[row.row] = card
        done.findings += [finding for one in judged for finding in one.findings]
        done.here += sum(1 for one in judged if _is_here(one))
        chosen = [one.row for one in ready if one.row.row in cards]
        if self.dry_run:
            done.new += len(chosen)
        else:
            self._write(chosen, cards, done)

    def _judge(self, rows: Sequence[SubscriberRow]) -> list[Judged]:
        judged = self._judge_by(rows, read_known(self.rt.session, rows))
        return [self._unless_billed(one) for one in judged]

    def _judge_by(self, rows: Sequence[SubscriberRow], known: Known) -> list[Judged]:
        shop = self.rt.shop
        countries = shop.countries or (shop.seller_country,)
        accounts = {name: one.account for name, one in self.rt.gateways.items()}
        return [judge(row, self.sold, known, accounts, countries) for row in rows]

    def _unless_billed(self, one: Judged) -> Judged:
        """Leave out what is still billed elsewhere, in a real run nobody has confirmed."""
        if self.dry_run or self.stopped_elsewhere:
            return one
        level = Level.ERROR
        findings = tuple(
            replace(each, level=level) if each.code == "still_billed" else each
            for each in one.findings
        )
        return replace(one, findings=findings)

    def _ask(self, rows: Sequence[SubscriberRow]) -> list[tuple[Card | None, list[Finding]]]:
        if not is_unlocked(self.rt):
            # A copy of a database asks the gateways of the original nothing.
            why = [(row, Finding(row.row, "gateway", "no_answer", row.gateway)) for row in rows]
            return [(None, [finding]) for _row, finding in why]
        gateways = dict(self.rt.gateways)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="import") as pool:
            return list(pool.map(lambda row: _card_of(gateways[row.gateway], row), rows))

    def _write(
        self,
        rows: Sequence[SubscriberRow],
        cards: dict[int, Card],
        done: SubscriberReport,
    ) -> None:
        """Write rows together; where that fails one by one, so that none stops another."""
        if not rows:
            return
        try:
            done.new += retrying(self.rt.session, lambda: self._write_together(rows, cards, done))
        except (DomainError, ValueError, sa.exc.SQLAlchemyError) as error:
            if len(rows) == 1:
                log.warning("row %d is left out", rows[0].row, exc_info=True)
                code = error.code if isinstance(error, DomainError) else type(error).__name__
                done.findings.append(Finding(rows[0].row, "id", "failed", code))
                return
            for row in rows:
                self._write([row], cards, done)

    def _write_together(
        self,
        rows: Sequence[SubscriberRow],
        cards: dict[int, Card],
        done: SubscriberReport,
    ) -> int:
        session, rt = self.rt.session, self.rt
        known = read_known(session, rows)
        # Somebody may have written some of them since they were looked at.
        left = [row for row in rows if (row.source, row.ref) not in known.imported]
        arrivals = [Arrival.of(one, cards[one.row.row]) for one in self._judge_by(left, known)]
        actor = (Actor.STAFF, self.who.public_id) if self.who else (Actor.WORKER, "")
        write_arrivals(session, arrivals, known, rt.shop.taxes, rt.moment(), actor)
        session.commit()
        done.here += len(rows) - len(left)
        return len(left)


def _is_here(one: Judged) -> bool:
    return any(finding.level is Level.HERE for finding in one.findings)


def _card_of(gateway: Gateway, row: SubscriberRow) -> tuple[Card | None, list[Finding]]:
    """Ask the gateway for the stored method of ``row``: is it there, and is it theirs?"""
    column, shown = "gateway_method", row.token[:80]
    try:
        method = gateway.read_method(row.token, row.gateway_customer)
    except Exception as error:
        log.exception("gateway %s did not say whether it has a method", gateway.name)
        reason = type(error).__name__
        return None, [Finding(row.row, "gateway", "no_answer", gateway.name, reason)]
    if method is None:
        return None, [Finding(row.row, column, "no_such_card", shown, gateway.name)]
    theirs, ours = method.gateway_customer, row.gateway_customer
    if theirs and ours and theirs != ours:
        return None, [Finding(row.row, "gateway_customer", "other_owner", ours[:80], theirs)]
    if row.last4 and method.last4 and row.last4 != method.last4:
        return None, [Finding(row.row, "last4", "other_card", row.last4, method.last4)]
    return Card(gateway.name, gateway.account, method), _expires(row, method)


def _expires(row: SubscriberRow, method: VaultedMethod) -> list[Finding]:
    if method.exp_year is None or method.exp_month is None:
        return []
    day = row.next_charge_on
    if (method.exp_year, method.exp_month) >= (day.year, day.month):
        return []
    shown = f"{method.exp_month:02}/{method.exp_year}"
    return [Finding(row.row, "gateway_method", "card_expires", shown, level=Level.WARNING)]
