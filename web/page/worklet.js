// The audio thread: a single WebAssembly module contains the engine, the network and the piano. The page sends its
// requests as messages [name, ...numbers].

/** Blocks of 128 samples between two pictures: about 60 pictures per second at 48 kHz. */
const BLOCKS_PER_PICTURE = 6;
/** Seconds of the past in a picture. */
const PAST_S = 12;

class Antiphon extends AudioWorkletProcessor {
  constructor({ processorOptions: { module, weights } }) {
    super();
    this.wasm = new WebAssembly.Instance(module, {}).exports;
    const room = this.wasm.room(weights.byteLength);
    new Uint8Array(this.wasm.memory.buffer, room, weights.byteLength).set(new Uint8Array(weights));
    const trouble = this.wasm.open(sampleRate);
    this.port.postMessage(trouble ? ["trouble", String.fromCharCode(...this.output(trouble))] : ["ready"]);
    this.blocks = 0;
    this.port.onmessage = ({ data: [name, ...values] }) => this.hear(name, values);
  }

  hear(name, values) {
    if (name === "save" || name === "log") {
      const bytes = this.output(this.wasm[name]()).slice();
      this.port.postMessage([name, bytes], [bytes.buffer]);
    } else {
      this.wasm[name](...values);
    }
  }

  output(bytes) {
    return new Uint8Array(this.wasm.memory.buffer, this.wasm.output(), bytes);
  }

  process(_, [[left, right]]) {
    const { wasm } = this;
    try {
      wasm.process(left.length);
    } catch (error) {
      const reason = new Uint8Array(wasm.memory.buffer, wasm.reason_text(), wasm.reason());
      this.port.postMessage(["trouble", `Antiphon has stopped; reload the page. (${String.fromCharCode(...reason) || error})`]);
      return false;
    }
    const channel = (n) => new Float32Array(wasm.memory.buffer, wasm.sound(n), left.length);
    left.set(channel(0));
    right?.set(channel(1));
    if (++this.blocks % BLOCKS_PER_PICTURE === 0) {
      const numbers = wasm.draw(PAST_S);
      const copy = new Float64Array(wasm.memory.buffer, wasm.picture(), numbers).slice();
      this.port.postMessage(["picture", copy], [copy.buffer]);
    }
    return true;
  }
}

registerProcessor("antiphon", Antiphon);
