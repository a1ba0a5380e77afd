// What happens when: polls, keys, and which buffer is looked at.

import { Poller, Refusal, act, one, quoted, useToken } from "./api.js";
import { Detail } from "./detail.js";
import { byId, el, say, set } from "./dom.js";
import { at, count, seconds } from "./format.js";
import { History, keyOf } from "./history.js";
import { List } from "./list.js";
import { Inks } from "./spark.js";
import { nextTheme, useTheme } from "./theme.js";

const WIDE = matchMedia("(min-width: 70rem)");

useTheme();
const inks = new Inks();
const history_ = new History();
const addressOf = (name) => `#buffer=${quoted(name)}`;
const list = new List(addressOf, inks);
const detail = new Detail(byId("detail"), inks, async (what, name) => {
  const told = await act(what, name);
  poller.due = 0;
  poller.look();
  return told;
});
let chosen = null;
let more = null;
let failing = null;
let closing = null;

const poller = new Poller(heard, failed);
poller.also = async () => {
  if (chosen === null) return null;
  try {
    return await one(chosen);
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
};

function heard(all, closer) {
  failing = null;
  byId("main").hidden = false;
  byId("token").hidden = true;
  if (all) history_.hear(all);
  see(closer);
  show();
}

function see(closer) {
  if (!closer || !history_.isChosen(closer.process) || closer.buffer.name !== chosen) return;
  more = closer.buffer;
  history_.process.see(closer);
}

/** Have the partitions of a buffer that was chosen, without all the others. */
async function lookCloser() {
  if (!history_.process || poller.rests) return;
  try {
    see(await poller.also());
    show();
  } catch { /* the next poll says so */ }
}

/** Say that there was no answer; return whether it is no use to go on. */
function failed(error) {
  failing ??= Date.now() / 1000;
  if (error instanceof Refusal && error.status === 401) {
    askForToken();
    return true;
  }
  tell("lost", error instanceof Refusal ? error.message : `No answer since ${at(failing)}: trying on`);
  return false;
}

function askForToken() {
  tell("lost", "A token is needed");
  byId("main").hidden = true;
  if (!byId("token").hidden) say(byId("token-why"), "That was not it.");
  byId("token").hidden = false;
  byId("token-text").focus();
}

function tell(how, text) {
  set(byId("pulse"), "class", `pulse ${how}`);
  say(byId("pulse-text"), text);
}

function show() {
  const { process } = history_;
  if (!process) return;
  list.show(process);
  if (chosen === null && !/[#&]list/.test(location.hash) && (WIDE.matches || process.tracks.size === 1) && list.first !== null) choose(list.first);
  list.current = chosen;
  list.draw();
  const isThere = chosen !== null && detail.show(chosen, process, more);
  byId("detail").hidden = !isThere;
  byId("main").classList.toggle("split", isThere);
  set(document.body, "data-view", isThere ? "one" : "all");
  const many = process.tracks.size;
  document.title = chosen !== null && isThere ? `${chosen} · Buffers` : `${count(many)} Buffers`;
  tellProcess(process);
  tellPulse(process);
}

function tellPulse(process) {
  if (failing) return;
  if (poller.paused) tell("paused", `Paused at ${at(process.at)}`);
  else if (performance.now() - process.heard > 15000) tell("lost", `This process was heard ${seconds((performance.now() - process.heard) / 1000)} ago`);
  else tell("live", `Live, ${at(process.at)}`);
}

function tellProcess({ about }) {
  say(byId("process"), `${about.host} · pid ${about.pid}`);
  const those = [...history_.processes.values()];
  byId("processes").hidden = those.length < 2;
  byId("process").hidden = those.length > 1;
  const select = byId("choose-process");
  const keys = those.map((each) => keyOf(each.about));
  if (keys.join("\n") === [...select.options].map(({ value }) => value).join("\n")) return;
  select.replaceChildren(...those.map((each) => el("option", { value: keyOf(each.about), text: `${each.about.host} · pid ${each.about.pid}` })));
  select.value = history_.chosen;
}

// --- which buffer --------------------------------------------------------------------

function choose(name) {
  chosen = name;
  more = null;
  clearTimeout(closing);
  if (name !== null) closing = setTimeout(lookCloser, 50);
}

function route() {
  const found = /[#&]buffer=([^&]*)/.exec(location.hash);
  let name = null;
  if (found) {
    try {
      name = decodeURIComponent(found[1]);
    } catch {
      name = history_.process ? [...history_.process.tracks.keys()].find((each) => quoted(each) === found[1]) ?? null : null;
    }
  }
  if (name !== chosen) choose(name);
  show();
}

function open(name) {
  history.replaceState(null, "", addressOf(name));
  route();
}

addEventListener("hashchange", route);
WIDE.addEventListener("change", show);

// --- keys and buttons ------------------------------------------------------------------

function pause() {
  const paused = !poller.paused;
  poller.pause(paused);
  set(byId("pause"), "aria-pressed", String(paused));
  say(byId("pause").lastChild, paused ? "Go on" : "Pause");
  show();
}

function recolour() {
  nextTheme();
  refreshInks();
}

function refreshInks() {
  inks.read();
  detail.charts.reset();
  show();
}

function escape() {
  const filter = byId("filter");
  if (document.activeElement === filter && filter.value) {
    filter.value = "";
    filter.dispatchEvent(new Event("input"));
  } else if (document.activeElement === filter) filter.blur();
  else if (chosen !== null && !WIDE.matches) location.hash = "#list";
}

function step(by) {
  const name = list.step(by);
  if (name !== null && WIDE.matches && name !== chosen) open(name);
}

const KEYS = {
  "/": () => byId("filter").select(),
  j: () => step(1),
  k: () => step(-1),
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  p: pause,
  t: recolour,
  "?": () => byId("keys").showModal(),
  Escape: escape,
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const writes = event.target.matches("input, select, textarea");
  if (writes && !(event.key === "Escape" || (event.target.type === "search" && event.key.startsWith("Arrow")))) return;
  if (!Object.hasOwn(KEYS, event.key)) return;
  if (event.key.startsWith("Arrow") && event.target.closest?.("#detail")) return;
  event.preventDefault();
  KEYS[event.key]();
});

byId("pause").addEventListener("click", pause);
byId("theme").addEventListener("click", recolour);
byId("help").addEventListener("click", () => byId("keys").showModal());
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("filter").focus();
});
byId("choose-process").addEventListener("change", ({ target }) => {
  history_.chosen = target.value;
  more = null;
  show();
});
byId("token").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(byId("token-text").value.trim());
  byId("token-text").value = "";
  poller.look();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refreshInks);

route();
poller.look();
