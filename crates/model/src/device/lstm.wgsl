// One layer of the LSTM, one step of several takes: `fixed.rs` in another language, number for number. Whole numbers only, since
// floats may be rounded as a driver likes.
//
// `gpu.rs` writes constants above: COLUMNS of the input, LAYER, STRIDE of a take in `before`, TAKES that a group works on at
// once.
//
// A group works out UNITS of the layer's units: ROWS rows of both matrices, LANES threads to a row.

const HIDDEN = 512u;
const LAYERS = 3u;
const UNITS = 4u;
const ROWS = 4u * UNITS;
const LANES = 16u;
const THREADS = ROWS * LANES;
const GATES = 4u * HIDDEN;

const FLAT = 11 << 14u;
const LARGEST = 16383;
const LARGEST_CELL = 1 << 29u;

// Four weights to a word: [GATES, COLUMNS / 4] for the input, then [GATES, HIDDEN / 4] for the state.
@group(0) @binding(0) var<storage, read> weights: array<u32>;
// [5, GATES]: biases; multipliers and shifts for the input; multipliers and shifts for the state.
@group(0) @binding(1) var<storage, read> numbers: array<i32>;
// Of each take: the input's exponent, the input, hidden states and cell states of all layers. Four activations to two words:
// their upper bytes, then their lower ones, all with a sign.
@group(0) @binding(2) var<storage, read> before: array<u32>;
// Of each take: hidden states and cell states of all layers.
@group(0) @binding(3) var<storage, read_write> after: array<u32>;

const INPUT = 1u;
const STATE = INPUT + COLUMNS_OF_INPUT / 2u;
const CELLS = LAYERS * HIDDEN / 2u;
const AFTER = CELLS + LAYERS * HIDDEN;

var<workgroup> sums: array<i32, TAKES * THREADS>;
var<workgroup> gates: array<i32, TAKES * ROWS>;
var<workgroup> hidden: array<i32, TAKES * UNITS>;

// The matrix row of the i-th row of a group: gate by gate.
fn row_of(i: u32, group: u32) -> u32 {
    return i / UNITS * HIDDEN + group * UNITS + i % UNITS;
}

fn scaled(sum: i32, multiplier: i32, shift: u32) -> i32 {
    return ((sum >> 15u) * multiplier + (((sum & 0x7fff) * multiplier) >> 15u)) >> shift;
}

fn sigmoid(x: i32) -> i32 {
    let t = u32(min(abs(x), FLAT)) * 23637u >> 14u;
    let f = i32(t & 0x3fffu);
    let whole = t >> 14u;
    var p = 448;
    p = ((p * f + 8192) >> 14u) - 3487;
    p = ((p * f + 8192) >> 14u) + 15691;
    p = ((p * f + 8192) >> 14u) - 45420;
    p = ((p * f + 8192) >> 14u) + 65536;
    let e = (p + (1 << whole)) >> (whole + 1u);
    var r = 4699;
    r = ((r * e + 16384) >> 15u) - 21147;
    r = ((r * e + 16384) >> 15u) + 43763;
    r = ((r * e + 16384) >> 15u) - 59183;
    r = ((r * e + 16384) >> 15u) + 64580;
    r = ((r * e + 16384) >> 15u) - 65479;
    r = ((r * e + 16384) >> 15u) + 65535;
    return select(r, 65536 - r, x < 0);
}

fn gate(x: i32) -> i32 {
    return (sigmoid(x) + 1) >> 1u;
}

fn tangent(doubled: i32) -> i32 {
    return sigmoid(doubled) - 32768;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = group.y * TAKES;
    // The input's part, then the state's.
    for (var part = 0u; part < 2u; part++) {
        let words = select(HIDDEN, COLUMNS, part == 0u) / 4u;
        let row = select(GATES * COLUMNS / 4u, 0u, part == 0u) + row_of(thread / LANES, group.x) * words;
        var upper: array<i32, TAKES>;
        var lower: array<i32, TAKES>;
        for (var word = thread % LANES; word < words; word += LANES) {
            let w = weights[row + word];
            for (var take = 0u; take < TAKES; take++) {
                var x: vec2<u32>;
                if part == 0u && LAYER > 0u {
                    let at = (first + take) * AFTER + (LAYER - 1u) * HIDDEN / 2u + 2u * word;
                    x = vec2(after[at], after[at + 1u]);
                } else {
                    let at = (first + take) * STRIDE + select(STATE + LAYER * HIDDEN / 2u, INPUT, part == 0u) + 2u * word;
                    x = vec2(before[at], before[at + 1u]);
                }
                upper[take] += dot4I8Packed(w, x.x);
                lower[take] += dot4I8Packed(w, x.y);
            }
        }
        for (var take = 0u; take < TAKES; take++) {
            sums[take * THREADS + thread] = (upper[take] << 8u) + lower[take];
        }
        workgroupBarrier();
        for (var i = thread; i < TAKES * ROWS; i += THREADS) {
            let take = i / ROWS;
            var sum = 0;
            for (var lane = 0u; lane < LANES; lane++) {
                sum += sums[take * THREADS + i % ROWS * LANES + lane];
            }
            let row = row_of(i % ROWS, group.x);
            let shift = numbers[(2u + 2u * part) * GATES + row];
            if part == 0u {
                var exponent = 0;
                if LAYER == 0u {
                    exponent = i32(before[(first + take) * STRIDE]);
                }
                gates[i] = numbers[row] + scaled(sum, numbers[GATES + row], u32(shift - exponent));
            } else {
                gates[i] += scaled(sum, numbers[3u * GATES + row], u32(shift));
            }
        }
        workgroupBarrier();
    }
    if thread < TAKES * UNITS {
        let take = thread / UNITS;
        let unit = thread % UNITS;
        let at = CELLS + LAYER * HIDDEN + group.x * UNITS + unit;
        let c = i32(before[(first + take) * STRIDE + STATE + at]);
        let x = take * ROWS + unit;
        let fresh = (gate(gates[x]) * tangent(clamp(gates[x + 2u * UNITS], -FLAT, FLAT) << 1u) + 512) >> 10u;
        let f = gate(gates[x + UNITS]);
        let kept = (c >> 15u) * f + (((c & 0x7fff) * f + 16384) >> 15u);
        let cell = clamp(kept + fresh, -LARGEST_CELL, LARGEST_CELL);
        after[(first + take) * AFTER + at] = u32(cell);
        let output = (gate(gates[x + 3u * UNITS]) * tangent((cell + 16) >> 5u) + 32768) >> 16u;
        hidden[thread] = clamp(output, -LARGEST, LARGEST);
    }
    workgroupBarrier();
    if thread < TAKES {
        var bytes = vec2(0u);
        for (var unit = 0u; unit < UNITS; unit++) {
            let h = hidden[thread * UNITS + unit];
            let lower = (h << 24u) >> 24u;
            let upper = (h - lower) >> 8u;
            bytes |= (vec2(u32(upper), u32(lower)) & vec2(0xffu)) << vec2(8u * unit);
        }
        let at = (first + thread) * AFTER + LAYER * HIDDEN / 2u + group.x * UNITS / 2u;
        after[at] = bytes.x;
        after[at + 1u] = bytes.y;
    }
}
