// Small charts as inline SVG. They say how the last minutes went; the numbers next to them say what is true now.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300; // one unit a second
const HEIGHT = 46;
const STEP = 3; // seconds that are drawn as one point

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
export const most = (values) => Math.max(...values);

/**
 * The mean (or what else `combine` makes) of every STEP values, the newest at the right; at most WIDTH / STEP + 1 of them. `taken`: how many values
 * there ever were, so that the same ones are always taken together and the chart does not flicker.
 */
export function points(values, taken, combine = mean) {
  const made = [];
  for (let end = values.length, size = taken % STEP || STEP; end > 0; end -= size, size = STEP) {
    made.unshift(combine(values.slice(Math.max(0, end - size), end)));
  }
  return made.slice(-(WIDTH / STEP + 1));
}

/** A round number that is not below the largest value. */
export function ceiling(values) {
  const largest = Math.max(1, ...values);
  const power = 10 ** Math.floor(Math.log10(largest));
  return [1, 1.5, 2, 3, 5, 10].map((factor) => factor * power).find((round) => round >= largest);
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function line(values, top) {
  const start = WIDTH - (values.length - 1) * STEP;
  return values.map((value, i) => `${start + i * STEP},${(HEIGHT - (value / top) * (HEIGHT - 3)).toFixed(1)}`);
}

function area(over, under) {
  return over.length ? `M${over.join("L")}L${under.toReversed().join("L")}Z` : "";
}

/** An SVG element and a function that draws anew: a line with its area, and perhaps a second amount on top of it. */
export function chart(lineClass, areaClass, combine) {
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const grid = element("line", { class: "grid", x1: 0, x2: WIDTH, y1: 3, y2: 3 });
  const above = element("path", { class: "refused" });
  const fill = element("path", { class: areaClass });
  const stroke = element("path", { class: lineClass });
  svg.append(grid, above, fill, stroke);

  function draw(values, extra, taken, label) {
    const base = points(values, taken, combine);
    const more = extra ? points(extra, taken, combine) : base.map(() => 0);
    const sums = base.map((value, i) => value + more[i]);
    const top = ceiling(sums);
    const floor = line(base.map(() => 0), top);
    const lower = line(base, top);
    above.setAttribute("d", extra ? area(line(sums, top), lower) : "");
    fill.setAttribute("d", area(lower, floor));
    stroke.setAttribute("d", lower.length ? `M${lower.join("L")}` : "");
    svg.setAttribute("aria-label", label);
    return top;
  }
  return { svg, draw };
}
