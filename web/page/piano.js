// The on-screen piano: played by mouse, touch, pen or computer keyboard, with keys that screen readers can find.

/** From the left: white keys in the middle row, black keys above, as usual in music software. */
const CODES = [
  "KeyA", "KeyW", "KeyS", "KeyE", "KeyD", "KeyF", "KeyT", "KeyG", "KeyY", "KeyH", "KeyU", "KeyJ", "KeyK", "KeyO", "KeyL",
  "KeyP", "Semicolon",
];
const NAMES = ["C", "C sharp", "D", "D sharp", "E", "F", "F sharp", "G", "G sharp", "A", "A sharp", "B"];
const BLACK = [1, 3, 6, 8, 10];
/** For computer keys, which have no velocity. */
const VELOCITY = 80;

export class Piano {
  /** Calls `play(key, velocity)` for every key that goes down, and with velocity 0 when it comes up. */
  constructor(element, play) {
    this.element = element;
    this.play = play;
    this.base = 60;
    /** The key that each pointer or computer key holds down. */
    this.held = new Map();
    this.layOut();
    new ResizeObserver(() => this.layOut()).observe(element);
    element.addEventListener("pointerdown", (event) => this.point(event));
    element.addEventListener("pointermove", (event) => this.point(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      element.addEventListener(name, (event) => this.release(`pointer ${event.pointerId}`));
    }
    element.addEventListener("keydown", (event) => this.walk(event));
    element.addEventListener("keyup", (event) => this.release(`focus ${event.code}`));
    window.addEventListener("keydown", (event) => this.type(event));
    window.addEventListener("keyup", (event) => this.release(event.code));
    window.addEventListener("blur", () => [...this.held.keys()].forEach((by) => this.release(by)));
  }

  /** Transposes the piano by octaves. */
  shift(octaves) {
    this.base = Math.min(Math.max(this.base + 12 * octaves, 36), 84);
    this.shown = null;
    this.layOut();
  }

  layOut() {
    const octaves = this.element.clientWidth < 600 ? 2 : 4;
    const lowest = this.base - (octaves > 2 ? 12 : 0);
    if (this.shown === `${lowest} ${octaves}`) return;
    this.shown = `${lowest} ${octaves}`;
    const keys = Array.from({ length: 12 * octaves + 1 }, (_, index) => lowest + index);
    const whites = keys.filter((key) => !BLACK.includes(key % 12));
    const width = 100 / whites.length;
    let left = 0;
    this.element.replaceChildren(...keys.map((key) => {
      const black = BLACK.includes(key % 12);
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.key = key;
      button.className = black ? "black" : "white";
      button.tabIndex = key === this.base ? 0 : -1;
      button.setAttribute("aria-label", `${NAMES[key % 12]} ${Math.floor(key / 12) - 1}`);
      button.style.width = `${black ? 0.62 * width : width}%`;
      button.style.left = `${black ? left - 0.31 * width : left}%`;
      const code = CODES[key - this.base];
      button.textContent = code ? code.replace("Key", "").replace("Semicolon", ";") : "";
      if (!black) left += width;
      return button;
    }));
  }

  /** Shows the sounding keys in their player's color. */
  show(sounding) {
    for (const button of this.element.children) {
      const by = sounding.get(Number(button.dataset.key));
      button.classList.toggle("you", by === "you");
      button.classList.toggle("antiphon", by === "antiphon");
    }
  }

  press(by, key, velocity) {
    if (this.held.get(by) === key) return;
    this.release(by);
    this.held.set(by, key);
    this.play(key, velocity);
  }

  release(by) {
    const key = this.held.get(by);
    if (key === undefined) return;
    this.held.delete(by);
    if (![...this.held.values()].includes(key)) this.play(key, 0);
  }

  point(event) {
    const by = `pointer ${event.pointerId}`;
    if (event.type === "pointerdown") {
      event.preventDefault();
      this.element.setPointerCapture(event.pointerId);
    } else if (!this.held.has(by)) {
      return;
    }
    const button = document.elementFromPoint(event.clientX, event.clientY)?.closest("#piano button");
    if (!button) return this.release(by);
    const { top, height } = button.getBoundingClientRect();
    // The nearer to the lower end of the key, the louder.
    const depth = Math.min(Math.max((event.clientY - top) / height, 0), 1);
    this.press(by, Number(button.dataset.key), Math.round(45 + 65 * depth));
  }

  type(event) {
    const elsewhere = event.target.closest?.("input, select");
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || (elsewhere && event.target.type !== "range")) return;
    const index = CODES.indexOf(event.code);
    if (index >= 0) this.press(event.code, this.base + index, VELOCITY);
    if (event.code === "KeyZ") this.shift(-1);
    if (event.code === "KeyX") this.shift(1);
  }

  /** Arrow keys move the focus between keys, Enter and Space play. */
  walk(event) {
    const button = event.target.closest("button");
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.code];
    if (step && button) {
      const next = this.element.querySelector(`[data-key="${Number(button.dataset.key) + step}"]`);
      if (next) {
        button.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      }
    } else if ((event.code === "Space" || event.code === "Enter") && button && !event.repeat) {
      this.press(`focus ${event.code}`, Number(button.dataset.key), VELOCITY);
    } else {
      return;
    }
    event.preventDefault();
  }
}
