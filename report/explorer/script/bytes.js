/** Text in base 64 to bytes, bytes to whole numbers, differences back to what they were taken of: see encoded.py. */

/**
 * The bytes that were deflated and written in base 64.
 * @param {string} text
 * @returns {Promise<Uint8Array>}
 */
export async function inflated(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Zigzag varints. They may need more than 32 bits, so nothing is shifted.
 * @param {Uint8Array} bytes
 * @param {number} count how many numbers there are
 * @returns {Float64Array}
 */
export function wholeNumbers(bytes, count) {
  const numbers = new Float64Array(count);
  let at = 0;
  for (let n = 0; n < count; n++) {
    let value = 0;
    let factor = 1;
    let group = 0;
    do {
      group = bytes[at++];
      value += (group & 127) * factor;
      factor *= 128;
    } while (group > 127);
    numbers[n] = value % 2 ? -(value + 1) / 2 : value / 2;
  }
  return numbers;
}

/**
 * Undo differences along an axis, in place. Of a Uint8Array sums are modulo 256 by themselves.
 * @template {Float64Array | Uint8Array} T
 * @param {T} values
 * @param {number[]} shape
 * @param {number} axis
 * @returns {T}
 */
export function summed(values, shape, axis) {
  const step = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const block = step * shape[axis];
  for (let start = 0; start < values.length; start += block) {
    for (let n = start + step; n < start + block; n++) values[n] += values[n - step];
  }
  return values;
}
