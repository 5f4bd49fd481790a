"use strict";
/* What the page shows of the settings at one move: texts, products and tables. */

/* Put markup into a place, where it is another than before: a screen reader reads it again. */
function write(place, markup) {
  if ($(place).markup !== markup) $(place).innerHTML = markup;
  $(place).markup = markup;
}

function show() {
  const move = at ? studied.moves[at - 1] : null;
  const t = move ? move.t : settings.T;
  const j = move ? move.j : null;
  const { back } = studied;
  showControls();
  showSaid();
  const wide = (place) => Math.max($(place).clientWidth, 240);
  write("#network", drawNetwork(studied, t, j, wide("#network")));
  write("#reading", j ? describeShare(t, j) : "");
  write("#step", describeStep(move));
  write("#product", describeProduct(t, j));
  write("#chart", drawChart(studied, t, j, wide("#chart")));
  write("#curve", drawCurve(studied, j ?? t, wide("#curve")));
  write(
    "#curve-caption",
    `Large: the units at step ${j ?? t}. The height of a diamond is φ′, by which that unit multiplies its part of the error; near 0 the unit is saturated${settings.activation === "relu" ? " or, for relu, dead" : ""}.`,
  );
  write("#pairs", tableOfPairs(move));
  write("#pairs-caption", describePairs());
  write("#all", allNumbers(move));
}

function showControls() {
  for (const slider of document.querySelectorAll("#controls input[type=range]")) {
    const values = VALUES[slider.name];
    if (slider.name === "K") slider.max = settings.T - 1;
    slider.value = values.indexOf(settings[slider.name]);
    slider.setAttribute("aria-valuetext", settings[slider.name]);
    slider.parentElement.querySelector("output").textContent = settings[slider.name];
  }
  for (const radio of document.querySelectorAll("input[type=radio]"))
    radio.checked = radio.value === settings[radio.name];
  const isFull = settings.scheme === "full";
  $(".K").classList.toggle("off", isFull);
  $(".K input").disabled = isFull;
  const chosen = lessonShown();
  document
    .querySelectorAll("#lessons button")
    .forEach((button, i) => button.setAttribute("aria-pressed", LESSONS[i] === chosen));
  for (const [name, off] of [
    ["start", !at],
    ["back", !at],
    ["next", at === studied.moves.length],
    ["output", at === studied.moves.length],
    ["all", at === studied.moves.length],
  ]) {
    $(`[data-go=${name}]`).disabled = off;
  }
  $("#count").textContent = `${at} of ${studied.moves.length}`;
}

const lessonShown = () =>
  LESSONS.find((lesson) =>
    Object.entries({ ...DEFAULTS, ...lesson.settings }).every(
      ([name, value]) => name === "shows" || settings[name] === value,
    ),
  );

/* The error of output t at step j, over that at its own step; null where that is 0. */
function ratio(t, j) {
  const { way } = studied.back[t];
  const own = norm(way[t].error);
  return own ? norm(way[j].error) / own : null;
}

const certain = (t) => `output ${t} predicts its word with certainty, and has no error to send back.`;

function describeShare(t, j) {
  const left = ratio(t, j);
  if (left === null) return `O${certain(t).slice(1)}`;
  return left < 1.995
    ? `At step ${j}, <b>${share(left)}</b> of the error of output ${t} is left.`
    : `At step ${j} the error of output ${t} is <b>${short(left)} times</b> as large as at step ${t}.`;
}

/* What is proved, what is seen of the last output, and what the lesson says to look at. */
function showSaid() {
  const { bound, back } = studied;
  const t = settings.T;
  const to = studied.firstStep(t);
  const left = ratio(t, to);
  const { gamma } = ACTIVATIONS[settings.activation];
  const product = `γ σ<sub>max</sub>(<i>W</i>) = ${gamma === 1 ? "" : "¼ · "}${short(bound / gamma)}${gamma === 1 ? "" : ` = ${short(bound)}`}`;
  const where = to > 1 ? `step ${to}, where ${settings.scheme}:${settings.K} cuts it` : "step 1";
  let way = certain(t);
  if (left !== null)
    way =
      left < 1.995
        ? `${share(left)} of the error of output ${t} is left at ${where}.`
        : `the error of output ${t} grows ${short(left)}-fold on its way to ${where}.`;
  const seen = ` Here ${way}`;
  let proved = `<b>The bound proves nothing:</b> ${product}, above 1. One has to look.`;
  if (bound < 1 - 1e-9)
    proved = `<b>It must vanish,</b> whatever the sentence: ${product}, below 1.`;
  else if (bound < 1 + 1e-9) proved = `<b>It cannot explode:</b> ${product}.`;
  const lesson = lessonShown();
  const look = lesson ? `<p class="look">${lesson.look}</p>` : "";
  write("#said", `<p>${proved}${seen}</p>${look}`);
}

const heading = (text) => `<h2 id="h-step">${text}</h2>`;

/* One move of backpropagation with all its numbers. */
function describeStep(move) {
  const { net, ahead, back } = studied;
  if (!move) {
    return (
      heading("Before the first step back") +
      `<p>The network has read ${settings.T} words, and each output has its error <i>E<sub>t</sub></i>. <i>dW</i> is 0. Press <b>Next</b>: the last output, “${net.read[settings.T]}” after “${net.read[settings.T - 1]}”, sends its error to its own step.</p>`
    );
  }
  const { t, j, sums } = move;
  if (j === null) {
    return (
      heading(`Output ${t} sends nothing back`) +
      `<p>last:${settings.K} sweeps over the last ${settings.K} steps only. The error of output ${t}, “${net.read[t]}”, adds nothing to <i>dW</i> and <i>dU</i>; it teaches <i>V</i> alone.</p>` +
      row(factor(leaf("d") + leaf("W"), sums.W, "error", "dW", "the gradient of W so far"))
    );
  }
  const { error, delta, dW } = back[t].way[j];
  const slope = factor(
    slopeAt(j),
    ahead.slopes[j],
    "ink",
    "slope",
    "the slope of the activation at this step",
  );
  const deltaNow = factor(
    sub("δ", j),
    delta,
    "error",
    "delta",
    `the error of output ${t} at step ${j}: dE/dz`,
  );
  const before = j === t ? null : back[t].way[j + 1].delta;
  const first =
    j === t
      ? row(
          factor(
            transposed("V"),
            transpose(net.V),
            "forward",
            "VT",
            "the matrix of the outputs, transposed",
          ),
          factor(
            `${sub("o", t)}${op("−")}${sub("y", t)}`,
            back[t].wrong,
            "error",
            "wrong",
            "the probabilities less the word that came",
          ),
          sign("⊙"),
          slope,
          sign("="),
          deltaNow,
        )
      : row(
          factor(
            transposed("W"),
            transpose(net.W),
            "forward",
            "WT",
            "the matrix of the recurrence, transposed",
          ),
          factor(
            sub("δ", j + 1),
            before,
            "error",
            "before",
            `the error of output ${t} at step ${j + 1}`,
          ),
          sign("⊙"),
          slope,
          sign("="),
          deltaNow,
        );
  const formula =
    j === t
      ? `${sub("δ", t)}${op("=")}${transposed("V")}${op("(")}${sub("o", t)}${op("−")}${sub("y", t)}${op(")")}${op("⊙")}${slopeAt(t)}`
      : `${sub("δ", j)}${op("=")}${transposed("W")}${sub("δ", j + 1)}${op("⊙")}${slopeAt(j)}`;
  const term = row(
    factor(sub("δ", j), delta, "error", "delta", "the error at this step"),
    factor(
      subTransposed("s", j - 1),
      [ahead.s[j - 1]],
      "forward",
      "s",
      "the state that W was applied to",
    ),
    sign("="),
    factor(leaf("term"), dW, "error", "term", "what this step adds to dW"),
    sign("→"),
    factor(`${leaf("d")}${leaf("W")}`, sums.W, "error", "dW", "the sum of all terms so far"),
  );
  const whence = j === t ? `its own step` : `step ${j}`;
  return (
    heading(`The error of output ${t}, “${net.read[t]}”, at ${whence}, “${net.read[j - 1]}”`) +
    `<h3>${math(formula)}</h3>` +
    first +
    `<p class="caption why">${why(before, error, delta, j, t)}</p>` +
    `<h3>${math(`${leaf("d")}${leaf("W")}${op("+=")}${sub("δ", j)}${subTransposed("s", j - 1)}`)}</h3>` +
    term +
    (j === 1
      ? `<p class="caption">The state before step 1 is zero, so that step 1 adds nothing to <i>dW</i>. It does to <i>dU</i>.</p>`
      : "")
  );
}

/* Which factor made the error smaller or larger. */
function why(before, error, delta, j, t) {
  const slope = norm(error) ? norm(delta) / norm(error) : 0;
  if (before === null) return `The slope lets ${share(slope)} of the error through.`;
  if (!norm(before))
    return "The error that arrives here is 0 already: there is nothing left to multiply.";
  const byW = norm(error) / norm(before);
  return `<i>W</i><sup>⊤</sup> makes it ${short(byW)} times as large, the slope ${short(slope)} times: together <b>${short(byW * slope)}</b>.`;
}

/* ds_t/ds_j as the product before it times one more Jacobian, and its norm beside the bound. */
function describeProduct(t, j) {
  const { ahead, back, bound } = studied;
  const own = `${sub("J", "j")}${op("=")}${partial("s", "j", "s", "j−1")}${op("=")}<mrow>${leaf("diag")}${op("(")}${slopeAt("j")}${op(")")}</mrow>${leaf("W")}`;
  if (j === null || j === t) {
    let why = "At the output's own step the product is empty: the identity.";
    if (j === null)
      why = at
        ? "This output sends nothing back, so there is no product."
        : "No error is on its way yet. Each step back will add one Jacobian to the product.";
    return `<p>${math(own)}</p><p class="caption">${why}</p>`;
  }
  const pair = back[t].way[j];
  const last = factor(sub("J", j + 1), ahead.J[j + 1], "ink", "J", "the Jacobian of one step");
  const whole = factor(
    partial("s", t, "s", j),
    pair.jacobian,
    "ink",
    "jacobian",
    `how the state at step ${t} answers to that at step ${j}`,
  );
  const earlier = factor(
    partial("s", t, "s", j + 1),
    back[t].way[j + 1].jacobian,
    "ink",
    "earlier",
    "the product before this step",
  );
  const steps = t - j;
  const size = row(
    math(`${absolute(partial("s", t, "s", j))}${op("=")}`),
    `<b data-name="stretch">${number(pair.stretch)}</b>`,
    math(
      `${op("≤")}<msup><mrow>${op("(")}${leaf("γ")}<msub>${leaf("σ")}${leaf("max")}</msub>${op(")")}</mrow>${leaf(String(steps))}</msup>${op("=")}`,
    ),
    `<span data-name="bound">${short(bound)}${raised(steps)} = ${number(pair.bound)}</span>`,
  );
  return (steps === 1 ? row(whole, sign("="), last) : row(whole, sign("="), earlier, last)) + size;
}

/* Outputs in rows, steps in columns: what has been added so far, what is left out, what is to come. */
function tableOfPairs(move) {
  const { net, back, moves, firstStep } = studied;
  const size = (pair) => (settings.shows === "dW" ? norm(pair.dW) : norm(pair.delta));
  const largest = Math.max(...moves.filter((m) => m.j).map((m) => size(back[m.t].way[m.j]))) || 1;
  const order = new Map(moves.map((m, i) => [`${m.t} ${m.j}`, i]));
  const heads = range(1, settings.T).map((j) => `<th scope="col">${net.read[j - 1]}<br>${j}</th>`);
  const rows = range(1, settings.T).map((t) => {
    const cells = range(1, settings.T).map((j) => {
      if (j > t) return "<td></td>";
      if (j < firstStep(t))
        return `<td data-state="cut" title="left out by ${settings.scheme}:${settings.K}" data-pair="${t} ${j}"></td>`;
      const index = order.get(`${t} ${j}`);
      const now = move && move.t === t && move.j === j ? ' class="now"' : "";
      if (index >= at)
        return `<td data-state="todo" data-move="${index}" data-pair="${t} ${j}"${now}></td>`;
      const value = size(back[t].way[j]);
      // A tint for each factor of 10, down to 10⁻⁴ of the largest.
      const tint = value ? Math.max(0, Math.round(100 + 25 * Math.log10(value / largest))) : 0;
      const classes = [
        move.t === t && move.j === j ? "now" : "",
        tint > 75 ? "strong" : tint > 45 ? "middling" : "",
      ].join(" ");
      return `<td data-state="done" data-move="${index}" data-pair="${t} ${j}" class="${classes}" style="--tint:${tint}%" data-value="${value}" title="${value}">${tiny(value)}</td>`;
    });
    return `<tr><th scope="row"><span class="long">“${net.read[t]}”? </span>${t}</th>${cells.join("")}</tr>`;
  });
  return `<table class="pairs"><tr><th><span class="long">output</span> <i>t</i></th>${heads.join("")}</tr>${rows.join("")}</table>`;
}

/* At most four letters, for a square: .053, 12, 4e−6. */
function tiny(value) {
  if (value === 0) return "0";
  if (value < 5e-4 || value >= 9999.5) {
    const [digits, power] = value.toExponential(0).split("e");
    return `${digits}e${power.replace("+", "").replace("-", "−")}`;
  }
  return value >= 9.95
    ? value.toFixed(0)
    : value >= 0.995
      ? value.toFixed(1)
      : value.toFixed(value < 0.0995 ? 3 : 2).replace(/^0/, "");
}

function describePairs() {
  const { moves, full } = studied;
  const all = (settings.T * (settings.T + 1)) / 2;
  const kept = moves.filter((move) => move.j !== null).length;
  const what =
    settings.shows === "dW"
      ? "the norm of the term added to <i>dW</i>; it is 0 at step 1, for <i>s</i><sub>0</sub> = 0"
      : "the norm of δ, the error that arrives";
  const start = `Row: an output and its word to predict. Column: a step and the word read there. In a square: ${what}.`;
  if (settings.scheme === "full") return `${start} All ${all} pairs count.`;
  const likeness = cosine(moves[moves.length - 1].sums.W, full);
  const degree = Number.isFinite(likeness)
    ? ` Its <i>dW</i> has the cosine <b data-name="cosine">${number(likeness)}</b> with the full one.`
    : "";
  return `${start} <b>${settings.scheme}:${settings.K} keeps ${kept} of ${all} pairs</b>; ${kept === all ? "nothing is" : "the hatched ones are"} left out.${degree}`;
}

/* Parameters, states and gradients, in full. */
function allNumbers(move) {
  const { net, ahead, nothing } = studied;
  const sums = move ? move.sums : nothing;
  const words = math(leaf("words"));
  const tokens = `<p class="caption">${words}: ${net.words.map((word, i) => `${i} ${word}`).join(", ")}. x = <span data-name="x">${net.x.join(" ")}</span>, y = <span data-name="y">${net.y.join(" ")}</span></p>`;
  const states = transpose(ahead.s.slice(1));
  return (
    tokens +
    row(
      factor(leaf("U"), net.U, "forward", "U", "the matrix of the inputs, a column for each word"),
      factor(leaf("W"), net.W, "forward", "W", "the matrix of the recurrence"),
      factor(leaf("V"), net.V, "forward", "V", "the matrix of the outputs, a row for each word"),
      factor(
        `${sub("s", 1)}${op("…")}${sub("s", "T")}`,
        states,
        "forward",
        "states",
        "the states, a column for each step",
      ),
    ) +
    row(
      factor(`${leaf("d")}${leaf("U")}`, sums.U, "error", "sum-U", "the gradient of U so far"),
      factor(`${leaf("d")}${leaf("W")}`, sums.W, "error", "sum-W", "the gradient of W so far"),
      factor(`${leaf("d")}${leaf("V")}`, sums.V, "error", "sum-V", "the gradient of V so far"),
    )
  );
}
