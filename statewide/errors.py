"""Every error that a user can meet, and the exit code each one ends with.

    StatewideError                 exit 3
    ├── Stopped                    exit 2   the user, or the machine's administrator, ended the command
    ├── InputError                 exit 2   the input cannot be used; nothing changed
    │   ├── UnreadableDelivery              not a map, damaged, unsafe, or without layers
    │   ├── UnknownTown                     not one of the towns in the register
    │   └── BadArgument                     the words of the command are off
    └── PlatformError              exit 3   we are in trouble, not the sender; nothing half done
        ├── LawError                        a file of schemas/ is wrong: says which and where
        ├── DatabaseUnavailable             no answer, or not ours
        ├── DatabaseNotReady                answers, but `statewide init` has not been run
        ├── DatabaseBusy                    somebody else is writing the same town or layer
        ├── StorageFull                     no room to keep the original or to write
        └── LedgerUnbalanced                a bug of ours: rows or area went missing

What is wrong *in* a delivery is not an exception but a finding (``statewide.findings``).
Messages are one sentence for the person who must act, with no value from a confidential column in them.
"""

from __future__ import annotations

import errno

EXIT_DONE = 0
EXIT_REFUSED = 1
EXIT_INPUT = 2
EXIT_PLATFORM = 3


class StatewideError(Exception):
    """Root of the family; ``str(error)`` is the sentence to show."""

    exit_code = EXIT_PLATFORM


class Stopped(StatewideError):
    """Ctrl-C or a polite kill: what was begun is undone."""

    exit_code = EXIT_INPUT


class InputError(StatewideError):
    """The sender must change something."""

    exit_code = EXIT_INPUT


class UnreadableDelivery(InputError):
    """The file is not a map we can read, or not one we may open."""


class UnknownTown(InputError):
    """No town of the register goes by that name or code."""


class BadArgument(InputError):
    """An option or argument makes no sense."""


class PlatformError(StatewideError):
    """The State's GIS office must act."""


class LawError(PlatformError):
    """A file of ``schemas/`` breaks its own rules; the message names the file and the path inside it."""


class DatabaseUnavailable(PlatformError):
    """PostgreSQL does not answer."""


class DatabaseNotReady(PlatformError):
    """PostgreSQL answers, but the platform's tables are not there or are of another version."""


class DatabaseBusy(PlatformError):
    """Somebody else holds the same town or layer for longer than we wait."""


class StorageFull(PlatformError):
    """The disk has no room."""


class LedgerUnbalanced(PlatformError):
    """Rows or area went in and did not come out; the load is rolled back."""


def no_room(error: BaseException) -> bool:
    """Whether the system said that the disk, or our share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
