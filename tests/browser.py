"""Pages in a real browser without a window: Chromium, if the machine has it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

#: Runs what a test asks for after the page's own script, and leaves the answer in the document.
_DRIVER = """
const until = async (done) => {
  for (let i = 0; i < 200 && !done(); i++) await new Promise((next) => setTimeout(next, 20));
  if (!done()) throw new Error("waited in vain for " + done);
};
const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
(async () => { %s })().catch((error) => "failed: " + error).then((answer) => {
  document.body.replaceChildren(Object.assign(document.createElement("pre"), { textContent: JSON.stringify(answer) }));
});
"""


def browse(path: Path, actions: str = "", width: int = 1280, height: int = 800) -> Any:
    """Opens a page from disk.

    Args:
        path: of the page.
        actions: JavaScript to run in it, ending in ``return``; it may use ``press(key)`` and ``await until(...)``. Only
            for this the page's policy against other scripts is lifted.
        width, height: of the window.

    Returns:
        What the actions returned, from JSON; without actions the text of the document as it became.
    """
    if actions:
        page, policies = re.subn(r"<meta http-equiv=.Content-Security-Policy.*?>", "", path.read_text())
        assert policies == 1
        path = path.with_name("driven.html")
        path.write_text(page.replace("</body>", f"<script>{_DRIVER % actions}</script></body>"))
    ended = subprocess.run(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom", "--virtual-time-budget=8000",
         "--autoplay-policy=no-user-gesture-required", f"--window-size={width},{height}",
         f"--user-data-dir={path.parent / 'browser'}", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True)
    if not actions:
        return ended.stdout
    return json.loads(html.unescape(re.search(r"<body[^>]*><pre>(.*?)</pre>", ended.stdout, re.DOTALL)[1]))
