"""Everything that can go wrong in the daemon and its commands, besides what `stylecore.errors` lists."""

from __future__ import annotations

from stylecore.errors import PhotoError, StylefolderError


class UsageError(StylefolderError):
    """The command's arguments do not fit together."""

    exit_status = 2


class SettingsError(StylefolderError):
    """The settings are wrong. The message begins with ``file:line: key:``."""

    exit_status = 2


class RootInUse(StylefolderError):
    """Another daemon watches this Root."""

    exit_status = 2


class NoService(StylefolderError):
    """This system has no service manager that we know."""

    exit_status = 2


class NoGimp(StylefolderError):
    """There is no GIMP 3 to install the plug-in for."""


class NoDaemon(StylefolderError):
    """No daemon is running, or it ended in the middle of an answer."""

    exit_status = 3


class Refused(StylefolderError):
    """The daemon answered with an error; ``status`` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.exit_status = 2 if status in (400, 404, 409, 413, 422) else 1


class WorkerError(StylefolderError):
    """The worker process cannot be started."""


class PhotoChanged(StylefolderError):
    """The photo is not the one that was queued."""


class ClusterError(StylefolderError):
    """The cluster cannot be used: what it needs is not installed, or the other machine does not answer."""


class CertificateError(ClusterError):
    """A certificate's file is missing or damaged."""

    exit_status = 2


class JoinRefused(ClusterError):
    """The daemon does not take this machine, or is not one. Another try would not help."""

    exit_status = 2


class UploadTooLarge(PhotoError):
    """A picture sent to the API has more bytes than the settings allow."""


class UploadLength(PhotoError):
    """The length of a request's body does not match the size of the pixels that it declares."""


class LedgerError(StylefolderError):
    """SQLite cannot use the Ledger's file."""


class LedgerUnavailable(LedgerError):
    """The Ledger cannot be used at the moment. Nothing was changed, and the same call may succeed later."""


class LedgerFull(LedgerUnavailable):
    """The Ledger's disk is full."""


class LedgerBusy(LedgerUnavailable):
    """Another program has locked the Ledger."""


class LedgerDamaged(LedgerError):
    """The Ledger's file is not a sound database."""


class LedgerOutdated(LedgerError):
    """The Ledger is older than the first numbered migration."""


class LedgerNewer(LedgerError):
    """A newer version of Stylefolder wrote the Ledger."""


class LedgerGone(LedgerError):
    """The Ledger's file was removed, perhaps together with its folder."""
