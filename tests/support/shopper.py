"""A browser on its way from a plan to a paid box, for tests of pages."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from storefront_demo_gateway.gateway import DemoGateway

ADA = {
    "email": "ada@example.org",
    "name": "Ada Lovelace",
    "country": "DE",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
}
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@dataclass
class Shopper:
    """One browser on its way; every post carries the token of the page before."""

    client: FlaskClient
    gateway: DemoGateway
    key: str = ""
    token: str = ""
    quote: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> TestResponse:
        return self._read(self.client.get(path))

    def post(self, path: str, **data: str) -> TestResponse:
        if not self.token:
            self.get("/checkout?plan=pot")
        values = {"csrf_token": self.token, **data}
        return self._read(self.client.post(path, data=values, headers=self.headers))

    def _read(self, response: TestResponse) -> TestResponse:
        found = re.search(r'name="csrf_token" value="([^"]+)"', response.text)
        self.token = found[1] if found else self.token
        found = re.search(r'name="quote" value="([0-9a-f]+)"', response.text)
        self.quote = found[1] if found else self.quote
        return response

    def at(self, step: str) -> str:
        return f"/checkout/{self.key}/{step}"

    def begin(self, **data: str) -> TestResponse:
        response = self.post("/checkout", plan="pot", **data)
        self.key = urlsplit(response.location).path.split("/")[2]
        return response

    def deliver(self, **data: str) -> TestResponse:
        return self.post(self.at("delivery"), **{**ADA, **data})

    def order(self, **data: str) -> TestResponse:
        self.get(self.at("pay"))
        return self.post(self.at("pay"), **{"quote": self.quote, "consent": "y", **data})

    def choose(self, response: TestResponse, card: str = "4242") -> None:
        self.gateway.bank.choose(urlsplit(response.location).path.rpartition("/")[2], card)

    def buy(self, card: str = "4242") -> TestResponse:
        self.begin()
        self.deliver()
        self.choose(self.order(), card)
        return self.post(self.at("finish"))


def place(response: TestResponse) -> str:
    """The page a redirect leads to, by its last word."""
    assert response.status_code == 303, response.text
    return urlsplit(response.location).path.rpartition("/")[2]
