#!/usr/bin/env python3
"""psal-report's pages, of a data set and of one photo, in a browser: headless Chromium shows them without a console message and without any
request but for the page itself, in light, dark, 400 pixels wide, and on paper, where nothing is cut off.

    tests/e2e/test_report_browser.py TOOLS-DIR SOURCE-DIR [FOLDER]

Pictures of the page go to FOLDER, to be looked at. Wants Debian's chromium and chromium-driver; without them it says SKIPPED."""
import base64
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

from checks import check, run_tests
from programs import bag, network, run_text, samples, scratch

FOLDER = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else scratch


class Driver:
    """WebDriver (W3C) over HTTP"""
    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(["chromedriver", f"--port={self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={scratch / 'chromium'}"]
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments},
                  "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        self.session = ""
        for _ in range(100):
            try:
                self.session = "/" + self.call("POST", "", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
                break
            except OSError:
                time.sleep(0.2)

    def call(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/session{self.session}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.process.terminate()
            self.process.wait()


def save(name, text):
    data = base64.b64decode(text)
    (FOLDER / name).write_bytes(data)
    return data


def look_at(page, stem):
    """In light, dark, narrow and printed; pictures go to FOLDER"""
    driver = Driver()
    try:
        driver.call("POST", "/url", {"url": page.as_uri()})
        for name, scheme, width in (("light", "light", 1100), ("dark", "dark", 1100), ("narrow", "light", 400)):
            driver.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            driver.devtools("Emulation.setDeviceMetricsOverride", width=width, height=1400, deviceScaleFactor=1, mobile=False)
            picture = driver.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=False)["data"]
            check(f"{stem}, {name}: a picture", len(save(f"{stem}-{name}.png", picture)) > 10000)
            wide = driver.call("POST", "/execute/sync", {"script": "return document.documentElement.scrollWidth", "args": []})
            check(f"{stem}, {name}: not wider than the window", wide <= width, wide)
            colour = driver.call("POST", "/execute/sync", {"script": "return getComputedStyle(document.body).backgroundColor", "args": []})
            check(f"{stem}, {name}: its ground", (colour == "rgb(255, 255, 255)") == (scheme == "light"), colour)
        paper = save(f"{stem}-print.pdf", driver.call("POST", "/print", {}))
        check(f"{stem}, print: a PDF", paper.startswith(b"%PDF"))
        driver.devtools("Emulation.setEmulatedMedia", media="print")
        driver.devtools("Emulation.setDeviceMetricsOverride", width=717, height=1046, deviceScaleFactor=1, mobile=False)
        script = ("return [...document.querySelectorAll('table, figure, pre')].filter(e => e.getBoundingClientRect().right > 718)"
                  ".map(e => e.innerText.slice(0, 60))")
        cut = driver.call("POST", "/execute/sync", {"script": script, "args": []})
        check(f"{stem}, print: nothing is cut off at the side", cut == [], cut)
        shown = driver.call("POST", "/execute/sync", {"script": "return [...document.images].every(i => i.complete && i.naturalWidth > 0)", "args": []})
        check(f"{stem}: every picture can be decoded", shown is True, shown)
        console = driver.call("POST", "/se/log", {"type": "browser"})
        check(f"{stem}: no console message", console == [], console)
        events = [json.loads(entry["message"])["message"] for entry in driver.call("POST", "/se/log", {"type": "performance"})]
        asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent" and
                 event["params"]["documentURL"] == page.as_uri()]  # the browser's own first page asks for more
        check(f"{stem}: no request but for the page", [url for url in asked if not url.startswith("data:")] == [page.as_uri()], asked[:5])
    finally:
        driver.close()


def test_pages():
    for stem, words in (("report", ("-d", samples / "labels.csv", "--kinds", "2", "--costs", "1", "--checks", "2")),
                        ("photo", ("-i", bag, "-l", "bag", "-d", samples / "labels.csv"))):
        page = scratch / f"{stem}.html"
        done = run_text("psal-report", "-w", network, *words, "--out", page)
        check(f"{stem}: the page is made", done.returncode == 0, done.stderr[-400:])
        look_at(page, stem)


if __name__ == "__main__":
    if not shutil.which("chromedriver") or not shutil.which("chromium"):
        print("SKIPPED: Debian's chromium and chromium-driver are not installed")
        sys.exit(0)
    raise SystemExit(run_tests((test_pages,), scratch))
