"""``python -m storefront`` is the ``storefront`` command."""

from storefront.cli import main

main(prog_name="storefront")
