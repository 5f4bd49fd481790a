"use strict";
/* The page: what the controls choose is studied, and drawn at one move of backpropagation. */

const SIZES = [
  0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.5, 3, 4,
  5,
];
const INPUTS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5];
const range = (low, high) => Array.from({ length: high - low + 1 }, (_, i) => low + i);

/* The values of each setting, in the order of its slider or its buttons. */
const VALUES = {
  scale: SIZES,
  input: INPUTS,
  T: range(...STEPS),
  H: range(...UNITS),
  activation: Object.keys(ACTIVATIONS),
  kind: Object.keys(KINDS),
  scheme: Object.keys(SCHEMES),
  K: range(1, STEPS[1]),
  shows: ["error", "dW"], // in the squares of the pairs
  seed: range(1, 9999),
};
const NAMES = { error: "the error |δ|", dW: "the term of dW" };
const DEFAULTS = {
  scale: 0.7,
  input: 1,
  T: 6,
  H: 2,
  activation: "tanh",
  kind: "orthogonal",
  scheme: "full",
  K: 4,
  shows: "error",
  seed: 10,
};

const LESSONS = [
  {
    title: "Why it vanishes",
    look: "Press Next until the error has reached step 1. At each step it is multiplied by <i>W</i><sup>⊤</sup>, which shrinks it, and by the slope φ′, which is at most 1. Look at the orange bars, then at the dashed straight line: that bound holds for every sentence.",
    settings: {},
  },
  {
    title: "When it explodes",
    look: "<i>W</i> stretches, and the inputs are so small that the units stay where φ is steep: look at the diamonds, all near 1. Nothing takes back what <i>W</i> gives, and the bars grow to the left. Now move the size of the input up: the explosion ends.",
    settings: { scale: 1.8, input: 0.02 },
  },
  {
    title: "When it saturates",
    look: "The bound would allow the error to grow 243-fold. But large weights and inputs drive units to where tanh is flat: look at the diamonds near 0. They are the slopes by which the error is multiplied, and the most uneven ones decide.",
    settings: { scale: 3, input: 2 },
  },
  {
    title: "What last:4 forgets",
    look: "Press All and look at the squares. Only the last four steps have any: the outputs before them teach <i>U</i> and <i>W</i> nothing, and no error reaches “keys”, not even that of “are”, the verb that agrees with it. Then choose window: with the same <i>K</i> every output learns, and “are” reaches “keys”.",
    settings: { T: 8, scheme: "last", scale: 1, seed: 37 },
  },
];

const $ = (selector) => document.querySelector(selector);
let settings = { ...DEFAULTS };
let at = 0; // how many moves are made
let studied = study(settings);

// ---- settings, and the address that keeps them

/* Settings from the text after the # of the address; what is unknown or out of range is left out. */
function parse(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const found = { ...DEFAULTS };
  for (const [name, values] of Object.entries(VALUES)) {
    const value = values.find((v) => String(v) === given.get(name));
    if (value !== undefined) found[name] = value;
  }
  return [found, Number.parseInt(given.get("at"), 10) || 0];
}

function choose(changes, to) {
  const wasAtEnd = at > 0 && at === studied.moves.length;
  const isOther = ["T", "scheme", "K"].some(
    (name) => name in changes && changes[name] !== settings[name],
  );
  settings = { ...settings, ...changes };
  settings.K = Math.min(settings.K, settings.T);
  studied = study(settings);
  go(to ?? (wasAtEnd ? studied.moves.length : isOther ? 0 : at));
}

function go(to) {
  at = Math.min(Math.max(to, 0), studied.moves.length);
  show();
  const other = Object.entries(settings).filter(([name, value]) => value !== DEFAULTS[name]);
  const hash = new URLSearchParams([...other, ...(at ? [["at", at]] : [])]).toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

// ---- the controls

function makeControls() {
  for (const slider of document.querySelectorAll("#controls input")) {
    Object.assign(slider, { min: 0, max: VALUES[slider.name].length - 1, step: 1 });
    slider.addEventListener("input", () =>
      choose({ [slider.name]: VALUES[slider.name][slider.value] }),
    );
  }
  for (const place of document.querySelectorAll("[data-name]")) {
    const name = place.dataset.name;
    const options = VALUES[name].map((value) => {
      const text = NAMES[value] ?? value;
      return `<label><input type="radio" name="${name}" value="${value}">${text}</label>`;
    });
    const group =
      place.tagName === "FIELDSET" ? place.appendChild(document.createElement("div")) : place;
    group.classList.add("choice");
    group.innerHTML = options.join("");
    group.addEventListener("change", (event) => choose({ [name]: event.target.value }));
  }
  $("#lessons").innerHTML = LESSONS.map(
    (lesson, i) => `<button type="button" data-lesson="${i}">${i + 1}. ${lesson.title}</button>`,
  ).join("");
  $("#lessons").addEventListener("click", (event) => {
    const lesson = LESSONS[event.target.dataset.lesson];
    if (lesson) choose({ ...DEFAULTS, shows: settings.shows, ...lesson.settings }, 0);
  });
  $("#stepper").addEventListener("click", (event) => MOVES[event.target.dataset.go]?.());
  $("#redraw").addEventListener("click", () => choose({ seed: (settings.seed % 9999) + 1 }));
  $("#pairs").addEventListener("click", (event) => {
    const to = event.target.closest("td")?.dataset.move;
    if (to) go(Number(to) + 1);
  });
  document.addEventListener("keydown", (event) => {
    const move = KEYS[(event.shiftKey ? "Shift " : "") + event.key];
    const isOthers =
      event.target.matches("input") || event.altKey || event.ctrlKey || event.metaKey;
    if (!move || isOthers) return;
    event.preventDefault();
    MOVES[move]();
  });
  window.addEventListener("hashchange", () => choose(...parse(location.hash)));
  const phone = window.matchMedia("(max-width: 600px)");
  $("#fold").open = !phone.matches;
  phone.addEventListener("change", () => {
    if (!phone.matches) $("#fold").open = true; // its handle is hidden there
  });
  new ResizeObserver(show).observe($("#network"));
}

const KEYS = {
  ArrowRight: "next",
  ArrowLeft: "back",
  "Shift ArrowRight": "output",
  "Shift ArrowLeft": "start",
};
const MOVES = {
  start: () => go(0),
  back: () => go(at - 1),
  next: () => go(at + 1),
  all: () => go(studied.moves.length),
  output() {
    const t = at ? studied.moves[at - 1].t : settings.T + 1;
    const next = studied.moves.findIndex((move) => move.t < t);
    go(next < 0 ? studied.moves.length : next + 1);
  },
};

makeControls();
choose(...parse(location.hash));
