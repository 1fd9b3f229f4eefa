/* A CUDA driver over the memory of the host, enough for cuda-bindings and PyCUDA to be run for real.
 *
 * Copies happen at once, except while a stream is captured: then they are kept in a graph.
 * At the end of the process everything that was not given back is named on stderr, contexts that
 * lay on the stack of a thread when it ended among it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long Address;
typedef struct { void *to; const void *from; size_t size; } Copy;
typedef struct { Copy copies[64]; int count; } Graph;
typedef struct { Graph *recording; int broken; } Stream;

enum { OK = 0, INVALID = 1, NO_MEMORY = 2, NO_CONTEXT = 201, CAPTURING = 900, BROKEN = 901 };
static const size_t total = (size_t)1 << 30;
static size_t used;
static int retained, unpopped, blocks, hosts, streams, events, graphs, modules;
static __thread int pushed;
static pthread_key_t stack_key;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
#define LOCKED(what) do { pthread_mutex_lock(&lock); what; pthread_mutex_unlock(&lock); } while (0)
#define CONTEXT() do { if (!pushed) return NO_CONTEXT; } while (0)

static void thread_ends(void *unused) { (void)unused; LOCKED(unpopped += pushed); }
__attribute__((constructor)) static void prepare(void) { pthread_key_create(&stack_key, thread_ends); }
__attribute__((destructor)) static void report(void) {
    unpopped += pushed;
    if (retained || unpopped || blocks || hosts || streams || events || graphs || modules)
        fprintf(stderr, "left over: %d contexts, %d pushed, %d device, %d host, %d streams, "
                "%d events, %d graphs, %d modules\n",
                retained, unpopped, blocks, hosts, streams, events, graphs, modules);
}

int cuInit(unsigned flags) { return flags; }
int cuDriverGetVersion(int *version) { *version = 13000; return OK; }
int cuDeviceGetCount(int *count) { *count = 1; return OK; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal ? INVALID : OK; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Fake", size); return device; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : attribute == 16 ? 16 : attribute == 18;
    return device;
}
int cuGetErrorName(int error, const char **text) { *text = error ? "ERROR" : "SUCCESS"; return OK; }
int cuGetErrorString(int error, const char **text) { return cuGetErrorName(error, text); }

int cuDevicePrimaryCtxRetain(void **context, int device) {
    LOCKED(retained++); *context = (void *)0xC0; return device;
}
int cuDevicePrimaryCtxRelease(int device) { LOCKED(retained--); return device; }
int cuCtxPushCurrent(void *context) {
    pthread_setspecific(stack_key, &pushed);
    pushed++;
    return context == (void *)0xC0 ? OK : INVALID;
}
int cuCtxPopCurrent(void **context) { CONTEXT(); pushed--; *context = (void *)0xC0; return OK; }
int cuMemGetInfo(size_t *available, size_t *all) {
    CONTEXT(); *available = total - used; *all = total; return OK;
}
int cuMemAlloc(Address *address, size_t size) {
    CONTEXT();
    if (used + size > total) return NO_MEMORY;
    size_t *block = malloc(size + 64);
    *block = size;
    LOCKED((used += size, blocks++));
    *address = (Address)((char *)block + 64);
    return OK;
}
int cuMemFree(Address address) {
    CONTEXT();
    size_t *block = (size_t *)((char *)address - 64);
    LOCKED((used -= *block, blocks--));
    free(block);
    return OK;
}
int cuMemHostAlloc(void **memory, size_t size, unsigned flags) {
    CONTEXT(); (void)flags; LOCKED(hosts++); *memory = malloc(size); return OK;
}
int cuMemFreeHost(void *memory) { CONTEXT(); LOCKED(hosts--); free(memory); return OK; }
int cuMemHostGetDevicePointer(Address *address, void *memory, unsigned flags) {
    CONTEXT(); *address = (Address)memory; return flags;
}
static int copy(void *to, const void *from, size_t size, Stream *stream) {
    CONTEXT();
    if (stream->recording)
        stream->recording->copies[stream->recording->count++] = (Copy){to, from, size};
    else
        memcpy(to, from, size);
    return OK;
}
int cuMemcpyHtoDAsync(Address to, const void *from, size_t size, Stream *stream) {
    return copy((void *)to, from, size, stream);
}
int cuMemcpyDtoHAsync(void *to, Address from, size_t size, Stream *stream) {
    return copy(to, (const void *)from, size, stream);
}
int cuStreamCreate(Stream **stream, unsigned flags) {
    CONTEXT(); LOCKED(streams++); *stream = calloc(1, sizeof(Stream)); return flags == 1 ? OK : INVALID;
}
int cuStreamDestroy(Stream *stream) { CONTEXT(); LOCKED(streams--); free(stream); return OK; }
int cuStreamSynchronize(Stream *stream) {
    CONTEXT();
    if (stream->recording) { stream->broken = 1; return CAPTURING; }
    return OK;
}
int cuStreamBeginCapture(Stream *stream, int mode) {
    CONTEXT(); LOCKED(graphs++); stream->recording = calloc(1, sizeof(Graph));
    return mode == 1 ? OK : INVALID;
}
int cuStreamEndCapture(Stream *stream, Graph **graph) {
    CONTEXT();
    *graph = stream->recording;
    stream->recording = NULL;
    if (!stream->broken) return OK;
    stream->broken = 0;
    free(*graph);
    *graph = NULL;
    LOCKED(graphs--);
    return BROKEN;
}
int cuGraphInstantiateWithFlags(Graph **executable, Graph *graph, unsigned long long flags) {
    CONTEXT(); LOCKED(graphs++); *executable = malloc(sizeof(Graph)); **executable = *graph;
    return (int)flags;
}
int cuGraphDestroy(Graph *graph) { CONTEXT(); LOCKED(graphs--); free(graph); return OK; }
int cuGraphExecDestroy(Graph *graph) { return cuGraphDestroy(graph); }
int cuGraphLaunch(Graph *graph, Stream *stream) {
    for (int i = 0; i < graph->count; i++)
        copy(graph->copies[i].to, graph->copies[i].from, graph->copies[i].size, stream);
    return OK;
}
int cuEventCreate(void **event, unsigned flags) {
    CONTEXT(); LOCKED(events++); *event = malloc(1); return flags == 3 ? OK : INVALID;
}
int cuEventRecord(void *event, Stream *stream) { CONTEXT(); return event && stream ? OK : INVALID; }
int cuEventSynchronize(void *event) { CONTEXT(); return event ? OK : INVALID; }
int cuEventDestroy(void *event) { CONTEXT(); LOCKED(events--); free(event); return OK; }

/* Its only kernel copies 16 bytes from its first argument to its second. */
int cuModuleLoadData(void **module, const char *binary) {
    CONTEXT(); LOCKED(modules++); *module = malloc(1); return binary[0] == 'K' ? OK : INVALID;
}
int cuModuleUnload(void *module) { CONTEXT(); LOCKED(modules--); free(module); return OK; }
int cuModuleGetFunction(void **function, void *module, const char *name) {
    CONTEXT(); *function = module; return strcmp(name, "copy16") ? INVALID : OK;
}
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                   unsigned bz, unsigned shared, Stream *stream, void **arguments, void **extra) {
    if (!function || gx != 7 || gy != 6 || gz != 5 || bx != 4 || by != 3 || bz != 2) return INVALID;
    if (shared || extra) return INVALID;
    return copy(*(void **)arguments[1], *(void **)arguments[0], 16, stream);
}

/* Compiled callers, such as PyCUDA, know the second edition of these. */
#define SECOND(name) __typeof__(name) name##_v2 __attribute__((alias(#name)))
SECOND(cuDevicePrimaryCtxRelease); SECOND(cuCtxPushCurrent); SECOND(cuCtxPopCurrent);
SECOND(cuMemGetInfo); SECOND(cuMemAlloc); SECOND(cuMemFree); SECOND(cuMemHostGetDevicePointer);
SECOND(cuMemcpyHtoDAsync); SECOND(cuMemcpyDtoHAsync); SECOND(cuStreamDestroy); SECOND(cuEventDestroy);

/* The bindings ask for every function by its plain name; what is not here does not exist. */
int cuGetProcAddress_v2(const char *name, void **function, int version, unsigned long long flags,
                        int *status) {
    (void)version; (void)flags;
    char plain[128];
    snprintf(plain, sizeof plain, "%s", name);
    *function = dlsym(RTLD_DEFAULT, plain);
    if (!*function) {
        void *self = dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_LAZY);
        *function = self ? dlsym(self, plain) : NULL;
    }
    if (status) *status = *function ? 0 : 1;
    return OK;
}
int cuGetProcAddress(const char *name, void **function, int version, unsigned long long flags) {
    return cuGetProcAddress_v2(name, function, version, flags, NULL);
}
