"""Two processes for each notebook: the student's cells in one, the test cells in the other.

``wire`` says what may cross between them, ``peer`` calls across, ``student`` and ``judge`` are the
two sides, ``plan`` says which cell runs where, ``zygote`` forks both from warm processes, and
``engine`` ties them together.
"""
