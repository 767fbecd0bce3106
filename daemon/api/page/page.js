// The page: sign in, choose a style, send photos, and follow what the daemon says about them.

import { ask, Away, Refused } from "./api.js";
import { preview, show, showAll, time } from "./jobs.js";
import { left, send } from "./send.js";

const $ = (id) => document.getElementById(id);
const LINE = /#(?:[\w-]{43}\.)?([\w-]{16})'?$/;
const EVERY = 10_000; // milliseconds between two looks at the status
const ABOUT_JOBS = ["JobQueued", "JobStarted", "JobChosen", "JobStepped", "JobDone", "JobFailed", "JobCancelled"];
let events = null;
let refreshing = null;

start();
setInterval(() => { if (!$("work").hidden) refresh(); }, EVERY);

async function start() {
  const code = location.hash;
  if (code) {
    history.replaceState(null, "", "/"); // the code works once: keep it out of the history
    if (await pair(code)) return work();
    return;
  }
  try {
    await ask("GET", "/v1/me");
    work();
  } catch (error) {
    if (error instanceof Refused) return signIn();
    if (!(error instanceof Away)) throw error;
    $("status").textContent = error.message;
    setTimeout(start, 3000);
  }
}

function signIn(why = "") {
  events?.close();
  $("work").hidden = true;
  $("leave").hidden = true;
  $("pairing").hidden = false;
  $("refused").textContent = why;
  $("status").textContent = "";
}

async function pair(line) {
  const code = line.trim().match(LINE)?.[1];
  if (!code) {
    signIn("That is not a line from stylefolder pair: copy all of it.");
    return false;
  }
  try {
    await ask("POST", "/v1/clients", { json: { code, name: browser(), cookie: true } });
    return true;
  } catch (error) {
    if (!(error instanceof Refused || error instanceof Away)) throw error;
    signIn(error instanceof Away ? "The daemon does not answer: try again in a moment." : error.message);
    return false;
  }
}

function browser() {
  const agent = navigator.userAgent;
  const kind = ["Firefox", "Edg", "Chrome", "Safari"].find((name) => agent.includes(name)) ?? "A browser";
  const where = agent.match(/\(([^;)]+)/)?.[1] ?? "";
  return `${kind === "Edg" ? "Edge" : kind} (${where})`.slice(0, 100);
}

async function work() {
  $("pairing").hidden = true;
  $("work").hidden = false;
  $("leave").hidden = false;
  await refresh();
  if (!$("work").hidden) listen();
}

/** Everything as the daemon has it now. At most one at a time. */
function refresh() {
  refreshing ??= look().finally(() => { refreshing = null; });
  return refreshing;
}

async function look() {
  try {
    const [status, { jobs }, { presets }] = await Promise.all([
      ask("GET", "/v1/status"), ask("GET", "/v1/jobs", { query: { limit: 1000 } }), ask("GET", "/v1/presets"),
    ]);
    choices(presets.filter((preset) => preset.strength !== null));
    showAll(jobs.filter((job) => job.source === "upload"));
    for (const running of status.running) if (running.job.source === "upload") show(running.job, running);
    $("status").textContent = inWords(status);
  } catch (error) {
    if (error instanceof Refused && error.status === 403) return signIn("Sign in again: this browser is not paired any more.");
    if (!(error instanceof Refused || error instanceof Away)) throw error;
    $("status").textContent = error.message;
  }
}

function inWords(status) {
  const sum = (state) => Object.values(status.inboxes).reduce((all, counts) => all + (counts[state] ?? 0), 0);
  const parts = [{ healthy: "Ready", degraded: "Something is wrong on the daemon's machine", paused: "Paused" }[status.state]];
  parts.push(...status.slots.slice(0, 2).map((slot) => slot.device.name));
  if (status.slots.length > 2) parts.push(`${status.slots.length} devices`);
  if (status.running.length) parts.push(`painting ${status.running.length}`);
  if (sum("queued")) parts.push(`${sum("queued")} waiting`);
  const drain = Math.max(0, ...Object.values(status.drain));
  if (drain) parts.push(`about ${time(drain)} to go`);
  if (left()) parts.push(`sending ${left()}`);
  return parts.join(" · ");
}

function choices(presets) {
  const shown = [...$("presets").querySelectorAll("input")].map((input) => input.value);
  if (shown.join("\n") === presets.map((preset) => preset.name).join("\n")) return;
  const chosen = chosenPreset() ?? localStorage.getItem("preset") ?? "oil";
  for (const label of $("presets").querySelectorAll("label")) label.remove();
  for (const preset of presets) $("presets").append(choice(preset, preset.name === chosen));
  if (!chosenPreset()) $("presets").querySelector("input")?.click();
  const strip = $("presets"); // on a narrow screen, it scrolls sideways
  strip.scrollLeft = (strip.querySelector("input:checked")?.parentElement.offsetLeft ?? 0) - strip.offsetLeft;
}

function choice(preset, checked) {
  const label = document.createElement("label");
  label.className = "preset";
  label.title = preset.description;
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "preset", value: preset.name, checked });
  input.addEventListener("change", () => localStorage.setItem("preset", preset.name));
  const image = Object.assign(document.createElement("img"), {
    alt: "", loading: "lazy", src: `/v1/presets/${encodeURIComponent(preset.name)}/thumbnail`,
  });
  image.addEventListener("error", () => {
    const table = Object.assign(document.createElement("div"), { className: "table" }); // a look by a table
    image.replaceWith(table);
  });
  const name = Object.assign(document.createElement("span"), { textContent: preset.name });
  label.append(input, image, name);
  return label;
}

function chosenPreset() {
  return $("presets").querySelector("input:checked")?.value ?? null;
}

function listen() {
  events?.close();
  events = new EventSource("/v1/events?previews=true");
  let open = false;
  events.addEventListener("open", () => {
    if (open) refresh(); // it was away: much may have happened
    open = true;
  });
  events.addEventListener("error", () => {
    $("status").textContent = new Away().message;
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
  for (const name of ABOUT_JOBS) events.addEventListener(name, ({ data }) => heard(name, JSON.parse(data)));
  events.addEventListener("JobPreview", ({ data }) => {
    const { job, jpeg } = JSON.parse(data);
    preview(job.id, jpeg);
  });
}

function heard(name, event) {
  if (event.job.source !== "upload") return;
  show(event.job, name === "JobStepped" ? event : null);
  if (name !== "JobStepped") refreshSoon();
}

let soon = null;
function refreshSoon() {
  soon ??= setTimeout(() => { soon = null; refresh(); }, 1000);
}

function add(files) {
  const preset = chosenPreset();
  if (!preset || !files.length) return;
  send(files, preset, {
    arrived: (job) => { show(job); refreshSoon(); },
    refused: (file, why) => {
      $("trouble").append(Object.assign(document.createElement("li"), { textContent: `${file.name}: ${why}` }));
    },
    count: (n) => { if (n) $("status").textContent = `Sending ${n} ${n === 1 ? "photo" : "photos"}`; else refreshSoon(); },
  });
}

$("pair").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await pair($("line").value)) work();
});
$("leave").addEventListener("click", async () => {
  try {
    const { client } = await ask("GET", "/v1/me");
    if (client) await ask("DELETE", `/v1/clients/${client.id}`);
  } catch (error) {
    if (error instanceof Away) {
      $("status").textContent = "The daemon does not answer: sign out when it is back.";
      return;
    }
    if (!(error instanceof Refused)) throw error; // this browser was removed already
  }
  location.reload();
});
$("files").addEventListener("change", () => {
  $("trouble").replaceChildren();
  add([...$("files").files]);
  $("files").value = "";
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && !$("work").hidden) {
      $("trouble").replaceChildren();
      add([...event.dataTransfer.files]);
    }
  });
}
window.addEventListener("beforeunload", (event) => {
  if (left()) event.preventDefault(); // what was not sent yet would be lost
});
