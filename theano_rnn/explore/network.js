"use strict";
/* A recurrent network of a few units, its error and the way of the error back: plain numbers, no page.

   z_t = U x_t + W s_{t-1},  s_t = phi(z_t),  s_0 = 0,  o_t = softmax(V s_t),  E_t = -log o_t[y_t]

   Steps count from 1, as in the formulas; tokens from 0. A vector is an array, a matrix an array of
   rows. H units, T steps, C words. */

// ---- the vectors and matrices

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const norm = (a) => Math.hypot(...a.flat());
const transpose = (A) => A[0].map((_, j) => A.map((row) => row[j]));
const times = (A, v) => A.map((row) => dot(row, v));
const product = (A, B) => A.map((row) => transpose(B).map((column) => dot(row, column)));
const outer = (a, b) => a.map((x) => b.map((y) => x * y));
const add = (A, B) => A.map((row, i) => row.map((value, j) => value + B[i][j]));
const scaled = (A, c) => A.map((row) => row.map((value) => value * c));
const zeros = (rows, columns) => Array.from({ length: rows }, () => Array(columns).fill(0));
const identity = (n) => zeros(n, n).map((row, i) => row.map((_, j) => Number(i === j)));
const cosine = (A, B) => dot(A.flat(), B.flat()) / (norm(A) * norm(B));

/* The largest singular value of A, which is its 2-norm. One-sided Jacobi: rotate two columns until
   they are orthogonal, for all pairs, until none turns; their lengths are the singular values. */
function largestSingularValue(A) {
  const columns = transpose(A);
  for (let sweep = 0, turned = true; turned && sweep < 60; sweep++) {
    turned = false;
    for (let p = 0; p < columns.length; p++) {
      for (let q = p + 1; q < columns.length; q++) {
        const [a, b] = [columns[p], columns[q]];
        const [aa, bb, ab] = [dot(a, a), dot(b, b), dot(a, b)];
        if (Math.abs(ab) <= 1e-15 * Math.sqrt(aa * bb)) continue;
        const angle = 0.5 * Math.atan2(2 * ab, aa - bb);
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        columns[p] = a.map((x, i) => c * x + s * b[i]);
        columns[q] = b.map((y, i) => c * y - s * a[i]);
        turned = true;
      }
    }
  }
  return Math.max(...columns.map(norm));
}

// ---- what can be chosen

/* phi, its derivative from z and s = phi(z), and gamma, the largest derivative. As in NumpyRNN, the
   derivative of relu at 0 is one half. */
const ACTIVATIONS = {
  tanh: { phi: Math.tanh, slope: (z, s) => 1 - s * s, gamma: 1 },
  sigmoid: { phi: (z) => 1 / (1 + Math.exp(-z)), slope: (z, s) => s * (1 - s), gamma: 0.25 },
  relu: { phi: (z) => Math.max(z, 0), slope: (z) => (z > 0 ? 1 : z < 0 ? 0 : 0.5), gamma: 1 },
};

/* The first step that the error of output t reaches; a step after t if it reaches none. */
const SCHEMES = {
  full: () => 1,
  window: (t, T, K) => Math.max(1, t - K),
  chunk: (t, T, K) => K * Math.floor((t - 1) / K) + 1,
  last: (t, T, K) => Math.max(1, T - K + 1),
};

const SENTENCE = "the keys that the cat has are here .".split(" ");
const STEPS = [2, SENTENCE.length - 1];
const UNITS = [1, 4];

// ---- the parameters

/* Numbers of a seed, uniform between -1 and 1 (Mulberry32). */
function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

const drawn = (rows, columns, next) => zeros(rows, columns).map((row) => row.map(() => next()));

/* Rows made orthogonal one after another, each of length 1 (Gram and Schmidt). */
function orthogonal(A) {
  const rows = [];
  for (let row of A) {
    for (const other of rows) {
      const along = dot(row, other);
      row = row.map((value, i) => value - along * other[i]);
    }
    rows.push(row.map((value) => value / norm(row)));
  }
  return rows;
}

const KINDS = {
  orthogonal,
  random: (A) => A,
  identity: (A) => identity(A.length),
};

/* U, V and W of the settings, and the sentence as tokens.

   Each column of U has the root mean square `input`, and W the largest singular value `scale`. A
   word and a unit keep their numbers when there are more of them. */
function parameters({ T, H, scale, input, kind, seed }) {
  const read = SENTENCE.slice(0, T + 1);
  const words = [...new Set(read)];
  const tokens = read.map((word) => words.indexOf(word));
  const next = uniform(seed);
  const cut = (A, rows, columns) => A.slice(0, rows).map((row) => row.slice(0, columns));
  const all = drawn(UNITS[1], UNITS[1], next);
  const W = KINDS[kind](cut(all, H, H));
  const ofWords = drawn(SENTENCE.length, 2 * UNITS[1], next);
  const U = transpose(
    words.map((_, i) => {
      const column = ofWords[i].slice(0, H);
      const size = norm(column) / Math.sqrt(H);
      return column.map((value) => (value / size) * input);
    }),
  );
  const V = words.map((_, i) => ofWords[i].slice(UNITS[1], UNITS[1] + H).map((v) => 2 * v));
  const factor = scale / largestSingularValue(W);
  return { U, V, W: scaled(W, factor), x: tokens.slice(0, T), y: tokens.slice(1), words, read };
}

// ---- forward

function softmax(a) {
  const largest = Math.max(...a);
  const e = a.map((value) => Math.exp(value - largest));
  const sum = e.reduce((total, value) => total + value, 0);
  return e.map((value) => value / sum);
}

function logOfSum(a) {
  const largest = Math.max(...a);
  return largest + Math.log(a.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

/* z, s, the slopes phi'(z), o, the errors E and the one-step Jacobians J of all steps, 1 to T. */
function forward({ U, V, W, x, y }, activation) {
  const { phi, slope } = ACTIVATIONS[activation];
  const [z, s, slopes, o, E, J] = [[null], [W.map(() => 0)], [null], [null], [null], [null]];
  x.forEach((token, i) => {
    const t = i + 1;
    z[t] = times(W, s[t - 1]).map((value, unit) => value + U[unit][token]);
    s[t] = z[t].map(phi);
    slopes[t] = z[t].map((value, unit) => slope(value, s[t][unit]));
    J[t] = W.map((row, unit) => row.map((w) => slopes[t][unit] * w)); // ds_t/ds_{t-1} = diag(phi') W
    const logits = times(V, s[t]);
    o[t] = softmax(logits);
    E[t] = logOfSum(logits) - logits[y[i]]; // -log o_t[y_t], also where that is 0 in float64
  });
  return { z, s, slopes, o, E, J };
}

// ---- backward

/* The error of output t on its way back, whether or not a scheme lets it go so far.

   Returns, at index j from t down to 1:
   error    dE_t/ds_j
   delta    dE_t/dz_j = dE_t/ds_j * phi'(z_j)
   dW       the term delta_j s_{j-1}', added to dE/dW
   jacobian ds_t/ds_j = J_t ... J_{j+1}, its 2-norm `stretch`, and the bound (gamma sigma_max)^(t-j) */
function wayBack({ V, W, y }, { s, slopes, o, J }, t, bound) {
  const way = [];
  const wrong = o[t].map((p, word) => p - Number(word === y[t - 1])); // o_t - y_t
  let error = times(transpose(V), wrong); // dE_t/ds_t = V' (o_t - y_t)
  let jacobian = identity(W.length);
  for (let j = t; j >= 1; j--) {
    const delta = error.map((value, unit) => value * slopes[j][unit]);
    const stretch = largestSingularValue(jacobian);
    const dW = outer(delta, s[j - 1]);
    way[j] = { t, j, error, delta, dW, jacobian, stretch, bound: bound ** (t - j) };
    error = times(transpose(W), delta); // dE_t/ds_{j-1} = W' delta_j
    jacobian = product(jacobian, J[j]); // ds_t/ds_{j-1} = ds_t/ds_j J_j
  }
  return { wrong, way };
}

/* Everything that the page shows of some settings: { T, H, scale, input, activation, kind, scheme, K,
   seed }.

   `moves` are the moves of the loop of backpropagation, from the last output to the first. A move
   { t, j, sums } adds the term of the pair t, j; sums are dU, dV and dW after it. An output that
   reaches no step is one move with j null; it teaches V alone. */
function study(settings) {
  const net = parameters(settings);
  const ahead = forward(net, settings.activation);
  const sigma = largestSingularValue(net.W);
  const bound = ACTIVATIONS[settings.activation].gamma * sigma;
  const firstStep = (t) => SCHEMES[settings.scheme](t, settings.T, settings.K);
  const back = [null];
  for (let t = 1; t <= settings.T; t++) back[t] = wayBack(net, ahead, t, bound);
  const C = net.words.length;
  let sums = {
    U: zeros(settings.H, C),
    V: zeros(C, settings.H),
    W: zeros(settings.H, settings.H),
  };
  const nothing = sums;
  const moves = [];
  for (let t = settings.T; t >= 1; t--) {
    sums = { ...sums, V: add(sums.V, outer(back[t].wrong, ahead.s[t])) }; // dV += (o_t - y_t) s_t'
    if (firstStep(t) > t) moves.push({ t, j: null, sums });
    for (let j = t; j >= firstStep(t); j--) {
      const { delta, dW } = back[t].way[j];
      const column = net.x[j - 1];
      const dU = delta.map((d) => net.words.map((_, word) => (word === column ? d : 0)));
      sums = { ...sums, U: add(sums.U, dU), W: add(sums.W, dW) }; // dW += delta_j s_{j-1}'
      moves.push({ t, j, sums });
    }
  }
  const pairs = back.slice(1).flatMap((b) => b.way.slice(1));
  const full = pairs.reduce((sum, pair) => add(sum, pair.dW), zeros(settings.H, settings.H));
  return { settings, net, ahead, back, moves, nothing, sigma, bound, firstStep, full };
}
