"""What can go wrong. Each error is a sentence for people: what happened, why, and what to do."""

from __future__ import annotations


class StylefolderError(Exception):
    """An error with a sentence for the user.

    ``exit_status`` is the status that a command ends with: 1 a photo failed, 2 wrong usage or preset, 3 no daemon to
    talk to. Only the command line exits.
    """

    exit_status = 1


class PhotoError(StylefolderError):
    """The photo cannot be read: it is not a picture, is cut off, or is of a kind that we refuse."""


class PhotoGone(PhotoError):
    """The file no longer exists."""


class TooLarge(PhotoError):
    """There is not enough memory for this size, not even in tiles."""


class ResultError(StylefolderError):
    """The Result cannot be written: the folder is read-only, the format cannot hold it, ..."""


class EncodeError(ResultError):
    """The format cannot hold the Result. Another try would not help."""


class NoRoom(ResultError):
    """The disk is full. The same call may succeed later."""


class Taken(ResultError):
    """A file of that name exists and must not be replaced."""


class PresetError(StylefolderError):
    """The Preset is wrong. The message begins with ``file:line: key:`` if these are known."""

    exit_status = 2


class YamlFileError(PresetError):
    """A YAML file cannot be read. The message begins with ``file:line:``."""


class WeightsError(StylefolderError):
    """The network's weights are missing or damaged."""

    exit_status = 2


class DeviceError(StylefolderError):
    """The requested device is not available."""

    exit_status = 2


class Diverged(StylefolderError):
    """The starting picture, or every step however small, has a loss that is not finite."""


class LutError(StylefolderError):
    """A table of colours cannot be read: it is damaged, too large, or of another kind."""

    exit_status = 2


def cause(e: Exception) -> str:
    """The system's words, or its own: an OSError that a library raises may have no ``strerror``."""
    return (e.strerror if isinstance(e, OSError) else None) or str(e) or type(e).__name__
