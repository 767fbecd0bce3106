// The list of Jobs: what the daemon said last about each, as an element of the list.

import { ask, Away, Refused } from "./api.js";
import { compare } from "./compare.js";

const list = document.getElementById("jobs");
const template = document.getElementById("job");
const rows = new Map(); // by the Job's number
const WORDS = { queued: "Waiting", running: "Painting", cancelling: "Stopping", done: "Done", failed: "Failed",
  cancelled: "Cancelled" };
const SHOWN = { compare: ["done"], download: ["done"], cancel: ["queued", "running"], retry: ["failed", "cancelled"],
  remove: ["done", "failed", "cancelled"] };

/** All Jobs, the newest first, in place of those that are shown. */
export function showAll(jobs) {
  const known = new Set(jobs.map((job) => job.id));
  for (const id of [...rows.keys()]) if (!known.has(id)) forget(id);
  for (const job of [...jobs].reverse()) show(job);
}

/** What the daemon says about one Job. `running`: of a status or an event, with share, seconds and left. */
export function show(job, running = null) {
  const row = rows.get(job.id) ?? added(job);
  if (running === null && job.state !== "running") row.progress = null;
  row.job = job;
  if (running) row.progress = running;
  const { state } = job;
  row.item.className = state;
  row.item.querySelector("h3").textContent = job.photo;
  row.item.querySelector(".state").textContent = words(row);
  const bar = row.item.querySelector("progress");
  bar.hidden = state !== "running";
  bar.value = row.progress?.share ?? 0;
  for (const [act, states] of Object.entries(SHOWN)) {
    row.item.querySelector(`[data-act="${act}"]`).hidden = !states.includes(state);
  }
  picture(row);
  changed();
}

/** The painting so far, as base64 of a JPEG. */
export function preview(id, jpeg) {
  const row = rows.get(id);
  if (row) row.item.querySelector("img").src = `data:image/jpeg;base64,${jpeg}`;
}

export function forget(id) {
  rows.get(id)?.item.remove();
  rows.delete(id);
  changed();
}

function added(job) {
  const item = template.content.firstElementChild.cloneNode(true);
  const row = { item, job, progress: null, source: null };
  rows.set(job.id, row);
  item.dataset.job = job.id;
  item.querySelector("progress").setAttribute("aria-label", `Progress of ${job.photo}`);
  for (const button of item.querySelectorAll("[data-act]")) {
    button.setAttribute("aria-label", `${button.textContent} ${job.photo}`);
    if (button.tagName === "BUTTON") button.addEventListener("click", () => act(row, button.dataset.act));
  }
  item.querySelector('[data-act="download"]').href = `/v1/jobs/${job.id}/result`;
  const image = item.querySelector("img");
  image.addEventListener("error", () => { image.hidden = true; }); // not a picture, or gone
  image.addEventListener("load", () => { image.hidden = false; });
  list.prepend(item);
  return row;
}

function words({ job, progress }) {
  const parts = [job.preset, WORDS[job.state]];
  if (job.state === "queued" && job.ahead) parts.push(`${job.ahead} before it`);
  if (job.state === "running" && progress) {
    parts.push(`${Math.round((progress.share ?? 0) * 100)} %`);
    if (progress.left) parts.push(`about ${time(progress.left)} left`);
  }
  if (job.state === "done" && job.seconds !== null) parts.push(time(job.seconds));
  if (job.state === "done" && job.notes.length) parts.push(...job.notes);
  if (job.state === "failed" && job.reason) parts.push(job.reason);
  return parts.join(" · ");
}

export function time(seconds) {
  return seconds < 100 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;
}

function picture(row) {
  const { job } = row;
  const of = job.state === "done" ? "result" : "photo";
  const source = `/v1/jobs/${job.id}/picture?of=${of}&edge=256&v=${job.finished_at ?? ""}`;
  const wanted = of === "result" || row.source === null || job.state === "failed" || job.state === "cancelled";
  if (!wanted || row.source === source) return;
  row.source = source;
  const image = row.item.querySelector("img");
  image.loading = "lazy";
  image.hidden = false;
  image.src = source;
  const download = row.item.querySelector('[data-act="download"]');
  const suffix = job.result?.match(/\.\w+$/)?.[0] ?? "";
  download.download = `${job.photo.replace(/\.\w+$/, "")} (${job.preset})${suffix}`;
}

async function act(row, what) {
  const path = `/v1/jobs/${row.job.id}`;
  if (what === "compare") return compare(row.job);
  try {
    if (what === "retry") show(await ask("POST", `${path}/retry`));
    if (what === "cancel") show(await ask("DELETE", path));
    if (what === "remove") {
      await ask("DELETE", path);
      forget(row.job.id);
    }
  } catch (error) {
    if (!(error instanceof Refused || error instanceof Away)) throw error;
    row.item.querySelector(".state").textContent = error.message;
  }
}

function changed() {
  document.getElementById("empty").hidden = rows.size > 0;
  const done = [...rows.values()].filter(({ job }) => job.state === "done").length;
  document.getElementById("all").hidden = done === 0;
}
