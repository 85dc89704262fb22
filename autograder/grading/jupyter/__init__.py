"""A Jupyter kernel behind the walls of ``autograder.grading.sandbox``.

For notebooks whose tests expect to share a process with the student, and for what only IPython
understands: magics, shell commands, ``await`` at the top of a cell. Student and tests can reach
each other there; the gradebook, other submissions and the network are out of reach.
"""
