// The partitions, each as a column that fills; and the ledger, as a bar that adds up.

import { drawing, el, say, set } from "./dom.js";
import { count, percent, plural, seconds } from "./format.js";

const fails = ({ last_failure: last, last_success: success, held }) => held > 0 && last !== null && (success === null || last.time > success);

/** Whether what is in flight is not with the processor, but waits for its next try. */
const rests = ({ in_flight: flying, retry_in: wait }) => flying > 0 && typeof wait === "number";

/** What is in flight, and where it is. */
const flight = (part) => (rests(part)
  ? `${count(part.in_flight)} for the next try, in ${seconds(part.retry_in)}`
  : `${count(part.in_flight)} in flight`);

/** How a partition does, in a word. */
export function wordOf(part) {
  if (part.overdue) return "overdue";
  if (fails(part)) return "failing";
  if (rests(part)) return "between tries";
  if (part.in_flight) return "busy";
  return part.waiting ? "waiting" : "empty";
}

const MARKS = {
  overdue: [["rect", { x: 3, y: 2.5, width: 3.6, height: 11, rx: 1, fill: "currentColor" }], ["rect", { x: 9.4, y: 2.5, width: 3.6, height: 11, rx: 1, fill: "currentColor" }]],
  failing: [["path", { d: "M3.5 3.5 12.5 12.5M12.5 3.5 3.5 12.5", fill: "none", stroke: "currentColor", "stroke-width": 3, "stroke-linecap": "round" }]],
};

export class Strip {
  constructor() {
    this.cells = [];
    this.row = el("ol", { class: "strip" });
    this.note = el("p", { class: "note" });
    const key = (name, text) => el("span", { class: `key ${name}` }, el("i", { "aria-hidden": "true" }), el("span", { text }));
    const head = el("div", { class: "caption" }, el("h3", { text: "Partitions" }), el("span", { class: "legend" }, key("waiting", "waiting"), key("flight", "in flight"), key("rests", "waits for its next try"), el("span", { class: "key overdue" }, drawing("shape", ...MARKS.overdue), el("span", { text: "overdue" })), el("span", { class: "key failing" }, drawing("shape", ...MARKS.failing), el("span", { text: "failing" }))));
    this.element = el("section", { class: "partitions" }, head, this.row, this.note);
  }

  show(buffer) {
    const { stats } = buffer;
    const parts = stats?.partitions || [];
    while (this.cells.length < parts.length) this.cells.push(this.cell());
    this.cells.forEach((cell, index) => {
      cell.element.hidden = index >= parts.length;
    });
    const most = this.scale(buffer, parts);
    this.owners = stats ? ownersOf(stats) : [];
    parts.forEach((part, index) => this.fill(this.cells[index], part, most, stats.shared?.owners?.[part.partition]));
    const busiest = parts.reduce((worst, part) => (part.held > (worst?.held || 0) ? part : worst), null);
    say(this.note, busiest ? `Most is held by ${busiest.partition}: ${count(busiest.waiting)} waiting, ${flight(busiest)}.` : "Nothing is held.");
    this.element.hidden = parts.length === 0;
  }

  /** How much a full column is: an even share of the room, or the most that was seen. */
  scale({ name, batch_size: batch, max_size: most }, parts) {
    if (most) return Math.max(1, most / parts.length);
    if (name !== this.name) Object.assign(this, { name, peak: batch === "table" ? 100 : 10 * batch });
    this.peak = Math.max(this.peak, ...parts.map(({ held }) => held));
    return this.peak;
  }

  cell() {
    const waiting = el("span", { class: "waiting" });
    const flight = el("span", { class: "flight" });
    const mark = el("span", { class: "mark" });
    const number = el("span", { class: "number" });
    const owner = el("span", { class: "owner" });
    const element = el("li", { class: "part" }, el("span", { class: "tube", "aria-hidden": "true" }, waiting, flight, mark), number, owner);
    this.row.append(element);
    return { element, waiting, flight, mark, number, owner, word: null };
  }

  fill(cell, part, most, owner) {
    const word = wordOf(part);
    const high = (number) => `${number ? Math.min(100, Math.max(4, (100 * number) / most)) : 0}%`;
    cell.waiting.style.height = high(part.waiting);
    cell.flight.style.height = high(part.in_flight);
    set(cell.element, "class", `part ${word.replace(" ", "-")}${rests(part) ? " rests" : ""}`);
    if (cell.word !== word) {
      cell.mark.replaceChildren(...(MARKS[word] ? [drawing("shape", ...MARKS[word])] : []));
      cell.word = word;
    }
    say(cell.number, String(part.partition));
    say(cell.owner, owner ? letter(this.owners.indexOf(owner)) : "");
    const age = part.oldest_age === null ? "" : `, oldest ${seconds(part.oldest_age)}`;
    const text = `Partition ${part.partition}: ${word}, ${count(part.waiting)} waiting, ${flight(part)}${age}${owner ? `, delivered by ${owner}` : ""}`;
    set(cell.element, "title", text);
    set(cell.element, "aria-label", text);
  }
}

/** Who delivers, each once. */
export const ownersOf = ({ shared }) => (shared ? [...new Set(Object.values(shared.owners))].sort() : []);

/** A, B, ... and numbers after that: what owners are called where there is no room. */
export const letter = (index) => (index < 26 ? String.fromCharCode(65 + index) : String(index + 1));

const TERMS = [
  ["delivered", "Delivered"],
  ["coalesced", "Coalesced"],
  ["deleted", "Deleted"],
  ["dead_lettered", "Dead-lettered"],
  ["dropped", "Dropped"],
  ["in_flight", "In flight"],
  ["waiting", "Waiting"],
];

export class Ledger {
  constructor() {
    this.total = el("span", { class: "total" });
    this.bar = el("div", { class: "ledger-bar", role: "img" });
    this.terms = TERMS.map(([key, title]) => {
      const part = el("span", { class: `term ${key}` });
      const number = el("b");
      const share = el("span", { class: "share" });
      const row = el("li", { class: `key ${key}` }, el("i", { "aria-hidden": "true" }), el("span", { text: title }), number, share);
      this.bar.append(part);
      return { key, title, part, number, share, row };
    });
    const head = el("div", { class: "caption" }, el("h3", { text: "Ledger" }), this.total);
    this.element = el("section", { class: "ledger" }, head, this.bar, el("ul", { class: "terms" }, ...this.terms.map(({ row }) => row)));
  }

  show({ stats }) {
    this.element.hidden = !stats;
    if (!stats) return;
    const all = stats.accepted;
    say(this.total, stats.balanced ? `${count(all)} accepted: it adds up` : `${count(all)} accepted: it does not add up`);
    this.total.classList.toggle("wrong", !stats.balanced);
    for (const { key, part, number, share, row } of this.terms) {
      const value = stats[key];
      part.hidden = !value;
      part.style.flexGrow = String(value);
      say(number, count(value));
      say(share, percent(value, all));
      row.classList.toggle("zero", !value);
    }
    const text = this.terms.filter(({ key }) => stats[key]).map(({ key, title }) => `${title} ${count(stats[key])}`).join(", ");
    set(this.bar, "aria-label", `Of ${plural(all, "write")} accepted: ${text || "nothing yet"}`);
    this.bar.classList.toggle("empty", !all);
  }
}
