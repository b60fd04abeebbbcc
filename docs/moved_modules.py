"""Writes the table of moved modules into docs/migrating.md: python docs/moved_modules.py"""

from pathlib import Path

from dinfgrid_cuda import _moved

PAGE = Path(__file__).with_name("migrating.md")
HEAD = "| package of 0.1 | package now | modules |\n|---|---|---|\n"


def table() -> str:
    """The table below its head, one line for each pair of packages."""
    lines = ""
    for (before, after), names in _moved.MOVED.items():
        old, new = (".".join(filter(None, ("dinfgrid_cuda", name))) for name in (before, after))
        modules = ", ".join(f"`{name.replace('=', '` → `')}`" for name in names.split())
        lines += f"| `{old}` | `{new}` | {modules} |\n"
    return lines


def written(page: str) -> str:
    """The text of the page with the table of today."""
    start = page.index(HEAD) + len(HEAD)
    return page[:start] + table() + page[page.index("\n\n", start) + 1 :]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
