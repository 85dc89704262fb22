"""What people read after grading: the table, the records and the feedback pages.

Nothing is imported here: a student's table needs no feedback pages, and no nbgrader.
"""
