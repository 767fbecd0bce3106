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
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import filelock
import psutil

from daemon.errors import RootInUse
from stylecore.errors import StylefolderError, cause

BEAT = 15.0  # seconds between two heartbeats
STALE = 60.0  # seconds without one after which the holder is dead, or its machine is cut off
LOOK_EVERY = 0.5
SETTLE = 2.0  # seconds after which a claim on a file server counts
SAME_START = 5.0  # seconds by which two looks at one process's start may differ: clocks are corrected
LENGTH = 512  # bytes of the file, which is overwritten in place: a reader never finds it empty


@dataclass(frozen=True)
class Owner:
    """Who holds the Root. ``host``: the machine's name. ``machine``: its identity. ``boot``: tells its restarts, and
    its containers, apart. ``started``: when the process did, in Unix seconds. ``beat``: grows with every heartbeat."""

    host: str
    machine: str
    boot: str
    pid: int
    started: float
    token: str
    beat: int = 0

    @property
    def words(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else "on another machine"


SOMEONE = Owner("another machine", "", "", 0, 0.0, "")
"""Whoever wrote a file that cannot be read."""


class Lock:
    """Held while ``only_one`` lasts. ``remark``: how it is held, if not as usual."""

    def __init__(self, root: Path, owner_file: Path, me: Owner, remark: str | None) -> None:
        self.root = root
        self.remark = remark
        self._file = owner_file
        self._me = me
        self._beaten = (time.monotonic(), time.time())

    def beat(self) -> None:
        """Cheap: call it often. Raises RootInUse if another machine has taken over, because it heard no heartbeat."""
        steady, wall = time.monotonic(), time.time()
        # The steady clock stands still while the machine sleeps.
        if steady - self._beaten[0] < BEAT and abs(wall - self._beaten[1]) < BEAT:
            return
        self._beaten = steady, wall
        found = _read(self._file)
        if found is not None and found.token != self._me.token and found is not SOMEONE:
            raise RootInUse(_words(found, self.root))
        self._me = replace(self._me, beat=self._me.beat + 1)
        with contextlib.suppress(OSError):  # a full disk, a Root that was removed: reported elsewhere
            _write(self._file, self._me, "r+b" if found is not None else "xb")

    def release(self) -> None:
        found = _read(self._file)
        if found is not None and found.token == self._me.token:
            with contextlib.suppress(OSError):
                self._file.unlink()


@contextlib.contextmanager
def only_one(
    root: Path,
    lock_file: Path,
    *,
    shared: bool,
    say: Callable[[str], None],
    alive: Callable[[], None] = lambda: None,
) -> Iterator[Lock]:
    """Hold the Root. ``shared``: it is on a file server, whose locks may not reach other machines. ``say`` receives a
    sentence if this takes long, and ``alive`` is called in the meantime. Raises RootInUse, which names the other
    daemon, and what ``alive`` raises."""
    owner_file = lock_file.with_name("owner")
    with contextlib.ExitStack() as stack:
        refusal = _take_systems_lock(stack, root, lock_file, owner_file)
        own_start = _started(os.getpid()) or 0.0
        me = Owner(platform.node(), _machine(), _boot(), os.getpid(), own_start, secrets.token_hex(8))
        locked = refusal is None and not shared
        found = _read(owner_file)
        if found is not None and not _is_dead(root, found, me, locked=locked):
            say(f"{root} was last watched by {found.words}. Checking for up to {STALE:.0f} s whether it still is.")
            found = _when_stale(root, owner_file, found, alive)
        _claim(root, owner_file, me, found, settle=0.0 if locked else SETTLE)
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
            f"The folder {root} cannot be used ({cause(e)}): check its permissions, or choose another."
        ) from e
    lock = filelock.FileLock(lock_file, fallback_to_soft=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as e:
        raise RootInUse(_words(_read(owner_file), root)) from e
    except (OSError, NotImplementedError) as e:
        return cause(e) if isinstance(e, OSError) else "not supported"
    stack.callback(lock.release)
    return None


def _is_dead(root: Path, found: Owner, me: Owner, *, locked: bool) -> bool:
    """Whether the owner is certainly gone. ``locked``: no daemon of this machine runs, because we have the system's
    lock. Raises RootInUse if it certainly runs."""
    if (found.machine, found.host) != (me.machine, me.host):
        return False
    if found.boot != me.boot:  # from before a restart, or of another container
        return locked
    started = _started(found.pid)
    if started is None or found.pid == me.pid:
        return True
    if abs(started - found.started) < SAME_START:
        raise RootInUse(_words(found, root))
    return locked


def _when_stale(root: Path, owner_file: Path, found: Owner, alive: Callable[[], None]) -> Owner | None:
    """The owner's file, when it has not changed for long; None if it is gone. Raises RootInUse."""
    until = time.monotonic() + STALE
    while time.monotonic() < until:
        alive()
        time.sleep(LOOK_EVERY)
        now = _read(owner_file)
        if now is None:
            return None
        if now != found:
            raise RootInUse(_words(now, root))
    return found


def _claim(root: Path, owner_file: Path, me: Owner, stale: Owner | None, *, settle: float) -> None:
    """Take the place of the ``stale`` owner. Of several that come at once, one succeeds. ``settle``: seconds to wait
    for others' claims to show. Raises RootInUse."""
    if stale is not None:
        aside = owner_file.with_name(f"owner.{me.token}")
        with contextlib.suppress(OSError):
            owner_file.rename(aside)
            taken = _read(aside)
            aside.unlink()
            if taken is not None and taken.token != stale.token:  # someone was quicker
                _write(owner_file, taken, "xb")
                raise RootInUse(_words(taken, root))
    try:
        _write(owner_file, me, "xb")
    except FileExistsError as e:
        raise RootInUse(_words(_read(owner_file), root)) from e
    except OSError:  # on a full disk, others cannot tell who it is
        return
    time.sleep(settle)
    found = _read(owner_file)
    if found is not None and found.token != me.token:
        raise RootInUse(_words(found, root))


def _write(owner_file: Path, owner: Owner, mode: str) -> None:
    with owner_file.open(mode, buffering=0) as file:
        file.write(json.dumps(asdict(owner)).encode().ljust(LENGTH))


def _read(owner_file: Path) -> Owner | None:
    """None if there is none."""
    try:
        text = owner_file.read_text()
        if text.isdigit():
            return Owner(platform.node(), _machine(), "", int(text), 0.0, "")  # of 0.1.0, which wrote its number
        found = json.loads(text)
        return Owner(**{field.name: found[field.name] for field in fields(Owner)})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        return SOMEONE


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


def _machine() -> str:
    with contextlib.suppress(OSError):
        return Path("/etc/machine-id").read_text().strip()
    return f"{uuid.getnode():x}"


def _boot() -> str:
    """Different for each start of the machine, and for each container."""
    parts = [f"{psutil.boot_time():.0f}"]
    with contextlib.suppress(OSError):
        parts = [Path("/proc/sys/kernel/random/boot_id").read_text().strip()]
    with contextlib.suppress(OSError):
        parts.append(str(os.stat("/proc/self/ns/pid").st_ino))  # noqa: PTH116
    return " ".join(parts)
