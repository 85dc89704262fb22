"""The records of ``grade --json``, written as they come."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.grading.results import Result, Unreadable


class RecordFile:
    """``{"results": […], "layers": […]}`` at ``path``: whole at the end, or not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        self._temporary = Path(name)
        self._file = os.fdopen(handle, "w", encoding="utf-8")
        self._file.write('{"results": [')
        self._separator = "\n  "

    def add(self, results: Sequence[Result | Unreadable]) -> None:
        """Records of one submission."""
        for result in results:
            self._file.write(self._separator + json.dumps(result.as_json(), allow_nan=False))
            self._separator = ",\n  "

    def finish(self, layers: Sequence[dict[str, Any]]) -> None:
        """Close the file and put it in its place."""
        self._file.write(f'\n], "layers": {json.dumps(list(layers))}}}\n')
        self._file.close()
        self._temporary.chmod(0o644)
        self._temporary.replace(self._path)

    def discard(self) -> None:
        """Nothing was written, unless ``finish`` was called."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)
