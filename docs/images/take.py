"""Take the pictures of README.md and docs/ from a demo: `.venv/bin/python docs/images/take.py`.

Needs Debian's chromium. Look at what it made before it is committed.
"""

import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
REPORT = "cohorts/denovo/report.html"
# Picture → page, width and height in pixels, colours, the section at its top.
PICTURES = {
    "report": (REPORT, 1100, 590, "light", "scores"),
    "logos": (REPORT, 1100, 700, "light", "pictures"),
    "hits": (REPORT, 1100, 560, "dark", "hits"),
    "index": ("index.html", 1100, 700, "light", None),
    "phone": (REPORT, 375, 760, "dark", None),
}


def scroll(page: Page, section: str | None) -> None:
    if section is not None:
        page.locator(f"#{section}").evaluate("e => scrollTo(0, e.offsetTop - 10)")
        page.wait_for_timeout(300)


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, (path, width, height, scheme, section) in PICTURES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
            )
            page = context.new_page()
            page.goto((ROOT / "results" / path).as_uri())
            page.wait_for_selector("html[data-charts=drawn]")
            page.wait_for_timeout(500)
            scroll(page, section)
            page.screenshot(path=ROOT / f"docs/images/{name}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
