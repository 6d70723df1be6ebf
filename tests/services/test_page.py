"""The page in a real browser: headless Chromium, a wide and a narrow screen, mouse-free, a receipt dropped in."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright

from services.identity import Role
from tests.services.conftest import Running
from tests.services.test_web import released, trusting

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
QUIET = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Any]:
    async with async_playwright() as playwright:
        # Chromium's own sandbox does not work for root, as whom containers run tests.
        opened = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=QUIET, chromium_sandbox=os.getuid() != 0
        )
        yield opened
        await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(running: Running, browser: Any) -> AsyncIterator[Page]:
    """The page, loaded; a message of the console or a request elsewhere fails the test."""
    await released(running)
    context = await browser.new_context(ignore_https_errors=True)
    opened = await context.new_page()
    complaints: list[str] = []
    here = f"https://{running.network.node.web_address}/"
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: None if request.url.startswith(here) else complaints.append(request.url))
    await opened.goto(here)
    await opened.get_by_text("As of").wait_for()
    yield opened
    await context.close()
    assert complaints == []


async def receipt(running: Running) -> bytes:
    operator = running.network.identity(Role.OPERATOR, "operator")
    url = f"https://{running.network.node.web_address}"
    async with httpx.AsyncClient(base_url=url, verify=trusting(operator, Path(), None)) as client:
        queries = (await client.get("/overview.json")).json()["queries"]
        return (await client.get(f"/receipts/{queries[0]['id']}.json")).content


async def test_it_lists_what_is_public(page: Page, running: Running) -> None:
    assert "operator" in await page.inner_text("h1")
    assert "SELECT" in await page.inner_text("#queries")
    assert "filing" in await page.inner_text("#datasets")
    assert str(running.network.node._journal.size) in await page.inner_text("#log")
    assert await page.locator("#queries a[download]").count() >= 1


async def test_a_receipt_is_verified_in_plain_words(page: Page, running: Running) -> None:
    content = await receipt(running)
    file = {"name": "receipt.json", "mimeType": "application/json", "buffer": content}
    await page.set_input_files("#file", [file])  # type: ignore[arg-type]
    await page.wait_for_selector("#verdict.good")
    assert "This receipt holds." in await page.inner_text("#verdict")
    file["buffer"] = content.replace(b"tax_agency/tax-agency", b"tax_agency/tax-agencz", 1)
    await page.set_input_files("#file", [file])  # type: ignore[arg-type]
    await page.wait_for_selector("#verdict.bad")
    assert "does not hold" in await page.inner_text("#verdict")
    assert "It was altered after it was signed" in await page.inner_text("#verdict")
    for cut in (content[:2000], b"", b"\xff"):
        file["buffer"] = cut
        await page.set_input_files("#file", [file])  # type: ignore[arg-type]
        await page.get_by_text("This file is not a whole receipt of a query.").wait_for()
        assert await page.get_attribute("#verdict", "class") == "bad"
        await page.evaluate("verdict(true, '', [])")


async def test_a_file_can_be_dropped(page: Page, running: Running) -> None:
    text = (await receipt(running)).decode()
    transfer = await page.evaluate_handle(
        "text => { const t = new DataTransfer(); t.items.add(new File([text], 'receipt.json')); return t; }", text
    )
    await page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    await page.wait_for_selector("#verdict.good")


async def test_the_keyboard_reaches_everything(page: Page) -> None:
    reached = set()
    for _ in range(30):
        await page.keyboard.press("Tab")
        reached.add(await page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or "BODY" in reached
    assert {"file", "A"} <= reached


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
async def test_no_screen_is_too_narrow(page: Page, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    tables = await page.evaluate(
        "[...document.querySelectorAll('.wide')].map((each) => each.scrollWidth - each.clientWidth)"
    )
    assert tables == [0, 0, 0]  # nothing hides behind an edge, a receipt's link least of all


async def test_markup_in_a_receipt_stays_text(page: Page) -> None:
    hostile = b'{"<img src=x onerror=alert(1)>": 1}'
    file = {"name": "receipt.json", "mimeType": "application/json", "buffer": hostile}
    await page.set_input_files("#file", [file])  # type: ignore[arg-type]
    await page.wait_for_selector("#verdict.bad")
    assert await page.locator("#verdict img").count() == 0
