// Requests to the daemon. The browser adds the token, which is in a cookie that no script can read.

const PROTOCOL = { "Stylefolder-Protocol": "1" };

/** An answer of the daemon that says no. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The JSON that the daemon answers. Throws Refused, or TypeError if the daemon cannot be reached. */
export async function ask(method, path, { query = {}, json, body, signal } = {}) {
  const headers = { ...PROTOCOL };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  if (body !== undefined) headers["Content-Type"] = "application/octet-stream";
  const search = new URLSearchParams(query).toString();
  const answer = await fetch(path + (search && `?${search}`), {
    method, headers, signal, body: json === undefined ? body : JSON.stringify(json),
  });
  const text = await answer.text();
  let said = null;
  try {
    said = text ? JSON.parse(text) : null;
  } catch {
    throw new TypeError("The answer is not the daemon's.");
  }
  if (!answer.ok) throw new Refused(answer.status, said?.error?.message ?? answer.statusText);
  return said;
}
