// One step of one LSTM layer for several takes: the same arithmetic as `fixed.rs`, number for number. Integers only,
// since drivers may round floats differently.
//
// `gpu.rs` prepends constants: COLUMNS of this layer's input and COLUMNS_OF_INPUT of the first layer's; LAYER and the
// one BELOW; STRIDE of a take in `before`; TAKES per workgroup.
//
// A workgroup computes UNITS hidden units with LANES threads each. A thread covers all four gate rows of its unit, so
// that each activation is read once.

const HIDDEN = 512u;
const LAYERS = 3u;
const UNITS = 4u;
const LANES = 16u;
const THREADS = UNITS * LANES;
const GATES = 4u * HIDDEN;

const FLAT = 180224; // 11 << 14
const LARGEST = 16383;
const LARGEST_CELL = 536870912; // 1 << 29

// Four weights per word: [GATES, COLUMNS / 4] for the input, then [GATES, HIDDEN / 4] for the state.
@group(0) @binding(0) var<storage, read> weights: array<u32>;
// [5, GATES]: biases; multipliers and shifts for the input; multipliers and shifts for the state.
@group(0) @binding(1) var<storage, read> numbers: array<i32>;
// Per take: the input's exponent, the input, then hidden and cell states of all layers. Four activations take two
// words: first their upper bytes, then their lower bytes, all signed.
@group(0) @binding(2) var<storage, read> before: array<u32>;
// Per take: hidden and cell states of all layers.
@group(0) @binding(3) var<storage, read_write> after: array<u32>;

const INPUT = 1u;
const STATE = INPUT + COLUMNS_OF_INPUT / 2u;
const CELLS = LAYERS * HIDDEN / 2u;
const AFTER = CELLS + LAYERS * HIDDEN;

// One vec4 holds the sums of the gates i, f, g, o.
var<workgroup> sums: array<vec4<i32>, TAKES * THREADS>;
var<workgroup> hidden: array<i32, TAKES * UNITS>;

fn scaled(sum: i32, multiplier: i32, shift: u32) -> i32 {
    return ((sum >> 15u) * multiplier + (((sum & 0x7fff) * multiplier) >> 15u)) >> shift;
}

fn sigmoid(x: i32) -> i32 {
    let t = (u32(min(abs(x), FLAT)) * 23637u) >> 14u;
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
    // The take and unit that this thread finishes once the sums are complete; most threads have none.
    let take = thread / UNITS;
    let unit = group.x * UNITS + thread % UNITS;
    var gates = vec4(0);
    // The input projection, then the recurrent projection.
    for (var part = 0u; part < 2u; part++) {
        let words = select(HIDDEN, COLUMNS, part == 0u) / 4u;
        let row = select(GATES * COLUMNS / 4u, 0u, part == 0u) + (group.x * UNITS + thread / LANES) * words;
        let gate_words = HIDDEN * words;
        var upper: array<vec4<i32>, TAKES>;
        var lower: array<vec4<i32>, TAKES>;
        for (var word = thread % LANES; word < words; word += LANES) {
            let at = row + word;
            let i = weights[at];
            let f = weights[at + gate_words];
            let g = weights[at + 2u * gate_words];
            let o = weights[at + 3u * gate_words];
            for (var t = 0u; t < TAKES; t++) {
                var x: vec2<u32>;
                if part == 0u && LAYER > 0u {
                    let at = (first + t) * AFTER + BELOW * HIDDEN / 2u + 2u * word;
                    x = vec2(after[at], after[at + 1u]);
                } else {
                    let at = (first + t) * STRIDE + select(STATE + LAYER * HIDDEN / 2u, INPUT, part == 0u) + 2u * word;
                    x = vec2(before[at], before[at + 1u]);
                }
                upper[t] += vec4(dot4I8Packed(i, x.x), dot4I8Packed(f, x.x), dot4I8Packed(g, x.x), dot4I8Packed(o, x.x));
                lower[t] += vec4(dot4I8Packed(i, x.y), dot4I8Packed(f, x.y), dot4I8Packed(g, x.y), dot4I8Packed(o, x.y));
            }
        }
        for (var t = 0u; t < TAKES; t++) {
            sums[t * THREADS + thread] = upper[t] * 256 + lower[t];
        }
        workgroupBarrier();
        if take < TAKES {
            var sum = vec4(0);
            for (var lane = 0u; lane < LANES; lane++) {
                sum += sums[take * THREADS + thread % UNITS * LANES + lane];
            }
            var exponent = 0;
            if part == 0u && LAYER == 0u {
                exponent = i32(before[(first + take) * STRIDE]);
            }
            for (var gate = 0u; gate < 4u; gate++) {
                let at = gate * HIDDEN + unit;
                if part == 0u {
                    gates[gate] = numbers[at];
                }
                let shift = u32(numbers[(2u + 2u * part) * GATES + at] - exponent);
                gates[gate] += scaled(sum[gate], numbers[(1u + 2u * part) * GATES + at], shift);
            }
        }
        workgroupBarrier();
    }
    if take < TAKES {
        let at = CELLS + LAYER * HIDDEN + unit;
        let c = i32(before[(first + take) * STRIDE + STATE + at]);
        let fresh = (gate(gates.x) * tangent(clamp(gates.z, -FLAT, FLAT) * 2) + 512) >> 10u;
        let f = gate(gates.y);
        let kept = (c >> 15u) * f + (((c & 0x7fff) * f + 16384) >> 15u);
        let cell = clamp(kept + fresh, -LARGEST_CELL, LARGEST_CELL);
        after[(first + take) * AFTER + at] = u32(cell);
        let output = (gate(gates.w) * tangent((cell + 16) >> 5u) + 32768) >> 16u;
        hidden[thread] = clamp(output, -LARGEST, LARGEST);
    }
    workgroupBarrier();
    if thread < TAKES {
        var bytes = vec2(0u);
        for (var i = 0u; i < UNITS; i++) {
            let h = hidden[thread * UNITS + i];
            let lower = (h << 24u) >> 24u;
            let upper = (h - lower) >> 8u;
            bytes |= (vec2(u32(upper), u32(lower)) & vec2(0xffu)) << vec2(8u * i);
        }
        let at = (first + thread) * AFTER + LAYER * HIDDEN / 2u + group.x * UNITS / 2u;
        after[at] = bytes.x;
        after[at + 1u] = bytes.y;
    }
}
