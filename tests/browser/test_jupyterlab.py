"""A released notebook in JupyterLab, in a real browser: a student writes an answer."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[2]
NAME = "01-forward-pass"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 60
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab on a copy of the released notebooks; yields its address."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR")
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--port={port}", "--ip=127.0.0.1", "--IdentityProvider.token="]
    server = subprocess.Popen(
        [*command, f"--notebook-dir={folder / 'notebooks'}"],
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(SECONDS):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api"):
                break
            time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait(SECONDS)


@pytest.fixture
def page(lab: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(f"{lab}/lab/workspaces/test/tree/{NAME}/{NAME}.ipynb?reset")
        page.wait_for_selector(".jp-Notebook .jp-MarkdownOutput h1", timeout=SECONDS * 1000)
        yield page
        browser.close()


def test_a_student_checks_an_answer(page: Page) -> None:
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=60_000)
    setup = page.locator(".jp-CodeCell", has_text="from autograder.checks import Check").first
    answer = page.locator(".jp-CodeCell", has_text="def affine(x, W, b):").first
    test = page.locator(".jp-CodeCell", has_text='check = Check("affine"').first

    def run(cell: object) -> None:
        cell.locator(".jp-InputArea-editor").click()
        page.keyboard.press("Control+Enter")

    run(setup)
    run(answer)
    run(test)
    report = test.locator(".jp-OutputArea-output")
    report.get_by_text("affine is not written yet").wait_for(timeout=60_000)

    answer.locator(".cm-line", has_text="raise NotImplementedError").click()
    page.keyboard.press("End")
    page.keyboard.press("Shift+Home")
    page.keyboard.type("return W @ x")
    run(answer)
    run(test)
    report.get_by_text("[affine/no-bias]").wait_for(timeout=60_000)

    answer.locator(".cm-line", has_text="return W @ x").click()
    page.keyboard.press("End")
    page.keyboard.type(" + b")
    run(answer)
    run(test)
    report.get_by_text("affine: all visible checks passed.").wait_for(timeout=60_000)
    shots = os.environ.get("SCREENSHOTS")
    if shots:
        page.screenshot(path=f"{shots}/answer.png")


def test_a_test_cell_cannot_be_edited(page: Page) -> None:
    test = page.locator(".jp-CodeCell", has_text='check = Check("affine"').first
    test.locator(".cm-line").first.click()
    page.keyboard.type("x = 1  # edited")
    assert "# edited" not in (test.locator(".cm-content").inner_text())


def test_the_opening_shows_its_picture(page: Page) -> None:
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=60_000)
    for text in ("from autograder.checks import Check", "weights_shown = ["):
        cell = page.locator(".jp-CodeCell", has_text=text).first
        cell.locator(".jp-InputArea-editor").click()
        page.keyboard.press("Control+Enter")
    picture = cell.locator(".jp-OutputArea-output img")
    picture.wait_for(timeout=60_000)
    shots = os.environ.get("SCREENSHOTS")
    if shots:
        picture.scroll_into_view_if_needed()
        page.screenshot(path=f"{shots}/opening.png")
