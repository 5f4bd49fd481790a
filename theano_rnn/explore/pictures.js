"use strict";
/* The pictures, as SVG in pixels of the place where they stand: a phone has the same size of letters. */

const line = (x, y, toX, toY, colour, width = 1.5, more = "") =>
  `<path d="M${x} ${y}L${toX} ${toY}" stroke="var(--${colour})" stroke-width="${width}" fill="none" ${more}/>`;

/* A label; "s_3" has an index. */
function label(x, y, text, { anchor = "middle", kind = "", size = 12, more = "" } = {}) {
  const inside = text.replace(
    /_(\w+)/g,
    `<tspan dy="3" font-size="${size - 3}">$1</tspan><tspan dy="-3">&#8203;</tspan>`,
  );
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" class="${kind}" font-size="${size}" ${more}>${inside}</text>`;
}

/* An arrow along one axis; a wider line has a larger head. */
function arrow(x, y, toX, toY, colour, width = 1.5) {
  const [dx, dy] = [Math.sign(toX - x), Math.sign(toY - y)];
  const [long, half] = [4 + 1.6 * width, 2 + width];
  const [bx, by] = [toX - long * dx, toY - long * dy];
  const head = `M${toX} ${toY}L${bx + half * dy} ${by + half * dx}L${bx - half * dy} ${by - half * dx}Z`;
  return line(x, y, bx, by, colour, width) + `<path d="${head}" fill="var(--${colour})"/>`;
}

const svg = (width, height, title, parts) =>
  `<svg viewBox="0 0 ${width} ${height}" height="${height}" role="img" aria-label="${title}">${parts.join("")}</svg>`;

// ---- the network

/* The network step by step, the way of the error of output t down to step j, and below it what is
   left of the error at each of these steps; the way still to go is pale. Before the first move t is T
   and j is null, as for an output that sends no error. */
function drawNetwork({ settings, net, ahead, back, firstStep }, t, j, width) {
  const { T, H } = settings;
  const left = width < 500 ? 18 : 34;
  const pitch = (width - left - 4) / T;
  const at = (step) => left + (step - 0.5) * pitch;
  const [targetY, errorY, top, bottom, wordY, base] = [12, 31, 74, 132, 176, 266];
  const box = Math.min(0.62 * pitch, 66);
  const middle = (top + bottom) / 2;
  const reached = firstStep(t);
  const parts = [];
  if (j !== null) {
    parts.push(
      `<rect x="${at(j) - pitch / 2 + 2}" y="0" width="${pitch - 4}" height="${base + 8}" rx="8" fill="var(--wash)"/>`,
    );
  }
  if (width >= 500) {
    parts.push(label(10, middle - 20, "s_0", { kind: "soft" }));
  }
  for (let step = 1; step <= T; step++) {
    const x = at(step);
    const silent = firstStep(step) > step; // its output sends no error back
    const fade = silent ? 'opacity=".4"' : "";
    const target = net.read[step];
    parts.push(
      label(x, targetY, pitch > 60 ? `“${target}”?` : target, { kind: "soft", more: fade }),
      label(x, errorY, pitch > 60 ? `E_${step} = ${short(ahead.E[step])}` : short(ahead.E[step]), {
        more: fade,
      }),
      `<g ${fade}>${arrow(x, top, x, errorY + 7, "soft")}</g>`,
      arrow(x, wordY - 14, x, bottom, "soft"),
      label(x, wordY, net.read[step - 1], { size: 13 }),
      arrow(
        step === 1 ? left - 8 : at(step - 1) + box / 2,
        middle - 12,
        x - box / 2,
        middle - 12,
        "soft",
      ),
      drawState(x, top, box, bottom - top, ahead.s[step], settings.activation),
    );
    if (pitch > 60) {
      const gap = step === 1 ? x - box / 2 - (x - box / 2 - left + 8) / 2 : x - pitch / 2;
      if (step > 1) parts.push(label(gap, middle - 18, "W", { kind: "soft" }));
      parts.push(
        label(x - 9, (top + errorY) / 2 + 9, "V", { kind: "soft", more: fade }),
        label(x - 9, bottom + 19, "U", { kind: "soft" }),
      );
    }
  }
  parts.push(drawWay(back[t].way, t, j, reached, { at, pitch, box, top, middle, errorY, base }));
  if (reached > 1 && reached <= t) {
    const x = at(reached) - pitch / 2;
    parts.push(line(x, top - 14, x, base, "ink", 1.5, 'stroke-dasharray="2 4"'));
    parts.push(
      label(x - 5, base - 60, `✂ ${settings.scheme}:${settings.K}`, { anchor: "end", size: 11 }),
    );
  }
  return svg(width, base + 22, `The network over ${T} words with ${H} units`, parts);
}

/* A state: a bar for each unit, up if positive, as long as the box for 1 (for relu, the largest). */
function drawState(x, top, width, height, s, activation) {
  const middle = top + (activation === "tanh" ? height / 2 : height - 4);
  const reach = activation === "tanh" ? height / 2 - 4 : height - 8;
  const largest = Math.max(1, ...s.map(Math.abs));
  const wide = Math.min((width - 8) / s.length, 14);
  const bars = s.map((value, unit) => {
    const long = (Math.abs(value) / largest) * reach;
    const bx = x + (unit - s.length / 2) * wide + 1;
    const by = value > 0 ? middle - long : middle;
    return `<rect x="${bx}" y="${by}" width="${wide - 2}" height="${Math.max(long, 0.8)}" fill="var(--forward)"/>`;
  });
  return (
    `<rect x="${x - width / 2}" y="${top}" width="${width}" height="${height}" rx="9" fill="var(--card)" stroke="var(--forward)" stroke-width="1.5"/>` +
    line(x - width / 2 + 4, middle, x + width / 2 - 4, middle, "line", 1) +
    bars.join("")
  );
}

/* The error's way: down from E_t, then one arrow and one bar for each step. */
function drawWay(way, t, j, reached, { at, pitch, box, top, middle, errorY, base }) {
  const parts = [];
  const sizes = way.map((pair) => norm(pair.error));
  const largest = Math.max(...sizes.slice(reached, t + 1), 0) || 1;
  for (let step = t; step >= reached; step--) {
    const x = at(step);
    const thick = 1.2 + 3.8 * Math.min(1, sizes[step] / largest);
    const high = Math.max((44 * sizes[step]) / largest, 1);
    const wide = Math.min(pitch * 0.56, 40);
    const shape =
      step === t
        ? arrow(x + 7, errorY + 7, x + 7, top - 1, "error", thick)
        : arrow(at(step + 1) - box / 2, middle + 12, x + box / 2, middle + 12, "error", thick);
    const bar = `<rect x="${x - wide / 2}" y="${base - high}" width="${wide}" height="${high}" rx="2" fill="var(--error)"/>`;
    const isGone = j !== null && step >= j;
    parts.push(`<g opacity="${isGone ? 1 : 0.18}">${shape}${bar}</g>`);
    if (!isGone) continue;
    const text = share(sizes[step] / (sizes[t] || 1));
    parts.push(
      pitch > 60
        ? label(x, base - high - 5, text)
        : label(x, base - high - 5, text.replace(/ /g, "").replace("times", "×"), { size: 11 }),
    );
  }
  const [left, right] = [at(1) - pitch / 2, at(way.length - 1) + pitch / 2];
  parts.push(line(left, base, Math.max(right, left + 1), base, "line", 1));
  const said =
    reached > t ? `output ${t} sends nothing back` : `what is left of the error of output ${t}`;
  parts.push(label(left, base + 16, said, { anchor: "start", kind: "soft" }));
  return parts.join("");
}

// ---- the product of Jacobians

const DASHES = { bound: "7 4", product: "", error: "2 3" };

/* For each number of steps back from output t, on a logarithmic scale: the bound, the 2-norm of the
   product of Jacobians, and what is left of the error. The part not yet walked is pale. */
function drawChart({ settings, back, moves }, t, j, width) {
  const height = 176;
  const [left, right, top, bottom] = [44, width - 12, 10, height - 34];
  const way = back[t].way.slice(1).reverse(); // by the number of steps back
  const sizes = way.map((pair) => norm(pair.error));
  const series = {
    bound: way.map((pair) => pair.bound),
    product: way.map((pair) => pair.stretch),
    error: sizes.map((size) => size / (sizes[0] || 1)),
  };
  const seen = Object.values(series)
    .flat()
    .filter((value) => value > 1e-300);
  const high = Math.max(0, Math.ceil(Math.log10(Math.max(...seen)) - 1e-9));
  const low = Math.min(high - 2, Math.floor(Math.log10(Math.min(...seen)) + 1e-9));
  const most = Math.max(settings.T - 1, 1);
  const X = (n) => left + ((right - left) * n) / most;
  const Y = (value) => top + ((bottom - top) * (high - Math.log10(value))) / (high - low);
  const parts = [];
  const every = Math.ceil((high - low) / 5);
  for (let power = high; power >= low; power -= every) {
    const y = Y(10 ** power);
    parts.push(line(left, y, right, y, "line", power === 0 ? 1.6 : 0.8));
    parts.push(
      label(
        left - 6,
        y + 4,
        power < -3 || power > 3 ? `10${raised(power)}` : String(10 ** power).slice(0, 5),
        { anchor: "end", kind: "soft", size: 11 },
      ),
    );
  }
  for (let n = 0; n <= most; n++)
    parts.push(label(X(n), bottom + 15, String(n), { kind: "soft", size: 11 }));
  parts.push(
    label((left + right) / 2, height - 4, `steps back from output ${t}`, { kind: "soft" }),
  );
  const walked = j === null ? 0 : t - j;
  if (j !== null)
    parts.push(line(X(walked), top, X(walked), bottom, "ink", 1, 'stroke-dasharray="1 3"'));
  const colours = { bound: "bound", product: "ink", error: "error" };
  for (const [name, values] of Object.entries(series)) {
    const colour = colours[name];
    const shown = values.map((value, n) => (value > 1e-300 ? [X(n), Y(value)] : null));
    const points = shown.filter(Boolean);
    const path = (some) =>
      some.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    const draw = (some, more) =>
      `<path d="${path(some)}" fill="none" stroke="var(--${colour})" stroke-width="2" stroke-dasharray="${DASHES[name]}" ${more}/>`;
    parts.push(draw(points, 'opacity=".35"'), draw(points.slice(0, walked + 1), ""));
    if (name !== "bound") {
      parts.push(
        ...points.map(([x, y], n) => drawPoint(name, x, y, colour, n <= walked ? 1 : 0.35)),
      );
    }
  }
  return (
    drawKey() +
    svg(
      width,
      height,
      "The bound, the product of Jacobians and the error against the steps back",
      parts,
    )
  );
}

function drawPoint(name, x, y, colour, opacity) {
  const fill = `fill="var(--${colour})" opacity="${opacity}"`;
  return name === "error"
    ? `<rect x="${x - 3.2}" y="${y - 3.2}" width="6.4" height="6.4" ${fill}/>`
    : `<circle cx="${x}" cy="${y}" r="3.4" ${fill}/>`;
}

function drawKey() {
  const sample = (name, colour) =>
    `<svg viewBox="0 0 34 10" aria-hidden="true">${line(0, 5, 34, 5, colour, 2, `stroke-dasharray="${DASHES[name]}"`)}${name === "bound" ? "" : drawPoint(name, 17, 5, colour, 1)}</svg>`;
  return (
    `<div class="key"><span>${sample("bound", "bound")}bound (γ σ<sub>max</sub>)<sup><i>n</i></sup></span>` +
    `<span>${sample("product", "ink")}product of Jacobians</span>` +
    `<span>${sample("error", "error")}what is left of the error</span></div>`
  );
}

// ---- saturation

/* phi (solid) and its derivative (dashed), with the units of all steps; those of step j are large. */
function drawCurve({ settings, ahead }, j, width) {
  const { phi, slope } = ACTIVATIONS[settings.activation];
  const height = 170;
  const [left, right, top, bottom] = [30, width - 8, 10, height - 30];
  const reach = Math.max(
    3,
    ...ahead.z
      .slice(1)
      .flat()
      .map((z) => Math.min(Math.ceil(Math.abs(z)), 60)),
  );
  const high =
    settings.activation === "relu" ? Math.min(4, Math.max(1.1, ...ahead.s.flat())) : 1.1;
  const low = settings.activation === "tanh" ? -1.1 : -0.08 * high;
  const X = (z) =>
    left + ((right - left) * (Math.min(Math.max(z, -reach), reach) + reach)) / (2 * reach);
  const Y = (value) => top + ((bottom - top) * (high - Math.min(value, high))) / (high - low);
  const grid = Array.from({ length: 241 }, (_, i) => ((i - 120) / 120) * reach);
  const trace = (f) =>
    grid.map((z, i) => `${i ? "L" : "M"}${X(z).toFixed(1)} ${Y(f(z)).toFixed(1)}`).join("");
  const parts = [
    line(left, Y(0), right, Y(0), "line", 1.2),
    line(X(0), top, X(0), bottom, "line", 1.2),
  ];
  for (const value of settings.activation === "tanh" ? [-1, 0, 1] : [0, 1])
    parts.push(
      label(left - 6, Y(value) + 4, short(value).replace(".00", ""), {
        anchor: "end",
        kind: "soft",
        size: 11,
      }),
    );
  for (const z of [-reach, 0, reach])
    parts.push(label(X(z), bottom + 15, String(z).replace("-", "−"), { kind: "soft", size: 11 }));
  parts.push(
    label((left + 3 * right) / 4, bottom + 15, "z", { kind: "soft", more: 'font-style="italic"' }),
  );
  parts.push(`<path d="${trace(phi)}" fill="none" stroke="var(--forward)" stroke-width="2"/>`);
  parts.push(
    `<path d="${trace((z) => slope(z, phi(z)))}" fill="none" stroke="var(--ink)" stroke-width="2" stroke-dasharray="7 4"/>`,
  );
  for (let step = 1; step <= settings.T; step++) {
    const now = step === j;
    const [r, opacity] = now ? [5, 1] : [3, 0.3];
    ahead.z[step].forEach((z, unit) => {
      parts.push(
        `<circle cx="${X(z)}" cy="${Y(ahead.s[step][unit])}" r="${r}" fill="var(--forward)" opacity="${opacity}"/>`,
      );
      const [x, y] = [X(z), Y(ahead.slopes[step][unit])];
      parts.push(
        `<path d="M${x} ${y - r - 1}L${x + r + 1} ${y}L${x} ${y + r + 1}L${x - r - 1} ${y}Z" fill="var(--ink)" opacity="${opacity}"/>`,
      );
    });
  }
  const sample = (colour, dash) =>
    `<svg viewBox="0 0 34 10" aria-hidden="true">${line(0, 5, 34, 5, colour, 2, `stroke-dasharray="${dash}"`)}</svg>`;
  const key = `<div class="key"><span>${sample("forward", "")}φ(<i>z</i>), the state</span><span>${sample("ink", "7 4")}φ′(<i>z</i>), the slope</span></div>`;
  return (
    key +
    svg(
      width,
      height,
      `${settings.activation} and its derivative, with the units of each step`,
      parts,
    )
  );
}
