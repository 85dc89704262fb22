"""What people read after grading: the table and the feedback pages."""

from autograder.reports.feedback import write_feedback, write_reason
from autograder.reports.table import class_table, progress_table

__all__ = ["class_table", "progress_table", "write_feedback", "write_reason"]
