"""The one exception that a user may see."""


class UserError(Exception):
    """Bad input, bad config or a lost environment: something that the user can mend.

    The message names the file or record, what was found, what was expected and what to do.
    `varlm.cli` prints it as one line, `error: …`, and exits with status 2; every other
    exception is a defect of varlm and keeps its traceback.
    """
