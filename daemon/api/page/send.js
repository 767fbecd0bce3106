// Photos on their way to the daemon: a few at a time, each until it has arrived or the daemon refuses it.

import { ask, Away, Refused } from "./api.js";

const AT_ONCE = 3;
const AGAIN = 3000; // milliseconds between two tries
const waiting = [];
let sending = 0;

/** Send these files. `arrived(job)` and `refused(file, why)` are called for each; `count(n)` with how many are left. */
export function send(files, preset, { arrived, refused, count }) {
  for (const file of files) {
    // The ticket makes sure that a photo whose answer was lost is not painted twice.
    waiting.push({ file, preset, ticket: newTicket(), arrived, refused, count });
  }
  count(left());
  while (sending < AT_ONCE && waiting.length) next();
}

export function left() {
  return waiting.length + sending;
}

async function next() {
  const one = waiting.shift();
  if (!one) return;
  sending += 1;
  try {
    one.arrived(await until(one));
  } catch (error) {
    one.refused(one.file, error.message);
  }
  sending -= 1;
  one.count(left());
  next();
}

async function until({ file, preset, ticket }) {
  for (;;) {
    try {
      return await ask("POST", "/v1/jobs", { query: { preset, name: file.name || "photo", ticket }, body: file });
    } catch (error) {
      if (!(error instanceof Away || (error instanceof Refused && error.status === 503))) throw error;
      try {
        await file.slice(0, 1).arrayBuffer();
      } catch {
        throw new Error("The file cannot be read any more.");
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN)); // the network or the daemon is away
    }
  }
}

function newTicket() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
