// All buffers, in rows: only those in sight are there, so a thousand cost no more than thirty.

import { byId, el, say, set } from "./dom.js";
import { count, rate, seconds, short } from "./format.js";
import { spark } from "./spark.js";
import { ORDER, WORDS, gravity, known, shape } from "./states.js";

const lost = ({ stats }) => (stats ? stats.dropped + stats.dead_lettered : null);
const number = (read) => ({ read, order: (row) => -(read(row) ?? -1) });

/** Key, title, what it says, and how it sorts: what matters most comes first. */
const COLUMNS = [
  { key: "state", title: "State", order: (row) => gravity(row.buffer.state) },
  { key: "name", title: "Name" },
  { key: "trend", title: "2 minutes", order: null },
  { key: "in", title: "In /s", say: rate, ...number((row) => row.track.rate("accepted")) },
  { key: "out", title: "Out /s", say: rate, ...number((row) => row.track.rate("delivered")) },
  { key: "held", title: "Held", say: short, ...number((row) => row.buffer.stats?.held ?? null) },
  { key: "age", title: "Oldest", say: seconds, ...number((row) => row.buffer.stats?.oldest_age ?? null) },
  { key: "p99", title: "p99", say: seconds, ...number((row) => row.buffer.stats?.p99 ?? null) },
  { key: "failed", title: "Fails /s", say: rate, ...number((row) => row.track.rate("failed")) },
  { key: "lost", title: "Given up", say: short, ...number((row) => lost(row.buffer)) },
];

export class List {
  constructor(open, inks) {
    Object.assign(this, { open, inks, rows: [], shown: [], pool: [], sort: "state", down: false, filter: "", only: null, current: null });
    this.scroll = byId("scroll");
    this.room = byId("room");
    this.head = COLUMNS.map((column) => this.header(column));
    byId("head").append(...this.head);
    this.chips = new Map(ORDER.map((state) => [state, this.chip(state)]));
    byId("chips").append(...this.chips.values());
    this.scroll.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.scroll);
    byId("filter").addEventListener("input", ({ target }) => {
      this.filter = target.value.trim().toLowerCase();
      this.arrange(true);
    });
  }

  header({ key, title, order }) {
    const label = order === null ? el("span", { text: title }) : el("button", { type: "button", text: title });
    const cell = el("span", { role: "columnheader", class: `cell ${key}` }, label);
    if (order !== null) label.addEventListener("click", () => this.sortBy(key));
    return cell;
  }

  chip(state) {
    const number = el("span", { class: "number" });
    const made = el("button", { type: "button", class: `chip ${state}`, "aria-pressed": "false" }, shape(state), el("span", { text: WORDS[state] }), number);
    made.hidden = true;
    made.addEventListener("click", () => {
      this.only = this.only === state ? null : state;
      this.arrange(true);
    });
    return made;
  }

  sortBy(key) {
    this.down = this.sort === key && !this.down;
    this.sort = key;
    this.arrange(true);
  }

  /** Show the buffers of a process, as they are now. */
  show(process) {
    this.rows = [...process.tracks].map(([name, track]) => ({ name, track, buffer: track.now, low: name.toLowerCase() }));
    const counts = new Map();
    for (const { buffer } of this.rows) counts.set(known(buffer.state), (counts.get(known(buffer.state)) || 0) + 1);
    if (this.only && !counts.has(this.only)) this.only = null;
    for (const [state, chip] of this.chips) {
      chip.hidden = !counts.has(state);
      say(chip.lastChild, count(counts.get(state) || 0));
    }
    this.arrange();
  }

  arrange(toTop = false) {
    const { order } = COLUMNS.find(({ key }) => key === this.sort);
    const kept = this.rows.filter((row) => row.low.includes(this.filter) && (!this.only || known(row.buffer.state) === this.only));
    const worth = order ? new Map(kept.map((row) => [row, order(row)])) : null;
    kept.sort((a, b) => (worth ? worth.get(a) - worth.get(b) : 0) || compare(a.low, b.low) || compare(a.name, b.name));
    if (this.down) kept.reverse();
    this.shown = kept;
    for (const [state, chip] of this.chips) set(chip, "aria-pressed", String(this.only === state));
    COLUMNS.forEach(({ key }, index) => set(this.head[index], "aria-sort", key !== this.sort ? null : this.down ? "descending" : "ascending"));
    if (toTop) this.scroll.scrollTop = 0;
    set(byId("table"), "aria-rowcount", String(kept.length + 1));
    const none = byId("none");
    none.hidden = kept.length > 0;
    say(none, this.rows.length ? "No buffer is like that." : "No buffer runs in this process.");
    this.draw();
  }

  /** Have the rows in sight there, and no others. */
  draw() {
    const high = parseFloat(getComputedStyle(this.room).getPropertyValue("--row")) || 40;
    this.high = high;
    this.room.style.height = `${this.shown.length * high}px`;
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / high) - 3);
    const last = Math.min(this.shown.length, first + Math.ceil((this.scroll.clientHeight || 600) / high) + 7);
    while (this.pool.length < last - first) this.pool.push(this.row());
    const focused = this.pool.find(({ link }) => link === document.activeElement)?.name;
    this.pool.forEach((row, index) => {
      const place = first + index;
      row.element.hidden = place >= last;
      if (place < last) this.fill(row, this.shown[place], place);
    });
    if (focused !== undefined) this.pool.find((row) => !row.element.hidden && row.name === focused)?.link.focus({ preventScroll: true });
  }

  row() {
    const cells = new Map(COLUMNS.map(({ key }) => [key, el("span", { role: "cell", class: `cell ${key}` })]));
    const link = el("a", { class: "name-link" });
    const about = el("span", { class: "about" });
    const canvas = el("canvas", { "aria-hidden": "true" });
    const bar = el("span", { class: "bar" }, el("span", { class: "filled" }));
    const value = el("span", { class: "value" });
    cells.get("name").append(link, about);
    cells.get("trend").append(canvas);
    cells.get("held").append(value, bar);
    const element = el("div", { role: "row", class: "row" }, ...cells.values());
    this.room.append(element);
    return { element, cells, link, about, canvas, bar, value, state: null, name: undefined };
  }

  fill(row, shown, place) {
    const { buffer, name, track } = shown;
    const state = known(buffer.state);
    row.element.style.transform = `translateY(${place * this.high}px)`;
    set(row.element, "aria-rowindex", String(place + 2));
    set(row.element, "class", `row ${state}${name === this.current ? " current" : ""}`);
    set(row.link, "aria-current", name === this.current ? "true" : null);
    if (row.state !== state) {
      row.cells.get("state").replaceChildren(shape(state), el("span", { class: "word", text: WORDS[state] }));
      row.state = state;
    }
    if (row.name !== name) {
      row.name = name;
      row.link.href = this.open(name);
      row.link.title = name;
    }
    say(row.link, name);
    say(row.about, about(buffer));
    for (const { key, read, say: text } of COLUMNS) {
      if (read) say(key === "held" ? row.value : row.cells.get(key), text(read(shown)));
    }
    row.cells.get("failed").classList.toggle("hot", (track.rate("failed") || 0) > 0);
    row.cells.get("lost").classList.toggle("hot", track.grown("lost", 60) > 0);
    this.room_of(row.bar, buffer);
    spark(row.canvas, track, this.inks);
  }

  room_of(bar, { stats, max_size: most, limit }) {
    const bound = most ?? limit ?? null;
    bar.hidden = !bound || !stats;
    if (bar.hidden) return;
    const part = Math.min(1, stats.held / bound);
    bar.firstChild.style.width = `${(100 * part).toFixed(1)}%`;
    bar.classList.toggle("brim", part >= 0.95);
    bar.title = `${count(stats.held)} of ${count(bound)}`;
  }

  /** Go to the next or previous row; return its name. */
  step(by) {
    const focused = this.pool.find(({ link }) => link === document.activeElement)?.name ?? this.current;
    const before = this.shown.findIndex(({ name }) => name === focused);
    const place = before < 0 ? 0 : Math.min(this.shown.length - 1, Math.max(0, before + by));
    if (!this.shown.length) return null;
    const top = place * this.high;
    if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
    const below = top + this.high - this.scroll.clientHeight;
    if (below > this.scroll.scrollTop) this.scroll.scrollTop = below;
    this.draw();
    const { name } = this.shown[place];
    this.pool.find((row) => !row.element.hidden && row.name === name)?.link.focus({ preventScroll: true });
    return name;
  }

  get first() {
    return this.shown[0]?.name ?? null;
  }
}

const compare = (a, b) => (a < b ? -1 : Number(a > b));

export function about({ kind, partitions, storage, tasks }) {
  const many = partitions === null ? "" : ` · ${partitions} part.`;
  return `${tasks ? "Async" : ""}${kind}${many}${storage ? ` · ${storage}` : ""}`;
}
