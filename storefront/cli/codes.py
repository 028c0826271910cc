"""Make the unique codes of a campaign."""

from __future__ import annotations

import click

from storefront.cli.runner import progress, with_runtime
from storefront.runtime import Runtime
from storefront.services.codes import MOST, BatchDraft
from storefront.services.codes import make_codes as make


@click.command("make-codes")
@click.argument("coupon")
@click.option("--batch", required=True, help="Name of the batch, such as 'Spring flyer'.")
@click.option("--count", type=click.IntRange(1, MOST), required=True)
@click.option("--prefix", default="", help="What every code begins with.")
@with_runtime
def make_codes(rt: Runtime, coupon: str, batch: str, count: int, prefix: str) -> None:
    """Make codes under COUPON (cou_…), each good for one order. Run again, it makes the rest."""
    with progress("codes made") as report:
        made = make(rt, None, coupon, BatchDraft(batch, count, prefix), report)
    click.echo(f"{made} codes made in batch {batch}")
