"use strict";
/* Draws a panel of a figure: two axes and marks (line, bars, level, map), as interactive.py describes
   them. It is an SVG in pixels of its place, so that a phone has the same size of letters. */

const DASHES = { solid: "", dash: "7 4", dashdot: "8 3 2 3", dot: "2 3", long: "12 4" };
const HEIGHT = 300;
const LETTER = 6.4; // pixels of a letter of a label, about
/* Colours of a map from low to high: viridis, in 9 steps. */
const VIRIDIS = [
  "440154",
  "472d7b",
  "3b528b",
  "2c728e",
  "21918c",
  "28ae80",
  "5ec962",
  "addc30",
  "fde725",
];

const escaped = (text) =>
  String(text).replace(
    /[&<>"]/g,
    (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c],
  );

/* Text of SVG; the indices of dE_t/ds_k stand below. */
const indexed = (text) =>
  escaped(text).replace(
    /\b(dE|ds|dh)_(?:\{([^}]+)\}|([tk]\b))/g,
    (_, of, long, short) =>
      `${of.replace("d", "∂")}<tspan dy="3" font-size="9">${long ?? short}</tspan><tspan dy="-3">&#8203;</tspan>`,
  );

const coloured = (hex) => `var(--c${hex.slice(1)})`;

function viridis(share) {
  const at = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const i = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const channel = (colour, n) => Number.parseInt(colour.slice(2 * n, 2 * n + 2), 16);
  const mixed = [0, 1, 2].map((n) =>
    Math.round(
      channel(VIRIDIS[i], n) + (at - i) * (channel(VIRIDIS[i + 1], n) - channel(VIRIDIS[i], n)),
    ),
  );
  return `rgb(${mixed.join(",")})`;
}

// ---- axes

const isShown = (value, axis) => value !== null && (!axis.log || value > 0);

/* The range of an axis: its own, or that of the marks with a little room. */
function rangeOf(axis, values) {
  if (axis.range) return axis.range;
  const shown = values.filter((v) => isShown(v, axis));
  if (!shown.length) return axis.log ? [0.1, 1] : [0, 1];
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  if (axis.log) return [low / 1.3, high * 1.3];
  const room = 0.05 * (high - low || Math.abs(high) || 1);
  return [low - room, high + room];
}

/* A function from values to pixels. */
function scaleOf(axis, range, from, to) {
  const f = axis.log ? Math.log10 : (v) => v;
  const [low, high] = range.map(f);
  return (value) => from + ((to - from) * (f(value) - low)) / (high - low);
}

/* The digits and the minus of a power. */
const raised = (n) => String(n).replace(/[-\d]/g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);

function written(value, axis) {
  if (axis.percent) return `${Math.round(100 * value)} %`;
  if (axis.log) {
    const power = Math.round(Math.log10(value));
    return power < -3 || power > 3
      ? "10" + raised(power)
      : String(Number(value.toPrecision(3)));
  }
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

/* Ticks as [value, label], not more than fit. */
function ticksOf(axis, range, most) {
  const [low, high] = [Math.min(...range), Math.max(...range)];
  if (axis.ticks) {
    const every = Math.ceil(axis.ticks.length / most);
    return axis.ticks.map((tick, i) => [tick, axis.labels[i]]).filter((_, i) => i % every === 0);
  }
  let values = [];
  if (axis.log) {
    const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    const every = Math.max(1, Math.ceil((last - first + 1) / Math.min(most, 8)));
    for (let power = last; power >= first; power -= every) values.push(10 ** power);
    if (values.length < 2) values = [low, high].map((v) => Number(v.toPrecision(2)));
    return values.map((v) => [v, power10(v) ? written(v, axis) : String(v)]);
  }
  const count = Math.min(most, 7);
  const raw = (high - low) / count;
  const size = 10 ** Math.floor(Math.log10(raw));
  const nice = [1, 2, 5, 10].map((m) => m * size).find((step) => step >= raw * 0.999);
  const every = axis.every
    ? Math.max(axis.every, Math.ceil(nice / axis.every) * axis.every)
    : nice;
  for (let i = Math.ceil(low / every - 1e-9); i * every <= high + 1e-9 * every; i++)
    values.push(i * every);
  return values.map((v) => [v, written(v, axis)]);
}

const power10 = (v) => Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-9;

// ---- a panel

/* All x or y of the marks of a panel. */
const valuesOf = (marks, of) =>
  marks.flatMap((m) => {
    if (m.kind === "map")
      return of === "x" ? [m.x[0] - 0.5, m.x[m.x.length - 1] + 0.5] : [0.5, m.rows.length + 0.5];
    if (m.kind === "level") return of === "x" ? [] : [m.y];
    if (m.kind === "bars")
      return of === "x" ? [Math.min(...m.x) - 0.6, Math.max(...m.x) + 0.6] : [0, ...m.y];
    return m[of];
  });

/* The SVG of a panel of some width, and its targets: { x, y, text } in pixels, for the pointer. */
function drawPanel(panel, width, title) {
  const map = panel.marks.find((m) => m.kind === "map");
  const longest = (axis) => Math.max(0, ...(axis.labels ?? []).map((text) => text.length));
  const left =
    Math.min(panel.y.labels ? 14 + LETTER * longest(panel.y) : 44, 0.34 * width) +
    (panel.y.title ? 18 : 0);
  const upright =
    panel.x.upright ||
    (panel.x.labels && longest(panel.x) * LETTER * panel.x.labels.length > width - left);
  const below =
    (panel.x.labels && upright ? 12 + LETTER * Math.min(longest(panel.x), 20) : 20) +
    (panel.x.title ? 18 : 0);
  const top = panel.title ? 24 : 8;
  const right = width - 10;
  const square = map && map.square;
  const inside = square
    ? Math.min(((right - left) * map.rows.length) / map.x.length, map.x.length > 60 ? 900 : 540)
    : HEIGHT - 60;
  const bottom = top + inside;
  const end = square ? left + (inside * map.x.length) / map.rows.length : right;
  const height = bottom + below;
  const xs = rangeOf(panel.x, valuesOf(panel.marks, "x"));
  const ys = rangeOf(panel.y, valuesOf(panel.marks, "y"));
  const [X, Y] = [scaleOf(panel.x, xs, left, end), scaleOf(panel.y, ys, bottom, top)];
  const parts = [];
  const targets = [];
  if (panel.title)
    parts.push(`<text x="${left}" y="14" font-weight="600">${indexed(panel.title)}</text>`);
  for (const [value, text] of ticksOf(panel.y, ys, Math.floor(inside / 14))) {
    const y = Y(value);
    if (y < top - 1 || y > bottom + 1) continue;
    if (!map) parts.push(`<path class="grid" d="M${left} ${y}H${end}"/>`);
    parts.push(
      `<text class="soft" x="${left - 6}" y="${y + 4}" text-anchor="end">${indexed(cut(text, left / LETTER))}</text>`,
    );
  }
  const room = upright || !panel.x.labels ? (upright ? 13 : 34) : LETTER * longest(panel.x) + 8;
  for (const [value, text] of ticksOf(panel.x, xs, Math.max(2, Math.floor((end - left) / room)))) {
    const x = X(value);
    if (x < left - 1 || x > end + 1) continue;
    if (!map) parts.push(`<path class="grid" d="M${x} ${top}V${bottom}"/>`);
    const turned = upright && panel.x.labels;
    const place = turned
      ? `transform="translate(${x + 4} ${bottom + 8}) rotate(-90)" text-anchor="end"`
      : `x="${x}" y="${bottom + 15}" text-anchor="middle"`;
    parts.push(`<text class="soft" ${place}>${indexed(cut(text, 20))}</text>`);
  }
  if (panel.x.title)
    parts.push(
      `<text class="soft" x="${(left + end) / 2}" y="${height - 4}" text-anchor="middle">${indexed(panel.x.title)}</text>`,
    );
  if (panel.y.title)
    parts.push(
      `<text class="soft" transform="translate(12 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${indexed(panel.y.title)}</text>`,
    );
  const clip = `clip${Math.random().toString(36).slice(2)}`;
  parts.push(
    `<clipPath id="${clip}"><rect x="${left - 4}" y="${top - 4}" width="${end - left + 8}" height="${bottom - top + 8}"/></clipPath>`,
  );
  parts.push(`<g clip-path="url(#${clip})">`);
  for (const mark of panel.marks)
    parts.push(DRAW[mark.kind](mark, { panel, X, Y, left, end, bottom, targets }));
  parts.push("</g>");
  return {
    svg: `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" tabindex="0" aria-label="${escaped(panel.title || title)}">${parts.join("")}<circle class="cursor" r="7" visibility="hidden"/></svg>`,
    targets,
  };
}

const cut = (text, most) =>
  text.length > most ? text.slice(0, Math.max(1, Math.floor(most) - 1)) + "…" : text;
const said = (value) => (value === null ? "none" : String(Number(value.toPrecision(4))));

const DRAW = {
  line(mark, { panel, X, Y, targets }) {
    let path = "";
    let isOn = false;
    const points = [];
    mark.x.forEach((x, i) => {
      const y = mark.y[i];
      if (!isShown(y, panel.y) || !isShown(x, panel.x)) {
        isOn = false;
        return;
      }
      const [px, py] = [X(x).toFixed(1), Y(y).toFixed(1)];
      path += `${isOn ? "L" : "M"}${px} ${py}`;
      isOn = true;
      points.push([px, py]);
      const text = mark.hover
        ? mark.hover[i]
        : `${mark.name}\n${panel.x.title || "x"} ${said(x)}: ${said(y)}`;
      if (text) targets.push({ x: Number(px), y: Number(py), text });
    });
    const stroke = `stroke="${coloured(mark.colour)}" opacity="${mark.opacity}" fill="none"`;
    const drawn = mark.dash
      ? `<path d="${path}" ${stroke} stroke-width="${mark.width}" stroke-dasharray="${DASHES[mark.dash]}"/>`
      : "";
    return drawn + drawMarkers(mark, points);
  },
  bars(mark, { panel, X, Y, bottom, targets }) {
    const wide = Math.max(1, 0.7 * Math.abs(X(1) - X(0)));
    const base = panel.y.log ? bottom : Y(0);
    const path = mark.x.map((x, i) => {
      if (!isShown(mark.y[i], panel.y)) return "";
      targets.push({
        x: X(x),
        y: Y(mark.y[i]),
        text: `${mark.name}\n${panel.x.title} ${x}: ${said(mark.y[i])}`,
      });
      return `M${X(x).toFixed(1)} ${base.toFixed(1)}V${Y(mark.y[i]).toFixed(1)}`;
    });
    return `<path d="${path.join("")}" stroke="${coloured(mark.colour)}" stroke-width="${wide}"/>`;
  },
  level: (mark, { Y, left, end }) =>
    `<path d="M${left} ${Y(mark.y)}H${end}" stroke="${coloured(mark.colour)}" stroke-width="1.5" stroke-dasharray="${DASHES[mark.dash]}"/>`,
  map(mark, { X, Y, targets }) {
    const numbered = typeof mark.rows[0] === "number";
    const [wide, high] = [Math.abs(X(1) - X(0)), Math.abs(Y(1) - Y(0))];
    const cells = new Map(); // a path for each of 64 colours
    mark.z.forEach((row, r) => {
      const y = Y(numbered ? mark.rows[r] : r + 1);
      row.forEach((z, c) => {
        if (z === null) return;
        const x = X(mark.x[c]);
        const level = mark.colour
          ? 0
          : Math.round(
              (63 * (Math.min(Math.max(z, mark.low), mark.high) - mark.low)) /
                (mark.high - mark.low || 1),
            );
        const cell = `M${(x - wide / 2).toFixed(1)} ${(y - high / 2).toFixed(1)}h${(wide + 0.5).toFixed(2)}v${(high + 0.5).toFixed(2)}h-${(wide + 0.5).toFixed(2)}z`;
        cells.set(level, (cells.get(level) ?? "") + cell);
        const text = mark.hover ? mark.hover[r][c] : `${mark.rows[r]}, ${mark.x[c]}: ${said(z)}`;
        targets.push({ x, y, text, row: r, column: c });
      });
    });
    return [...cells]
      .map(
        ([level, path]) =>
          `<path d="${path}" shape-rendering="crispEdges" fill="${mark.colour ? coloured(mark.colour) : viridis(level / 63)}"/>`,
      )
      .join("");
  },
};

function drawMarkers(mark, points) {
  const style = `fill="${coloured(mark.colour)}" opacity="${mark.opacity}"`;
  const shapes = {
    dot: ([x, y]) => `<circle cx="${x}" cy="${y}" r="3" ${style}/>`,
    square: ([x, y]) => `<rect x="${x - 3}" y="${y - 3}" width="6" height="6" ${style}/>`,
    star: ([x, y]) =>
      `<path d="${[...Array(10).keys()].map((i) => `${i ? "L" : "M"}${(Number(x) + (i % 2 ? 4 : 10) * Math.sin((i * Math.PI) / 5)).toFixed(1)} ${(Number(y) - (i % 2 ? 4 : 10) * Math.cos((i * Math.PI) / 5)).toFixed(1)}`).join("")}Z" ${style}/>`,
  };
  const every = mark.dash ? Math.ceil(points.length / 50) : 1; // on a line, not more than fit
  const shown = points.filter((_, i) => i % every === 0);
  return mark.marker ? shown.map(shapes[mark.marker]).join("") : "";
}
