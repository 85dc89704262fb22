"""What people read after grading: the table, the records and the feedback pages."""

from autograder.reports.feedback import FeedbackWriter, Written, write_feedback, write_reason
from autograder.reports.records import RecordFile
from autograder.reports.table import ClassTable, progress_table

__all__ = [
    "ClassTable",
    "FeedbackWriter",
    "RecordFile",
    "Written",
    "progress_table",
    "write_feedback",
    "write_reason",
]
