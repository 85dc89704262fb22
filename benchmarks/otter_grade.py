"""Grade submissions with otter-grader, in this process: otter_grade.py ZIP RESULTS SUBMISSION …

Runs in ``.venv-bench``, which holds otter, and imports nothing of this project. RESULTS becomes
JSON: by submission, the names of the checks that it passed, or null where otter raised.
"""

import json
import sys
from pathlib import Path

from otter.api import grade_submission


def main(assignment: str, results: str, *submissions: str) -> None:
    """Grade one after the other; one that cannot be graded does not stop the rest."""
    passed: dict[str, list[str] | None] = {}
    for submission in submissions:
        try:
            graded = grade_submission(submission, assignment, quiet=True)
            passed[Path(submission).stem] = [
                name for name in graded.test_files if graded.get_result(name).passed_all
            ]
        except Exception as error:
            print(f"{submission}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
            passed[Path(submission).stem] = None
    Path(results).write_text(json.dumps(passed), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
