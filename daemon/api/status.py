"""The daemon's state, its current work, what is waiting, and what was done. One answer for the API and all views."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import time

import psutil

from daemon.api.context import Context, SlotNow
from daemon.api.gauges import gauges
from daemon.api.schema import DeviceOut, SlotOut, StatusOut, ThroughputOut, job_out, utf8

RECENT, FAILURES = 12, 12
VERSION = importlib.metadata.version("stylefolder")


def status(context: Context) -> StatusOut:
    now, snapshot = time.time(), context.snapshot
    midnight = datetime.datetime.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    use = psutil.cpu_percent() / 100
    slots = [SlotOut(job=s.job, host=s.host, device=_device(s, use)) for s in snapshot.slots]
    with context.reading() as ledger:
        history = ledger.history
        counts, throughput = history.counts(), history.throughput(now)
        queued = {name: states["queued"] for name, states in counts.items() if "queued" in states}
        means = {name: history.mean_seconds(name) for name in queued}
        drain = {name: seconds * queued[name] for name, seconds in means.items() if seconds is not None}
        degraded = "degraded" if snapshot.problems else "healthy"
        return StatusOut(
            stylefolder=VERSION,
            state="paused" if ledger.queue.paused() else degraded,
            problems=[utf8(problem) for problem in snapshot.problems],
            remarks=[utf8(remark) for remark in snapshot.remarks],
            root=utf8(context.layout.root),
            pid=os.getpid(),
            running=list(snapshot.running),
            pending=list(snapshot.pending),
            pending_count=snapshot.pending_count,
            skipped=snapshot.skipped,
            inboxes={utf8(name): states for name, states in counts.items()},
            done_today={utf8(name): count for name, count in history.done_since(midnight).items()},
            drain={utf8(name): seconds for name, seconds in drain.items()},
            throughput=ThroughputOut(done=throughput.done, median=throughput.median, p95=throughput.p95),
            recent=[job_out(job) for job in history.ended_last("done", RECENT)],
            failures=[job_out(job) for job in history.ended_last("failed", FAILURES)],
            slots=slots,
            cluster=snapshot.cluster,
            device=slots[0].device if slots else gauges("cpu", None, None, use),
        )


def _device(slot: SlotNow, use: float) -> DeviceOut:
    if slot.host is None:
        return gauges(slot.device, slot.words, slot.worker, use)
    unknown = dict.fromkeys(("use", "memory_ours", "memory_others", "memory_total", "temperature", "load"))
    return DeviceOut(name=f"{slot.host}: {slot.words or slot.device}", **unknown)
