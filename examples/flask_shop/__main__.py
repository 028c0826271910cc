"""Run the shop with the storefront in it: ``python -m examples.flask_shop --port 5001``.

The storefront takes its settings from the environment, as always; its database must be
migrated (``storefront migrate``).
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

from examples.flask_shop.boxes import add_boxes
from examples.flask_shop.shop import create_shop
from storefront.cli.serving import development_server
from storefront.settings import load_settings

HOST = "127.0.0.1"


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="A small shop with the storefront mounted in it.")
    parser.add_argument("--port", type=int, default=5001)
    port = parser.parse_args().port
    settings = load_settings(os.environ)
    # Next to the storefront that `dev.py run` starts on another port of the same machine, which
    # browsers do not tell apart by port: it must have a cookie of its own.
    settings = replace(
        settings, base_url=f"http://{HOST}:{port}", cookie_name="crockery_boxes_session"
    )
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    shop = create_shop(
        f"sqlite:///{(settings.data_dir / 'crockery.sqlite3').resolve()}",
        secret_key=f"crockery {settings.secret_key}",
    )
    # The same for the shop's own session.
    shop.config["SESSION_COOKIE_NAME"] = "crockery_session"
    add_boxes(shop, settings)
    server = development_server(shop, HOST, port)
    print(f"http://{HOST}:{port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
