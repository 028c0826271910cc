"""One scheduler in a process of its own: says it is ready, waits for a line, renews once.

    python -m tests.rigs._scheduler FOLDER DATABASE BANK

Prints the report of its run as JSON.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from storefront.extensions import db
from storefront.services.renewals import run_renewals
from tests.rigs._shop import make_app


def main() -> None:
    folder, url, bank = sys.argv[1:]
    app = make_app(Path(folder), url, bank)
    with app.app_context():
        print("ready", flush=True)
        sys.stdin.readline()
        report = run_renewals(app.extensions["storefront"])
        print(json.dumps(asdict(report)), flush=True)
        db.session.remove()
        db.engine.dispose()


if __name__ == "__main__":
    main()
