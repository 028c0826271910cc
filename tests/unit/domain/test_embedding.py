"""Which addresses name a site that may frame the plans."""

import pytest

from storefront.domain.embedding import MOST_SITES, NotASite, TooManySites, sites_of


def test_any_page_of_a_site_names_it_and_each_site_stands_once() -> None:
    text = (
        " https://Tea.Example/shop?x=1#y \r\n\r\nhttps://tea.example:443\nhttps://b.example:8443/"
    )
    assert sites_of(text) == ("https://tea.example", "https://b.example:8443")


def test_nothing_typed_is_no_site() -> None:
    assert sites_of(" \n\n") == ()


def test_letters_beyond_ascii_are_written_as_a_browser_sends_them() -> None:
    assert sites_of("https://bücher.example") == ("https://xn--bcher-kva.example",)


def test_without_https_only_the_own_machine_is_a_site() -> None:
    tried = "http://localhost:8000\nhttp://127.0.0.1:9000"
    assert sites_of(tried) == ("http://localhost:8000", "http://127.0.0.1:9000")
    with pytest.raises(NotASite):
        sites_of("http://tea.example")


@pytest.mark.parametrize(
    "line",
    [
        "*",
        "https://*",
        "https://*.example",
        "https:",
        "https://",
        "tea.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://a.example;script-src *",
        "https://a.example 'unsafe-inline'",
        "https://you@a.example",
        "https://a.example:99999",
        "https://[::1",
        "https://tea",
        f"https://{'a.' * 60}example",
    ],
)
def test_what_is_no_site_is_refused_and_named(line: str) -> None:
    with pytest.raises(NotASite) as refused:
        sites_of(f"https://fine.example\n{line}")
    assert refused.value.line == line


def test_more_sites_than_a_header_should_carry_are_refused() -> None:
    fits = "\n".join(f"https://s{number}.example" for number in range(MOST_SITES))
    assert len(sites_of(fits)) == MOST_SITES
    with pytest.raises(TooManySites):
        sites_of(f"{fits}\nhttps://more.example")
