"""Check the books: the seals of the ledger, and every invariant."""

from __future__ import annotations

import click

from storefront.cli.runner import progress, with_runtime
from storefront.jobs.selfcheck import EXTRA, check_self
from storefront.queries.invariants import INVARIANTS
from storefront.runtime import Runtime
from storefront.services.seals import verify_ledger as verify

_REASONS = {
    "changed": "its rows are not what was sealed",
    "count": "rows were added to it or taken from it",
    "missing_seal": "its seal is missing",
    "before_the_first": "it has rows, but the seals begin later",
}


@click.command("verify-ledger")
@with_runtime
def verify_ledger(rt: Runtime) -> None:
    """Work out the seal of every day again; ends with 1 and the first day that does not fit."""
    with progress("days checked") as report:
        verdict = verify(rt, report)
    if verdict.broken_on is not None:
        raise click.ClickException(
            f"the ledger is broken on {verdict.broken_on} (UTC): {_REASONS[verdict.reason]}."
            f" {verdict.days} days before it are whole. Restore that day from a backup and"
            " find out who wrote to the database."
        )
    if verdict.last_day is None:
        click.echo("no day is sealed yet; the worker seals each one when it is over")
        return
    click.echo(f"{verdict.days} days with {verdict.transfers} transfers are as they were sealed")
    click.echo(f"last seal {verdict.last_day}: {verdict.last_hash}")
    click.echo("Keep this line outside the database: it proves everything before it.")


@click.command("self-check")
@with_runtime
def self_check(rt: Runtime) -> None:
    """Ask every invariant now; ends with 1 when one does not hold."""
    with progress("invariants asked") as report:
        checked = check_self(rt, report)
    for invariant in (*INVARIANTS, *EXTRA):
        found = checked.broken.get(invariant.id)
        click.echo(f"{'BROKEN' if found else 'holds':<7} {invariant.id:<12} {invariant.says}")
        for row in found or ():
            click.echo(f"{'':<20} {row}")
    click.echo(f"{len(INVARIANTS) + len(EXTRA)} asked in {checked.milliseconds / 1000:.1f} s")
    if not checked.is_whole:
        raise click.ClickException(
            f"{len(checked.broken)} broken: {', '.join(checked.broken)}."
            " docs/invariants.md says what each means and what to do."
        )
