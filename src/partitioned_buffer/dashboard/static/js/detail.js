// One buffer: how it does, what comes and goes, its partitions, its ledger, and what failed.

import { Charts } from "./charts.js";
import { el, say, set } from "./dom.js";
import { ago, at, count, date, plural, rate, seconds, short } from "./format.js";
import { Ledger, Strip, letter, ownersOf } from "./parts.js";
import { badge, known, past, sentence } from "./states.js";

const TILES = [
  ["in", "In /s", ({ track }) => rate(track.rate("accepted")), ({ stats }) => `${count(stats.accepted)} accepted`],
  ["out", "Out /s", ({ track }) => rate(track.rate("delivered")), ({ stats }) => `${count(stats.delivered)} delivered`],
  ["held", "Held", ({ stats }) => short(stats.held), room],
  ["age", "Oldest", ({ stats }) => seconds(stats.oldest_age), ({ buffer }) => `cycles: ${seconds(buffer.interval)}`],
  ["latency", "Processor p50", ({ stats }) => seconds(stats.p50), ({ stats }) => `p99 ${seconds(stats.p99)}, max ${seconds(stats.longest)}`],
  ["failed", "Failed calls /s", ({ track }) => rate(fails(track)), failures],
  ["lost", "Given up", ({ stats }) => short(stats.dropped + stats.dead_lettered), reasons],
];

function room({ stats, buffer }) {
  const bound = buffer.max_size ?? buffer.limit;
  const waits = stats.blocked ? ` · ${plural(stats.blocked, "writer")} blocked` : "";
  const again = stats.in_flight && typeof stats.retry_in === "number" ? ` · next try in ${seconds(stats.retry_in)}` : "";
  if (bound) return `of ${count(bound)}${again}${waits}`;
  return `${count(stats.in_flight)} in flight${again}${waits}`;
}

/** How many calls fail: in an outage, where they are rare, in the last minute. */
function fails(track) {
  const { state, stats } = track.now;
  return track.rate("failed") || (state === "outage" ? stats.rates.failed_60s : track.rate("failed"));
}

function failures({ stats }) {
  const again = Math.max(0, stats.calls - stats.batches);
  return `${count(stats.failed_calls)} of ${plural(stats.calls, "call")} · ${count(again)} retried`;
}

function reasons({ stats }) {
  const parts = Object.entries(stats.drop_reasons).filter(([, number]) => number).map(([why, number]) => `${short(number)} ${why}`);
  if (stats.dead_lettered) parts.unshift(`${short(stats.dead_lettered)} after failing`);
  return parts.join(" · ") || "nothing so far";
}

export class Detail {
  constructor(element, inks, act) {
    Object.assign(this, { element, name: null, act });
    this.charts = new Charts(inks);
    this.strip = new Strip();
    this.ledger = new Ledger();
    this.head = el("div", { class: "head-line" });
    this.title = el("h2");
    this.about = el("p", { class: "about" });
    this.sentence = el("p", { class: "sentence", role: "status" });
    this.past = el("p", { class: "past" });
    this.tiles = TILES.map(([key, title, read, also]) => this.tile(key, title, read, also));
    this.why = el("section", { class: "why" });
    this.server = el("section", { class: "server" });
    this.actions = this.buttons();
    this.state = null;
    this.flag = el("span", { class: "flag" });
    const back = el("a", { class: "back", href: "#", text: "← All buffers" });
    this.head.append(this.flag, this.title, this.actions.element, this.about);
    const tiles = el("dl", { class: "tiles" }, ...this.tiles.map((each) => each.element));
    element.append(back, this.head, this.sentence, this.past, tiles, this.charts.element, this.strip.element, this.ledger.element, this.why, this.server);
  }

  tile(key, title, read, also) {
    const value = el("dd", { class: "value" });
    const note = el("dd", { class: "note" });
    return { key, read, also, value, note, element: el("div", { class: `tile ${key}` }, el("dt", { text: title }), value, note) };
  }

  buttons() {
    const note = el("span", { class: "note", role: "status" });
    const make = (what, text) => {
      const made = el("button", { type: "button", text });
      made.addEventListener("click", () => this.do(what, made));
      return made;
    };
    const flush = make("flush", "Flush");
    const replay = make("replay", "Replay dead letters");
    return { element: el("div", { class: "actions" }, flush, replay, note), flush, replay, note };
  }

  async do(what, button) {
    const { note } = this.actions;
    button.disabled = true;
    say(note, what === "flush" ? "Flushing …" : "Beginning …");
    try {
      const told = await this.act(what, this.name);
      if (what === "flush") say(note, told.flushed ? "Flushed." : `Not within five seconds: ${plural(told.held, "item")} are held.`);
      else say(note, "A replay goes on.");
    } catch (error) {
      say(note, `Not done: ${error.message}`);
    } finally {
      button.disabled = false;
    }
  }

  show(name, process, more) {
    const track = process.tracks.get(name);
    if (!track) return false;
    if (name !== this.name) {
      this.charts.reset();
      this.name = name;
      this.more = null;
      say(this.actions.note, "");
      this.element.scrollTop = 0;
    }
    if (more && more.name === name) this.more = more;
    const buffer = track.now;
    const { stats } = buffer;
    say(this.title, name);
    say(this.about, options(buffer));
    if (this.state !== buffer.state) {
      this.flag.replaceChildren(badge(buffer.state));
      this.state = buffer.state;
    }
    set(this.element, "data-state", known(buffer.state));
    say(this.sentence, sentence(buffer, process.at));
    say(this.past, past(buffer, process.at));
    this.past.hidden = !this.past.textContent;
    for (const { value, note, read, also } of this.tiles) {
      say(value, stats ? read({ track, stats, buffer }) : "–");
      say(note, stats ? also({ track, stats, buffer }) : "");
    }
    this.heat(track);
    this.charts.show(track, buffer.max_size ?? buffer.limit ?? null);
    this.strip.show(this.more?.stats ? this.more : { stats: null });
    this.ledger.show(buffer);
    this.tellWhy(buffer, process);
    this.tellServer(buffer);
    this.actions.element.hidden = !process.actions;
    this.actions.replay.hidden = !buffer.dead_letter && !buffer.storage;
    this.tellReplay();
    return true;
  }

  heat(track) {
    const hot = { failed: (fails(track) || 0) > 0, lost: track.grown("lost", 60) > 0, held: track.now.state === "full" };
    for (const { key, element } of this.tiles) element.classList.toggle("hot", Boolean(hot[key]));
  }

  tellReplay() {
    const replay = this.more?.replay;
    if (!replay) return;
    const how = replay.error ? `, and ended: ${replay.error}` : replay.is_over ? "" : " so far";
    say(this.actions.note, `${count(replay.given_back)} given back${how}.`);
  }

  tellWhy(buffer, { at: now, actions }) {
    const { stats } = buffer;
    this.why.hidden = !stats;
    if (!stats) return;
    const { last_failure: last, last_success: success } = stats;
    const facts = [
      ["Last success", ago(success, now), date(success)],
      ["Last failure", last ? `${ago(last.time, now)}: ${last.type}${last.message ? `: ${last.message}` : " (what it says is in the log)"}` : "never", last ? date(last.time) : null],
    ];
    if (stats.restarts) facts.push(["Workers restarted", count(stats.restarts)]);
    if (stats.hook_errors) facts.push(["Hooks raised", plural(stats.hook_errors, "time")]);
    if (stats.dead_letter_errors) facts.push(["Dead letter handler raised", plural(stats.dead_letter_errors, "time")]);
    this.why.replaceChildren(el("h3", { text: "What failed" }), table(facts), ...lettersOf(buffer, this.more || {}, actions));
  }

  tellServer({ stats, storage, where, delivers }) {
    this.server.hidden = !storage;
    if (!storage) return;
    const facts = [["Kept by", where ? `${storage}, ${where}` : storage]];
    const shared = stats?.shared;
    if (stats?.recovered) facts.push(["Recovered at the start", count(stats.recovered)]);
    if (shared) {
      const owners = ownersOf(stats);
      facts.push(
        ["Reached", shared.away ? `no: ${shared.away}` : "yes"],
        ["This process", delivers ? "writes and delivers" : "writes only"],
        ["Who delivers", owners.length ? owners.map((owner, index) => `${letter(index)}: ${owner} (${Object.values(shared.owners).filter((each) => each === owner).length})`).join(", ") : "nobody, as far as is known here"],
        ["Brought there from here", `${count(shared.shipped)}, ${count(shared.front)} wait for that`],
      );
      if (shared.gaps) facts.push(["Lost by the server", `${count(shared.lost)} in ${plural(shared.gaps, "gap")}`]);
      if (shared.age !== null) facts.push(["Numbers are from", `${seconds(shared.age)} ago`]);
    }
    this.server.replaceChildren(el("h3", { text: "Storage" }), table(facts));
  }
}

function options({ kind, tasks, partitions, batch_size: batch, interval, max_size: most, when_full: full }) {
  const says = [`${tasks ? "Async" : ""}${kind}`];
  if (partitions !== null) says.push(plural(partitions, "partition"));
  says.push(batch === "table" ? "whole tables" : `batches of ${count(batch)}`, `every ${seconds(interval)}`);
  if (most) says.push(`at most ${count(most)}, then ${full.replace("_", " ")}`);
  return says.join(" · ");
}

function table(facts) {
  const rows = facts.map(([name, text, title]) => el("div", { title }, el("dt", { text: name }), el("dd", { text })));
  return el("dl", { class: "facts" }, ...rows);
}

/** What was given up last, or why that is not known, and how it is given back. */
function lettersOf(buffer, { dead_letters: letters, dead_letters_error: error }, actions) {
  if (error ? !buffer.stats.dead_lettered : !letters?.length) return [];
  const what = error ? el("p", { class: "note", text: `Not known now: ${error}.` }) : el("ul", {}, ...rowsOf(letters));
  // The button does it otherwise; not of a buffer of tasks.
  const back = buffer.stats.shared && (!actions || buffer.tasks)
    ? el("p", { class: "note" }, "Given back by ", el("code", { text: `partitioned-buffer replay URL ${word(buffer.name)} --into MODULE:NAME` }))
    : null;
  return [el("div", { class: "letters" }, el("h4", { text: "Given up last" }), what, back ?? "")];
}

/** A name, as a shell takes it. */
const word = (name) => (/^[\w.:-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`);

function rowsOf(letters) {
  return letters.map((letter) => el(
    "li",
    {},
    el("span", { class: "time", text: letter.time === null ? "–" : at(letter.time), title: letter.time === null ? "not known: it was given up by an earlier version" : date(letter.time) }),
    el("span", { class: "error", text: letter.error }),
    el("span", { class: "tries", text: `${plural(letter.count, "item")}, ${plural(letter.attempts, "attempt")}` }),
    letter.items?.length ? el("code", { text: letter.items.join("\n") }) : null,
  ));
}
