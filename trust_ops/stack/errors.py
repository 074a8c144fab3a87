"""What can go wrong in the local stack. Every message says what to do about it."""


class StackError(Exception):
    """Base of all errors of this package; its text is meant for the user's terminal."""


class BinaryUnavailable(StackError):  # noqa: N818 - a state of the machine, not a mistake
    """A component's executable was not found and cannot be built here."""


class BuildError(BinaryUnavailable):
    """A component's executable was being built and a step of the build failed."""


class ComponentError(StackError):
    """A component did not start, did not become healthy, or is not part of this stack."""
