"""What the same cells cost in an interpreter that is warm already.

``python -m benchmarks.warm COURSE NAME [MOST]`` reads the graded notebooks of COURSE, so that
every test cell is the instructor's. It imports what they need, runs one of them to warm up, then
all of them: each in a namespace of its own, in this one process, without limits, walls, reading,
merging or saving. It prints one line of JSON: seconds of CPU for a notebook, with the cells of
which only a picture comes and without them. With MOST, it runs so many, and never those cells.
"""

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import nbformat

from autograder.course import CourseFolder
from autograder.course.cells import run_cell
from autograder.grading.isolated.plan import plan_for, steps


def main(root: str, name: str, most: str | None = None) -> None:
    """Print the two figures, or the one that there is with ``most``."""
    import matplotlib

    matplotlib.use("agg")
    course = CourseFolder(Path(root))
    plan = plan_for(name, course.instructor_source(name, name))
    every: list[list[str]] = []
    needed: list[list[str]] = []
    paths = sorted((course.root / "autograded").glob(f"*/{name}/{name}.ipynb"))
    for path in paths[: None if most is None else int(most)]:
        notebook = nbformat.read(path, as_version=4)
        sources = {i: c.source for i, c in enumerate(notebook.cells) if c.cell_type == "code"}
        decided = steps(plan, notebook) if plan is not None else dict.fromkeys(sources, "run")
        every.append(list(sources.values()))
        needed.append([text for i, text in sources.items() if decided[i] != "skip"])
    _seconds(needed[:1] if most else every[:1])
    figures = {"needed": _seconds(needed), "notebooks": len(every)}
    if most is None:
        figures["every_cell"] = _seconds(every)
    print(json.dumps(figures))


def _seconds(notebooks: list[list[str]]) -> float:
    """Seconds of CPU for a notebook."""
    from matplotlib import pyplot

    gc.collect()
    start = time.process_time()
    for cells in notebooks:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        for number, source in enumerate(cells):
            run_cell(source, namespace, str(number))
            pyplot.close("all")
    return (time.process_time() - start) / max(1, len(notebooks))


if __name__ == "__main__":
    main(*sys.argv[1:])
