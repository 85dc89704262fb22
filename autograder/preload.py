"""What the warm processes of this course import before a notebook comes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from autograder.grading.isolated.launch import Launch, Preload

PRELOAD = Preload(
    student=(
        "numpy",
        "numpy.random",  # NumPy itself puts it off
        "matplotlib.pyplot",
        "IPython.core.formatters",
        "autograder.checks.calling",
        "autograder.pictures",
    ),
    judge=("numpy", "autograder.checks"),
    calls=(("autograder.checks.reference", "warm_up"),),
    judge_calls=(
        ("autograder.mistakes", "all_mistakes"),
        ("autograder.checks.memory", "remember"),
    ),
)


@contextlib.contextmanager
def launched() -> Iterator[Launch | None]:
    """Warm processes on their way, ended at the end; None where none can be confined."""
    if sys.platform != "linux":
        yield None
        return
    with contextlib.closing(Launch(PRELOAD)) as launch:
        yield launch
