"""What all tests share."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Stock nbgrader calls the programs jupyter and alembic, which lie beside the interpreter.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


@pytest.fixture(autouse=True)
def figures_closed() -> Iterator[None]:
    """A figure that a test leaves open would be shown by the next cell that another test runs."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
