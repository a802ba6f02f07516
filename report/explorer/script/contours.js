/** Regions of highest density on a lattice, and the lines around them. */

/**
 * The log density above which so much of the mass on the lattice lies.
 * @param {Float64Array} values log densities
 * @param {number} mass between 0 and 1
 * @returns {number} −∞ if there is no density anywhere
 */
export function levelOf(values, mass) {
  const sorted = Float64Array.from(values).sort().reverse();
  const top = sorted[0];
  if (!Number.isFinite(top)) return -Infinity;
  let total = 0;
  for (const value of sorted) total += Math.exp(value - top);
  let sum = 0;
  for (const value of sorted) {
    sum += Math.exp(value - top);
    if (sum >= mass * total) return value;
  }
  return sorted[sorted.length - 1];
}

/** Corners of a cell, anticlockwise, and the two ends of each of its sides. */
const CORNERS = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
];

/**
 * Closed lines around {values ≥ level}, in steps of the lattice: `[i, j]` may lie between points. Beyond the lattice
 * there is nothing, so that regions end at its edge.
 * @param {Float64Array} values `[A · B]`
 * @param {number[]} sizes
 * @param {number} level
 * @returns {number[][][]}
 */
export function loops(values, sizes, level) {
  const [A, B] = sizes;
  if (!Number.isFinite(level)) return [];
  const deep = level - 30;
  /** @param {number} i @param {number} j */
  const value = (i, j) => (i < 0 || j < 0 || i >= A || j >= B ? NaN : Math.max(values[i * B + j], deep));
  /** Where the line crosses between a point within and one without. @param {number[]} inner @param {number[]} outer */
  const crossing = (inner, outer) => {
    const [high, low] = [value(inner[0], inner[1]), value(outer[0], outer[1])];
    const share = Number.isNaN(low) || high === low ? 0 : (high - level) / (high - low);
    return [inner[0] + share * (outer[0] - inner[0]), inner[1] + share * (outer[1] - inner[1])];
  };
  /** @param {number[]} p @param {number[]} q */
  const side = (p, q) => (p[0] < q[0] || (p[0] === q[0] && p[1] < q[1]) ? `${p};${q}` : `${q};${p}`);
  /**
   * Side where a piece of line begins -> where it ends.
   * @type {Map<string, {to: string, at: number[]}>}
   */
  const pieces = new Map();
  for (let i = -1; i < A; i++) {
    for (let j = -1; j < B; j++) {
      const corners = CORNERS.map(([right, up]) => [i + right, j + up]);
      const inside = corners.map((c) => value(c[0], c[1]) >= level);
      for (let n = 0; n < 4; n++) {
        if (!inside[n] || inside[(n + 1) % 4]) continue; // the line leaves the region here …
        let m = n;
        while (inside[m % 4] || !inside[(m + 1) % 4]) m++; // … and comes back there
        const [back, inner] = [corners[m % 4], corners[(m + 1) % 4]];
        const from = side(corners[n], corners[(n + 1) % 4]);
        pieces.set(from, { to: side(back, inner), at: crossing(corners[n], corners[(n + 1) % 4]) });
      }
    }
  }
  const found = [];
  while (pieces.size) {
    const loop = [];
    let [from] = pieces.keys();
    for (let piece = pieces.get(from); piece; piece = pieces.get(from)) {
      pieces.delete(from);
      loop.push(piece.at);
      from = piece.to;
    }
    found.push(loop);
  }
  return found;
}
