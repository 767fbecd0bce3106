"""One daemon per Root, on this machine and on all others that reach the Root over a network.

The system's lock keeps a second daemon of this machine away, and is released if its holder dies. File servers may have
no locks, or keep each machine's to itself. So the holder also writes who it is into a file, again and again: whoever
finds another machine's file waits to see whether it still changes.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock
import psutil

from daemon.errors import RootInUse
from stylecore.errors import StylefolderError

BEAT = 15.0  # seconds between two heartbeats
STALE = 60.0  # seconds without one after which the holder is dead, or its machine is cut off
LOOK_EVERY = 0.5


@dataclass(frozen=True)
class Owner:
    """Who holds the Root. ``host``: the machine's name. ``boot``: tells its restarts, and its containers, apart.
    ``started``: when the process did, in Unix seconds. ``beat``: grows with every heartbeat."""

    host: str
    boot: str
    pid: int
    started: float
    token: str
    beat: int = 0

    @property
    def words(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lock:
    """Held while ``hold`` lasts. ``remark``: how it is held, if not as usual."""

    def __init__(self, root: Path, owner_file: Path, me: Owner, remark: str | None) -> None:
        self.root = root
        self.remark = remark
        self._file = owner_file
        self._me = me
        self._beaten = 0.0

    def beat(self) -> None:
        """Cheap: call it often. Raises RootInUse if another machine has taken over, because it heard no heartbeat."""
        now = time.monotonic()
        if now - self._beaten < BEAT:
            return
        self._beaten = now
        found = _read(self._file)
        if found is not None and found.token != self._me.token:
            raise RootInUse(_words(found, self.root))
        self._me = Owner(**{**asdict(self._me), "beat": self._me.beat + 1})
        with contextlib.suppress(OSError):  # a full disk, a Root that was removed: reported elsewhere
            self._file.write_text(json.dumps(asdict(self._me)))

    def release(self) -> None:
        found = _read(self._file)
        if found is not None and found.token == self._me.token:
            with contextlib.suppress(OSError):
                self._file.unlink()


@contextlib.contextmanager
def only_one(root: Path, lock_file: Path, *, shared: bool, say: Callable[[str], None]) -> Iterator[Lock]:
    """Hold the Root. ``shared``: it is on a file server, whose locks may not reach other machines. ``say`` receives a
    sentence if this takes long. Raises RootInUse, which names the other daemon."""
    owner_file = lock_file.with_name("owner")
    with contextlib.ExitStack() as stack:
        refusal = _take_systems_lock(stack, root, lock_file, owner_file)
        me = Owner(platform.node(), _boot(), os.getpid(), _started(os.getpid()) or 0.0, secrets.token_hex(8))
        _wait_for_other(root, owner_file, me, say, locked=refusal is None and not shared)
        _claim(root, owner_file, me)
        remark = None
        if refusal is not None:
            remark = (
                f"The file system of {root} has no locks ({refusal}), so a heartbeat in {owner_file.name} keeps other "
                "daemons away."
            )
        lock = Lock(root, owner_file, me, remark)
        stack.callback(lock.release)
        yield lock


def _take_systems_lock(stack: contextlib.ExitStack, root: Path, lock_file: Path, owner_file: Path) -> str | None:
    """Returns why the file system refuses, if it does. Raises RootInUse."""
    try:
        lock_file.parent.mkdir(exist_ok=True)
        lock_file.touch()
    except OSError as e:
        raise StylefolderError(
            f"The folder {root} cannot be used ({e.strerror}): check its permissions, or choose another."
        ) from e
    lock = filelock.FileLock(lock_file, fallback_to_soft=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as e:
        raise RootInUse(_words(_read(owner_file), root)) from e
    except (OSError, NotImplementedError) as e:
        return getattr(e, "strerror", None) or "not supported"
    stack.callback(lock.release)
    return None


def _wait_for_other(root: Path, owner_file: Path, me: Owner, say: Callable[[str], None], *, locked: bool) -> None:
    """Return if there is no other daemon. ``locked``: there is none on a machine of this name, because we have the
    system's lock. Raises RootInUse."""
    found = _read(owner_file)
    if found is None:
        return
    if (found.host, found.boot) == (me.host, me.boot):
        if _started(found.pid) == found.started and found.pid != me.pid:
            raise RootInUse(_words(found, root))
        return
    if locked and found.host == me.host:  # from before a restart of the machine
        return
    say(f"{root} was last watched by {found.words}. Checking for up to {STALE:.0f} s whether it still is.")
    until = time.monotonic() + STALE
    while time.monotonic() < until:
        time.sleep(LOOK_EVERY)
        now = _read(owner_file)
        if now is None:
            return
        if now != found:
            raise RootInUse(_words(now, root))


def _claim(root: Path, owner_file: Path, me: Owner) -> None:
    """Of several that come at once, one succeeds."""
    with contextlib.suppress(OSError):
        owner_file.rename(owner_file.with_name(f"owner.{me.token}"))  # of those who find it stale, one has it
        owner_file.with_name(f"owner.{me.token}").unlink()
    try:
        with owner_file.open("x") as file:
            file.write(json.dumps(asdict(me)))
    except FileExistsError as e:
        raise RootInUse(_words(_read(owner_file), root)) from e
    except OSError:  # on a full disk, others cannot tell who it is
        return


def _read(owner_file: Path) -> Owner | None:
    """None if there is none, or if it is from a version that wrote only a number."""
    try:
        fields = json.loads(owner_file.read_text())
        return Owner(**fields)
    except (OSError, ValueError, TypeError):
        return None


def _words(owner: Owner | None, root: Path) -> str:
    if owner is not None and owner.host != platform.node():
        return (
            f"Another Stylefolder ({owner.words}) already watches {root}: stop it there, or choose another folder. If "
            f"it is gone, try again in {STALE:.0f} s."
        )
    number = owner.pid if owner is not None else "unknown"
    return (
        f"Another Stylefolder (process {number}) already watches {root}: run `stylefolder status` to see it, "
        "stop it, or choose another folder."
    )


def _started(pid: int) -> float | None:
    """When the process started; None if it does not run."""
    try:
        return round(float(psutil.Process(pid).create_time()), 1)
    except psutil.Error:
        return None


def _boot() -> str:
    """Different for each start of the machine, and for each container."""
    parts = [f"{psutil.boot_time():.0f}"]
    with contextlib.suppress(OSError):
        parts = [Path("/proc/sys/kernel/random/boot_id").read_text().strip()]
    with contextlib.suppress(OSError):
        parts.append(str(os.stat("/proc/self/ns/pid").st_ino))  # noqa: PTH116
    return " ".join(parts)
