// How a buffer does: a word, a shape and a colour, so that none of them has to be seen alone.

import { drawing, el } from "./dom.js";
import { ago, count, moment, plural, seconds } from "./format.js";

const filled = (tag, attributes) => [tag, { fill: "currentColor", ...attributes }];
const line = (d, width = 2.4) => ["path", { d, fill: "none", stroke: "currentColor", "stroke-width": width, "stroke-linecap": "round", "stroke-linejoin": "round" }];

const SHAPES = {
  stopped: [["rect", { x: 3, y: 3, width: 10, height: 10, rx: 1, fill: "none", stroke: "currentColor", "stroke-width": 2 }]],
  away: [line("M8 2 14 8 8 14 2 8Z", 2), line("M5.5 8h5", 2)],
  outage: [line("M3.5 3.5 12.5 12.5M12.5 3.5 3.5 12.5", 3)],
  stalled: [filled("rect", { x: 3, y: 2.5, width: 3.6, height: 11, rx: 1 }), filled("rect", { x: 9.4, y: 2.5, width: 3.6, height: 11, rx: 1 })],
  full: [filled("rect", { x: 2, y: 2, width: 12, height: 12, rx: 1.5 })],
  failing: [filled("path", { d: "M8 1.8 15 14H1Z" })],
  behind: [line("M8 3 14 13H2Z", 2)],
  flowing: [filled("circle", { cx: 8, cy: 8, r: 5 })],
  idle: [["circle", { cx: 8, cy: 8, r: 4.4, fill: "none", stroke: "currentColor", "stroke-width": 2 }]],
  silent: [line("M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.8-1.1 1.8", 2), filled("circle", { cx: 8, cy: 13, r: 1.3 })],
};

export const WORDS = {
  silent: "No answer",
  stopped: "Stopped",
  away: "Server away",
  outage: "Outage",
  stalled: "Stalled",
  full: "Full",
  failing: "Failing",
  behind: "Behind",
  flowing: "Flowing",
  idle: "Idle",
};

/** The worst first. */
export const ORDER = ["silent", "away", "outage", "stalled", "full", "failing", "behind", "stopped", "flowing", "idle"];

export const gravity = (state) => {
  const found = ORDER.indexOf(state);
  return found < 0 ? ORDER.length : found;
};

export const known = (state) => (Object.hasOwn(WORDS, state) ? state : "silent");

export const shape = (state) => drawing(`shape ${known(state)}`, ...SHAPES[known(state)]);

export function badge(state) {
  return el("span", { class: `badge ${known(state)}` }, shape(state), el("span", { text: WORDS[known(state)] }));
}

/** What is the matter, in a sentence. */
export function sentence(buffer, now) {
  const { stats } = buffer;
  if (!stats) return `${buffer.error || "It does not answer"}. The others are shown all the same.`;
  const says = {
    stopped: () => (stats.held ? `It takes no writes, and ${plural(stats.held, "item")} stayed in it.` : "It takes no writes."),
    away: () => `The server cannot be used from here: ${stats.shared.away}. ${plural(stats.shared.front, "record")} wait here for it.`,
    outage: () => `Nothing gets through: the processor raises ${failure(stats)}. ${worked(stats, now)} ${plural(stats.held, "item")} wait, and are tried again${kept(stats)}.${left(buffer)}`,
    stalled: () => (stats.in_flight
      ? `A call of the processor does not return. ${plural(stats.in_flight, "item")} in hand, ${count(stats.waiting)} wait behind.`
      : `Nobody takes what waits: ${plural(stats.waiting, "item")}, the oldest for ${seconds(stats.oldest_age)}.`),
    full: () => full(buffer),
    failing: () => `A part of it does not get through: the processor raised ${failure(stats)}, ${ago(stats.last_failure?.time, now)}.`,
    behind: () => `The oldest item waits for ${seconds(stats.oldest_age)}: more comes than goes, or the processor is slow.`,
    flowing: () => "What comes in goes out.",
    idle: () => "Nothing waits.",
  };
  return (says[buffer.state] || (() => ""))();
}

const LONG_AGO = 86400;

/** What is over, of one that is not in trouble for it now: it is no alarm. */
export function past({ state, stats }, now) {
  const last = stats?.last_failure;
  if (!last || now - last.time > LONG_AGO || ["outage", "failing"].includes(state)) return "";
  const { last_success: success } = stats;
  const since = success !== null && success > last.time
    ? `delivered again since, last ${ago(success, now)}`
    : "nothing was delivered since";
  return `Last failure: ${ago(last.time, now)}, ${last.type}; ${since}.`;
}

const worked = ({ last_success: success }, now) => (success === null ? "It never worked." : `It worked last ${ago(success, now)}, at ${moment(success, now)}.`);

const kept = ({ dropped, dead_lettered: buried }) => (dropped || buried ? "" : "; nothing was given up");

/** For how long there is room: of a Queue, to which each write adds an item, and of this process alone. */
function left(buffer) {
  const { stats, kind, max_size: most } = buffer;
  if (!most) return "";
  if (stats.held >= most) return ` ${full(buffer)}`;
  const pace = kind === "Queue" && !stats.shared ? stats.rates.in_60s : 0;
  return pace ? ` At the pace of the last minute there is room for another ${seconds((most - stats.held) / pace)}.` : "";
}

function failure({ last_failure: last }) {
  if (!last) return "errors";
  return last.message ? `${last.type}: ${last.message}` : last.type;
}

const FULL = {
  block: (stats) => (stats.blocked ? `${plural(stats.blocked, "writer")} wait for room.` : "Writers wait for room."),
  raise: () => "Writers are refused.",
  drop_newest: () => "What is written now is dropped.",
  drop_oldest: () => "The oldest items are dropped for new ones.",
};

function full({ stats, max_size: most, max_bytes: bytes, limit, when_full: how }) {
  const bound = most ?? limit;
  const room = bound ? `${count(stats.held)} of ${count(bound)} items are held` : `What it may hold, ${count(bytes)} bytes, is held`;
  return `${room}. ${(FULL[how] || (() => ""))(stats)}`;
}
