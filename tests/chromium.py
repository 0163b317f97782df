"""Chromium without a window, driven over pipes by its own protocol: pages from a server, as a visitor sees them.

Reference: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from browser import CHROMIUM

_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
            "--autoplay-policy=no-user-gesture-required", "--no-first-run", "--disable-background-networking")


#: Texts whose contrast with what is behind them is below what WCAG 2.2 AA asks for. Over pictures it is not defined;
#: keys repeat the first letters of the buttons that they are in.
CONTRAST = """
  const parse = (color) => color.match(/[\\d.]+/g).map(Number), linear = (v) => (v <= 0.04045 ? v / 12.92
    : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (one) => {
    const back = one ? parse(getComputedStyle(one).backgroundColor) : [255, 255, 255];
    return back[3] === 0 ? behind(one.parentElement) : back;
  };
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || one.disabled || one.closest(".pad, #told, kbd") || !one.checkVisibility({ visibilityProperty: true }))
      continue;
    const [a, b] = [parse(getComputedStyle(one).color), behind(one)].map(light).sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push([one.outerHTML.slice(0, 80), (a + 0.05) / (b + 0.05)]);
  }
  return found;
"""


class Chromium:
    """A browser with one page. What it complains about and what it asks for is kept.

    Args:
        folder: for its profile.

    Attributes:
        complaints: errors and warnings on the console, exceptions, answers from 400 on.
        requests: the addresses that were asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        ours, theirs = os.pipe(), os.pipe()  # the browser reads descriptor 3 and writes descriptor 4
        read, write = ours[0], theirs[1]
        command = [CHROMIUM, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(["bash", "-c", f'exec 3<&{read} 4>&{write}; exec "$@"', "bash", *command],
                                         pass_fds=(read, write), stderr=subprocess.DEVNULL)
        os.close(read), os.close(write)
        self._to, self._from = os.fdopen(ours[1], "wb", 0), os.fdopen(theirs[0], "rb")
        self._numbers, self._session, self._waiting = itertools.count(1), None, b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True)

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        """Calls a method of the protocol and returns its result."""
        number = self._send(method, self._session, **values)
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer.get("method", ""), answer.get("params", {}))

    def _send(self, method: str, session: str | None, **values: Any) -> int:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": values, **({"sessionId": session} if session else {})}
        self._to.write(json.dumps(message).encode() + b"\0")
        return number

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._waiting:
            more = os.read(self._from.fileno(), 1 << 16)
            assert more, "the browser has ended"
            self._waiting += more
        message, _, self._waiting = self._waiting.partition(b"\0")
        return json.loads(message)

    def _note(self, event: str, values: dict[str, Any]) -> None:
        if event == "Target.attachedToTarget":  # a worker, which waits until it is watched
            for method in ("Network.enable", "Runtime.enable", "Log.enable", "Runtime.runIfWaitingForDebugger"):
                self._send(method, values["sessionId"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif event == "Network.responseReceived" and values["response"]["status"] >= 400:
            self.complaints.append(f"{values['response']['status']} {values['response']['url']}")
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(values["exceptionDetails"])[:600])
        elif event == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning", "assert"):
            self.complaints.append(str([one.get("value", one.get("description")) for one in values["args"]])[:600])
        elif event == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{values['entry']['text']} {values['entry'].get('url', '')}")

    def open(self, address: str) -> None:
        """Opens a page from the beginning."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.wait("document.querySelector('#app')?.ariaBusy === 'false'")

    def wait(self, condition: str) -> None:
        """Until JavaScript says so, for at most a minute."""
        until = time.monotonic() + 60
        while not self.run(f"return !!({condition})"):
            assert time.monotonic() < until, condition
            time.sleep(0.05)

    def run(self, script: str) -> Any:
        """What JavaScript, the body of an ``async`` function, returns as JSON."""
        found = self.call("Runtime.evaluate", expression=f"(async () => {{ {script} }})()", awaitPromise=True,
                          returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def look(self, width: int, height: int, scheme: str = "dark", touch: bool = False) -> None:
        """Sets the size of the window in CSS pixels, and whether the visitor likes it ``dark`` or ``light``."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if touch else 1,
                  mobile=touch)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def press(self, key: str) -> None:
        """Presses a key, as the keyboard does."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        kind = "Digit" if key.isdigit() else "Key" if len(key) == 1 else ""
        code = {" ": "Space"}.get(key, kind + (key.upper() if kind else key))
        number = {"Enter": 13, "Tab": 9, " ": 32, "ArrowRight": 39, "ArrowDown": 40, "ArrowLeft": 37, "ArrowUp": 38}
        values = {"key": key, "code": code, "windowsVirtualKeyCode": number.get(key, ord(key[0].upper()))}
        self.call("Input.dispatchKeyEvent", type="keyDown", **values, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **values)

    def picture(self, path: Path) -> None:
        """Writes what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._to.close()
        self._process.terminate()
        self._process.wait(10)
        self._from.close()
