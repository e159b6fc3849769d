// CUDA's driver as far as `device::cuda` asks for it, without a device: memory is the process's own, and the
// kernel is its source compiled as C. `LAUNCHES` in the environment: as many launches go well, later ones fail.
#include <stdlib.h>
#include <string.h>

#include "../src/device/lstm.cu"

typedef unsigned long long Pointer;

enum { GOOD = 0, INVALID_VALUE = 1, NO_MEMORY = 2, NOT_FOUND = 500, LAUNCH_FAILED = 719 };

static int context;
static int launches;

int cuInit(unsigned flags) { return flags; }
int cuDeviceGetCount(int *count) { return *count = 1, GOOD; }
int cuDeviceGet(int *device, int number) { return *device = number, number == 0 ? GOOD : INVALID_VALUE; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { return *value = 0, (void)attribute, device; }
int cuDeviceGetName(char *name, int length, int device) { return strncpy(name, "no GPU at all", length), device; }
int cuDevicePrimaryCtxRetain(void **out, int device) { return *out = &context, device; }
int cuDevicePrimaryCtxRelease_v2(int device) { return device; }
int cuCtxGetCurrent(void **out) { return *out = &context, GOOD; }
int cuCtxSetCurrent(void *new) { return new == &context ? GOOD : INVALID_VALUE; }
int cuStreamCreate(void **stream, unsigned flags) { return (void)flags, (*stream = malloc(1)) ? GOOD : NO_MEMORY; }
int cuStreamSynchronize(void *stream) { return stream ? GOOD : INVALID_VALUE; }
int cuStreamDestroy_v2(void *stream) { return free(stream), GOOD; }
int cuMemAlloc_v2(Pointer *out, size_t bytes) { return (*out = (Pointer)malloc(bytes)) ? GOOD : NO_MEMORY; }
int cuMemFree_v2(Pointer memory) { return free((void *)memory), GOOD; }
int cuMemsetD8Async(Pointer to, unsigned char value, size_t bytes, void *stream) {
    return memset((void *)to, value, bytes), stream ? GOOD : INVALID_VALUE;
}
int cuMemcpyHtoDAsync_v2(Pointer to, const void *from, size_t bytes, void *stream) {
    return memcpy((void *)to, from, bytes), stream ? GOOD : INVALID_VALUE;
}
int cuMemcpyDtoHAsync_v2(void *to, Pointer from, size_t bytes, void *stream) {
    return memcpy(to, (void *)from, bytes), stream ? GOOD : INVALID_VALUE;
}
int cuModuleLoadData(void **module, const char *code) {
    return *module = &context, strstr(code, ".entry lstm(") ? GOOD : INVALID_VALUE;
}
int cuModuleUnload(void *module) { return module == &context ? GOOD : INVALID_VALUE; }
int cuModuleGetFunction(void **function, void *module, const char *name) {
    return *function = module, strcmp(name, "lstm") == 0 ? GOOD : NOT_FOUND;
}
int cuLaunchKernel(void *function, unsigned groups, unsigned y, unsigned z, unsigned threads, unsigned ty, unsigned tz,
                   unsigned shared, void *stream, void **arguments, void **more) {
    const char *limit = getenv("LAUNCHES");
    if (function != &context || groups * UNITS != HIDDEN || threads != THREADS || y * z * ty * tz != 1 || shared || more
        || !stream)
        return INVALID_VALUE;
    if (limit && launches++ >= atoi(limit)) return LAUNCH_FAILED;
    for (unsigned group = 0; group < groups; group++) {
        lstm(*(int **)arguments[0], *(float **)arguments[1], *(int *)arguments[2], *(float **)arguments[3],
             *(float **)arguments[4], *(float **)arguments[5], group);
    }
    return GOOD;
}
int cuGetErrorName(int error, const char **text) { return *text = error == LAUNCH_FAILED ? "LAUNCH_FAILED" : "?", GOOD; }
int cuGetErrorString(int error, const char **text) {
    return *text = error == LAUNCH_FAILED ? "unspecified launch failure" : "another error", GOOD;
}
