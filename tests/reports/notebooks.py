"""Notebooks with everything that a page can show."""

from __future__ import annotations

import base64
import copy
import random

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

PICTURE = base64.b64encode(random.Random(0).randbytes(3000)).decode()
PROSE = """\
# Gradient & chain rule

With $\\frac{a}{b}$, `x < y`, *stress*, <b>HTML</b> and ![a picture](attachment:a.png):

$$
\\begin{aligned} dz &= a - y \\\\ dW &= x^T dz \\end{aligned}
$$

| step | shape |
|------|-------|
| `dz` | (B, 1) |

```python
def f(x):
    return "x" if x > 0 else 'y'
```

- [ ] a task
- <https://example.org/?a=1&b=2>
"""
CODE = '%matplotlib inline\nx = \'<a & "b">\'  # é\nif x != y and x<y: print(f"{x!r}\\n")\n'
COLORED = "\x1b[0;31mValueError\x1b[0m: \x1b[1;38;5;208m'<x>' & \"y\"\x1b[0m\n  at line 3"


def shown() -> list[NotebookNode]:
    """Outputs of every kind that nbconvert knows, but for those it numbers at random."""
    bundles = [
        {"image/png": PICTURE + "\n", "text/plain": "<Figure size 640x480>"},
        {"image/jpeg": PICTURE},
        {"image/png": "aGk="},
        {"image/svg+xml": '<svg width="1"><path d="M0 0"/></svg>'},
        {"text/html": "<table><tr><td>1<td>&nbsp;2</table>"},
        {"text/html": "<p class='a  b'>x &lt; y<br>z<img src=a.png>  </p>"},
        {"text/html": "<div class=jp-Notebook><div class=jp-OutputArea-output>x</div></div>"},
        {"text/latex": "$\\frac{a}{b} < c & d$"},
        {"text/markdown": "**bold** $x_1$ <i>and</i>\n\n![](a.png)"},
        {"text/plain": "array([1., 2.])  <&\"'>"},
        {"text/plain": " \n "},
        {"application/unknown": "nobody knows"},
    ]
    outputs = [new_output("display_data", data=data) for data in bundles]
    outputs += [new_output("execute_result", data=bundles[-3], execution_count=4)]
    outputs += [new_output("stream", name=name, text=COLORED) for name in ("stdout", "stderr")]
    outputs += [new_output("stream", text="\n\n"), new_output("stream", text="a\r\nb\x00c")]
    outputs[0].metadata["image/png"] = {"width": 300, "height": 200}
    error = new_output("error", ename="ValueError", evalue="x", traceback=[COLORED, "", "plain"])
    return [*outputs, error]


def decorated(notebook: NotebookNode) -> NotebookNode:
    """A copy of ``notebook`` with prose, pictures, formulas and errors."""
    made = copy.deepcopy(notebook)
    prose = new_markdown_cell(PROSE)
    prose.attachments = {"a.png": {"image/png": "aGk="}}
    tagged = new_code_cell("", metadata={"tags": ["a<b", "c"]})
    made.cells[:0] = [
        prose,
        *(new_code_cell(CODE, outputs=[output]) for output in shown()),
        new_code_cell(CODE, outputs=shown(), execution_count=7),
        new_code_cell("%%bash\necho hi", metadata={"magics_language": "bash"}),
        tagged,
        new_markdown_cell(""),
    ]
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"
    return made
