"""The page: what stands in it, and what it does in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import reference
from harness.files.figures import figure, rendered, save_picture
from harness.records.record import append_record
from harness.records.report_folder import Asked, write_session
from harness.reporting.pages import write_report
from harness.reporting.web_page import sort_keys
from tests.records.test_record import record

BROWSERS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
BROWSER = next((path for path in BROWSERS if Path(path).is_file()), None)
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
SPECS = ("idl-gan-grid", "idl-gan-mnist", "handson-dcgan-mnist")
HOSTILE = "<script>document.title='hacked'</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with a verdict of each kind that three systems can give, a picture, and a table to sort."""
    at = tmp_path_factory.mktemp("report")
    entries = [
        record(suite="modes", metric="modes_captured", reference="idl-gan-grid", value=m, seed=s, n=10_000, epochs=20.0)
        for s, m in enumerate([1.0, 1.0, 2.0])
    ]
    entries += [
        record(
            suite="golden",
            metric="fid",
            reference=f"golden: g{i}",
            value=v,
            n=100,
            unit="",
            protocol={"extractor": "x", "expected": str(v)},
        )
        for i, v in enumerate([9.5, 100.0, 20.0])
    ]
    entries += [
        record(suite="quality", metric="test_x", value=None, status="failed", reason=f"no card {HOSTILE}"),
        record(suite="latent", metric="test_y", value=None, status="skipped", reason="no file"),
    ]
    for entry in entries:
        append_record(at / "records.jsonl", entry)
    write_session(
        at, Asked(SPECS, finished="now", outcomes={"passed": 5, "failed": 1, "skipped": 1}, options=("--seeds=3",))
    )
    save_picture(at / "plots" / "quality.png", rendered(figure(3, 1)))
    write_report(at, [(spec, reference.get(spec).card) for spec in SPECS])
    return at


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_it_asks_the_network_for_nothing(text: str) -> None:
    assert "default-src 'none'" in text
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"'](?!data:)", text)
    assert "@import" not in text


def test_what_records_say_is_text_and_never_code(text: str) -> None:
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text


def test_the_records_behind_rows_stand_in_it_once(text: str) -> None:
    content = re.search(r'<script type="application/json" id="records">(.*?)</script>', text, re.S)
    assert content is not None
    records = json.loads(content.group(1))
    assert len(records) == len({json.dumps(r, sort_keys=True) for r in records})
    assert {r["metric"] for r in records} >= {"modes_captured", "fid"}


def test_a_column_says_when_its_measure_misleads(text: str) -> None:
    assert '<th scope="col" title="It misleads: one sample of ten thousand near a mode is enough">modes hit' in text
    assert '<th scope="col">sampler</th>' in text


def test_columns_of_figures_are_sorted_by_number() -> None:
    assert sort_keys(pd.Series(["1,200 (1 to 2)", "", "30", "−2.5e-3"])) == ["1200", "", "30", "-2.5e-3"]
    assert sort_keys(pd.Series(["12", "no card"])) is None
    assert sort_keys(pd.Series(["", "–"])) is None


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if BROWSER is None:
        pytest.skip(f"no Chromium at {', '.join(BROWSERS)}: the page isn't tried in a browser")
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Page]:
    """The page, opened; in the end nothing was said on the console, and nothing was asked of any network."""
    said: list[str] = []
    asked: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    address = (folder / "report.html").as_uri()
    page.goto(address)
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    yield page
    page.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [address]


def shown_claims(page: Page) -> list[str]:
    return page.locator("#claims tbody tr[data-verdict]").evaluate_all("rows => rows.map(row => row.dataset.verdict)")  # type: ignore[no-any-return]


def test_the_first_screen_answers_the_question(page: Page) -> None:
    first = page.locator("main").inner_text().split("\n")[:10]
    assert first[0] == "Does each GAN still do what its document says?"
    said = "\n".join(first)
    for expected in (
        "5 passed, 1 failed, 1 skipped",
        "claims are decided",
        "Failed: ",
        "Left out, each with its reason: 1",
    ):
        assert expected in said
    assert page.title() == "Does each GAN still do what its document says?"


@pytest.mark.parametrize(
    ("name", "value"), [("verdict", "not measured"), ("system", "idl-gan-grid"), ("document", "000")]
)
def test_the_scorecard_is_filtered(page: Page, name: str, value: str) -> None:
    everything = page.locator("#claims tbody tr").count()
    page.locator(f"select[data-filter={name}]").select_option(value)
    rows = page.locator("#claims tbody tr[data-verdict]")
    assert 0 < rows.count() < everything
    assert set(rows.evaluate_all(f"rows => rows.map(row => row.dataset.{name})")) == {value}
    assert f"{rows.count()} of {everything} claims" in page.locator("#shown").inner_text()
    page.locator(f"select[data-filter={name}]").select_option("")
    assert page.locator("#claims tbody tr").count() == everything


def test_the_counts_above_are_filters_too(page: Page) -> None:
    page.locator(".tally a[data-verdict='not measured']").click()
    assert set(shown_claims(page)) == {"not measured"}


def test_a_table_is_sorted_by_number_and_searched(page: Page) -> None:
    table = page.locator("#table-golden")
    place = table.locator("thead th").evaluate_all("heads => heads.findIndex(head => head.textContent.includes('FID'))")
    heading = table.locator("thead th").nth(place)
    cells = table.locator(f"tbody tr td:nth-child({place + 1})")
    heading.click()
    expect(cells).to_have_text(
        [re.compile(rf"^{re.escape(value)}\b") for value in ("9.5", "20", "100")]
    )  # once it is sorted
    heading.click()
    expect(cells).to_have_text([re.compile(rf"^{re.escape(value)}\b") for value in ("100", "20", "9.5")])


def test_a_picture_is_enlarged_and_closed_by_keyboard(page: Page) -> None:
    page.locator(".enlarge").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#picture").is_visible()
    assert page.locator("#picture-large").evaluate("image => image.complete && image.naturalWidth > 0")
    page.keyboard.press("Escape")
    assert page.locator("#picture").is_hidden()


def test_the_records_behind_a_row_are_shown_with_the_command_that_makes_them(page: Page) -> None:
    page.locator("#table-modes .behind").first.click()
    said = page.locator("#behind").inner_text()
    assert "gan-harness suites test_modes.py --references 'idl-gan-grid' --seeds=3" in said
    assert page.locator("#behind tbody tr").count() == 3


def test_it_is_light_or_dark_as_the_reader_likes(browser: Browser, folder: Path) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto((folder / "report.html").as_uri())
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    page.locator("#theme").click()
    assert page.evaluate(colour) != dark
    page.close()


def test_on_a_telephone_nothing_sticks_out(browser: Browser, folder: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto((folder / "report.html").as_uri())
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


def test_on_paper_everything_is_open_and_no_control_is_printed(page: Page) -> None:
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert page.locator(".filters").is_hidden()
    assert page.locator("#claims").is_visible()


def test_without_its_script_everything_can_be_read(browser: Browser, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / "report.html").as_uri())
    assert "not measured" in page.locator("#claims").inner_text()
    assert page.locator("#table-modes").is_visible()
    context.close()
