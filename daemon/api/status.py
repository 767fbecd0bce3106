"""The daemon's state, its current work, what is waiting, and what was done. One answer for the API and all views."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import time

import psutil

from daemon.api.auth import Caller
from daemon.api.context import Context, SlotNow
from daemon.api.gauges import gauges
from daemon.api.schema import DeviceOut, RunningOut, SlotOut, StatusOut, ThroughputOut, utf8
from daemon.api.uploads import is_here
from daemon.api.without_paths import without_paths

RECENT, FAILURES = 12, 12
VERSION = importlib.metadata.version("stylefolder")


def status(context: Context, caller: Caller) -> StatusOut:
    """``caller``: a client sees its own Jobs only, and no paths."""
    now, snapshot = time.time(), context.snapshot
    at_home = caller.client is None

    def shown(one: RunningOut) -> RunningOut:
        return one if at_home else one.model_copy(update={"job": without_paths(one.job)})

    midnight = datetime.datetime.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    use = psutil.cpu_percent() / 100
    slots = [
        SlotOut(job=s.job if s.job and context.sees(caller, s.job) else None, host=s.host, device=_device(s, use))
        for s in snapshot.slots
    ]
    with context.reading() as ledger:
        history = ledger.history
        counts, throughput = history.counts(caller.only), history.throughput(now)
        queued = {name: states["queued"] for name, states in counts.items() if "queued" in states}
        means = {name: history.mean_seconds(name) for name in queued}
        drain = {name: seconds * queued[name] for name, seconds in means.items() if seconds is not None}
        degraded = "degraded" if snapshot.problems else "healthy"
        return StatusOut(
            stylefolder=VERSION,
            state="paused" if ledger.queue.paused() else degraded,
            problems=[utf8(problem) for problem in snapshot.problems] if at_home else [],
            remarks=[utf8(remark) for remark in snapshot.remarks] if at_home else [],
            root=utf8(context.layout.root) if at_home else "",
            pid=os.getpid(),
            running=[shown(one) for one in snapshot.running if context.sees(caller, one.job.id)],
            pending=list(snapshot.pending) if at_home else [],
            pending_count=snapshot.pending_count,
            skipped=snapshot.skipped,
            inboxes={utf8(name): states for name, states in counts.items()},
            done_today={utf8(name): count for name, count in history.done_since(midnight, caller.only).items()},
            drain={utf8(name): seconds for name, seconds in drain.items()},
            throughput=ThroughputOut(done=throughput.done, median=throughput.median, p95=throughput.p95),
            recent=[caller.shown(job) for job in history.ended_last("done", RECENT, caller.only)],
            failures=[caller.shown(job) for job in history.ended_last("failed", FAILURES, caller.only) if is_here(job)],
            slots=slots,
            cluster=snapshot.cluster,
            device=slots[0].device if slots else gauges("cpu", None, None, use),
        )


def _device(slot: SlotNow, use: float) -> DeviceOut:
    if slot.host is None:
        return gauges(slot.device, slot.words, slot.worker, use)
    unknown = dict.fromkeys(("use", "memory_ours", "memory_others", "memory_total", "temperature", "load"))
    return DeviceOut(name=f"{slot.host}: {slot.words or slot.device}", **unknown)
