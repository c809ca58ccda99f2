"""A headless Chromium before Airflow's UI; finds things by names, roles and test ids, not by looks."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch
from urllib.parse import unquote

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

T = TypeVar("T")
TIMEOUT = 120
# The page is drawn anew all the time, and messages lie over its buttons for some seconds.
NOT_YET = (
    ElementClickInterceptedException, ElementNotInteractableException, NoSuchElementException,
    StaleElementReferenceException,
)  # fmt: skip
MODAL = "[role=dialog][aria-modal=true]"
_AT_REST = """return document.getAnimations().every(
    shown => shown.playState !== "running" || shown.effect.getComputedTiming().iterations === Infinity)"""
_CORNERS = """const all = [...arguments[0]].map(element => element.getBoundingClientRect())
const edge = arguments[1]
return [Math.min(...all.map(one => one.left)) - edge, Math.min(...all.map(one => one.top)) - edge,
        Math.max(...all.map(one => one.right)) + edge, Math.max(...all.map(one => one.bottom)) + edge]"""
SUBMIT = "[data-testid=trigger-dag-submit]"


@contextmanager
def chromium() -> Iterator[WebDriver]:
    """Start the Chromium and chromedriver of this machine, or those that Selenium Manager downloads."""
    options = webdriver.ChromeOptions()
    options.add_argument("--headless=new")
    options.add_argument("--window-size=1400,1750")  # all of a form at once
    options.add_argument("--disable-dev-shm-usage")  # containers have little of it
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium's sandbox refuses root
    options.add_experimental_option("prefs", {"intl.accept_languages": "en-US,en"})
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    options.binary_location = browser or ""
    service = webdriver.ChromeService(browser and shutil.which("chromedriver"))
    past_proxy = ",".join(filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "localhost"]))
    with patch.dict(os.environ, no_proxy=past_proxy):  # Selenium asks a proxy of the environment for chromedriver, too
        driver = webdriver.Chrome(options, service)
    try:
        yield driver
    finally:
        driver.quit()


@dataclass(frozen=True)
class Field:
    """A field of a form as people see it."""

    title: str
    text: str


@dataclass
class Page:
    """The UI, signed in to. Every method waits until it can do what it says."""

    driver: WebDriver
    base_url: str
    screenshots: Path

    def until(self, ready: Callable[[], T], what: str = "") -> T:
        """Wait until something holds (is neither false nor None nor empty) and return it."""
        waiting = WebDriverWait(self.driver, TIMEOUT, poll_frequency=0.1, ignored_exceptions=NOT_YET)
        return waiting.until(lambda _: ready(), f"not within {TIMEOUT} s: {what}")

    def all(self, css: str) -> list[WebElement]:
        """Return the elements there are now."""
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def find(self, css: str, xpath: str = ".") -> WebElement:
        """Return an element (or what lies at a path from it) once it is to be seen."""
        return self.until(lambda: self._now(css, xpath), f"{css} {xpath}")

    def click(self, css: str, xpath: str = ".") -> None:
        """Click on an element as soon as it takes it."""

        def clicked() -> bool:
            target = self._now(css, xpath)
            if not target.is_enabled():
                return False
            target.click()
            return True

        self.until(clicked, f"a click on {css} {xpath}")

    def write(self, css: str, text: str) -> None:
        """Write into a field, over what is in it, as fast as the field follows: faster, it loses letters."""
        self.until(lambda: self._now(css).send_keys(Keys.CONTROL, "a") or True, css)
        for end in range(1, len(text) + 1):
            self.find(css).send_keys(text[end - 1])
            self.until(lambda end=end: self._now(css).get_attribute("value") == text[:end], f"{text[:end]} in {css}")

    def _now(self, css: str, xpath: str = ".") -> WebElement:
        for found in self.all(css):
            if found.is_displayed():
                return found.find_element(By.XPATH, xpath)
        raise NoSuchElementException(css)

    def shot(self, name: str, *elements: WebElement, edge: int = 0, scale: float = 1) -> None:
        """Keep a picture of the window, or of the part of it with these elements and an edge around them."""
        path = self.screenshots / f"{name}.png"
        self.until(lambda: self.driver.execute_script(_AT_REST), "the page at rest")
        if not elements:
            self.driver.save_screenshot(str(path))
            return
        left, top, right, bottom = self.driver.execute_script(_CORNERS, list(elements), edge)
        clip = {"x": left, "y": top, "width": right - left, "height": bottom - top, "scale": scale}
        taken: dict[str, Any] = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip})
        path.write_bytes(base64.b64decode(taken["data"]))

    def sign_in(self, username: str, password: str) -> None:
        """Sign in by the login page."""
        self.driver.get(f"{self.base_url}/auth/login")
        self.write("[name=username]", username)
        self.write("[name=password]", password)
        self.click("button[type=submit]")
        self.find("[data-testid=nav-sidebar]")

    def choose_timezone(self, name: str, offset: str) -> None:
        """Have all dates shown and read in a timezone, as the clock in the sidebar offers it."""
        self.click("[data-testid=nav-sidebar] [aria-label='+00:00']")
        choice = self.find(f"{MODAL} input[role=combobox]")
        choice.send_keys(name)

        def offered() -> list[str]:
            return [option.text for option in self.all("[role=option]") if option.is_displayed()]

        self.until(lambda: offered() == [name], name)
        choice.send_keys(Keys.ENTER)
        self.find(f"[data-testid=nav-sidebar] [aria-label='{offset}']")
        self.click(f"{MODAL} [aria-label=Close]")
        self.until_closed()

    def open_form(self, dag_id: str) -> None:
        """Open a DAG's page, and on it the form that starts runs."""
        self.driver.get(f"{self.base_url}/dags/{dag_id}")
        self.click("[data-testid=trigger-dag-button]")
        self.find("[data-testid=config-form]")

    def fields(self) -> dict[str, Field]:
        """The parameters that the open form asks for, in its order."""
        found = {}
        for field in self.all("[data-testid=config-form] [name^=element_]"):
            group = field.find_element(By.XPATH, "ancestor::*[@role='group' and @data-part='root'][1]")
            title = group.find_element(By.TAG_NAME, "label").text
            text = group.find_element(By.CSS_SELECTOR, "[data-part=helper-text]").text
            found[str(field.get_attribute("name")).removeprefix("element_")] = Field(title.rstrip(" *\n"), text)
        return found

    def fill(self, name: str, value: str) -> None:
        """Write into the field of a parameter."""
        self.write(f"[name=element_{name}]", value)

    def refusal(self) -> str:
        """Send the form; return why it is refused, which stands where the user looks."""
        self.click(SUBMIT)
        alert = self.find(f"{MODAL} [data-testid=error-alert]")
        top: float = self.driver.execute_script("return arguments[0].getBoundingClientRect().top", alert)
        assert 0 <= top < self.driver.execute_script("return window.innerHeight"), "the reason is out of sight"
        return alert.text

    def start(self) -> str:
        """Send the form; return the id of the run, to whose page the UI goes."""
        self.click(SUBMIT)
        self.until(lambda: "/runs/" in self.driver.current_url, "the page of the new run")
        return unquote(self.driver.current_url.split("/runs/")[1].split("/")[0].split("?")[0])

    def until_success(self) -> None:
        """Wait until the page of a run has noticed that it succeeded."""
        self.until(
            lambda: self._now("[data-testid=header-card] [data-testid=state-badge]").text == "Success",
            "the run's state on its page",
        )

    def backfill(self, dag_id: str, first: datetime, last: datetime) -> str:
        """Fill the form for a range of nights; return what it says about it."""
        self.open_form(dag_id)
        self.click(MODAL, ".//label[.//input[@value='backfill']]")
        self.find("[name=max_active_runs]")
        self._choose_moment("From", first)
        self._choose_moment("To", last)
        return self.find(MODAL, ".//*[contains(text(), 'will be triggered')]").text

    def send_backfill(self) -> None:
        """Send the filled form."""
        self.click(MODAL, ".//button[normalize-space()='Run Backfill']")
        self.until_closed()

    def until_closed(self) -> None:
        """Wait until no form lies over the page."""
        self.until(lambda: not self.all(MODAL), "the form has gone")

    def _choose_moment(self, label: str, moment: datetime) -> None:
        xpath = f".//*[@role='group'][label[normalize-space()='{label}']]//*[@data-testid='datetime-input']"
        self.click(MODAL, xpath)
        popover = "[role=dialog][data-scope=popover][data-state=open]"
        self.write(f"{popover} [placeholder='YYYY/MM/DD']", f"{moment:%Y/%m/%d}")
        self.write(f"{popover} [placeholder='HH:mm']", f"{moment:%H:%M}")
        self.until(lambda: self._now(MODAL, xpath).text == f"{moment:%b %d, %Y %H:%M}", f"{label} {moment}")
        self.find(f"{popover} [placeholder='HH:mm']").send_keys(Keys.ESCAPE)
        self.until(lambda: not any(found.is_displayed() for found in self.all(popover)), "the calendar has gone")
