"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Input that cannot be used.

    The message is one sentence that says what is wrong, where it is, and how to mend it.
    The command line prints it without a traceback and exits with code 2.
    """
