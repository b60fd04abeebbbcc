"""The tree is the architecture: arrows go down, rooms say what they hold, files stay readable."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import dinfgrid_cuda

PACKAGE = Path(dinfgrid_cuda.__file__).parent
CONTRACTS = Path(__file__).parent.parent / "pyproject.toml"
LIMIT = 320  # lines of a module
# Modules that are longer than they should be. A line leaves when its module has become short.
LONG: set[str] = set()
ROOMS = sorted({path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")})
PUBLIC = sorted(set(dinfgrid_cuda.__all__) - {"__version__"})


def check_first_line(docstring: str | None) -> None:
    """Asserts that the first line says something to a reader who sees this line alone."""
    first = (docstring or "").strip().partition("\n")[0]
    assert len(first.split()) >= 4, first
    assert first[0].isupper() or first[0] in "`uo", first  # or a name, or a formula of u or out
    assert first.rstrip(")").endswith("."), first


def test_arrows_go_down(capsys: pytest.CaptureFixture[str]) -> None:
    cli = pytest.importorskip("importlinter.cli")
    status = cli.lint_imports(config_filename=str(CONTRACTS), no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_every_room_says_what_it_holds(room: Path) -> None:
    source = (PACKAGE / room / "__init__.py").read_text()
    check_first_line(ast.get_docstring(ast.parse(source)))


def test_modules_are_short_enough_to_be_read() -> None:
    lines = {
        str(path.relative_to(PACKAGE)): len(path.read_text().splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    long = {name for name, count in lines.items() if count > LIMIT}
    assert long - LONG == set(), "too long"
    assert LONG - long == set(), "no longer too long, or gone: strike it from the list"


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_says_what_it_is(name: str) -> None:
    public = getattr(dinfgrid_cuda, name)
    inherited = inspect.isclass(public) and "__doc__" not in vars(public)
    check_first_line(None if inherited else public.__doc__)
