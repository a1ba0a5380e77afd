// What has been seen, of each process that has answered: the server keeps nothing.

const LONG = 600;
const MANY = 60;
const BRIEF = 90;

/** One buffer of one process: what it said, moment by moment. */
export class Track {
  constructor() {
    this.samples = [];
    this.now = null;
    this.most = 0;
    this.closely = -Infinity; // when it was looked at by itself
  }

  add(at, buffer, most) {
    const stats = buffer.stats;
    const last = this.samples[this.samples.length - 1];
    if (last && at <= last.at) return;
    this.now = buffer;
    if (!stats) {
      this.samples.push({ at, state: buffer.state, none: true });
    } else {
      if (!last) this.begin(at, buffer);
      this.samples.push(sample(at, buffer, at));
    }
    this.most = Math.max(this.most, most); // of one that was looked at, more is kept
    if (this.samples.length > this.most) this.samples.splice(0, this.samples.length - this.most);
  }

  /** Begin with what the process itself has measured, of the last minute. */
  begin(at, { stats }) {
    if (stats.shared) return;
    const { rates } = stats;
    for (const [ago, name] of [[60, "60s"], [10, "10s"]]) {
      this.samples.push({
        at: at - ago,
        accepted: stats.accepted - stats.recovered - ago * rates[`in_${name}`],
        delivered: stats.delivered - ago * rates[`out_${name}`],
        failed: stats.failed_calls - ago * rates[`failed_${name}`],
        held: null,
        age: null,
        state: null,
      });
    }
  }

  /** How much per second there was of something, up to sample number *index*. */
  rate(name, index = this.samples.length - 1) {
    const end = this.samples[index];
    if (!end || end.none) return null;
    const span = Math.min(30, Math.max(4, 2 * (this.now?.interval || 5)));
    let before = index - 1;
    while (before > 0 && this.samples[before].at > end.at - span) before -= 1;
    const begin = this.samples[before];
    if (!begin || begin.none || end.at - begin.at > span + 60) return null;
    const change = end[name] - begin[name];
    return change < 0 ? null : change / (end.at - begin.at);
  }

  /** How much there has been of a counter since the page looks, in the last so many seconds. */
  grown(name, seconds) {
    const end = this.samples[this.samples.length - 1];
    if (!end || end.none) return 0;
    const begin = this.samples.find((each) => !each.none && each.state !== null && each.at >= end.at - seconds);
    return begin ? Math.max(0, end[name] - begin[name]) : 0;
  }
}

function sample(at, { stats, state }) {
  return {
    at,
    accepted: stats.accepted - stats.recovered,
    delivered: stats.delivered,
    failed: stats.failed_calls,
    lost: stats.dropped + stats.dead_lettered,
    held: stats.held,
    age: stats.oldest_age,
    state,
  };
}

/** A process, and all its buffers. */
class Process {
  constructor(about) {
    this.about = about;
    this.tracks = new Map();
    this.at = 0;
    this.actions = false;
  }

  hear(told) {
    this.at = told.at;
    this.actions = told.actions;
    const most = told.buffers.length > MANY ? BRIEF : LONG;
    const named = new Map();
    for (const buffer of told.buffers) {
      const track = this.tracks.get(buffer.name) || new Track();
      if (told.at - track.closely > 3) track.add(told.at, buffer, most);
      named.set(buffer.name, track);
    }
    this.tracks = named;
  }

  /** Hear of one of them, in between. */
  see({ at, buffer }) {
    const track = this.tracks.get(buffer.name);
    if (!track) return;
    this.at = Math.max(this.at, at);
    this.heard = performance.now();
    track.closely = at;
    track.add(at, buffer, LONG);
  }
}

/** All processes that have answered; one of them is looked at. */
export class History {
  constructor() {
    this.processes = new Map();
    this.chosen = null;
  }

  hear(told) {
    const key = keyOf(told.process);
    let process = this.processes.get(key);
    if (!process) {
      process = new Process(told.process);
      this.processes.set(key, process);
    }
    process.hear(told);
    process.heard = performance.now();
    for (const [other, { heard }] of this.processes) {
      if (performance.now() - heard > 60000) this.processes.delete(other);
    }
    if (!this.processes.has(this.chosen)) this.chosen = key;
    return key === this.chosen;
  }

  get process() {
    return this.processes.get(this.chosen) || null;
  }

  isChosen(process) {
    return keyOf(process) === this.chosen;
  }
}

export const keyOf = ({ host, pid, started }) => `${host} ${pid} ${started}`;
