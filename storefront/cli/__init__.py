"""Operator commands: ``storefront …`` and ``python -m storefront …`` are the same.

Adding a command is one line in ``COMMANDS``; its module is imported only when it is used.
"""

from __future__ import annotations

import logging
from importlib import import_module

import click

#: Name -> ``module:attribute`` of a click command or group.
COMMANDS = {
    "check": "storefront.cli.operate:check",
    "invoices": "storefront.cli.documents:invoices",
    "migrate": "storefront.cli.operate:migrate",
    "backup": "storefront.cli.operate:backup",
    "serve": "storefront.cli.operate:serve",
    "make-codes": "storefront.cli.codes:make_codes",
    "plan-cycles": "storefront.cli.cycles:plan_cycles",
    "close-cycles": "storefront.cli.cycles:close_cycles",
    "confirm": "storefront.cli.installation:confirm",
    "demo": "storefront.cli.demo:demo",
    "export-accounting": "storefront.cli.accounting:export_accounting",
    "export-boxes": "storefront.cli.fulfilment:export_boxes",
    "import-products": "storefront.cli.imports:import_products",
    "import-subscribers": "storefront.cli.subscriber_imports:import_subscribers",
    "reconcile": "storefront.cli.reconciliation:reconcile",
    "renew": "storefront.cli.renewals:renew",
    "self-check": "storefront.cli.ledger:self_check",
    "setup": "storefront.cli.setup:setup",
    "templates": "storefront.cli.templates:templates",
    "staff": "storefront.cli.staff:staff",
    "verify-ledger": "storefront.cli.ledger:verify_ledger",
    "worker": "storefront.cli.operate:worker",
}


class LazyGroup(click.Group):
    """Finds its commands in ``COMMANDS``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Say more about what is done.")
def main(verbose: bool) -> None:
    """Run and look after a storefront."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
