"""``make bench``: all measures in one run on one machine, as a table with ratios; see README.md."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from autograder.course import CourseFolder
from benchmarks import otter
from benchmarks.measure import Measured, measure
from benchmarks.sample import NOTEBOOK, Sample, make_class, student

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
# What makes stock nbgrader faster and changes no grade: a kernel is killed instead of asked to end,
# keeps no history, and its arithmetic does not start a thread for each core.
STOCK_SETTINGS = """
c.Execute.shutdown_kernel = "immediate"
c.Execute.extra_arguments = ["--HistoryManager.enabled=False"]
"""
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
}


@dataclass(frozen=True)
class Sizes:
    """How many submissions are measured. Stock nbgrader and otter get a sample of each class."""

    class_size: int = 200
    sample: int = 30
    small_sample: int = 12
    scale: tuple[int, ...] = (100, 1000, 10_000)
    # The same, for every notebook of the course.
    each: int = 60
    of_each: int = 3
    repeats: int = 3
    workers: int = 2


QUICK = Sizes(12, 6, 6, (6, 12), 6, 2, 1)


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, ours, the other's, and how many times faster."""

    measure: str
    ours: str
    other: str
    ratio: str
    goal: str
    how: str


@dataclass(frozen=True)
class Whole:
    """The time of a class, from a sample of it: a start, and so much for each submission."""

    start: float
    each: float

    def seconds(self, size: int) -> float:
        """Seconds for a class of ``size``."""
        return self.start + size * self.each


@dataclass
class Bench:
    """A scratch folder, and what was measured in it."""

    folder: Path
    sizes: Sizes
    say: Callable[[str], None] = lambda text: None
    raw: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def course(self) -> CourseFolder:
        """The course that is graded."""
        return CourseFolder(ROOT)

    @cached_property
    def sample(self) -> Sample:
        """Submissions of notebook 02."""
        return Sample(self.course)

    # ----------------------------------------------------------------- the three graders

    def run(self, label: str, command: list[Any], **options: Any) -> Measured:
        """Measure a command and keep the figures under ``label``."""
        self.say(label)
        options.setdefault("environment", ENVIRONMENT)
        options.setdefault("memory", False)
        measured = measure([str(word) for word in command], **options)
        self.raw[label] = asdict(replace(measured, output=measured.output[-500:]))
        return measured

    def ours(
        self,
        label: str,
        course: CourseFolder,
        name: str = NOTEBOOK,
        *,
        core: int | None = None,
        memory: bool = False,
    ) -> Measured:
        """``autograder grade`` of a class, from its start to its end."""
        workers = self.sizes.workers if core is None else 1
        command = [BIN / "autograder", "grade", name, "--course", course.root]
        command += ["--workers", workers]
        measured = self.run(f"{label}: engine", command, core=core, memory=memory)
        if measured.status != 0:
            raise typer.Exit(_failed(label, measured))
        return measured

    def stock(
        self, label: str, course: CourseFolder, name: str = NOTEBOOK, *, core: int | None = None
    ) -> Whole:
        """``nbgrader autograde`` of a sample in one process.

        Its start is what it takes when everything is graded already: a little more than the start
        alone, so that the time for each submission comes out a little too small.
        """
        prepare = [BIN / "nbgrader", "generate_assignment", name, "--force", "--log-level=ERROR"]
        command = [BIN / "nbgrader", "autograde", name, "--create", "--log-level=ERROR"]
        config = course.root / "nbgrader_config.py"
        config.write_text(config.read_text(encoding="utf-8") + STOCK_SETTINGS, encoding="utf-8")
        entered = self.run(f"{label}: stock nbgrader, assignment", prepare, folder=course.root)
        if entered.status != 0:
            raise typer.Exit(_failed(label, entered))
        whole = self.run(f"{label}: stock nbgrader", command, folder=course.root, core=core)
        again = self.run(f"{label}: stock nbgrader, start", command, folder=course.root, core=core)
        size = len(list((course.root / "submitted").iterdir()))
        if not any((course.root / "autograded").glob(f"*/{name}/{name}.ipynb")):
            raise typer.Exit(_failed(label, whole))
        return Whole(again.wall, (whole.wall - again.wall) / size)

    def otter(self, label: str, course: CourseFolder, size: int) -> Whole:
        """otter's Python interface for a sample in one process."""
        folder = self.folder / "otter"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        otter.make_assignment(course, NOTEBOOK, folder / "autograder.zip")
        students = [student(number) for number in range(size)]
        submissions = otter.take_over(course, NOTEBOOK, students, folder / "submissions")
        results = folder / "results.json"
        nothing = otter.command(folder / "autograder.zip", [], results)
        start = self.run(f"{label}: otter, start", nothing, folder=folder)
        command = otter.command(folder / "autograder.zip", submissions, results)
        whole = self.run(f"{label}: otter", command, folder=folder)
        if start.status or whole.status:
            raise typer.Exit(_failed(label, whole))
        return Whole(start.wall, (whole.wall - start.wall) / size)

    # ----------------------------------------------------------------- the classes

    def make(
        self, label: str, size: int, kind: str = "mixed", sample: Sample | None = None
    ) -> CourseFolder:
        """A class in the scratch folder."""
        self.say(f"making {label}")
        maker = sample or self.sample
        folder = self.folder / label.replace(" ", "-")
        return make_class(maker, self.course, folder, size, getattr(maker, kind))

    def compare(
        self,
        label: str,
        kind: str,
        sample: int,
        goal: str = "",
        *,
        core: int | None = None,
        name: str = NOTEBOOK,
    ) -> tuple[Row, CourseFolder, CourseFolder]:
        """A class under both graders: all of it by the engine, a sample of it by stock nbgrader."""
        size = self.sizes.class_size
        maker = self.sample if name == NOTEBOOK else Sample(self.course, name)
        all_of_it = self.make(f"{label} all", size, kind, maker)
        some_of_it = self.make(f"{label} sample", sample, kind, maker)
        mine = self.ours(label, all_of_it, name, core=core)
        theirs = self.stock(label, some_of_it, name, core=core)
        row = Row(
            f"{label}, {size} submissions",
            seconds(mine.wall),
            f"nbgrader {seconds(theirs.seconds(size))}",
            times(theirs.seconds(size) / mine.wall),
            goal,
            f"nbgrader: {sample} of them at {theirs.each:.2f} s, start {theirs.start:.1f} s",
        )
        return row, all_of_it, some_of_it

    # ----------------------------------------------------------------- the measures

    def mixed_class(self) -> list[Row]:
        """The class, under all three graders; then its feedback, and the CPU of one notebook."""
        size, sample = self.sizes.class_size, self.sizes.sample
        row, ours, theirs = self.compare("mixed class", "mixed", sample, "50 ×")
        equal, compared = same_points(ours, theirs)
        mine = self.raw["mixed class: engine"]
        ott = self.otter("mixed class", theirs, sample)
        rows = [
            replace(row, how=f"{row.how}; {equal} of {compared} cells have the same points"),
            Row(
                f"mixed class, {size} submissions",
                seconds(mine["wall"]),
                f"otter {seconds(ott.seconds(size))}",
                times(ott.seconds(size) / mine["wall"]),
                "50 ×",
                f"otter: {sample} of them at {ott.each:.2f} s, start {ott.start:.1f} s",
            ),
            self._cpu(ours, mine["cpu"], size),
            self._feedback(ours, theirs, size),
        ]
        shutil.rmtree(ours.root)
        return rows

    def _cpu(self, graded: CourseFolder, cpu: float, size: int) -> Row:
        command = [sys.executable, "-m", "benchmarks.warm", graded.root, NOTEBOOK]
        measured = self.run("warm interpreter", command, folder=ROOT)
        if measured.status != 0:
            raise typer.Exit(_failed("warm interpreter", measured))
        warm = json.loads(measured.output.splitlines()[-1])
        return Row(
            f"CPU a notebook, {size} submissions with the start",
            f"{1000 * cpu / size:.0f} ms",
            f"warm interpreter {1000 * warm['needed']:.0f} ms",
            f"{cpu / size / warm['needed']:.1f} × as much",
            "3 ×",
            f"{1000 * warm['every_cell']:.0f} ms with the cells that only draw",
        )

    def _feedback(self, ours: CourseFolder, theirs: CourseFolder, size: int) -> Row:
        command = [BIN / "autograder", "feedback", NOTEBOOK, "--course", ours.root]
        mine = self.run("feedback: engine", command)
        pages = len(list((ours.root / "feedback").glob("*/*/*.html")))
        command = [BIN / "nbgrader", "generate_feedback", NOTEBOOK, "--log-level=ERROR"]
        whole = self.run("feedback: stock nbgrader", command, folder=theirs.root)
        made = len(list((theirs.root / "feedback").glob("*/*/*.html")))
        again = self.run("feedback: stock nbgrader, start", command, folder=theirs.root)
        if mine.status or not made:
            raise typer.Exit(_failed("feedback", mine if mine.status else whole))
        other = Whole(again.wall, (whole.wall - again.wall) / made)
        return Row(
            f"feedback, {pages} pages",
            seconds(mine.wall),
            f"nbgrader {seconds(other.seconds(pages))}",
            times(other.seconds(pages) / mine.wall),
            "20 ×",
            f"nbgrader: {made} pages at {other.each:.2f} s, start {other.start:.1f} s",
        )

    def one_core(self) -> list[Row]:
        """One core against one core."""
        label = "one core each"
        row, ours, _ = self.compare(label, "mixed", self.sizes.small_sample, core=0)
        shutil.rmtree(ours.root)
        return [row]

    def all_failing(self) -> list[Row]:
        """Every exercise of every student is wrong."""
        row, ours, _ = self.compare("all failing", "failing", self.sizes.small_sample)
        shutil.rmtree(ours.root)
        return [row]

    def each_notebook(self) -> list[Row]:
        """Every notebook of the course, and the one whose cells take the most CPU."""
        rows: list[Row] = []
        cost: dict[str, float] = {}
        small = replace(self.sizes, class_size=self.sizes.each)
        for name in self.course.names():
            usual, self.sizes = self.sizes, small
            try:
                row, ours, theirs = self.compare(name, "mixed", self.sizes.of_each, name=name)
            finally:
                self.sizes = usual
            # Of a few, and not of the cells that only draw: a training takes its time.
            command = [sys.executable, "-m", "benchmarks.warm", ours.root, name, self.sizes.of_each]
            printed = self.run(f"warm {name}", command, folder=ROOT).output
            cost[name] = json.loads(printed.splitlines()[-1])["needed"]
            equal, compared = same_points(ours, theirs)
            more = f"{1000 * cost[name]:.0f} ms of CPU each in a warm interpreter"
            more += f"; {equal} of {compared} cells have the same points"
            rows.append(replace(row, how=f"{row.how}; {more}"))
            shutil.rmtree(ours.root)
            shutil.rmtree(theirs.root)
        heaviest = max(cost, key=lambda each: cost[each])
        return [
            replace(row, measure=f"{row.measure} (the heaviest)")
            if row.measure.startswith(heaviest)
            else row
            for row in rows
        ]

    def cold_start(self) -> list[Row]:
        """One submission, nothing warm."""
        mine, theirs = [], []
        for number in range(self.sizes.repeats):
            label = f"one submission {number + 1}"
            mine.append(self.ours(label, self.make(f"{label} ours", 1, "right")).wall)
            whole = self.stock(label, self.make(f"{label} theirs", 1, "right"))
            theirs.append(whole.seconds(1))
        first, second = statistics.median(mine), statistics.median(theirs)
        return [
            Row(
                "cold start, one submission",
                seconds(first),
                f"nbgrader {seconds(second)}",
                times(second / first),
                "",
                f"median of {len(mine)}",
            )
        ]

    def check(self) -> list[Row]:
        """A student's own check of a finished notebook."""
        # Another notebook in each round: what a program remembers of the last does not help it.
        course = self.make("finished", self.sizes.repeats, "right")
        mine, theirs = [], []
        for number in range(self.sizes.repeats):
            notebook = course.root / "submitted" / student(number) / NOTEBOOK / f"{NOTEBOOK}.ipynb"
            ours = self.run(f"check {number + 1}: engine", [BIN / "autograder", "check", notebook])
            stock = self.run(
                f"check {number + 1}: stock nbgrader", [BIN / "nbgrader", "validate", notebook]
            )
            if ours.status:
                raise typer.Exit(_failed("check", ours))
            mine.append(ours.wall)
            theirs.append(stock.wall)
        first, second = statistics.median(mine), statistics.median(theirs)
        return [
            Row(
                "check of a finished notebook",
                seconds(first),
                f"nbgrader validate {seconds(second)}",
                times(second / first),
                "4 ×",
                f"median of {len(mine)}",
            )
        ]

    def scale(self) -> list[Row]:
        """Time in proportion, memory flat."""
        rows: list[Row] = []
        before: tuple[int, Measured] | None = None
        for size in self.sizes.scale:
            course = self.make(f"scale {size}", size)
            measured = self.ours(f"scale {size}", course, memory=True)
            shutil.rmtree(course.root)
            more, ratio = "", ""
            if before is not None:
                number, former = before
                marginal = (measured.cpu - former.cpu) / (size - number)
                more = f"; {1000 * marginal:.0f} ms of CPU for each more than {number}"
                ratio = f"{measured.wall / former.wall:.1f} × the time of {number}"
            rows.append(
                Row(
                    f"{size} submissions",
                    f"{seconds(measured.wall)}, {1000 * measured.wall / size:.0f} ms each",
                    f"peak {measured.peak / 2**20:.0f} MB",
                    ratio,
                    "time in proportion, memory flat",
                    f"{measured.memory} of {measured.most_processes} processes{more}",
                )
            )
            before = size, measured
        return rows


MEASURES: Mapping[str, Callable[[Bench], list[Row]]] = {
    "mixed": Bench.mixed_class,
    "one-core": Bench.one_core,
    "cold-start": Bench.cold_start,
    "failing": Bench.all_failing,
    "each": Bench.each_notebook,
    "check": Bench.check,
    "scale": Bench.scale,
}


def main(
    only: Annotated[
        list[str] | None, typer.Argument(help=f"Measures, of {', '.join(MEASURES)}; all of them.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Small classes: a trial, not a measurement.")] = False,
    class_size: Annotated[int | None, typer.Option(min=1)] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="How many of the class nbgrader and otter grade.")
    ] = None,
    small_sample: Annotated[int | None, typer.Option(min=1, help="The same, elsewhere.")] = None,
    scale: Annotated[list[int] | None, typer.Option(help="Class sizes; repeat it.")] = None,
    workers: Annotated[int | None, typer.Option(min=1)] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the rows and every single measurement.")
    ] = None,
    table_file: Annotated[
        Path | None, typer.Option("--readme", help="Put the table into this README.")
    ] = None,
) -> None:
    """Measure the grader against stock nbgrader and otter-grader."""
    for name in only or []:
        if name not in MEASURES:
            print(
                f"bench: There is no measure '{name}'; they are {', '.join(MEASURES)}.",
                file=sys.stderr,
            )
            raise typer.Exit(2)
    given: dict[str, Any] = {
        "class_size": class_size,
        "sample": sample,
        "small_sample": small_sample,
        "scale": tuple(scale) if scale else None,
        "workers": workers,
    }
    sizes = replace(
        QUICK if quick else Sizes(), **{k: v for k, v in given.items() if v is not None}
    )
    machine = describe_machine()
    Console(stderr=True).print(machine)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(Path(folder), sizes, say=lambda text: print(text, file=sys.stderr))
        for name in only or MEASURES:
            rows += MEASURES[name](bench)
            # As they come: whoever stops a long run keeps what it has measured.
            if json_file is not None:
                result = {
                    "machine": machine,
                    "sizes": asdict(sizes),
                    "rows": [asdict(row) for row in rows],
                    "measured": bench.raw,
                }
                json_file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            if table_file is not None:
                text = table_file.read_text(encoding="utf-8")
                table_file.write_text(with_table(text, machine, rows), encoding="utf-8")
    Console(width=None if sys.stdout.isatty() else 160).print(table(rows))


def same_points(ours: CourseFolder, theirs: CourseFolder) -> tuple[int, int]:
    """Of the cells that both gradebooks have points for: how many are equal, and how many."""
    first, second = _points(ours), _points(theirs)
    both = first.keys() & second.keys()
    return sum(first[key] == second[key] for key in both), len(both)


def _points(course: CourseFolder) -> dict[tuple[str, str], float]:
    query = """
        select submitted_assignment.student_id, base_cell.name, grade.auto_score
        from grade join submitted_notebook on grade.notebook_id = submitted_notebook.id
        join submitted_assignment on submitted_notebook.assignment_id = submitted_assignment.id
        join base_cell on grade.cell_id = base_cell.id where grade.auto_score is not null
    """
    with sqlite3.connect(course.root / "gradebook.db") as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(query)}


def table(rows: list[Row]) -> Table:
    """The rows, for a terminal."""
    made = Table(show_lines=True)
    for title in ("measure", "engine", "against", "ratio", "goal", "how it was had"):
        made.add_column(title, overflow="fold")
    for row in rows:
        made.add_row(*vars(row).values())
    return made


BEGIN, END = "<!-- the table begins -->", "<!-- the table ends -->"


def with_table(text: str, machine: str, rows: list[Row]) -> str:
    """The text of a README with this table in place of the former."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = [
        machine,
        "",
        "| measure | engine | against | ratio | goal | how it was had |",
        "|---|---|---|---|---|---|",
        *("| " + " | ".join(vars(row).values()) + " |" for row in rows),
    ]
    return f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}"


def describe_machine() -> str:
    """The day, the machine and the versions, in one line."""
    model = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        names = [line for line in cpus.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in ("nbgrader", "numpy", "torch"))
    pins = (Path(__file__).parent / "requirements.txt").read_text(encoding="utf-8").splitlines()
    others = [line.replace("==", " ") for line in pins if line.startswith("otter-grader==")]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {model}, {os.cpu_count()} cores, {memory:.0f} GB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"{', '.join([versions, *others])}. Load before the start: {os.getloadavg()[0]:.1f}."
    )


def seconds(value: float) -> str:
    """``value`` for the table."""
    return f"{value:.1f} s" if value < 100 else f"{value:.0f} s"


def times(value: float) -> str:
    """How many times faster."""
    return f"{value:.1f} ×"


def _failed(label: str, measured: Measured) -> int:
    print(f"bench: {label} ended with status {measured.status}:", file=sys.stderr)
    print(measured.output[-2000:], file=sys.stderr)
    return 1


if __name__ == "__main__":
    typer.run(main)
