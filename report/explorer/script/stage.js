/** A plane to move over: a canvas that is drawn once, one above it for what moves, axes, and what hands do. */
import { ticks } from "./ticks.js";

/** @typedef {import("./lattice.js").Place} Place */
/**
 * @typedef {object} Hands what to do when somebody …
 * @property {(place: Place) => void} moved … moves over the plane
 * @property {(place: Place, touch: boolean) => void} tapped … presses and lets go at one place
 * @property {(from: Place, to: Place) => void} dragged … draws a path
 * @property {(event: KeyboardEvent) => boolean} pressed … presses a key; whether that was of use
 */

const MARGIN = { left: 42, right: 10, top: 10, bottom: 38 };
/** Pixels from which on a press that moves draws a path. */
const DRAG = 5;

export class Stage {
  /**
   * @param {HTMLElement} container
   * @param {string} label of the plane, for those who cannot see it
   * @param {Hands} hands
   */
  constructor(container, label, hands) {
    this.container = container;
    this.still = document.createElement("canvas");
    this.moving = document.createElement("canvas");
    this.moving.tabIndex = 0;
    this.moving.setAttribute("role", "application");
    this.moving.setAttribute("aria-label", label);
    this.still.setAttribute("aria-hidden", "true");
    container.append(this.still, this.moving);
    /** @type {number[][]} */
    this.window = [
      [0, 1],
      [0, 1],
    ];
    this.size = 0;
    this.height = 0;
    this.density = 1;
    this.#listen(hands);
  }

  /** Take the container's size; whether it is another than before. @param {number} share height over width */
  fit(share = 1) {
    const size = this.container.clientWidth;
    const height = Math.round(size * share);
    const density = Math.min(devicePixelRatio || 1, 2);
    if (size === this.size && height === this.height && this.density === density) return false;
    [this.size, this.height, this.density] = [size, height, density];
    for (const canvas of [this.still, this.moving]) {
      [canvas.width, canvas.height] = [size * density, height * density];
      canvas.style.width = `${size}px`;
      canvas.style.height = `${height}px`;
    }
    this.container.style.height = `${height}px`;
    return true;
  }

  /** A clean canvas to draw on, in CSS pixels. @param {HTMLCanvasElement} canvas */
  pen(canvas) {
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    pen.setTransform(this.density, 0, 0, this.density, 0, 0);
    pen.clearRect(0, 0, this.size, this.height);
    return pen;
  }

  /** The rectangle of the plane itself. */
  get box() {
    const { left, right, top, bottom } = MARGIN;
    return {
      x: left,
      y: top,
      width: Math.max(this.size - left - right, 1),
      height: Math.max(this.height - top - bottom, 1),
    };
  }

  /** Pixels of a place. @param {number[]} place @returns {[number, number]} */
  pixel(place) {
    const { x, y, width, height } = this.box;
    const [[a0, a1], [b0, b1]] = this.window;
    return [x + (width * (place[0] - a0)) / (a1 - a0 || 1), y + height - (height * (place[1] - b0)) / (b1 - b0 || 1)];
  }

  /** Place of pixels, within the window. @param {number} px @param {number} py @returns {Place} */
  place(px, py) {
    const { x, y, width, height } = this.box;
    const [[a0, a1], [b0, b1]] = this.window;
    const within = (/** @type {number} */ share) => Math.min(Math.max(share, 0), 1);
    return [a0 + within((px - x) / width) * (a1 - a0), b0 + within((y + height - py) / height) * (b1 - b0)];
  }

  /**
   * Frame, ticks and names of the axes.
   * @param {CanvasRenderingContext2D} pen
   * @param {Record<string, string>} ink
   * @param {string[]} names of axes; of the second none on a line
   */
  axes(pen, ink, names) {
    const { x, y, width, height } = this.box;
    pen.strokeStyle = ink.line;
    pen.lineWidth = 1;
    pen.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
    pen.fillStyle = ink.faint;
    pen.font = `11.5px ${ink.sans}`;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const tick of ticks(this.window[0][0], this.window[0][1], width / 70)) {
      const [at] = this.pixel([tick.value, 0]);
      pen.fillRect(at - 0.5, y + height, 1, 4);
      pen.fillText(tick.text, at, y + height + 6);
    }
    pen.fillText(names[0] ?? "", x + width / 2, y + height + 22, width);
    if (!names[1]) return;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const tick of ticks(this.window[1][0], this.window[1][1], height / 60)) {
      const [, at] = this.pixel([0, tick.value]);
      pen.fillRect(x - 4, at - 0.5, 4, 1);
      pen.fillText(tick.text, x - 6, at);
    }
    pen.save();
    pen.translate(9, y + height / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(names[1], 0, 0, height);
    pen.restore();
  }

  /** @param {Hands} hands */
  #listen(hands) {
    /** @type {{x: number, y: number, place: Place, drags: boolean} | null} */
    let down = null;
    const at = (/** @type {PointerEvent} */ event) => this.place(event.offsetX, event.offsetY);
    this.moving.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      down = { x: event.offsetX, y: event.offsetY, place: at(event), drags: false };
      this.moving.setPointerCapture(event.pointerId);
    });
    this.moving.addEventListener("pointermove", (event) => {
      if (down) down.drags ||= Math.hypot(event.offsetX - down.x, event.offsetY - down.y) > DRAG;
      if (down?.drags) hands.dragged(down.place, at(event));
      hands.moved(at(event));
    });
    this.moving.addEventListener("pointerup", (event) => {
      if (down && !down.drags) hands.tapped(down.place, event.pointerType === "touch");
      down = null;
    });
    this.moving.addEventListener("pointercancel", () => (down = null));
    this.moving.addEventListener("keydown", (event) => {
      if (hands.pressed(event)) event.preventDefault();
    });
  }
}
