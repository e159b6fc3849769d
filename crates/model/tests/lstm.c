// Steps of the trunk on the graphics processor's kernel, compiled as C. Reads the layers, then for each step an
// input and the state of all layers; writes the state after it.
#include <stdio.h>
#include <stdlib.h>

#include "../src/device/lstm.cu"

#define LAYERS 3

static void take(void *out, size_t bytes) {
    if (fread(out, 1, bytes, stdin) != bytes) exit(0);
}

int main(void) {
    int columns[LAYERS], *words[LAYERS];
    static float numbers[LAYERS][3 * 4 * HIDDEN], input[HIDDEN], before[LAYERS][2 * HIDDEN], after[LAYERS][2 * HIDDEN];
    for (int layer = 0; layer < LAYERS; layer++) {
        take(&columns[layer], sizeof(int));
        size_t bytes = (size_t)4 * HIDDEN * (columns[layer] + HIDDEN);
        take(words[layer] = malloc(bytes), bytes);
        take(numbers[layer], sizeof numbers[layer]);
    }
    for (;;) {
        take(input, columns[0] * sizeof(float));
        take(before, sizeof before);
        for (int layer = 0; layer < LAYERS; layer++) {
            for (int group = 0; group < HIDDEN / UNITS; group++) {
                lstm(words[layer], numbers[layer], columns[layer], layer ? after[layer - 1] : input, before[layer],
                     after[layer], group);
            }
        }
        fwrite(after, 1, sizeof after, stdout);
        fflush(stdout);
    }
}
