"""What a command shows a person while it works: numbered steps with a progress bar each, and tables.

Progress goes to standard error when the result is wanted as data, so that standard output holds the data alone.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

INDENT = 4


class Step:
    """One numbered step of a longer job."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def detail(self, text: str) -> None:
        """Say what is being done now; the bar pulses until :meth:`fraction` is called."""
        self._progress.update(self._task, detail=text, completed=0, total=None)

    def fraction(self, done: float) -> None:
        """Say how much of the present detail is done, from 0 to 1."""
        # Never quite finished, which would stop the step's clock.
        self._progress.update(self._task, total=1.0, completed=min(done, 0.999))


class Terminal:
    """Numbered steps on a terminal, timed.

    Parameters
    ----------
    steps
        How many steps there will be.
    data_on_stdout
        Send everything to standard error because standard output carries JSON.
    """

    def __init__(self, steps: int, data_on_stdout: bool) -> None:
        self.console = Console(stderr=data_on_stdout, highlight=False)
        self.seconds: dict[str, float] = {}
        self._steps = steps

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[Step]:
        """Run one step: ``name`` is its key in :attr:`seconds`, ``title`` what a person reads."""
        number = len(self.seconds) + 1
        started = time.perf_counter()
        columns = (
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn(f"[bold]{number}/{self._steps}[/] {title}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=16),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TextColumn("[dim]{task.fields[detail]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        )
        with Progress(*columns, console=self.console, expand=True) as progress:
            task = progress.add_task(title, total=None, detail="")
            yield Step(progress, task)
            progress.update(task, total=1.0, completed=1.0, detail="")
        self.seconds[name] = round(time.perf_counter() - started, 2)

    def say(self, text: str, style: str = "") -> None:
        """Print text, broken into lines between words, in one of Rich's styles."""
        self.console.print(Padding(Text(text, style=style), (0, 0, 0, INDENT)))

    def say_unbroken(self, text: str) -> None:
        """Print a line that somebody may copy, such as a command."""
        self.console.print(" " * INDENT + text, markup=False, soft_wrap=True)

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int = 1) -> None:
        """Print a table; columns from ``numbers_from`` on hold numbers and are set to the right."""
        table = Table(title=escape(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for index, heading in enumerate(headings):
            table.add_column(escape(heading), justify="right" if index >= numbers_from else "left", overflow="fold")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self.console.print(table)
