"""Functions of earlier notebooks, right and ready, so that each notebook can be done by itself.

One module a notebook. A module here never answers an exercise of the notebook that imports it.
"""
