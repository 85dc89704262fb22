"""How fast the grader is, against stock nbgrader and otter-grader: ``make bench``."""
