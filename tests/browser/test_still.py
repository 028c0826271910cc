"""Nothing on a page jumps while it loads, however late its scripts come."""

import time

import pytest

from tests.browser.support import DESK, PHONE, Visitor

pytestmark = pytest.mark.browser

_SHIFTS = """() => new Promise(done => {
  const seen = [];
  new PerformanceObserver(list => {
    for (const one of list.getEntries()) {
      // The shop's name is read a moment after the picture before it: too small for a score.
      if (one.value < 0.001) continue;
      const where = one.sources.map(each => (each.node?.outerHTML || "").slice(0, 60)
        + JSON.stringify([each.previousRect, each.currentRect]));
      seen.push(`${one.value.toFixed(4)} after ${Math.round(one.startTime)} ms: ${where}`);
    }
  }).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(seen), 500); })"""


def late(route):
    time.sleep(0.15)
    route.continue_()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_nothing_jumps_when_the_scripts_come_late(chromium, live, size):
    with Visitor(chromium, live, size) as ada:
        ada.context.route("**/*.js", late)
        for path in ("/", "/plans/pot", "/gifts", "/checkout?plan=pot", "/sign-in"):
            ada.page.goto(path)
            ada.page.wait_for_load_state("networkidle")
            assert ada.page.evaluate(_SHIFTS) == [], path


def test_what_a_script_would_do_has_its_button_when_none_comes(chromium, live):
    with Visitor(chromium, live, PHONE) as ada:
        ada.context.route("**/*.js", lambda route: route.abort())
        ada.guard.problems.clear()
        ada.page.goto("/")
        assert not ada.page.locator(".shop-place .bare-only").is_visible()
        ada.page.locator(".shop-place .bare-only").wait_for()
        # That the scripts were kept away is no fault of the page.
        ada.guard.problems.clear()


@pytest.mark.parametrize("path", ["/", "/checkout?plan=pot"])
def test_nothing_jumps_on_a_slow_phone_where_what_is_last_in_the_page_stands_first(
    chromium, live, path
):
    with Visitor(chromium, live, PHONE) as ada:
        slow = ada.context.new_cdp_session(ada.page)
        slow.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        for _ in range(6):
            ada.page.goto(path)
            ada.page.wait_for_load_state("networkidle")
            assert ada.page.evaluate(_SHIFTS) == []
