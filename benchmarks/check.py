"""How long a student waits: ``autograder check`` beside stock ``nbgrader validate``.

Both run the same finished notebook, in turns, so that both meet the same disturbances::

    .venv/bin/python benchmarks/check.py [NN-name] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def finished(name: str, folder: Path) -> Path:
    """What a student has at the end: the released notebook with the answers of the solution."""
    notebook = nbformat.read(ROOT / "notebooks" / name / f"{name}.ipynb", as_version=4)
    solved = nbformat.read(ROOT / "solutions" / name / f"{name}.ipynb", as_version=4)
    answers = {cell.id: cell.source for cell in solved.cells}
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = answers[cell.id]
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


def seconds(*words: object) -> float:
    """The wall time of a command that must succeed."""
    begin = time.perf_counter()
    subprocess.run([BIN / str(words[0]), *map(str, words[1:])], check=True, capture_output=True)
    return time.perf_counter() - begin


def main() -> None:
    """Print every time, the two medians and the median of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", default="02-manual-backprop")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    stock, ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = finished(given.name, Path(folder))
        for _ in range(given.rounds):
            stock.append(seconds("nbgrader", "validate", path))
            ours.append(seconds("autograder", "check", path))
            ratio = ours[-1] / stock[-1]
            print(f"validate {stock[-1]:6.2f} s   check {ours[-1]:6.2f} s   ratio {ratio:.2f}")
    ratios = [mine / theirs for mine, theirs in zip(ours, stock, strict=True)]
    print(
        f"median   {statistics.median(stock):6.2f} s         {statistics.median(ours):6.2f} s"
        f"         {statistics.median(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
