"""One Root's watcher, Ledger, Engine and local API, joined in one loop.

Threads: this loop, which alone writes to the Ledger for the folders and the Engine; the API's event loop, with a pool
of threads for its routes, which share a Ledger of their own; watchdog's observer and one thread for each watched
folder, which only set a flag; on a terminal, the status view and its reader. They share the Snapshot, which is replaced
and never changed, a queue of events, and two numbers in the worker's shared memory.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon.api import uploads
from daemon.api.context import Context, Snapshot
from daemon.api.outside import Listen
from daemon.api.running import Running
from daemon.api.server import serving
from daemon.cluster.hub import Hub, opened
from daemon.engine.engine import Engine
from daemon.engine.recovery import Adoption
from daemon.errors import LedgerGone, LedgerUnavailable, RootInUse, WorkerError
from daemon.events import Event, Heartbeat, JobDone, JobFailed, Listener, Note
from daemon.folders import failure_notes, originals
from daemon.folders.layout import Layout
from daemon.folders.notifications import Notifications
from daemon.folders.presets import Presets
from daemon.folders.problems import Problems
from daemon.folders.watcher import Watcher
from daemon.ledger.ledger import Ledger
from daemon.lifetime import Systemd
from daemon.lock import Lock
from daemon.sentences import photos
from daemon.settings import LiveSettings
from daemon.snapshot import snapshot
from daemon.start import open_ledger, recover
from stylecore.errors import StylefolderError

TICK = 0.25  # seconds that one turn listens to the Engine
IDLE_TICK = 1.0
LEDGER_TICK = 1.0  # between two tries while the Ledger cannot be used
WORKER_TICK = 10.0  # between two tries while no worker starts
CLEAR_EVERY = 3600.0  # seconds between two looks at old uploads
BEAT_EVERY = 300.0  # seconds of silence before a Heartbeat


class MainLoop:
    """The parts, joined; ``until`` is the loop. A context manager: leaving it ends the parts. It is the ``Loop`` that
    the API sees.

    Raises LedgerDamaged, LedgerUnavailable, RootInUse or StylefolderError if the parts cannot start.
    """

    def __init__(
        self,
        layout: Layout,
        device: str,
        show: Listener,
        settings: LiveSettings,
        systemd: Systemd,
        lock: Lock,
        damaged: bool,
        cluster: str | None = None,
    ) -> None:
        self.layout = Layout(layout.root, settings.current.results)
        self.show = show
        self.settings = settings
        self.systemd = systemd
        self.lock = lock
        self.failed = 0
        self._announced = time.monotonic()  # when anything was announced last
        self._cleared = time.monotonic()  # when old uploads were cleared last
        self._wake = threading.Event()
        self._later: queue.SimpleQueue[Event] = queue.SimpleQueue()  # what other threads have to announce
        self._subscribers: list[Listener] = [self._count, self._keep_reason, self._settle_original, show]
        self._running = Running()
        self._subscribers.insert(0, self._running.hear)
        self.problems = Problems(lambda sentence: self.announce(Note(sentence, warning=True)))
        self.ledger, new, remark = open_ledger(self.layout, damaged, show)
        self._remarks = [sentence for sentence in (lock.remark, remark) if sentence is not None]
        self.presets = Presets(self.layout, pin=True)
        self.cluster: Hub | None = None
        cluster = cluster or settings.current.cluster
        if cluster is not None and not settings.current.local:
            device = ""
        self.engine = Engine(self.ledger, device, self.announce, self.layout.result_path)
        recover(self.ledger, self.layout, self.presets, settings.current, self.announce, self.lock.beat)
        self.notifications = Notifications(self._wake, self._is_ours)
        self.watcher = Watcher(
            self.layout,
            self.ledger,
            self.presets,
            self.notifications,
            self.problems,
            self.announce,
            keep_alive=self._keep_alive,
            adopt=Adoption(self.layout, self.ledger) if new else None,
        )
        if cluster is not None:  # last: if anything before it fails, nothing is left listening
            self.cluster = opened(cluster, self.wake)
        self._publish()
        for sentence in (*self._remarks, *(self.cluster.invitation if self.cluster is not None else ())):
            self.announce(Note(sentence))

    def __enter__(self) -> MainLoop:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.notifications.stop()
        try:
            if kind not in (LedgerGone, RootInUse):  # else we would write where the Root was, or to another's Ledger
                self.engine.stop()
        except StylefolderError:  # the Ledger cannot be used: the next start recovers
            pass
        finally:
            self.engine.abandon()
            self.ledger.close()
            if self.cluster is not None:
                self.cluster.close()

    @contextlib.contextmanager
    def served(self, address_files: list[Path] | None, listen: Listen | None) -> Iterator[None]:
        """While the context lasts, the API answers. ``listen``: where other machines reach it, if not as the settings
        say."""
        if address_files is None:
            yield
            return
        where = f"Watching {self.layout.root}: drop photos into its folders, which are named after styles."
        self.announce(Note(f"{where} Press Ctrl+C to stop."))
        if listen is None and (address := self.settings.current.listen) is not None:
            listen = Listen(address)
        context = Context(self.layout, self, self.ledger)
        self._subscribers.append(context.hear)
        try:
            with serving(context, address_files[0], address_files[1:], self.announce, listen):
                yield
        finally:
            self._subscribers.remove(context.hear)
            context.close()

    def until(self, stopped: Callable[[], bool], once: bool, each_turn: Callable[[Ledger], bool] | None) -> None:
        while not stopped():
            wait = IDLE_TICK
            self._keep_alive()
            try:
                more = self._turn()
            except LedgerUnavailable as e:
                self.problems.set("ledger", str(e))
                wait = LEDGER_TICK
            except WorkerError as e:
                if once:
                    raise
                self.problems.set("worker", str(e))
                wait = WORKER_TICK
            else:
                self.problems.set("ledger", None)
                if each_turn is not None and each_turn(self.ledger):
                    return
                if once and self._all_done():
                    self.announce(Note("Nothing is left to do."))
                    return
                self._beat()
                if more:
                    continue
                wait = TICK if self.watcher.unfinished else IDLE_TICK
            self._publish()
            self._wake.wait(wait)
            self._wake.clear()
        if left := self.ledger.history.count("queued", "running"):
            self.announce(Note(f"Stopping with {photos(left)} left. Work resumes next time.", warning=True))

    def announce(self, event: Event) -> None:
        """Send the event to all subscribers. Call this only in the loop's thread."""
        for hear in list(self._subscribers):
            hear(event)

    # The Loop that the API sees

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    def cancel(self, job: int) -> None:
        self.engine.cancel(job)

    def want_previews(self, wanted: bool) -> None:
        self.engine.want_previews(wanted)

    def wake(self) -> None:
        self._wake.set()

    def announce_later(self, event: Event) -> None:
        self._later.put(event)
        self.wake()

    # One turn

    def _turn(self) -> bool:
        """Give each part its turn. Returns whether there may be more to do right away."""
        self.ledger.check()
        if not os.path.isdir(self.layout.own_folder):
            raise LedgerGone(f"The folder {self.layout.own_folder} is gone.")
        self.settings.refresh()
        settings = self.settings.current
        self.layout = Layout(self.layout.root, settings.results)
        self.engine.result_path = self.layout.result_path
        self.problems.set("settings", self.settings.problem)
        if time.monotonic() - self._cleared > CLEAR_EVERY:
            self._cleared = time.monotonic()
            uploads.clear(self.layout.uploads, self.ledger, settings.upload_hours * 3600, CLEAR_EVERY)
        while not self._later.empty():
            self.announce(self._later.get())
        had_pending = bool(self.watcher.pending)
        polling = settings.polling if settings.polling != "auto" else None
        self.watcher.turn(self.layout, settings.originals, polling)
        if self.watcher.pending and not had_pending and not self.ledger.queue.paused():
            self.engine.warm()
        self._publish()
        if self.cluster is not None:
            self.problems.set("cluster", self.cluster.problem)
            for slot in self.cluster.came():
                self.engine.join(slot, slot.device)
        more = self.engine.turn(TICK, settings)
        self.problems.set("disk", self.engine.waits_for)
        if self.engine.ready:
            self.problems.set("worker", None)
        self._publish()
        return more

    def _publish(self) -> None:
        self._snapshot = snapshot(
            self.watcher,
            self.engine,
            self.presets,
            self._running,
            problems=self.problems.all,
            remarks=self._remarks,
            cluster=self.cluster,
            settings=self.settings.current,
        )

    def _keep_alive(self) -> None:
        """Cheap: call it often during long work. Raises RootInUse if another machine has taken over."""
        self.systemd.alive()
        self.lock.beat()
        if self.cluster is not None:
            self.cluster.alive()

    def _is_ours(self, path: Path) -> bool:
        return self.layout.is_ours(path)

    def _all_done(self) -> bool:
        if not self.engine.idle or self.watcher.unfinished:
            return False
        left = self.ledger.history.count("queued", "running", "cancelling")
        if left and self.ledger.queue.paused():
            raise StylefolderError(
                f"Work is paused with {photos(left)} left: run `stylefolder watch`, then `stylefolder resume`."
            )
        return not left

    def _beat(self) -> None:
        """Show readers of plain lines that the daemon is alive."""
        if time.monotonic() - self._announced > BEAT_EVERY:
            counts = [self.ledger.history.count(state) for state in ("queued", "done", "failed")]
            self.announce(Heartbeat(*counts))

    # Subscribers

    def _count(self, event: Event) -> None:
        self._announced = time.monotonic()
        self.failed += isinstance(event, JobFailed)

    def _keep_reason(self, event: Event) -> None:
        if problem := failure_notes.keep(self.layout, event):
            self.show(Note(problem, warning=True))

    def _settle_original(self, event: Event) -> None:
        if isinstance(event, JobDone):
            if str(event.job.photo) in self.presets.named_photos:
                return
            for due in self.ledger.originals.due(event.job):
                originals.settle(self.ledger, self.layout, due, self.announce)
