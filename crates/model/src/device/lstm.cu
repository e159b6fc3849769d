// One step of one LSTM layer on a graphics processor. CUDA, Metal and, for the tests, C compile this same
// text; the words in which they differ stand at the top.
//
// It gives the CPU's bits. Products are of integers, rounded as in `quantise.rs`: their sums are exact in any
// order. All else is 32-bit floats, every operation rounded by itself and in the order of `lstm.rs` and
// `activation.rs`: no fused multiply-add, no approximate division. The compilers have to be told:
// -fmad=false, no fast math, -ffp-contract=off.
//
// A group of threads works out UNITS of the layer's units: their ROWS rows of both matrices, LANES threads
// to a row. Shared memory is all that outlives a MEET.

#define HIDDEN 512
#define UNITS 4
#define LANES 16
#define ROWS (4 * UNITS)
#define THREADS (ROWS * LANES)

#if defined(__CUDACC__)
#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS)
#define IN(type, name, place) const type *__restrict__ name
#define OUT(type, name, place) type *__restrict__ name
#define NUMBER(name, place) int name
#define AND_PLACE
#define GLOBAL
#define INSIDE static __device__
#define SHARED __shared__
#define GROUP int(blockIdx.x)
#define EACH(i, n) for (int i = threadIdx.x; i < (n); i += THREADS)
#define MEET __syncthreads()
#define BITS(x) __float_as_uint(x)
#define FLOAT(x) __uint_as_float(x)
#elif defined(__METAL_VERSION__)
#include <metal_stdlib>
#pragma METAL fp contract(off)
#define KERNEL kernel void
#define IN(type, name, place) device const type *name [[buffer(place)]]
#define OUT(type, name, place) device type *name [[buffer(place)]]
#define NUMBER(name, place) constant int &name [[buffer(place)]]
#define AND_PLACE , uint group [[threadgroup_position_in_grid]], uint worker [[thread_position_in_threadgroup]]
#define GLOBAL device
#define INSIDE static
#define SHARED threadgroup
#define GROUP int(group)
#define EACH(i, n) for (int i = int(worker); i < (n); i += THREADS)
#define MEET metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup)
#define BITS(x) as_type<unsigned>(x)
#define FLOAT(x) as_type<float>(x)
#else // C: the threads of a group one after another, from one MEET to the next
#define KERNEL static void
#define IN(type, name, place) const type *name
#define OUT(type, name, place) type *name
#define NUMBER(name, place) int name
#define AND_PLACE , int group
#define GLOBAL
#define INSIDE static
#define SHARED
#define GROUP group
#define EACH(i, n) for (int i = 0; i < (n); i++)
#define MEET
#define BITS(x) (((union { float number; unsigned bits; }){.number = (x)}).bits)
#define FLOAT(x) (((union { unsigned bits; float number; }){.bits = (x)}).number)
#endif

// Adding it rounds to a whole number, which then stands in the last bits.
#define ROUND 12582912.0f

INSIDE unsigned larger(unsigned a, unsigned b) { return a > b ? a : b; }

// `quantise::integers`. `bits`: those of the largest of the vector.
INSIDE float largest_of(unsigned bits) { return FLOAT(bits) > 1e-9f ? FLOAT(bits) : 1e-9f; }
INSIDE short integer(float x, unsigned bits) { return (short)BITS(x * (16000.0f / largest_of(bits)) + ROUND); }
INSIDE float value_of_one(unsigned bits) { return largest_of(bits) / 16000.0f; }

// `activation.rs`.
INSIDE float exponential(float x) {
    x = x < -87.0f ? -87.0f : x > 87.0f ? 87.0f : x;
    float shifted = x * 1.44269504088896340736f + ROUND;
    float n = shifted - ROUND;
    float r = x - n * 0.6933594f + n * 2.1219444e-4f;
    float p = 1.9875691e-4f;
    p = p * r + 1.3981999e-3f;
    p = p * r + 8.333452e-3f;
    p = p * r + 4.1665796e-2f;
    p = p * r + 1.6666665e-1f;
    p = p * r + 5.0000003e-1f;
    float value = p * r * r + r + 1.0f;
    return value * FLOAT((BITS(shifted) + 127u) << 23);
}
INSIDE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }
INSIDE float tangent(float x) { return 2.0f / (1.0f + exponential(-2.0f * x)) - 1.0f; }

// The matrix row of the i-th row of a group: gate by gate.
#define ROW(i) ((i) / UNITS * HIDDEN + GROUP * UNITS + (i) % UNITS)

// words: weights, four to a word: [4 HIDDEN, columns] for the input, then [4 HIDDEN, HIDDEN] for the state.
// numbers: [3, 4 HIDDEN]: biases, scales of the rows for the input, scales for the state.
// input: [columns]. before, after: [2, HIDDEN]: hidden state, cells.
KERNEL lstm(IN(int, words, 0), IN(float, numbers, 1), NUMBER(columns, 2), IN(float, input, 3), IN(float, before, 4),
            OUT(float, after, 5) AND_PLACE) {
    SHARED unsigned largest[2][THREADS];
    SHARED short integers[2][HIDDEN];
    SHARED int products[2][THREADS];
    SHARED float gates[ROWS];

    // Floats without a sign are in the order of their bits.
    EACH(i, THREADS) {
        largest[0][i] = largest[1][i] = 0;
        for (int k = i; k < columns; k += THREADS) largest[0][i] = larger(largest[0][i], BITS(input[k]) & 0x7fffffffu);
        for (int k = i; k < HIDDEN; k += THREADS) largest[1][i] = larger(largest[1][i], BITS(before[k]) & 0x7fffffffu);
    }
    MEET;
    for (int width = THREADS / 2; width > 0; width /= 2) {
        EACH(i, width) {
            for (int v = 0; v < 2; v++) largest[v][i] = larger(largest[v][i], largest[v][i + width]);
        }
        MEET;
    }
    EACH(k, columns) integers[0][k] = integer(input[k], largest[0][0]);
    EACH(k, HIDDEN) integers[1][k] = integer(before[k], largest[1][0]);
    MEET;

    EACH(i, THREADS) {
        for (int v = 0; v < 2; v++) {
            int quads = (v == 0 ? columns : HIDDEN) / 4;
            GLOBAL const int *row = words + (v == 0 ? 0 : HIDDEN * columns) + ROW(i / LANES) * quads;
            int sum = 0;
            for (int k = i % LANES; k < quads; k += LANES) {
                unsigned word = (unsigned)row[k];
                for (int j = 0; j < 4; j++) sum += ((int)(word << (24 - 8 * j)) >> 24) * integers[v][4 * k + j];
            }
            products[v][i] = sum;
        }
    }
    MEET;
    EACH(i, ROWS) {
        float gate = numbers[ROW(i)];
        for (int v = 0; v < 2; v++) {
            int sum = 0;
            for (int lane = 0; lane < LANES; lane++) sum += products[v][i * LANES + lane];
            gate = gate + (float)sum * (numbers[(1 + v) * 4 * HIDDEN + ROW(i)] * value_of_one(largest[v][0]));
        }
        gates[i] = gate;
    }
    MEET;
    EACH(i, UNITS) {
        int unit = GROUP * UNITS + i;
        float fresh = sigmoid(gates[i]) * tangent(gates[2 * UNITS + i]);
        float cell = sigmoid(gates[UNITS + i]) * before[HIDDEN + unit] + fresh;
        after[HIDDEN + unit] = cell;
        after[unit] = sigmoid(gates[3 * UNITS + i]) * tangent(cell);
    }
}
