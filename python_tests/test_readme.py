"""What README.md and the pages of docs/ say is so: their code runs, their links lead somewhere."""

from __future__ import annotations

import re
import runpy
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dinfgrid_cuda.solvers import old_options

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, ROOT / "examples" / "README.md", *sorted(DOCS.rglob("*.md"))]
MOVED = runpy.run_path(str(DOCS / "moved_modules.py"))
LONGEST = 170
# Pages whose blocks are no scripts: they show a few lines of a file of the suite.
EXCERPTS = {"helmholtz.md"}


def name(page: Path) -> str:
    """The page as a name of a test."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)


def prose(page: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return re.sub(r"^    .*$", "", text, flags=re.M)


def anchors(page: Path) -> set[str]:
    """The places in a page that links may name: its headings, as web pages spell them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[tuple[Path, str]]:
    """The relative links of a page: (file or folder, place in it)."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    local = [link.partition("#") for link in targets if "://" not in link]
    return [((page.parent / path).resolve() if path else page, at) for path, _, at in local]


@pytest.fixture
def defaults(one_thread: None) -> Iterator[None]:
    """Pages may set torch's default precision."""
    dtype = torch.get_default_dtype()
    yield
    torch.set_default_dtype(dtype)


RUN = [page for page in PAGES if blocks(page) and page.name not in EXCERPTS]


@pytest.mark.parametrize("page", RUN, ids=name)
@pytest.mark.filterwarnings("error::FutureWarning", "error::DeprecationWarning")
def test_the_blocks_of_a_page_run_one_after_the_other(page: Path, defaults: None) -> None:
    names: dict[str, object] = {}
    for number, block in enumerate(blocks(page), 1):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)


def test_the_readme_shows_what_its_first_solve_prints(
    defaults: None, capsys: pytest.CaptureFixture[str]
) -> None:
    text = README.read_text()
    shown = text[text.index("\nprints\n") :].split("```")[1].strip().splitlines()
    exec(blocks(README)[0], {})
    printed = capsys.readouterr().out.strip().splitlines()
    assert [without_numbers(line) for line in printed] == [without_numbers(line) for line in shown]


def without_numbers(line: str) -> str:
    """A line of a report with its figures blanked: they depend on the machine."""
    return re.sub(r"\d[\d.,]*(e[+-]?\d+)?", "#", line)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_links_of_a_page_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for path, at in links(page):
        assert path.exists(), path
        assert not at or at in anchors(path), f"{path}#{at}"


def test_links_lead_from_the_readme_to_every_page() -> None:
    reached, waiting = {README}, [README]
    while waiting:
        for path, _ in links(waiting.pop()):
            if path.suffix == ".md" and path not in reached:
                reached.add(path)
                waiting.append(path)
    assert set(PAGES) <= reached


def test_every_picture_is_shown_on_a_page() -> None:
    shown = {path for page in PAGES for path, _ in links(page)}
    assert {*DOCS.rglob("*.jpg"), *DOCS.rglob("*.png")} <= shown


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= LONGEST


def test_the_layout_in_the_readme_is_the_tree() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("the folders of the project are known from git only")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    files = [Path(line) for line in listing.stdout.splitlines() if (ROOT / line).exists()]
    folders = {folder.as_posix() for file in files for folder in file.parents} - {"."}
    rooms = r"csrc/\w+|dinfgrid_cuda/\w+|dinfgrid_cuda/(solvers|suite)/\w+"
    expected = {f for f in folders if "/" not in f or re.fullmatch(rooms, f)}
    layout = README.read_text().partition("\n## Layout\n")[2]
    entries = re.findall(r"^\| (`.*?`) \| \S.* \|$", layout, re.M)
    named = [folder for entry in entries for folder in re.findall(r"`(.*?)`", entry)]
    assert sorted(named) == sorted(expected)


def test_the_table_of_moved_modules_is_that_of_the_package() -> None:
    page = (DOCS / "migrating.md").read_text()
    assert MOVED["written"](page) == page, "run: python docs/moved_modules.py"


def test_every_old_keyword_of_solve_is_named_with_its_new_place() -> None:
    page = (DOCS / "migrating.md").read_text()
    for keyword in (*old_options.STOP, *old_options.OUTPUT, *old_options.METHOD):
        assert re.search(rf"^\| [^|]*\b{keyword}=", page, re.M), keyword
