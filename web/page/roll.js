// The piano roll: the player in blue, Antiphon in orange, its planned notes as outlines.

const PAST_S = 8;
const FUTURE_S = 4;
const LOWEST = 33;
const HIGHEST = 96;
const COLORS = { you: "#56b4e9", antiphon: "#f0a830", row: "#121317", line: "#2b2e36", now: "#c9ccd4", mark: "#8a8f9a" };

/** Parses the worklet's numbers; see `Page::picture`. */
export function read(numbers) {
  const [now, turn, since, until, notes, ghosts, marks] = numbers;
  const note = (index) => {
    const [start, end, key, velocity, whose] = numbers.subarray(7 + 5 * index, 12 + 5 * index);
    return { start, end: end < 0 ? now : end, sounds: end < 0, key, velocity, whose: whose ? "antiphon" : "you" };
  };
  const all = Array.from({ length: notes + ghosts }, (_, index) => note(index));
  const first = 7 + 5 * (notes + ghosts);
  return {
    now,
    turn: turn ? "antiphon" : "you",
    since,
    until: until < 0 ? null : until,
    notes: all.slice(0, notes),
    ghosts: all.slice(notes),
    marks: [...numbers.subarray(first, first + marks)],
  };
}

/** Draws a picture that was made `elapsed` seconds ago. */
export function draw(canvas, picture, elapsed) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const now = picture.now + elapsed;
  const x = (time) => ((time - now + PAST_S) / (PAST_S + FUTURE_S)) * width;
  const row = height / (HIGHEST - LOWEST + 1);
  const y = (key) => (HIGHEST - Math.min(Math.max(key, LOWEST), HIGHEST)) * row;

  for (let key = LOWEST; key <= HIGHEST; key++) {
    if ([1, 3, 6, 8, 10].includes(key % 12)) {
      context.fillStyle = COLORS.row;
      context.fillRect(0, y(key), width, row);
    } else if (key % 12 === 0) {
      context.fillStyle = COLORS.line;
      context.fillRect(0, y(key) + row, width, 1);
    }
  }
  context.strokeStyle = COLORS.mark;
  context.setLineDash([4, 5]);
  for (const mark of picture.marks) line(context, x(mark), height);
  context.setLineDash([]);

  const box = ({ start, end, key }) => [x(start) + 0.5, y(key) - 0.2 * row, Math.max(x(end) - x(start) - 1, 3), 1.4 * row];
  for (const note of picture.notes) {
    const whole = note.sounds ? { ...note, end: now } : note;
    context.globalAlpha = 0.45 + (0.55 * note.velocity) / 127;
    context.fillStyle = COLORS[note.whose];
    context.beginPath();
    context.roundRect(...box(whole), Math.min(3, row));
    context.fill();
  }
  context.globalAlpha = 1;
  context.strokeStyle = COLORS.antiphon;
  context.lineWidth = 1.2;
  for (const ghost of picture.ghosts) {
    if (ghost.start < now) continue;
    context.beginPath();
    context.roundRect(...box(ghost), Math.min(3, row));
    context.stroke();
  }
  context.strokeStyle = COLORS.now;
  line(context, x(now), height);
}

function line(context, x, height) {
  context.beginPath();
  context.moveTo(x, 0);
  context.lineTo(x, height);
  context.stroke();
}
