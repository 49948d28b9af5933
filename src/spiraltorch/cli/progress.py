"""A progress bar for commands, or none at all with `--json`."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class ProgressBar:
    """A context manager that shows a progress bar; it returns a function that advances it by one and sets its text.

    Args:
        title: the text before the bar.
        total: the number of steps; no bar is shown for 0.
        quiet: shows no bar.
        description: the text behind the bar at first.
        stderr: writes to stderr instead of stdout.
    """

    def __init__(self, title: str, total: int, *, quiet: bool, description: str = "", stderr: bool = False) -> None:
        self.bar: Progress | None = None
        if quiet or not total:
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )  # fmt: skip
        self.bar = Progress(*columns, console=Console(stderr=stderr))
        self.task = self.bar.add_task(description, total=total)

    def __enter__(self) -> Callable[[str], None]:
        if self.bar is None:
            return lambda text: None
        bar = self.bar
        bar.__enter__()
        return lambda text: bar.update(self.task, advance=1, description=text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.__exit__(kind, error, traceback)
