"""Grade a class: read, merge, execute, save. Knows nbgrader and no mathematics of the course.

Nothing is imported here: the warm processes import only what notebooks need, and fork faster.
"""
