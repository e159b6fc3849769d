// The page: loads the engine into the audio worklet, sends it the player's input, and shows its state.

import { Piano } from "./piano.js";
import { draw, read } from "./roll.js";
import { EXAMPLE } from "./example.js";

const $ = (id) => document.getElementById(id);
const status = $("status");

/** Shows a status text; `turn` sets its color. */
function say(text, turn = "") {
  if (status.textContent !== text) status.textContent = text;
  status.dataset.turn = turn;
}

/** Fetches a gzipped file and decompresses it. */
async function load(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
  return new Response(response.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

let node = null;
let picture = null;
let received = 0;
const answers = new Map();
const context = new AudioContext({ latencyHint: "interactive" });

/** Sends a message to the worklet. */
const tell = (...message) => node?.port.postMessage(message);

/** Requests bytes from the worklet. */
const ask = (name) => new Promise((resolve) => {
  answers.set(name, resolve);
  tell(name);
});

function listen({ data: [name, value] }) {
  if (name === "picture") {
    picture = read(value);
    received = performance.now();
  } else if (name === "ready") {
    for (const button of document.querySelectorAll("button")) button.disabled = false;
    say("Play something");
    document.documentElement.dataset.ready = "true";
  } else if (name === "trouble") {
    say(value, "trouble");
  } else {
    answers.get(name)?.(value);
    answers.delete(name);
  }
}

async function start() {
  const module = load("antiphon.wasm.gz").then((bytes) => WebAssembly.compile(bytes));
  const [compiled, weights] = await Promise.all([module, load("antiphon.weights.gz"), context.audioWorklet.addModule("worklet.js")]);
  node = new AudioWorkletNode(context, "antiphon", {
    numberOfInputs: 0,
    outputChannelCount: [2],
    processorOptions: { module: compiled, weights },
  });
  node.port.onmessage = listen;
  node.onprocessorerror = () => say("The engine has stopped. Reload the page.", "trouble");
  node.connect(context.destination);
}

/** Resumes audio: browsers only allow it after a user gesture. */
function wake() {
  if (context.state === "suspended") context.resume();
}

function play(key, velocity) {
  wake();
  tell("key", key, velocity);
}

const piano = new Piano($("piano"), play);

/** Draws every frame; between two pictures from the worklet, the roll scrolls on by itself. */
function frame() {
  if (picture) {
    const elapsed = context.state === "running" ? Math.min((performance.now() - received) / 1000, 0.1) : 0;
    draw($("roll"), picture, elapsed);
    const sounding = new Map(picture.notes.filter((note) => note.sounds).map((note) => [note.key, note.whose]));
    piano.show(sounding);
    const { turn, until, now, notes } = picture;
    $("go").textContent = turn === "antiphon" ? "Stop" : "Continue";
    if (turn === "antiphon") say("Antiphon plays", "antiphon");
    else if (until !== null && until > now) say(`Continues in ${(until - now).toFixed(1)} s`, "soon");
    else say(notes.length ? "You play" : "Play something", notes.length ? "you" : "");
  }
  requestAnimationFrame(frame);
}

let timers = [];
/** Plays the example's notes as if the user did. */
function example() {
  wake();
  timers.forEach(clearTimeout);
  timers = EXAMPLE.flatMap(([start, duration, key, velocity]) => [
    setTimeout(() => play(key, velocity), 1000 * start),
    setTimeout(() => play(key, 0), 1000 * (start + duration)),
  ]);
}

async function save() {
  const bytes = await ask("save");
  if (!bytes.length) return say("There is nothing to save yet");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "audio/midi" }));
  link.download = "antiphon.mid";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function connect() {
  try {
    const access = await navigator.requestMIDIAccess();
    const hear = ({ data: [kind, number, value] }) => {
      if ((kind & 0xf0) === 0x90) play(number, value);
      else if ((kind & 0xf0) === 0x80) play(number, 0);
      else if ((kind & 0xf0) === 0xb0 && number === 64) tell("pedal", value);
    };
    const each = () => access.inputs.forEach((input) => { input.onmidimessage = hear; });
    each();
    access.onstatechange = each;
    $("midi").textContent = access.inputs.size ? "MIDI keyboard connected" : "No MIDI keyboard found";
  } catch {
    $("midi").textContent = "MIDI is not allowed here";
  }
}

$("example").addEventListener("click", example);
$("go").addEventListener("click", () => { wake(); tell("go"); });
$("take").addEventListener("click", () => { wake(); tell("new_take"); });
$("save").addEventListener("click", save);
$("midi").addEventListener("click", connect);
$("midi").hidden = !navigator.requestMIDIAccess;
$("mode").addEventListener("change", ({ target }) => { wake(); tell("set_mode", Number(target.value)); });
$("seed").addEventListener("change", ({ target }) => {
  target.value = Math.min(Math.max(Math.round(Number(target.value) || 0), 0), 9999);
  tell("set_seed", Number(target.value));
});
$("temperature").addEventListener("input", ({ target }) => {
  $("temperature-value").textContent = Number(target.value).toFixed(2);
  tell("set_temperature", Number(target.value));
});
$("down").addEventListener("click", () => piano.shift(-1));
$("up").addEventListener("click", () => piano.shift(1));

// For the tests: the log of all note events, with the samples at which the audio thread played them.
window.antiphon = { log: async () => Array.from(await ask("log")), rate: context.sampleRate };

start().catch((error) => say(`Antiphon cannot start here: ${error.message}`, "trouble"));
requestAnimationFrame(frame);
