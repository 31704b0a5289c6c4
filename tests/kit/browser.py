"""Debian's Chromium, driven by Playwright, with a profile of its own that is thrown away."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, sync_playwright

from servers.debian import install_on_host
from servers.errors import Unavailable

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
Scheme = Literal["light", "dark"]
DESKTOP = (1280, 900)
PHONE = (390, 844)


def need_chromium() -> None:
    """Skip the test, or fail it in CI, where there is no Chromium and it cannot be installed."""
    if Path(CHROMIUM).exists():
        return
    why = "there is no Chromium; apt-get install chromium"
    if shutil.which("apt-get") and os.geteuid() == 0:
        with tempfile.TemporaryDirectory() as folder:
            try:
                install_on_host(["chromium"], log=Path(folder) / "apt.log")
                return
            except Unavailable as exc:
                why = str(exc)
    if os.environ.get("CI") == "true":
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


@contextlib.contextmanager
def open_page(
    url: str,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Scheme = "light",
    token: str | None = None,
    may_complain: bool = False,
) -> Iterator[Page]:
    """The page, once it shows a state. Whatever it logs to its console as an error fails the test.

    `token`: the page remembers it already. `may_complain`: requests are going to fail.
    """
    complaints: list[str] = []
    with tempfile.TemporaryDirectory(prefix="rip-chromium-") as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            headless=True,
            args=list(FLAGS),
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            device_scale_factor=2 if size == PHONE else 1,
            reduced_motion="reduce",
        )
        with contextlib.closing(context):
            page = context.pages[0]
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
            page.goto(url)
            if token is not None:
                page.evaluate("token => sessionStorage.setItem('rds-iam-proxy-admin-token', token)", token)
            page.wait_for_selector("#state[data-state]")
            yield page
    unexpected = [text for text in complaints if "status of 401" not in text]
    assert may_complain or not unexpected, unexpected
