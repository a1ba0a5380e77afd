// Numbers for people: short, and always in the same places.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

export const count = (number) => (number === null || number === undefined ? "–" : whole.format(number));

/** 1,234 · 56.7k · 8.9M */
export function short(number) {
  if (number === null || number === undefined) return "–";
  const size = Math.abs(number);
  if (size < 10000) return whole.format(number);
  if (size < 999950) return `${one.format(number / 1e3)}k`;
  if (size < 999950000) return `${one.format(number / 1e6)}M`;
  return `${one.format(number / 1e9)}G`;
}

/** So much per second; nothing is told from next to nothing. */
export function rate(number) {
  if (number === null || number === undefined) return "–";
  if (number === 0) return "0";
  if (number < 0.05) return "<0.1";
  return number < 10 ? one.format(number) : short(number);
}

/** Seconds, in the unit that suits them. */
export function seconds(number) {
  if (number === null || number === undefined) return "–";
  if (number <= 0.0001) return "<0.1 ms";
  if (number < 0.01) return `${one.format(number * 1e3)} ms`;
  if (number < 0.9995) return `${whole.format(number * 1e3)} ms`;
  if (number < 9.95) return `${one.format(number)} s`;
  if (number < 99.5) return `${whole.format(number)} s`;
  if (number < 5940) return `${whole.format(number / 60)} min`;
  if (number < 172800) return `${one.format(number / 3600)} h`;
  return `${whole.format(number / 86400)} d`;
}

export const at = (unix) => (unix === null || unix === undefined ? "never" : clock.format(unix * 1000));
export const date = (unix) => (unix === null || unix === undefined ? "never" : day.format(unix * 1000));

/** The time of the day; the date, too, where that may be another. */
export const moment = (unix, now) => (now - unix < 43200 ? at(unix) : date(unix));

/** How long ago, by the clock of who told. */
export function ago(unix, now) {
  if (unix === null || unix === undefined) return "never";
  const since = Math.max(0, now - unix);
  return since < 1 ? "just now" : `${seconds(since)} ago`;
}

export function percent(part, all) {
  if (!all || !part) return "";
  const number = (100 * part) / all;
  if (number > 0 && number < 0.1) return "<0.1 %";
  return number > 99.9 && part < all ? ">99.9 %" : `${one.format(number)} %`;
}

export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
