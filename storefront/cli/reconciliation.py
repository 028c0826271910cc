"""Compare our charges with the gateways' own lists by hand; the worker does it every night."""

from __future__ import annotations

import click

from storefront.cli.runner import with_runtime
from storefront.runtime import Runtime
from storefront.services import reconciliation as service


@click.command()
@click.option("--gateway", "only", help="Only this one; default: all.")
@with_runtime
def reconcile(rt: Runtime, only: str | None) -> None:
    """Compare what gateways took with our books, and say what differs.

    Charges nothing. Ends with 1 when a gateway did not answer.
    """
    if only is not None and only not in rt.gateways:
        raise click.ClickException(f"there is no gateway {only}")
    failed = []
    for name, gateway in rt.gateways.items():
        if only not in (None, name):
            continue
        done = service.compare_account(rt, gateway)
        told = [f"{done.compared} charges compared"]
        told += [f"{done.recorded} recorded"] if done.recorded else []
        told += [f"{done.differences} differ"] if done.differences else []
        told += [f"{done.closed} agree again"] if done.closed else []
        click.echo(f"{name} {gateway.account}: {', '.join(told)}")
        failed += [name] if done.failed else []
    if failed:
        raise click.ClickException(f"no answer of {', '.join(failed)}; try again later")
