"""What people read after grading: the table, the records and the feedback pages."""

from autograder.reports.feedback import write_feedback, write_reason
from autograder.reports.records import RecordFile
from autograder.reports.table import ClassTable, progress_table

__all__ = ["ClassTable", "RecordFile", "progress_table", "write_feedback", "write_reason"]
