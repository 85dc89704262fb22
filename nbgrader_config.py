"""This folder as a plain nbgrader course: source → notebooks → submitted → autograded → feedback.

Stock nbgrader reads this file, and so does `autograder`, so that both agree.
"""

c = get_config()

c.CourseDirectory.course_id = "backprop"
c.CourseDirectory.source_directory = "source"
c.CourseDirectory.release_directory = "notebooks"
c.CourseDirectory.submitted_directory = "submitted"
c.CourseDirectory.autograded_directory = "autograded"
c.CourseDirectory.feedback_directory = "feedback"

# What stands where the answer belongs.
c.ClearSolutions.code_stub = {
    "python": "# TODO: write your answer here.\nraise NotImplementedError"
}
c.ClearSolutions.text_stub = "*Write your answer here.*"

# Seconds a cell may take; the slowest cell of a solved notebook takes a few.
c.Execute.timeout = 60

# With this line, `nbgrader autograde` and the formgrader's button execute student code in a
# confined process too; see docs/instructors.md.
# c.Autograde.exporter_class = "autograder.stock.ConfinedExporter"
