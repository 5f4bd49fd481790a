"use strict";
/* Numbers, matrices and formulas as markup: HTML grids and MathML. */

/* The digits and the minus of a power. */
const raised = (n) => String(n).replace(/[-\d]/g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);

/* Two or three digits, for a small cell: 0.053, 12.3, 4.1·10⁻⁶. */
function short(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (!Number.isFinite(size)) return String(value);
  const sign = value < 0 ? "−" : "";
  if (size < 9.995e-4 || size >= 9999.5) {
    const [digits, power] = size.toExponential(1).split("e");
    return `${sign}${digits}·10${raised(Number(power))}`;
  }
  const digits =
    size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.0995 ? 2 : size >= 0.00995 ? 3 : 4;
  return sign + size.toFixed(digits);
}

/* A part or a multiple of something: 24 %, 0.7 %, 17 times. */
function share(ratio) {
  const percent = 100 * ratio;
  if (percent >= 199.5) return `${short(ratio)} times`;
  return `${percent >= 9.95 ? percent.toFixed(0) : percent >= 0.0995 ? percent.toFixed(1) : short(percent)} %`;
}

const number = (value) => `<span data-value="${value}" title="${value}">${short(value)}</span>`;

/* A matrix, or a vector as a column, as a grid in brackets. The stronger a tint, the larger the number
   is, compared with the largest of the matrix. `name` is for those who read the page by program. */
function matrix(A, colour, name) {
  const rows = A.map((row) => (Array.isArray(row) ? row : [row]));
  const largest = Math.max(...rows.flat().map(Math.abs)) || 1;
  const cells = rows.flat().map((value) => {
    const tint = Math.round((28 * Math.abs(value)) / largest);
    return `<span style="--tint:${tint}%" data-value="${value}" title="${value}">${short(value)}</span>`;
  });
  const style = `--columns:${rows[0].length};--of:var(--${colour})`;
  return `<span class="matrix" data-name="${name}" style="${style}">${cells.join("")}</span>`;
}

// ---- MathML

const math = (inside) => `<math>${inside}</math>`;
const leaf = (a) => (/^[\d.]+$/.test(a) ? `<mn>${a}</mn>` : `<mi>${a}</mi>`);
const op = (sign) => `<mo stretchy="false">${sign}</mo>`;
const sub = (a, index) => `<msub>${leaf(a)}${leaf(String(index))}</msub>`;
const T_ = "<mo>⊤</mo>";
const transposed = (a) => `<msup>${leaf(a)}${T_}</msup>`;
const subTransposed = (a, index) => `<msubsup>${leaf(a)}${leaf(String(index))}${T_}</msubsup>`;
const fraction = (a, b) => `<mfrac><mrow>${a}</mrow><mrow>${b}</mrow></mfrac>`;
const partial = (a, i, b, j) => fraction(`${op("∂")}${sub(a, i)}`, `${op("∂")}${sub(b, j)}`);
const slopeAt = (j) =>
  `<mrow><msup>${leaf("φ")}${op("′")}</msup>${op("(")}${sub("z", j)}${op(")")}</mrow>`;
const absolute = (a) => `<mrow>${op("‖")}${a}${op("‖")}</mrow>`;

/* A factor of a product: its symbol, its numbers, and what it is. */
function factor(symbol, A, colour, name, meaning) {
  const label = `<span class="symbol">${math(symbol)}</span>`;
  return `<span class="factor" title="${meaning}">${label}${matrix(A, colour, name)}</span>`;
}

const sign = (text) => `<span class="sign">${text}</span>`;
const row = (...parts) => `<div class="row">${parts.join("")}</div>`;
