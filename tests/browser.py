"""A headless Chromium, clicked like a person's, through the WebDriver protocol.

It needs ``chromium`` (or ``google-chrome``) and ``chromedriver`` on the path.
"""

import base64
import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.request

#: Without these, Chromium asks its makers for news, in vain where there is no network.
OPTIONS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
KEYS = {"right": "\ue014", "left": "\ue012", "home": "\ue011", "end": "\ue010", "tab": "\ue004"}
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing():
    """What this machine lacks, in words; "" if nothing."""
    has_browser = any(map(shutil.which, ("chromium", "google-chrome")))
    if has_browser and shutil.which("chromedriver"):
        return ""
    return "there is no Chromium with its chromedriver on this machine"


class Browser:
    """One page at a time; a click or a key as a person's."""

    def __init__(self, port):
        self._root = f"http://127.0.0.1:{port}"
        options = {
            "args": OPTIONS,
            "binary": shutil.which("chromium") or shutil.which("google-chrome"),
        }
        capabilities = {
            "alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        }
        session = self._call("POST", "/session", {"capabilities": capabilities})["sessionId"]
        self._root += f"/session/{session}"

    def _call(self, method, path, data=None):
        body = None if data is None else json.dumps(data).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._root + path, body, headers, method=method)
        local = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with local.open(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, path, settings=""):
        """Open a file with ``settings`` after the #."""
        self._call("POST", "/url", {"url": "about:blank"})  # or only the # would change
        self._call("POST", "/url", {"url": f"{path.as_uri()}#{settings}"})
        while self.run("return document.readyState") != "complete":  # at times it returns early
            time.sleep(0.01)

    def run(self, script, *arguments):
        """What a JavaScript function body returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def click(self, selector):
        self._call("POST", f"/element/{self._find(selector)}/click", {})

    def press(self, key, selector="body"):
        self._call("POST", f"/element/{self._find(selector)}/value", {"text": KEYS.get(key, key)})

    def strike(self, key):
        """Press a key where the focus is."""
        strokes = [{"type": kind, "value": KEYS[key]} for kind in ("keyDown", "keyUp")]
        keyboard = {"type": "key", "id": "keyboard", "actions": strokes}
        self._call("POST", "/actions", {"actions": [keyboard]})

    def _find(self, selector):
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        return found[ELEMENT]

    def errors(self):
        """The errors that the page wrote to the console since the last call."""
        return self._call("POST", "/se/log", {"type": "browser"})

    def device(self, width, height, scheme="light"):
        """Be a screen of this size in CSS pixels, and light or dark."""
        self._devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._devtools("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path, full=False):
        options = {"captureBeyondViewport": full}
        if full:
            size = self.run("return [innerWidth, document.documentElement.scrollHeight]")
            options["clip"] = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        path.write_bytes(
            base64.b64decode(self._devtools("Page.captureScreenshot", **options)["data"])
        )

    def _devtools(self, command, **arguments):
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": arguments})

    def quit(self):
        self._call("DELETE", "")


@contextlib.contextmanager
def browser():
    """A Browser, closed at the end."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        lines = iter(driver.stdout.readline, "")
        found = (re.search(r"started successfully on port (\d+)", line) for line in lines)
        port = next(filter(None, found))[1]
        opened = Browser(port)
        try:
            yield opened
        finally:
            opened.quit()
    finally:
        driver.terminate()
        driver.wait()
        driver.stdout.close()
