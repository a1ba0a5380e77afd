// What asks the server: only while somebody looks, and never more than it can bear.

const KEY = "partitioned-buffer-token";
const FASTEST = 1000;
const SLOWEST = 10000;

let token = handedOver();

/** Take the token from the address, and out of it; or the one that this tab has. */
function handedOver() {
  const found = /[#&]token=([^&]*)/.exec(location.hash);
  if (found) {
    let given = found[1];
    try {
      given = decodeURIComponent(given);
    } catch { /* as it is */ }
    const rest = location.hash.slice(1).split("&").filter((each) => !each.startsWith("token=")).join("&");
    history.replaceState(null, "", `${location.pathname}${location.search}${rest ? `#${rest}` : ""}`);
    keep(given);
    return given;
  }
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function keep(text) {
  try {
    sessionStorage.setItem(KEY, text);
  } catch { /* this page has it */ }
}

export function useToken(text) {
  token = text;
  keep(text);
}

export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${encodeToken(token)}`;
  const response = await fetch(path, { ...options, headers, cache: "no-store", redirect: "error", credentials: "same-origin" });
  const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
  const content = isJson ? await response.json() : {};
  if (!response.ok) throw new Refusal(response.status, String(content.error || `answered with ${response.status}`));
  if (content.format !== 1) throw new Refusal(0, "this page and its server are not of one version: load it again");
  return content;
}

/** A header takes Latin characters alone; what is not one cannot be right. */
const encodeToken = (text) => text.replace(/[^\x21-\x7e ]/g, "?");

/** A name as a query has it. Halves of a pair, which UTF-8 has not, go as they are stored. */
export function quoted(name) {
  let made = "";
  for (const each of name) {
    const code = each.codePointAt(0);
    made += code >= 0xd800 && code <= 0xdfff
      ? `%ED%${(0x80 | ((code >> 6) & 0x3f)).toString(16)}%${(0x80 | (code & 0x3f)).toString(16)}`
      : encodeURIComponent(each);
  }
  return made;
}

export const one = (name) => ask(`api/buffer?name=${quoted(name)}`);

export const act = (what, name) => ask(`api/${what}`, {
  method: "POST",
  headers: { "Content-Type": "application/json", "X-Partitioned-Buffer": "1" },
  body: JSON.stringify({ name }),
});

/** Asks again and again, while the page is seen and not paused; for all buffers a tenth of the time at most. */
export class Poller {
  constructor(heard, failed) {
    Object.assign(this, { heard, failed, paused: false, timer: null, busy: false, again: false, due: 0, also: async () => null });
    document.addEventListener("visibilitychange", () => this.look());
  }

  get rests() {
    return this.paused || document.visibilityState === "hidden";
  }

  /** Ask now, if anybody looks. */
  async look() {
    clearTimeout(this.timer);
    if (this.rests) return;
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    let wait = FASTEST;
    try {
      const isDue = performance.now() >= this.due;
      const [all, more] = await Promise.all([isDue ? ask("api/buffers") : null, this.also()]);
      if (all) this.due = performance.now() + Math.min(SLOWEST, Math.max(FASTEST, 10000 * (all.took || 0))) - 100;
      this.heard(all, more);
    } catch (error) {
      wait = 2 * FASTEST;
      this.due = 0;
      if (this.failed(error)) return;
    } finally {
      this.busy = false;
    }
    if (this.again) wait = 0;
    this.again = false;
    clearTimeout(this.timer);
    if (!this.rests) this.timer = setTimeout(() => this.look(), wait);
  }

  pause(paused) {
    this.paused = paused;
    this.look();
  }
}
