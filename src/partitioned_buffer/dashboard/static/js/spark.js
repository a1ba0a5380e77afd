// The last minutes of a buffer in the space of a word: what came is an area, what went a line.

import { ink } from "./dom.js";

const SECONDS = 120;

export class Inks {
  constructor() {
    this.read();
  }

  read() {
    for (const name of ["in", "out", "held", "text", "quiet", "grid", "bad", "warn", "full", "panel"]) this[name] = ink(`--${name}`);
  }
}

export function spark(canvas, track, inks) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const { samples } = track;
  const end = samples.length ? samples[samples.length - 1].at : 0;
  const points = [];
  for (let index = 1; index < samples.length; index += 1) {
    if (samples[index].at < end - SECONDS) continue;
    points.push({ at: samples[index].at, came: track.rate("accepted", index), went: track.rate("delivered", index) });
  }
  const most = Math.max(1e-9, ...points.map(({ came, went }) => Math.max(came || 0, went || 0)));
  const x = (at) => width - ((end - at) / SECONDS) * width;
  const y = (value) => height - 1.5 - ((value || 0) / most) * (height - 4);
  pen.strokeStyle = inks.grid;
  pen.lineWidth = 1;
  line(pen, [[0, height - 0.5], [width, height - 0.5]]);
  if (points.length < 2) return;
  pen.fillStyle = inks.in;
  pen.globalAlpha = 0.22;
  pen.beginPath();
  pen.moveTo(x(points[0].at), height - 1);
  for (const { at, came } of points) pen.lineTo(x(at), y(came));
  pen.lineTo(x(end), height - 1);
  pen.fill();
  pen.globalAlpha = 1;
  pen.strokeStyle = inks.out;
  pen.lineWidth = 1.6;
  line(pen, points.map(({ at, went }) => [x(at), y(went)]));
}

function line(pen, places) {
  pen.beginPath();
  places.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.stroke();
}
