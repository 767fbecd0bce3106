"""The page for browsers, in a real Chromium: the whole flow, and what interrupts it."""

from __future__ import annotations

import io
import os
import shutil
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.daemon.api.harness import line_of
from tests.daemon.harness import Daemon
from tests.harness import HANG, REPOSITORY, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

CHROMIUM = os.environ.get("STYLEFOLDER_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
SHOTS = REPOSITORY / "tests" / "photos"
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (set STYLEFOLDER_CHROMIUM)")


@pytest.fixture
def browser() -> Iterator[BrowserContext]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        context = chromium.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 900})
        context.set_default_timeout(HANG * 1000)
        yield context


@pytest.fixture
def wrong(browser: BrowserContext) -> Iterator[list[str]]:
    """What must not happen: requests to elsewhere, and what the Content-Security-Policy refuses."""
    found: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda e: found.append(str(e)))
        page.on("console", lambda m: found.append(m.text) if "Content Security" in m.text else None)
        page.on("request", lambda r: found.append(r.url) if "//127.0.0.1" not in r.url and r.url[5:6] == ":" else None)

    browser.on("page", watch)
    yield found
    assert not found


def signed_in(box: Daemon, browser: BrowserContext) -> Page:
    page = browser.new_page()
    page.goto(line_of(box))
    page.get_by_role("heading", name="Photos").wait_for()
    page.locator(".preset").first.wait_for()
    return page


@pytest.fixture
def quick(box: Daemon, browser: BrowserContext, wrong: list[str], fast: str) -> Page:
    """A browser that has signed in and chosen a style that takes no time. Nothing goes wrong in it."""
    box.preset("quick", fast)
    page = signed_in(box, browser)
    choose(page, "quick")
    return page


def choose(page: Page, preset: str) -> None:
    radio = page.get_by_role("radio", name=preset, exact=True)
    wait_for(lambda: pumped(page) and radio.count())
    radio.check(force=True)


def pumped(page: Page) -> bool:
    """Lets the browser work. (The page's Content-Security-Policy refuses playwright's own `wait_for_function`.)"""
    page.wait_for_timeout(50)
    return True


def state(page: Page) -> list[str]:
    """Of each photo in the list. Also lets the browser work."""
    pumped(page)
    return page.locator("#jobs li").evaluate_all("items => items.map(item => item.className)")


def picture(image: Image.Image, name: str = "a.png") -> Any:
    out = io.BytesIO()
    image.save(out, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": out.getvalue()}


@pytest.mark.slow
def test_the_whole_flow(
    box: Daemon,
    browser: BrowserContext,
    wrong: list[str],
    fast: str,
    tmp_path: Path,
) -> None:
    box.preset("quick", fast)
    page = signed_in(box, browser)
    assert "#" not in page.url, "the code is not in the history"
    assert page.evaluate("document.cookie") == "", "no script reads the token"
    choose(page, "quick")
    page.set_input_files("#files", SHOTS / "dune.jpg")
    wait_for(lambda: state(page) == ["done"])
    row = page.locator("#jobs li")
    assert row.locator("h3").inner_text() == "dune.jpg"
    image = row.locator("img")
    wait_for(lambda: pumped(page) and image.evaluate("i => i.complete && i.naturalWidth") == 256)

    page.get_by_role("button", name="Compare dune.jpg").click()
    pair = page.locator(".pair img")
    wait_for(lambda: pumped(page) and pair.evaluate_all("all => Math.min(...all.map(i => i.naturalWidth))") > 500)
    slider = page.get_by_role("slider")
    slider.fill("100")
    photo = np.asarray(Image.open(io.BytesIO(page.locator(".pair").screenshot())).convert("RGB")).astype(int)
    slider.fill("0")
    painting = np.asarray(Image.open(io.BytesIO(page.locator(".pair").screenshot())).convert("RGB")).astype(int)
    assert np.abs(photo - painting).mean() > 5
    page.keyboard.press("Escape")

    with page.expect_download() as one:
        page.get_by_role("link", name="Download dune.jpg").click()
    assert one.value.suggested_filename == "dune (quick).jpg"
    with page.expect_download() as everything:
        page.get_by_role("link", name="Download all").click()
    everything.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["dune (quick).jpg"]
        with Image.open(io.BytesIO(archive.read("dune (quick).jpg"))) as result, Image.open(SHOTS / "dune.jpg") as was:
            assert result.size == was.size

    page.get_by_role("button", name="Remove dune.jpg").click()
    wait_for(lambda: state(page) == [])
    page.reload()
    page.get_by_role("heading", name="Style", exact=True).wait_for()
    wait_for(lambda: "Ready" in page.locator("#status").inner_text())
    assert state(page) == [], "what was removed stays away"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    assert box.run("clients").stdout.count("last seen") == 0


@pytest.mark.slow
def test_previews_cancel_and_again(
    box: Daemon,
    browser: BrowserContext,
    wrong: list[str],
    slow: str,
    small: Image.Image,
) -> None:
    """Reload the page in the middle, and open a second tab."""
    box.preset("slow", slow)
    page = signed_in(box, browser)
    choose(page, "slow")
    page.set_input_files("#files", picture(small))
    wait_for(lambda: state(page) == ["running"])
    image = page.locator("#jobs img")
    wait_for(lambda: pumped(page) and (image.get_attribute("src") or "").startswith("data:image/jpeg"))
    page.reload()
    wait_for(lambda: state(page) == ["running"])
    second = browser.new_page()
    second.goto(page.url)
    wait_for(lambda: state(second) == ["running"])
    wait_for(lambda: pumped(second) and second.locator("progress").evaluate("p => p.value") > 0)
    second.get_by_role("button", name="Cancel a.png").click()
    wait_for(lambda: state(page) == ["cancelled"] and state(second) == ["cancelled"])
    page.get_by_role("button", name="Try again a.png").click()
    wait_for(lambda: state(page) == ["running"] and state(second) == ["running"])
    assert len(box.jobs()) == 1
    page.get_by_role("button", name="Cancel a.png").click()
    wait_for(lambda: state(page) == ["cancelled"])


@pytest.mark.slow
def test_the_daemon_is_restarted(box: Daemon, quick: Page, small: Image.Image) -> None:
    """The browser is still signed in, and what was sent is done."""
    assert box.process is not None
    address = box.process.args[-1]  # type: ignore[index]
    box.process.send_signal(signal.SIGKILL)
    box.process.wait()
    quick.set_input_files("#files", picture(small))
    wait_for(lambda: pumped(quick) and "does not answer" in quick.locator("#status").inner_text())

    def stays() -> bool:
        quick.get_by_role("button", name="Sign out").click()
        return pumped(quick) and "sign out when" in quick.locator("#status").inner_text()

    wait_for(stays)  # another message may replace it at once
    box.start("--listen", str(address))
    wait_for(lambda: state(quick) == ["done"])
    assert len(box.jobs()) == 1


@pytest.mark.slow
def test_two_hundred_photos_and_what_is_no_picture(box: Daemon, quick: Page, small: Image.Image) -> None:
    box.run("pause")
    files = [picture(small, f"{i}.png") for i in range(199)]
    files.append({"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Dear all"})
    quick.set_input_files("#files", files)
    wait_for(lambda: len(state(quick)) == 200)
    assert len(box.jobs()) == 200
    wait_for(lambda: pumped(quick) and "200 waiting" in quick.locator("#status").inner_text())
    known = box.client.ask("GET", "/v1/jobs", limit=1000)["jobs"]
    others = [job["id"] for job in known if not job["photo"].endswith("letter.txt")]
    for number in others[1:]:
        box.client.ask("DELETE", f"/v1/jobs/{number}")
    box.run("resume")
    wait_for(lambda: state(quick).count("failed") == 1 and state(quick).count("done") == 1)
    assert "not a picture" in quick.locator("li.failed .state").inner_text()


@pytest.mark.slow
def test_a_connection_that_is_cut_off(box: Daemon, quick: Page, small: Image.Image) -> None:
    """The photo is sent again, and painted once."""
    cut: list[str] = []

    def cut_off(route: Any) -> None:
        if len(cut) < 2:
            cut.append(route.request.url)
            if len(cut) == 1:
                route.abort("connectionreset")
            else:  # it arrives, but the answer does not
                route.fetch()
                route.abort("connectionreset")
        else:
            route.continue_()

    quick.route("**/v1/jobs?*", lambda route: cut_off(route) if route.request.method == "POST" else route.continue_())
    quick.set_input_files("#files", picture(small))
    wait_for(lambda: state(quick) == ["done"])
    assert len(cut) == 2
    assert len(box.jobs()) == 1


@pytest.mark.slow
def test_a_browser_that_was_removed_signs_in_again(box: Daemon, browser: BrowserContext) -> None:
    page = signed_in(box, browser)
    assert box.run("clients", "remove", "1").returncode == 0
    page.get_by_role("heading", name="Sign in").wait_for()
    page.get_by_label("Line from").fill("something else")
    page.get_by_role("button", name="Sign in").click()
    wait_for(lambda: pumped(page) and "copy all of it" in page.locator("#refused").inner_text())
    page.get_by_label("Line from").fill(f"stylefolder connect '{line_of(box)}'")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Photos").wait_for()
    used = line_of(box)
    assert page.evaluate("code => fetch('/v1/clients', {method: 'POST', body: code}).then(a => a.status)", used) in (
        400,
        422,
    )


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(
    box: Daemon,
    browser: BrowserContext,
    wrong: list[str],
    width: int,
    scheme: Any,
    fast: str,
) -> None:
    """axe finds nothing, nothing is cut off, and the keyboard is enough."""
    from axe_playwright_python.sync_playwright import Axe

    box.preset("quick", fast)
    page = browser.new_page()
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.goto(box.client.ask("GET", "/v1/clients")["url"])
    page.get_by_role("heading", name="Sign in").wait_for()
    axe = Axe()

    def check() -> None:
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    check()
    page.get_by_label("Line from").fill(line_of(box))
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Photos").wait_for()
    page.locator(".preset").first.wait_for()
    choose(page, "quick")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    chooser.value.set_files(SHOTS / "portrait-dark.jpg")
    wait_for(lambda: state(page) == ["done"])
    check()
    page.get_by_role("button", name="Compare").focus()
    page.keyboard.press("Enter")
    before = page.get_by_role("slider").input_value()
    page.keyboard.press("ArrowRight")
    assert int(page.get_by_role("slider").input_value()) > int(before)
    check()
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
