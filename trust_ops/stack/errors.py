"""Errors of the local stack. Every message includes a suggested fix."""


class StackError(Exception):
    """Base of all errors of this package; the message is meant for the user."""


class BinaryUnavailable(StackError):  # noqa: N818 - a state of the machine, not an error
    """A component's executable was not found and cannot be built here."""


class BuildError(BinaryUnavailable):
    """A build step of a component's executable failed."""


class ComponentError(StackError):
    """A component did not start, did not become healthy, or is not part of this stack."""
