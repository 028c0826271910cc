"""For a WSGI server: ``gunicorn wsgi:app``. Refuses to start on another schema than ours."""

import logging

from storefront.app import serving_app

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
app = serving_app()
