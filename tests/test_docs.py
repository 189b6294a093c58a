"""The manual: what is made is current, every page is in the navigation, the README is short."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import reference
from harness.reporting.evidence import read_evidence
from harness.reporting.tables import scorecard_table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_made_pages_are_current(tmp_path: Path) -> None:
    subprocess.run([sys.executable, DOCS / "generate.py", tmp_path], cwd=ROOT, check=True)
    made = sorted(tmp_path.iterdir())
    assert [page.name for page in made] == [
        "README.md",
        "cli.md",
        "glossary.md",
        "metrics.md",
        "mutants.md",
        "published.md",
    ]
    for page in made:
        kept = ROOT / page.name if page.name == "README.md" else DOCS / page.name
        assert page.read_text() == kept.read_text(), "run: python docs/generate.py"


def test_every_page_is_in_the_navigation_once() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    listed = [page for entry in nav for page in entry.values()]
    assert sorted(listed) == sorted(page.name for page in DOCS.glob("*.md"))


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.encode()) <= 8 * 1024
    assert not _broken(ROOT / "README.md")


def test_links_of_the_evidence_lead_somewhere() -> None:
    for page in (ROOT / "reports" / "measured").glob("*.md"):
        assert not _broken(page), page


def _broken(page: Path) -> list[str]:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    return [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]


def test_commands_that_the_manual_shows_exist() -> None:
    known = set(re.findall(r"^## `gan-harness ([\w-]+)", (DOCS / "cli.md").read_text(), re.M))
    assert len(known) >= 13
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")):
        for command in re.findall(r"(?:^|`|/)gan-harness ([a-z][\w-]*)", page.read_text(), re.M):
            assert command in known, f"{page.name}: gan-harness {command}"


def test_every_suite_is_in_the_manual_and_in_the_help() -> None:
    suites = {path.name for path in (ROOT / "suites").glob("test_*.py")}
    assert set(re.findall(r"`(test_\w+\.py)`", (DOCS / "own-gan.md").read_text())) == suites
    shown = " ".join((DOCS / "cli.md").read_text().split())
    listed = re.search(r"all of them: ([\w, ]+)\.", shown)
    assert listed is not None
    assert {f"test_{name}.py" for name in listed[1].split(", ")} == suites


def test_the_scorecard_of_all_reports_is_current() -> None:
    cards = [(name, reference.get(name).card) for name in reference.names() if not name.startswith(("toy-", "my-"))]
    made = scorecard_table([], cards, read_evidence(ROOT / "reports" / "measured")).drop(columns="measured here")
    kept = (ROOT / "reports" / "measured" / "scorecard.csv").read_text()
    assert made.to_csv(index=False) == kept, "run: gan-harness tables reports/measured"
