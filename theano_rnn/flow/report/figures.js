"use strict";
/* Draws the figures of a report. Each stands in the page as JSON, as interactive.py writes it: rows of
   panels, and perhaps a slider. */

// ---- a figure: its legend, panels, scale of colours and slider

function legend(spec) {
  const seen = new Map();
  for (const mark of spec.rows.flat().flatMap((panel) => panel.marks))
    if (!seen.has(mark.name)) seen.set(mark.name, mark);
  if (seen.size < 2) return "";
  const sample = (m) => {
    if (m.kind === "map")
      return m.colour
        ? `<rect x="10" y="0" width="12" height="12" fill="${coloured(m.colour)}"/>`
        : "";
    if (m.kind === "bars")
      return `<rect x="8" y="1" width="16" height="10" fill="${coloured(m.colour)}"/>`;
    const dash = m.dash
      ? `<path d="M0 6H32" stroke="${coloured(m.colour)}" stroke-width="2" stroke-dasharray="${DASHES[m.dash]}"/>`
      : "";
    return dash + drawMarkers({ ...m, opacity: 1 }, [[16, 6]]);
  };
  const items = [...seen.values()].filter((m) => m.kind !== "map" || m.colour);
  return `<div class="legend">${items.map((m) => `<span><svg width="32" height="12" aria-hidden="true">${sample(m)}</svg> ${m.html}</span>`).join("")}</div>`;
}

const rounded = (value) => String(Number(value.toPrecision(2))).replace("-", "−");

function colourScale(spec) {
  const map = spec.rows
    .flat()
    .flatMap((panel) => panel.marks)
    .find((m) => m.kind === "map" && m.bar);
  if (!map) return "";
  const stops = VIRIDIS.map((c) => `#${c}`).join(",");
  return `<div class="scale">${rounded(map.low)} <span style="background:linear-gradient(90deg,${stops})"></span> ${rounded(map.high)} &nbsp; ${map.barHtml ?? escaped(map.bar)}</div>`;
}

function drawFigure(place) {
  const spec = JSON.parse(document.getElementById(`${place.id}-data`).textContent);
  const marks = spec.rows.flat().flatMap((panel) => panel.marks);
  const columns = Math.max(...spec.rows.map((row) => row.length));
  place.innerHTML = `${legend(spec)}<div class="panels"></div>${colourScale(spec)}<p class="told" aria-live="polite">&nbsp;</p>`;
  const [panels, told] = [place.querySelector(".panels"), place.querySelector(".told")];
  let width = 0;
  const draw = () => {
    width = place.clientWidth;
    if (!width) return; // not laid out yet: the observer calls again
    const side = Math.max(1, Math.min(columns, Math.floor(width / 300)));
    panels.style.gridTemplateColumns = `repeat(${side}, minmax(0, 1fr))`;
    const each = (width - 16 * (side - 1)) / side;
    const one = each;
    panels.replaceChildren(
      ...spec.rows.flat().map((panel) => {
        const { svg, targets } = drawPanel(panel, Math.round(one), spec.title);
        const holder = document.createElement("div");
        holder.innerHTML = svg;
        follow(holder.firstChild, targets, told);
        return holder;
      }),
    );
  };
  const set = (i) => {
    spec.slider.data[i].forEach(([x, y], n) => {
      const mark = marks[spec.slider.marks[n]];
      if (x) mark.x = x;
      mark.y = y;
    });
    draw();
  };
  if (spec.slider) place.append(makeSlider(spec.slider, set));
  place.setSlider = set;
  if (spec.slider) set(spec.slider.active);
  else draw();
  new ResizeObserver(() => Math.abs(place.clientWidth - width) > 1 && draw()).observe(place);
}

function makeSlider({ prefix, labels, active }, set) {
  const made = document.createElement("label");
  made.className = "slider";
  const output = document.createElement("output");
  const input = Object.assign(document.createElement("input"), {
    type: "range",
    min: 0,
    max: labels.length - 1,
  });
  input.value = active;
  const show = () => {
    output.textContent = prefix + labels[input.value];
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => (show(), set(Number(input.value))));
  show();
  made.append(output, input);
  return made;
}

/* Where the arrow keys begin: the last target, of a map that in the last column of the last row. */
function lastOf(targets) {
  const place = ({ row, column }, i) => (row === undefined ? i : 1e4 * row + column);
  return targets.reduce((best, t, i) => (place(t, i) > place(targets[best], best) ? i : best), 0);
}

/* The text of the nearest target under the pointer, or of the one that the arrow keys have reached. */
function follow(svg, targets, told) {
  const cursor = svg.querySelector(".cursor");
  let at = -1;
  const tell = (i) => {
    at = i;
    const target = targets[i];
    told.textContent = target ? target.text.replace(/\n/g, " · ") : "\u00a0";
    cursor.setAttribute("visibility", target ? "visible" : "hidden");
    if (target) (cursor.setAttribute("cx", target.x), cursor.setAttribute("cy", target.y));
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let [best, nearest] = [-1, 30 ** 2];
    targets.forEach((t, i) => {
      const far = (t.x - x) ** 2 + (t.y - y) ** 2;
      if (far < nearest && t.text) [best, nearest] = [i, far];
    });
    tell(best);
  });
  svg.addEventListener("pointerleave", () => tell(-1));
  svg.addEventListener("blur", () => tell(-1));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[
      event.key
    ];
    if (!step || !targets.length) return;
    event.preventDefault();
    if (at < 0) return tell(lastOf(targets));
    const now = targets[at];
    if (now && now.row !== undefined) {
      const next = targets.findIndex(
        (t) => t.row === now.row + step[1] && t.column === now.column + step[0],
      );
      return tell(next < 0 ? at : next);
    }
    tell(Math.min(Math.max(at + step[0] + step[1], 0), targets.length - 1));
  });
}

for (const place of document.querySelectorAll(".figure")) {
  const fold = place.closest("details");
  if (fold && !fold.open)
    fold.addEventListener("toggle", () => place.firstChild || drawFigure(place));
  else drawFigure(place);
}
