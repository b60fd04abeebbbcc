"""The table of `bench.accuracy` as markdown, from what was measured."""

from __future__ import annotations

from typing import Any

from .accuracy_row import Goal, Row

Cell = dict[str, Any]  # "value", "seconds", "unknowns"; or "failed"
Cells = dict[str, Cell]  # "ours", then the rivals by their labels

HEAD = (
    "| problem | solver | error | seconds | unknowns | published neural | target | |\n"
    "|---|---|---|---|---|---|---|---|"
)


def power(value: float, digits: int) -> str:
    """A number as text, such as 1.3e-6."""
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def duration(seconds: float) -> str:
    """Seconds as text to two digits, without a power of ten from 100 on."""
    return f"{seconds:.2g}" if seconds < 99.5 else f"{seconds:.0f}"


def figure(value: float | None, goal: Goal | None, metric: str) -> str:
    """A value as the table shows it."""
    if value is None:
        return "infinite"
    if goal is not None and goal.higher:
        return f"{value:.2f} dB"
    return f"{value:.4g} J" if metric == "energy" else power(value, 1)


def race_goal(cells: Cells) -> Goal | None:
    """The goal of a race: Adam's figure in a fifth of its time; None without Adam's run."""
    adam = cells.get("Adam", {})
    value = adam.get("value")
    return None if value is None else Goal(value, adam["seconds"] / 5)


def verdict(row: Row, cells: Cells) -> str:
    """Whether our cell meets the goal, and if not, by what."""
    goal, ours = row.goal or race_goal(cells), cells.get("ours", {})
    if "failed" in ours or goal is None or ours.get("seconds") is None:
        return "missed"
    accurate = ours["value"] is not None and goal.reached(ours["value"])
    quick = ours["seconds"] <= goal.seconds
    if accurate and quick:
        return "met"
    return "missed: " + " and ".join(["error"] * (not accurate) + ["time"] * (not quick))


def wins(row: Row, ours: Cell, rival: Cell) -> str:
    """How a rival compares with us."""
    if "failed" in ours or "failed" in rival or None in (ours["value"], rival["value"]):
        return ""
    goal = row.goal or Goal(0, 0)
    better = goal.better(rival["value"], ours["value"])
    faster = rival["seconds"] < ours["seconds"]
    if better and faster:
        return "better and faster than ours"
    return "better" if better else "faster" if faster else ""


def lines(row: Row, cells: Cells) -> list[str]:
    """The lines of a row: ours, then the rivals."""
    ours = cells.get("ours", {"failed": "not run"})
    table_lines = []
    for name, cell in {"ours": ours, **cells}.items():
        is_ours = name == "ours"
        if "failed" in cell:
            values = [cell["failed"], "", ""]
        else:
            shown = figure(cell["value"], row.goal, row.metric)
            values = [shown, duration(cell["seconds"]), f"{cell['unknowns']:,}"]
        goal = row.goal or race_goal(cells)
        target = str(row.goal) if row.goal else "Adam's in 1/5 of its time" if goal else ""
        entries = [
            row.label if is_ours else "",
            "**dinfgrid_cuda**" if is_ours else name,
            *values,
            row.published if is_ours else "",
            target if is_ours else "",
            verdict(row, cells) if is_ours else wins(row, ours, cell),
        ]
        table_lines.append(f"| {' | '.join(entries)} |")
    return table_lines


def misses(row: Row, cells: Cells) -> str:
    """One line that explains a miss; empty for a row that is met."""
    outcome = verdict(row, cells)
    if outcome == "met":
        return ""
    failed = cells.get("ours", {}).get("failed")
    reason = row.reason or (failed if failed else "not yet explained.")
    return f"* {row.label}: {outcome}. {reason}"


def table(rows: list[Row], results: dict[str, Cells], headline: str, judged: bool = True) -> str:
    """The whole text, of the rows that have been run.

    Args:
        rows: in their order.
        results: cells of each row, by its name.
        headline: a line on the machine and the run.
        judged: whether the summary says which rows are met.
    """
    done = [row for row in rows if results.get(row.name)]
    text = [headline, "", HEAD]
    for row in done:
        text += lines(row, results[row.name])
    if not judged:
        return "\n".join(text) + "\n"
    explained = [line for row in done if (line := misses(row, results[row.name]))]
    met = len(done) - len(explained)
    text += ["", f"{met} of {len(done)} rows met.", *explained]
    return "\n".join(text) + "\n"
