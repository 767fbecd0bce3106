"""What can go wrong, told to people: each error says what happened and what to do about it."""

from __future__ import annotations


class StylefolderError(Exception):
    """An error with a sentence for the user.

    ``exit_status`` is what a command that dies of it ends with: 1 a photo failed, 2 wrong usage or preset,
    3 no daemon to talk to. Only the command line exits.
    """

    exit_status = 1


class PhotoError(StylefolderError):
    """The photo cannot be read: not a picture, truncated, of a kind that we refuse."""


class ResultError(StylefolderError):
    """The Result cannot be written: disk full, folder read-only, format that cannot hold it."""


class NoRoom(ResultError):
    """The disk is full: the same may succeed later."""


class PhotoGone(PhotoError):
    """There is no such file any more."""


class PresetError(StylefolderError):
    """The Preset is wrong; the message begins with ``file:line: key:`` where these are known."""

    exit_status = 2


class WeightsError(StylefolderError):
    """The network's weights are missing or damaged."""

    exit_status = 2


class DeviceError(StylefolderError):
    """The device asked for is not there."""

    exit_status = 2
