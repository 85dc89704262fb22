"""The class that is measured is the class that benchmarks/README.md describes."""

import json
import sys
from pathlib import Path

import pytest
from nbformat import NotebookNode

from autograder.course import CourseFolder
from autograder.grading.submissions import UnreadableError, parse_notebook
from benchmarks.measure import measure
from benchmarks.run import BEGIN, END, MEASURES, Row, with_table
from benchmarks.sample import NOTEBOOK, Sample, make_class, student

ROOT = Path(__file__).parents[2]
SIZE = 30


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Sample(CourseFolder(ROOT))


@pytest.fixture(scope="module")
def made(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> CourseFolder:
    return make_class(sample, CourseFolder(ROOT), tmp_path_factory.mktemp("class"), SIZE)


def data(course: CourseFolder, number: int) -> bytes:
    path = course.root / "submitted" / student(number) / NOTEBOOK / f"{NOTEBOOK}.ipynb"
    return path.read_bytes()


def notebooks(course: CourseFolder) -> list[NotebookNode]:
    found = []
    for number in range(SIZE):
        try:
            found.append(parse_notebook("it", data(course, number)))
        except UnreadableError:
            continue
    return found


def test_no_two_files_and_no_two_written_answers_are_equal(made: CourseFolder) -> None:
    files = [data(made, number) for number in range(SIZE)]
    assert len(set(files)) == SIZE
    written = [
        cell.source
        for notebook in notebooks(made)
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("solution") and "# written by" in cell.source
    ]
    assert len(written) > 20 * 14
    assert len(set(written)) == len(written)


def test_one_of_thirty_is_no_notebook_and_one_lacks_a_test_cell(made: CourseFolder) -> None:
    tests = [
        sum(bool(cell.metadata.get("nbgrader", {}).get("grade")) for cell in notebook.cells)
        for notebook in notebooks(made)
    ]
    assert len(tests) == SIZE - 1
    assert sorted(tests) == [13] + [14] * (SIZE - 2)


def test_the_same_student_hands_in_the_same_file(sample: Sample, made: CourseFolder) -> None:
    again = Sample(CourseFolder(ROOT))
    assert [again.mixed(number) for number in range(3)] == [data(made, n) for n in range(3)]


def test_half_the_class_is_right_and_all_of_the_failing_are_wrong(sample: Sample) -> None:
    assert sample.right(4) == sample.mixed(4)
    wrong = {cell.id: cell.source for cell in parse_notebook("it", sample.failing(4)).cells}
    right = {cell.id: cell.source for cell in parse_notebook("it", sample.right(4)).cells}
    solutions = [place for place in right if "# written by" in right[place]]
    assert len(solutions) == 14
    assert all(wrong[place] != right[place] for place in solutions)


def test_the_course_can_be_graded_by_stock_nbgrader(made: CourseFolder) -> None:
    assert made.instructor_notebook(NOTEBOOK).is_file()
    assert made.names() == [NOTEBOOK]


def test_a_command_is_measured_with_the_processes_that_it_starts() -> None:
    inner = "x = bytearray(50_000_000)\nfor i in range(4_000_000): pass\nimport time; time.sleep(1)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    measured = measure([sys.executable, "-c", outer])
    assert measured.status == 0
    assert measured.wall > 1
    assert measured.cpu > 0
    assert measured.most_processes == 2
    assert measured.peak > 50_000_000


def test_a_status_is_told() -> None:
    assert measure([sys.executable, "-c", "raise SystemExit(3)"]).status == 3


def test_the_table_replaces_the_former_table_and_nothing_else() -> None:
    row = Row("a class", "1 s", "nbgrader 60 s", "60 ×", "50 ×", "so")
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    changed = with_table(text, "a machine", [row])
    assert "| a class | 1 s | nbgrader 60 s | 60 × | 50 × | so |" in changed
    assert changed.partition(BEGIN)[0] == text.partition(BEGIN)[0]
    assert changed.partition(END)[2] == text.partition(END)[2]
    assert with_table(changed, "a machine", [row]) == changed


def test_a_measure_that_does_not_exist_is_one_sentence() -> None:
    measured = measure([sys.executable, "-m", "benchmarks.run", "nothing"], folder=ROOT)
    assert measured.status == 2
    assert measured.output.strip().startswith("bench: There is no measure 'nothing'; they are ")
    assert all(name in measured.output for name in MEASURES)


def test_a_failed_measurement_prints_one_line_of_json() -> None:
    words = [sys.executable, "-m", "benchmarks.measure", sys.executable, "-c", "1 / 0"]
    printed = measure(words, folder=ROOT).output.splitlines()
    assert any("ZeroDivisionError" in line for line in printed)
    assert any(json.loads(line)["status"] == 1 for line in printed if line.startswith("{"))
