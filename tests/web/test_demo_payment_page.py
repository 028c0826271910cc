"""The demo's payment page and its bank's page, as a shopper without JavaScript meets them."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from flask.testing import FlaskClient

import storefront_demo_gateway
from storefront.hooks import AnswerStatus, ChargeOrder, Money, SetupOrder
from storefront.testing.gateway_orders import order, setup_order
from storefront_demo_gateway import DemoGateway

BACK = "http://shop.test/back"


def open_page(gateway: DemoGateway, amount: Money | None = None) -> tuple[SetupOrder, str]:
    """Begin a set-up; return it and the path of its page."""
    asked = setup_order(amount)
    start = gateway.begin_setup(asked)
    return asked, path_of(start.redirect_url)


def path_of(url: str | None) -> str:
    assert url
    assert url.startswith("http://localhost/x/demo-gateway/")
    return url.removeprefix("http://localhost")


def token_on(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found.group(1)


def send(client: FlaskClient, path: str, **fields: str):
    fields["csrf_token"] = token_on(client.get(path).text)
    return client.post(path, data=fields)


def test_the_page_names_shop_amount_and_order_and_asks_for_no_card_number(
    client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    _, path = open_page(demo_gateway, Money(2340, "EUR"))
    page = client.get(path)
    assert page.status_code == 200
    assert "Nine Kettles asks for €23.40" in page.text
    assert "chk_7F3K" in page.text
    assert re.findall(r"Demo card ending (\d{4})", page.text) == (
        ["4242", "3220", "0002", "9995", "0069", "0119", "0341", "0408"]
    )
    assert set(re.findall(r'<input type="(\w+)"', page.text)) == {"hidden", "radio"}
    assert 'href="http://shop.test/cancel"' in page.text


def test_opening_the_page_decides_nothing(client: FlaskClient, demo_gateway: DemoGateway) -> None:
    asked, path = open_page(demo_gateway)
    client.get(path)
    status = demo_gateway.finish_setup(asked.reference, {}).status
    assert status is AnswerStatus.ACTION_REQUIRED


def test_choosing_a_card_leads_back_to_the_shop_with_a_stored_method(
    client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    asked, path = open_page(demo_gateway, Money(2340, "EUR"))
    answer = send(client, path, card="4242")
    assert (answer.status_code, answer.location) == (303, BACK)
    method = demo_gateway.finish_setup(asked.reference, {}).method
    assert method is not None
    assert (method.brand, method.last4) == ("visa", "4242")
    again = client.get(path)
    assert (again.status_code, again.location) == (303, BACK)


@pytest.mark.parametrize("card", ["", "4111111111111111", "<b>"])
def test_no_or_another_card_is_asked_for_again(
    client: FlaskClient, demo_gateway: DemoGateway, card: str
) -> None:
    asked, path = open_page(demo_gateway)
    answer = send(client, path, card=card)
    assert answer.status_code == 422
    assert "Choose one of the demo cards." in answer.text
    assert demo_gateway.finish_setup(asked.reference, {}).method is None


def test_a_form_without_its_token_is_refused(
    client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    asked, path = open_page(demo_gateway)
    assert client.post(path, data={"card": "4242"}).status_code == 400
    assert demo_gateway.finish_setup(asked.reference, {}).method is None


def test_saving_card_3220_for_later_asks_the_bank_first(
    client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    asked, path = open_page(demo_gateway)
    assert send(client, path, card="3220").location.endswith(path)
    assert "Your bank wants to know it is you" in client.get(path).text
    assert send(client, path, card="3220").location.endswith(path), "a double click is no answer"
    assert send(client, path, answer="confirm").location == BACK
    method = demo_gateway.finish_setup(asked.reference, {}).method
    assert method is not None
    assert demo_gateway.charge(order(method.token)).status is AnswerStatus.SUCCEEDED


def test_refusing_to_save_card_3220_saves_nothing(
    client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    asked, path = open_page(demo_gateway)
    send(client, path, card="3220")
    send(client, path, answer="refuse")
    answer = demo_gateway.finish_setup(asked.reference, {})
    assert (answer.status, answer.reason) == (AnswerStatus.DECLINED, "authentication_failed")


@pytest.mark.parametrize(
    ("word", "status"), [("confirm", "succeeded"), ("refuse", "declined"), ("", "action_required")]
)
def test_the_banks_page_settles_a_charge_that_waits(
    client: FlaskClient, demo_gateway: DemoGateway, word: str, status: str
) -> None:
    asked = ChargeOrder(
        "att_1", Money(2340, "EUR"), "demo_3220_x", True, BACK, description="Nine Kettles"
    )
    path = path_of(demo_gateway.charge(asked).action_url)
    assert "€23.40" in client.get(path).text
    answer = send(client, path, answer=word)
    assert (answer.status_code, answer.location) == (
        303,
        BACK if word else f"http://localhost{path}",
    )
    settled = demo_gateway.lookup("att_1")
    assert settled is not None
    assert settled.status.value == status


@pytest.mark.parametrize("kind", ["pay", "confirm"])
def test_a_page_nobody_opened_is_not_there(client: FlaskClient, kind: str) -> None:
    assert client.get(f"/x/demo-gateway/{kind}/guess").status_code == 404


@pytest.mark.parametrize(
    ("language", "asks", "card", "pay"),
    [
        ("de", "Nine Kettles bittet um 23,40 €", "Demokarte mit den Endziffern 4242", "bezahlen"),
        (
            "fr",
            "Nine Kettles demande 23,40 €",
            "Carte de démonstration finissant par 4242",
            "Payer 23,40 €",
        ),
    ],
)
def test_the_page_speaks_the_shoppers_language(
    client: FlaskClient,
    demo_gateway: DemoGateway,
    language: str,
    asks: str,
    card: str,
    pay: str,
) -> None:
    _, path = open_page(demo_gateway, Money(2340, "EUR"))
    page = client.get(f"{path}?lang={language}").text.replace("\u202f", "\u00a0")
    for words in (asks, card, pay):
        assert words.replace(" €", "\u00a0€") in page
    # What the shop itself says stays the shop's own wording.
    wrong = client.post(f"{path}?lang={language}", data={"csrf_token": token_on(page)}).text
    assert {"de": "Etwas stimmt noch nicht", "fr": "Il y a un problème"}[language] in wrong


@pytest.mark.parametrize("code", ["de", "fr"])
def test_every_text_of_the_plugin_is_translated(code: str) -> None:
    folder = Path(storefront_demo_gateway.__file__).parent
    methods = [("**.py", "python"), ("**.html", "jinja2")]
    used = {found[2] for found in extract_from_dir(folder, methods)}
    shop = Path(__file__).parents[2] / "storefront"
    said = set()
    for texts in (folder, shop):
        with (texts / "translations" / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
            said |= {each.id for each in read_po(file) if each.string}
    assert used
    assert used - said == set()
