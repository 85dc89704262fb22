"""What all tests share."""

import os
import sys
from pathlib import Path

# Stock nbgrader calls the programs jupyter and alembic, which lie beside the interpreter.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
