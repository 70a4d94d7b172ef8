"""Headless Chromium for the tests of HTML pages: offline, and whatever it complains of is kept."""

from __future__ import annotations

import ctypes
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

# Before any script of the page: what a payload that runs would do, and what a policy would stop.
_WATCH = """
window.__violations = [];
window.__ran = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.__violations.push(event.violatedDirective + " " + event.blockedURI);
});
window.alert = (text) => { window.__ran.push("alert " + text); };
window.pwned = (text) => { window.__ran.push("call " + text); };
"""


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser, as the fixture `browser`; without one a test is skipped, saying so."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    try:
        ctypes.CDLL("libatomic.so.1")
    except OSError:
        pytest.skip(
            "libatomic.so.1, which Playwright needs, is not there (apt-get install libatomic1)"
        )
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class OpenPage:
    """A page, and what went wrong on it."""

    page: Any
    problems: list[str] = field(default_factory=list)

    def wait(self, expression: str, seconds: float = 20) -> None:
        """Wait until an expression holds; Playwright's own way needs eval, which CSP forbids."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"{expression}: not so after {seconds} s"
            self.page.wait_for_timeout(50)

    def check(self) -> None:
        """Raise if the console, the policy or the network had anything to say, or a payload ran."""
        violations = self.page.evaluate("window.__violations")
        ran = self.page.evaluate("window.__ran")
        assert not self.problems, self.problems
        assert not violations, violations
        assert not ran, ran


@contextmanager
def opened(
    browser: Any, path: Path, width: int = 1280, scheme: str = "light", **options: Any
) -> Iterator[OpenPage]:
    """Open a local file offline; it is checked (`OpenPage.check`) when the block ends well."""
    context = browser.new_context(
        offline=True,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        accept_downloads=True,
        **options,
    )
    try:
        context.add_init_script(_WATCH)
        page = context.new_page()
        watched = OpenPage(page)
        page.on(
            "console",
            lambda message: (
                watched.problems.append(f"{message.type}: {message.text}")
                if message.type in ("error", "warning")
                else None
            ),
        )
        page.on("pageerror", lambda error: watched.problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: watched.problems.append(f"dialog: {dialog.message}"))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "blob:", "data:"))
                else watched.problems.append(f"request: {request.url}")
            ),
        )
        page.goto(path.resolve().as_uri())
        yield watched
        watched.check()
    finally:
        context.close()
