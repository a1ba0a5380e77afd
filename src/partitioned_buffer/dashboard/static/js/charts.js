// Two charts of one buffer on one time: what comes and goes, and what is held.

import { el, say } from "./dom.js";
import { at, count, rate, short } from "./format.js";
import { WORDS, gravity } from "./states.js";

const WINDOW = 600;
const LEAST = 60;
const STRIP = 5;
const NEAR = 0.2; // of the bound: if less is held, its line would leave none to what is held
const USUAL = 0.9; // of the rates in view are no higher than that what is higher is measured by
const PEAK = 4; // times that: then it is cut
const FEW = 60; // samples, of which nothing is called usual
const CALM = new Set(["flowing", "idle", null]);
const TINTS = { outage: "bad", failing: "bad", silent: "quiet", away: "bad", stalled: "warn", behind: "warn", full: "full", stopped: "quiet" };

/** Return the columns that are drawn: times, in, out, fails, held, bound; and the states. */
export function columns(track, bound) {
  const { samples } = track;
  const end = samples.length ? samples[samples.length - 1].at : Date.now() / 1000;
  const made = { at: [], came: [], went: [], failed: [], held: [], bound: [], states: [] };
  samples.forEach((sample, index) => {
    if (sample.at < end - WINDOW) return;
    made.at.push(sample.at);
    made.came.push(index ? track.rate("accepted", index) : null);
    made.went.push(index ? track.rate("delivered", index) : null);
    made.failed.push((index && track.rate("failed", index)) || null);
    made.held.push(sample.none ? null : sample.held);
    made.bound.push(bound);
    made.states.push(sample.state);
  });
  return made;
}

/** The highest rate at each time, and up to where they are drawn: one peak does not flatten all others. */
function heights({ came, went, failed }) {
  const each = came.map((rate_, index) => Math.max(rate_ || 0, went[index] || 0, failed[index] || 0));
  const sorted = [...each].sort((a, b) => a - b);
  const [most, usual] = [sorted.at(-1) || 0, sorted[Math.floor(USUAL * (sorted.length - 1))] || 0];
  return { each, top: sorted.length >= FEW && usual > 0 && most > PEAK * usual ? 2 * usual : most };
}

/** Tell how high each peak is that is cut, where that is. */
function peaks(chart, each, inks) {
  const { ctx: pen, bbox, data: [times], scales: { y: { max } } } = chart;
  const ratio = devicePixelRatio || 1;
  pen.save();
  pen.font = `600 ${11 * ratio}px system-ui, sans-serif`;
  pen.textBaseline = "alphabetic";
  pen.textAlign = "left";
  for (let index = 0; index < each.length; index += 1) {
    if (each[index] <= max) continue;
    let highest = index;
    for (; index < each.length && each[index] > max; index += 1) if (each[index] > each[highest]) highest = index;
    const text = `▲ ${rate(each[highest])}`;
    const x = Math.min(chart.valToPos(times[highest], "x", true) + 4 * ratio, bbox.left + bbox.width - pen.measureText(text).width);
    pen.lineWidth = 4 * ratio;
    pen.lineJoin = "round";
    pen.strokeStyle = inks.panel;
    pen.strokeText(text, x, bbox.top + (STRIP + 28) * ratio);
    pen.fillStyle = inks.text;
    pen.fillText(text, x, bbox.top + (STRIP + 28) * ratio);
  }
  pen.restore();
}

/** Paint each time in which the buffer was not well, by *paint*, within the chart. */
function spells(chart, states, paint) {
  const { ctx: pen, bbox } = chart;
  const [times] = chart.data;
  const ratio = devicePixelRatio || 1;
  pen.save();
  pen.beginPath();
  pen.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  pen.clip();
  let start = 0;
  for (let index = 1; index <= states.length; index += 1) {
    if (index < states.length && states[index] === states[start]) continue;
    if (!CALM.has(states[start])) {
      const left = chart.valToPos(times[start], "x", true);
      const right = chart.valToPos(times[Math.min(index, states.length - 1)], "x", true);
      paint(pen, { left, width: Math.max(2 * ratio, right - left), top: bbox.top, height: bbox.height, ratio }, states[start]);
    }
    start = index;
  }
  pen.restore();
}

/** Behind the lines: a band, in the colour of the state. */
const band = (inks) => (pen, { left, width, top, height, ratio }, state) => {
  pen.fillStyle = inks[TINTS[state] || "quiet"];
  pen.globalAlpha = 0.1;
  pen.fillRect(left, top, width, height);
  pen.globalAlpha = 1;
  pen.fillRect(left, top, width, STRIP * ratio);
};

/** Over the lines: its word, where there is room. */
const word = (inks) => (pen, { left, width, top, ratio }, state) => {
  pen.textAlign = "left";
  pen.textBaseline = "alphabetic";
  pen.font = `600 ${11 * ratio}px system-ui, sans-serif`;
  if (pen.measureText(WORDS[state]).width + 8 * ratio > width) return;
  const place = [WORDS[state], left + 4 * ratio, top + (STRIP + 13) * ratio];
  pen.lineWidth = 4 * ratio;
  pen.lineJoin = "round";
  pen.strokeStyle = inks.panel;
  pen.strokeText(...place);
  pen.fillStyle = inks[TINTS[state] || "quiet"];
  pen.fillText(...place);
};

export class Charts {
  constructor(inks) {
    this.inks = inks;
    this.data = null;
    this.bound = null;
    this.flow = this.frame("In and out per second", [["in", "in"], ["out", "out"], ["bad", "failed calls"]]);
    this.stock = this.frame("Held", [["held", "waiting and in flight"]]);
    this.element = el("div", { class: "charts" }, this.flow.element, this.stock.element);
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  frame(title, keys) {
    const values = keys.map(([, name]) => [name, el("b", { class: "reading" })]);
    const legend = keys.map(([ink, name], index) => el("span", { class: `key ${ink}` }, el("i", { "aria-hidden": "true" }), el("span", { text: name }), values[index][1]));
    const when = el("span", { class: "when" });
    const place = el("div", { class: "plot" });
    const head = el("figcaption", {}, el("h3", { text: title }), el("span", { class: "legend" }, ...legend), when);
    return { element: el("figure", { class: "chart" }, head, place), place, values: values.map(([, each]) => each), when, plot: null };
  }

  /** Draw anew, in other colours, or another buffer. */
  reset() {
    for (const frame of [this.flow, this.stock]) {
      frame.plot?.destroy();
      frame.plot = null;
    }
  }

  show(track, bound) {
    this.bound = bound;
    this.data = columns(track, bound);
    const { at: times, came, went, failed, held, bound: most } = this.data;
    this.heights = heights(this.data);
    this.draw(this.flow, [times, came, went, failed], () => this.flowSeries(), rate, 1);
    const near = bound && Math.max(...held) >= NEAR * bound;
    this.draw(this.stock, near ? [times, held, most] : [times, held], () => this.stockSeries(near), short, 5);
    this.read(null);
  }

  draw(frame, data, series, text, least) {
    if (frame.plot && frame.plot.data.length !== data.length) {
      frame.plot.destroy();
      frame.plot = null;
    }
    if (!frame.plot) frame.plot = this.plot(frame, data, series(), text, least);
    else frame.plot.setData(data);
  }

  flowSeries() {
    const { inks } = this;
    return [
      { label: "In", stroke: inks.in, width: 1.5, fill: faint(inks.in, 0.12), points: { show: false } },
      { label: "Out", stroke: inks.out, width: 2, points: { show: false } },
      { label: "Failed", stroke: inks.bad, width: 1.5, dash: [3, 3], points: { show: false } },
    ];
  }

  stockSeries(near) {
    const { inks } = this;
    const held = { label: "Held", stroke: inks.held, width: 1.5, fill: faint(inks.held, 0.18), points: { show: false } };
    return near ? [held, { label: "Most", stroke: inks.full, width: 1, dash: [6, 4], points: { show: false } }] : [held];
  }

  /** What time is shown: all there is, and a minute at least. */
  range() {
    const { at: times } = this.data;
    const last = times.length ? times[times.length - 1] : Date.now() / 1000;
    return [Math.min(times[0] ?? last, last - LEAST), last];
  }

  plot(frame, data, series, text, least) {
    const { inks } = this;
    const flows = frame === this.flow;
    const axis = { stroke: inks.quiet, font: "11px system-ui, sans-serif", grid: { stroke: inks.grid, width: 1 }, ticks: { show: false } };
    return new window.uPlot({
      width: frame.place.clientWidth || 600,
      height: frame.place.clientHeight || 150,
      legend: { show: false },
      padding: [8, 26, 0, 0],
      cursor: { sync: { key: "time" }, drag: { x: false, y: false }, points: { size: 6 } },
      scales: {
        x: { time: true, range: () => this.range() },
        y: { range: (_, __, most) => [0, Math.max(least, (flows ? this.heights.top : most || 0) * 1.15)] },
      },
      axes: [
        { ...axis, space: 80, size: 24, gap: 4, values: (_, ticks) => ticks.map((each) => at(each)) },
        { ...axis, size: 52, gap: 6, space: 34, values: (_, ticks) => ticks.map((each) => text(each)) },
      ],
      series: [{}, ...series],
      hooks: {
        drawClear: [(chart) => spells(chart, this.data.states, band(inks))],
        draw: [(chart) => spells(chart, this.data.states, word(inks)), ...(flows ? [(chart) => peaks(chart, this.heights.each, inks)] : [])],
        setCursor: [(chart) => this.read(chart.cursor.idx ?? null)],
      },
    }, data, frame.place);
  }

  /** Tell the numbers under the cursor; of now, where it is nowhere. */
  read(index) {
    const { at: times, came, went, failed, held, states } = this.data;
    const place = index === null ? times.length - 1 : index;
    [came, went].forEach((each, number) => say(this.flow.values[number], rate(each[place])));
    say(this.flow.values[2], rate(failed[place] ?? 0));
    say(this.stock.values[0], count(held[place]));
    const state = states[place];
    const when = index === null ? "" : `${at(times[place])}${state && gravity(state) < gravity("flowing") ? `, ${WORDS[state]}` : ""}`;
    say(this.flow.when, when);
    say(this.stock.when, this.bound ? `of ${count(this.bound)}${when ? ` · ${when}` : ""}` : when);
  }

  resize() {
    for (const { plot, place } of [this.flow, this.stock]) {
      if (plot && place.clientWidth) plot.setSize({ width: place.clientWidth, height: place.clientHeight });
    }
  }
}

/** The same colour, as if through glass. */
function faint(colour, part) {
  const found = /rgba?\(([^)]*)\)/.exec(colour);
  if (!found) return colour;
  const [red, green, blue] = found[1].split(/[ ,/]+/);
  return `rgba(${red}, ${green}, ${blue}, ${part})`;
}
