"""A real Chromium without a window, by its driver: what the page does, what it says to the network, and what it looks like."""
import json
import os
import pathlib
import shutil
import subprocess

from .wait import SLOW, wait_for

PACKAGES = {"chromium": "chromium", "chromedriver": "chromium-driver"}


def missing():
    """Packages without which there is no browser."""
    absent = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    try:
        import selenium  # noqa: F401
    except ImportError:
        absent.append("python3-selenium")
    return absent


class Browser:
    """One window.

    folder     for its profile and for what it downloads

    Names other than localhost are not looked up, certificates not checked: those of the doubles are nobody's but ours.
    """

    def __init__(self, session, folder, width=1280, height=900):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        self.session, self.folder = session, pathlib.Path(folder)
        self.downloads = self.folder / "downloads"
        self.downloads.mkdir(parents=True)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--ignore-certificate-errors", "--no-first-run",
                         "--no-proxy-server", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
                         "--disable-extensions", "--mute-audio", "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en",
                         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
                         f"--window-size={width},{height}", f"--user-data-dir={self.folder / 'profile'}"):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"download.default_directory": str(self.downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        quiet = self.folder / "no_news.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(quiet), str(pathlib.Path(__file__).with_name("no_news.c")), "-ldl"], check=True)
        service = Service(shutil.which("chromedriver"), env=session.env(HOME=str(self.folder), no_proxy="*", LD_PRELOAD=str(quiet)), log_path=os.devnull)
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.set_page_load_timeout(30 * SLOW)
        self.driver.set_script_timeout(30 * SLOW)
        self.requests, self.console = [], []

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.folder / "profile", ignore_errors=True)

    def open(self, url):
        self.driver.get(url)
        return self

    # ---- looking ----

    def all(self, css):
        """Elements that can be seen."""
        return [e for e in self.driver.find_elements("css selector", css) if e.is_displayed()]

    def script(self, text, *args):
        return self.driver.execute_script(text, *args)

    def texts(self, css):
        return self.script("return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).map(e => e.innerText)", css)

    def text(self, css):
        return "\n".join(self.texts(css))

    def wait(self, css, text="", timeout_s=30):
        """Until an element that can be seen holds the text; the element."""
        def look():
            for e in self.all(css):
                if text in e.text:
                    return e
            raise AssertionError(f"{css} says {self.texts(css)}, the page: {self.text('body')[:500]!r}")
        return wait_for(self._patient(look), f"{css} with {text!r}", timeout_s, 0.05)

    def wait_gone(self, css, text="", timeout_s=30):
        wait_for(lambda: not [t for t in self.texts(css) if text in t], f"{css} with {text!r} to be gone", timeout_s, 0.05)

    @staticmethod
    def _patient(look):
        """An element that the page has put away meanwhile is one that is not there yet."""
        def again():
            from selenium.common.exceptions import StaleElementReferenceException
            try:
                return look()
            except StaleElementReferenceException as e:
                raise AssertionError(str(e)) from e
        return again

    # ---- doing ----

    def click(self, css, text="", within=None):
        """Clicks what a person would see as this."""
        def look():
            root = within or self.driver
            for e in root.find_elements("css selector", css):
                if e.is_displayed() and text in e.text:
                    e.click()
                    return True
            raise AssertionError(f"no {css} with {text!r}; the page: {self.text('body')[:800]!r}")
        wait_for(self._patient(look), f"{css} with {text!r}", 20, 0.05)

    def type(self, css, text):
        field = self.wait(css)
        field.clear()
        field.send_keys(text)

    def choose(self, css, text):
        """Of a list of options, the one that reads so."""
        from selenium.webdriver.support.ui import Select
        Select(self.wait(css)).select_by_visible_text(text)

    def resize(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        # a click before it is drawn would hit what was there before
        self.driver.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))")

    def scheme(self, name):
        """"dark" or "light"."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]})

    def picture(self, path):
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        assert self.driver.save_screenshot(str(path))

    # ---- what it asked of the network, and complained of ----

    def look_at_logs(self):
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        self.console += [entry["message"] for entry in self.driver.get_log("browser")]
