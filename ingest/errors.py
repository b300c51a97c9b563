"""The two ways in which a command can fail, and the exit code of each.

A message is for the person at the keyboard: what is wrong, where (file, line, value), and the next step.
Anything else that is raised is a fault of ours and keeps its traceback.
"""


class AssayError(Exception):
    """A failure that a person can act on; `exit_code` is what the command ends with."""

    exit_code = 1


class DependencyFailed(AssayError):
    """Something that assay depends on failed (broker, store, platform, disk): a retry may help."""

    exit_code = 1


class Misconfigured(AssayError):
    """Wrong usage, settings or input: a retry cannot help until somebody changes it."""

    exit_code = 2
