"""The two exceptions soli raises on purpose.

Each message is one line that names the offending value and what is allowed;
the command line prints it as it is and exits with code 2.
"""


class SoliError(Exception):
    """A problem the user can fix: a bad file, rate, shape, key, checkpoint or a full disk."""


class Cancelled(SoliError):
    """The caller asked for the work to stop; nothing partial is left behind."""
