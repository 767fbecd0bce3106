"""What the API sees of the parts that `watch` joins, at one moment."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.api.context import SlotNow, Snapshot
from daemon.api.running import Running
from daemon.api.schema import PendingOut, utf8
from daemon.cluster.hub import Hub
from daemon.engine.engine import Engine
from daemon.folders.polling import polling_remarks
from daemon.folders.presets import Presets
from daemon.folders.watcher import Watcher
from daemon.settings import Settings

PENDING_SHOWN = 100


def snapshot(
    watcher: Watcher,
    engine: Engine,
    presets: Presets,
    running: Running,
    *,
    problems: tuple[str, ...],
    remarks: Iterable[str],
    cluster: Hub | None,
    settings: Settings,
) -> Snapshot:
    pending = watcher.pending
    shown = [(name, pending[name]) for name, _ in zip(pending, range(PENDING_SHOWN), strict=False)]
    return Snapshot(
        presets=presets.in_force,
        preset_errors=presets.errors,
        running=running.jobs,
        pending=tuple(PendingOut(photo=utf8(name), waits_for=file.waits_for) for name, file in shown),
        pending_count=len(pending),
        problems=problems,
        remarks=(*remarks, *(cluster.remarks if cluster is not None else ()), *polling_remarks(watcher.polled)),
        skipped=watcher.inboxes.skipped,
        slots=tuple(
            SlotNow(r.device, r.words, r.slot.pid, None if r.work is None else r.work.job.id, r.slot.host)
            for r in engine.runners
        ),
        cluster=None if cluster is None else cluster.address,
        settings=settings,
    )
