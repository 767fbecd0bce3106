"""``stylefolder watch``: one Root's watcher, Ledger, Engine and local API, joined in one loop."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from daemon import paths
from daemon.api import uploads
from daemon.api.app import Inside
from daemon.api.event_stream import Hub
from daemon.api.gauges import gauges
from daemon.api.running import Running
from daemon.api.schema import PendingOut, text
from daemon.api.server import serving
from daemon.commands import install_gimp, install_service
from daemon.engine.engine import Engine, WorkerError
from daemon.engine.recovery import Adoption, clear_all_parts, clear_styles, finish_interrupted
from daemon.events import Event, Heartbeat, JobDone, JobFailed, Note
from daemon.folders import originals
from daemon.folders.notifications import Hints
from daemon.folders.presets import Library
from daemon.folders.problems import Problems
from daemon.folders.watcher import Watcher
from daemon.folders.welcome import welcome
from daemon.ledger.database import LedgerDamaged, LedgerFull, LedgerGone, LedgerOld, set_aside
from daemon.ledger.job import Job
from daemon.ledger.ledger import Ledger
from daemon.lifetime import only_one, stoppable
from daemon.settings import LiveSettings
from stylecore.errors import ResultError, StylefolderError
from stylecore.images.atomic_write import write_whole
from stylecore.images.encode import EXTENSIONS

TICK = 0.25  # seconds that the Engine is heard out in one turn
IDLE_TICK = 1.0
SIGN_EVERY = install_service.WATCHDOG / 4
SPOOL_EVERY = 3600.0
BEAT_EVERY = 300.0  # seconds of silence
FULL_TICK = 1.0  # between two tries where the Ledger's disk is full
WORKER_TICK = 10.0  # between two tries where no worker starts

Show = Callable[[Event], None]


def watch(
    root: Path,
    device: str,
    show: Show,
    *,
    once: bool = False,
    api: bool = True,
    each_turn: Callable[[Ledger], bool] | None = None,
) -> int:
    """Style what lies in the Inboxes and what is dropped there, until ctrl-C or SIGTERM; with ``once`` until all is
    done. ``each_turn`` is asked after every turn whether to end. Returns how many photos failed meanwhile.

    A Root that is taken away is waited for; a damaged Ledger is set aside and made again from what lies in the folders.
    """
    _make_root(root, show)
    welcome(root)
    settings = LiveSettings(paths.settings_file(), root)
    failed, damaged = 0, False
    with stoppable() as stopped:
        while True:
            try:
                with only_one(root), _Watch(root, device, show, settings, damaged) as running:
                    damaged = False
                    if api:
                        running.tell(
                            Note(
                                f"Watching {root}: drop photos into its folders, each named after a style. ctrl-C ends."
                            )
                        )
                    try:
                        with (
                            serving(running.inside(), paths.address_file(), install_gimp.address_files(), running.tell)
                            if api
                            else contextlib.nullcontext()
                        ):
                            install_service.tell_systemd("READY=1")
                            running.until(stopped, once, each_turn)
                    finally:
                        failed += running.failed
                return failed
            except LedgerGone:
                if once:
                    raise
                show(Note(f"The folder {root} was taken away: it goes on when it is back.", warning=True))
                while not stopped() and not os.path.isdir(root):  # noqa: PTH112  # of a dead mount it says no, and does not raise
                    install_service.tell_systemd("WATCHDOG=1")
                    time.sleep(TICK)
                if stopped():
                    return failed
            except LedgerDamaged as e:
                show(Note(str(e), warning=True))
                damaged = True  # what was found in use may be found by no check at its opening


class RootIsNone(StylefolderError):
    """What was named is no folder."""

    exit_status = 2


class _Watch:
    """The parts, joined; ``until`` is the loop. A context: leaving it ends the parts."""

    def __init__(self, root: Path, device: str, show: Show, settings: LiveSettings, damaged: bool) -> None:
        self.root = root
        self.show = show
        self.settings = settings
        self.failed = 0
        self._told = time.monotonic()  # when anything was told last
        self._signed = 0.0
        self._spool_cleared = time.monotonic()
        self.wake = threading.Event()
        self.outbox: queue.SimpleQueue[Event] = queue.SimpleQueue()  # what other threads have to tell
        self.working = Running()
        self.problems = Problems(lambda sentence: self.tell(Note(sentence, warning=True)))
        self.ledger, rebuilt = self._open_ledger(damaged)
        self.library = Library(root, paths.style_store(root))
        self.engine = Engine(
            self.ledger, device, lambda job: result_names(root, self.ledger, job, self._results()), self.tell,
            patience=lambda: self.settings.current.patience, original=lambda: self.settings.current.originals,
        )  # fmt: skip
        self.hub = Hub(self._want_previews)
        self._recover()
        self.hints = Hints(self.wake, lambda path: paths.is_ours(root, path, self._results()))
        self.watcher = Watcher(
            root, self.ledger, self.library, self.hints, self.problems, self.tell,
            results=self._results, adopt=Adoption(root, self._results) if rebuilt else None,
            original=lambda: self.settings.current.originals, beat=self._sign_of_life,
        )  # fmt: skip

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.hints.stop()
        try:
            self.engine.stop()
        except StylefolderError:  # a Ledger that cannot be used finds out at the next start
            pass
        finally:
            self.engine.abandon()
            self.ledger.close()

    def until(self, stopped: Callable[[], bool], once: bool, each_turn: Callable[[Ledger], bool] | None) -> None:
        while not stopped():
            wait = IDLE_TICK
            self._sign_of_life()
            try:
                more = self._turn()
            except LedgerFull as e:
                self.problems.set("ledger", str(e))
                wait = FULL_TICK
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
                    self.tell(Note("Nothing is left to do."))
                    return
                self._beat()
                if more:
                    continue
                wait = IDLE_TICK if not (self.watcher.pending or self.watcher.unfinished) else TICK
            self.wake.wait(wait)
            self.wake.clear()
        if left := self.ledger.count("queued", "running"):
            self.tell(
                Note(
                    f"It ends; {'1 photo is' if left == 1 else f'{left} photos are'} left for the next start.",
                    warning=True,
                )
            )

    def _sign_of_life(self) -> None:
        if time.monotonic() - self._signed > SIGN_EVERY:
            self._signed = time.monotonic()
            install_service.tell_systemd("WATCHDOG=1")

    def _beat(self) -> None:
        """Who reads plain lines knows that it lives."""
        if time.monotonic() - self._told > BEAT_EVERY:
            counts = [self.ledger.count(state) for state in ("queued", "done", "failed")]
            self.tell(Heartbeat(*counts))

    def tell(self, event: Event) -> None:
        """To all who want to know."""
        self._told = time.monotonic()
        self.failed += isinstance(event, JobFailed)
        self.working.hear(event)
        if isinstance(event, (JobFailed, JobDone)):
            self._keep_reason(event)
        if isinstance(event, JobDone) and event.job.original is not None:
            originals.settle(self.ledger, self.root, event.job, self.tell)
        self.hub.publish(event)
        self.show(event)

    def inside(self) -> Inside:
        return Inside(
            root=self.root, spool=paths.spool_folder(self.root), hub=self.hub,
            open_ledger=lambda: Ledger(paths.ledger_file(self.root), self.root),
            presets=lambda: self.library.presets, preset_errors=lambda: self.library.errors,
            running=lambda: list(self.working.jobs.values()), pending=self._pending, problems=lambda: self.problems.all,
            device=lambda: gauges(self.engine.device, self.working.device, self.engine.worker),
            upload_limit=lambda: self.settings.current.upload_limit << 20, cancel=self.engine.cancel, wake=self.wake.set,
            tell=self._tell_later,
        )  # fmt: skip

    def _turn(self) -> bool:
        """Each part's turn; returns whether there may be more to do at once."""
        self.ledger.check()
        self.settings.refresh()
        self.problems.set("settings", self.settings.problem)
        if time.monotonic() - self._spool_cleared > SPOOL_EVERY:
            self._spool_cleared = time.monotonic()
            uploads.clear(paths.spool_folder(self.root), self.ledger, SPOOL_EVERY)
        while not self.outbox.empty():
            self.tell(self.outbox.get())
        had = bool(self.watcher.pending)
        self.watcher.turn()
        if self.watcher.pending and not had and not self.ledger.paused():
            self.engine.warm()
        more = self.engine.turn(TICK)
        self.problems.set("disk", self.engine.waits_for)
        if self.engine.worked:
            self.problems.set("worker", None)
        return more

    def _all_done(self) -> bool:
        if not self.engine.idle or self.watcher.pending or self.watcher.unfinished:
            return False
        left = self.ledger.count("queued", "running")
        if left and self.ledger.paused():
            raise StylefolderError(
                f"{left} photos are left: work is paused; `stylefolder watch` and `stylefolder resume` let it go on."
            )
        return not left

    def _open_ledger(self, damaged: bool) -> tuple[Ledger, bool]:
        """And whether it had to be made again."""
        path, why = paths.ledger_file(self.root), "was damaged"
        if not damaged:
            try:
                return Ledger(path, self.root), False
            except LedgerOld:
                why = "is of an older stylefolder"
            except LedgerDamaged:
                pass
        aside = set_aside(path)
        self.show(
            Note(
                f"The Ledger {why} and is set aside as {aside}: it is made again from what lies in the folders.",
                warning=True,
            )
        )
        return Ledger(path, self.root), True

    def _recover(self) -> None:
        results = self._results()
        clear_all_parts(self.root, results, self.ledger.jobs("running"))
        for job in finish_interrupted(self.ledger, self.root, results, self.settings.current.originals):
            self.tell(JobDone(job, (), (), {}))
        for job in self.ledger.recover():
            self.tell(JobFailed(job))
        for job in self.ledger.originals_to_settle():
            originals.settle(self.ledger, self.root, job, self.tell)
        uploads.clear(paths.spool_folder(self.root), self.ledger)
        clear_styles(paths.style_store(self.root), [*self.library.presets.values(), *self.ledger.recipes_in_use()])

    def _results(self) -> str:
        return self.settings.current.results

    def _pending(self) -> list[PendingOut]:
        return [
            PendingOut(photo=text(Path(name)), waits_for=pending.waits_for)
            for name, pending in list(self.watcher.pending.items())
        ]

    def _tell_later(self, event: Event) -> None:
        self.outbox.put(event)
        self.wake.set()

    def _want_previews(self, wanted: bool) -> None:
        self.engine.controls.previews.value = wanted

    def _keep_reason(self, event: JobFailed | JobDone) -> None:
        """The reason for a failure lies beside the photo until it succeeds."""
        path = paths.reason_path(self.root, event.job)
        if path is None:
            return
        try:
            if isinstance(event, JobFailed):
                write_whole(path, f"{paths.printable(event.job.photo.name)}: {event.job.reason}\n".encode())
            elif path.exists():
                path.unlink()
                with contextlib.suppress(OSError):  # other reasons are in it
                    path.parent.rmdir()
        except (ResultError, OSError) as e:
            self.show(Note(f"The reason cannot be kept in {path}: {e}", warning=True))


def result_names(root: Path, ledger: Ledger, job: Job, results: str) -> dict[str, Path]:
    """For each extension the path that this Job's Result takes, clear of whatever it must not overwrite."""
    return {
        extension: paths.free(
            paths.result_path(root, job, extension, results), lambda path: not ledger.may_write(path, job)
        )
        for extension in EXTENSIONS.values()
    }


def _make_root(root: Path, show: Show) -> None:
    try:
        if not root.exists():
            show(Note(f"The folder {root} was not there, and is made."))
        root.mkdir(parents=True, exist_ok=True)
        paths.own_folder(root).mkdir(exist_ok=True)
    except FileExistsError as e:
        raise RootIsNone(f"{root} is a file: name the folder to watch.") from e
    except OSError as e:
        raise StylefolderError(
            f"The folder {root} cannot be used ({e.strerror}): name another, or mend its rights."
        ) from e
