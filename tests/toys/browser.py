"""A headless Chromium that can reach no host, for tests of pages: what it asked for, what it complained of."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


class Browser:
    """One tab.

    Args:
        driver: selenium's.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.pressed = False

    def open(
        self, path: Path, *, width: int = 1200, dark: bool = False, paper: bool = False, fragment: str = ""
    ) -> None:
        """Load a file as a screen so many pixels wide, or paper, would show it; forgets what was before."""
        self.show(dark=dark, paper=paper)
        self.resize(width)
        self.driver.get("about:blank")
        self.requests(), self.complaints()
        self.driver.get(path.as_uri() + fragment)

    def resize(self, width: int) -> None:
        """Make the screen so many pixels wide."""
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)

    def show(self, *, dark: bool = False, paper: bool = False) -> None:
        """Change the colour scheme or the medium of the page that is open."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        media = {"media": "print" if paper else "screen", "features": [scheme]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, promise: str) -> Any:
        """What a promise becomes, an expression; an error of it is raised here."""
        ended = "Promise.resolve(%s).then((v) => arguments[0]([1, v ?? null]), (e) => arguments[0]([0, String(e)]))"
        right, value = self.driver.execute_async_script(ended % promise)
        if not right:
            raise RuntimeError(value)
        return value

    def mouse(self, kind: str, x: float, y: float) -> None:
        """`Moved`, `Pressed` or `Released`, at a place of the window."""
        held = {} if kind == "Moved" else {"button": "left", "clickCount": 1}
        event = {"type": f"mouse{kind}", "x": x, "y": y, "buttons": int(self.pressed or kind == "Pressed")}
        self.pressed = kind == "Pressed" or (self.pressed and kind == "Moved")
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event | held)

    def busy(self) -> float:
        """Seconds that the page's own thread has computed: no clock, but what the page costs."""
        self.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        metrics = self.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    def requests(self) -> list[str]:
        """Addresses asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """Messages of the console since the last call: errors of scripts, and what the page's policy has blocked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def pdf(self) -> str:
        """The page on paper, in base 64."""
        return str(self.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser whose profile lies in a folder; skips the test where there is none."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    driver_program = shutil.which("chromedriver")
    if program is None or driver_program is None:
        pytest.skip("no Chromium with chromedriver here: pages are not looked at in a browser")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser: install the dev extra")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*_FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_program))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
