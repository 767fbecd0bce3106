// Requests to the daemon. The browser adds the token, which is in a cookie that no script can read.

const PROTOCOL = { "Stylefolder-Protocol": "1" };

/** An answer of the daemon that says no. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The daemon does not answer: it is away, or the network is. */
export class Away extends Error {
  constructor() {
    super("The daemon does not answer. Trying again…");
  }
}

/** The JSON that the daemon answers. Throws Refused or Away. */
export async function ask(method, path, { query = {}, json, body } = {}) {
  const headers = { ...PROTOCOL };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  if (body !== undefined) headers["Content-Type"] = "application/octet-stream";
  const search = new URLSearchParams(query).toString();
  const wish = { method, headers, body: json === undefined ? body : JSON.stringify(json) };
  let answer, said;
  try {
    answer = await fetch(path + (search && `?${search}`), wish);
    const text = await answer.text();
    said = text ? JSON.parse(text) : null; // a proxy whose daemon is away answers with a page of its own
  } catch {
    throw new Away();
  }
  if (!answer.ok) throw new Refused(answer.status, said?.error?.message ?? answer.statusText);
  return said;
}
