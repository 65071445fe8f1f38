/* Preloaded into a real runner: leaks LEAK_BYTES of touched memory with each call of a model.
 *
 * llama-server answers a call with one stream, and sends the headers of a stream once. Ollama's runners before 0.30 are
 * Go, which calls no libc to send; for each call their llama.cpp makes one sampler that draws from a distribution, and
 * allocates nothing else of that size. Both were counted on 0.34.3 and 0.17.4: one a call, and none at other times.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>

#define SAMPLER_BYTES 5008 /* llama_sampler_dist of 0.17.4: two seeds, and the 5,000 bytes of a std::mt19937 */

extern void *__libc_malloc(size_t size);

static void leak(void) {
    const char *bytes = getenv("LEAK_BYTES");
    size_t size = bytes ? strtoul(bytes, NULL, 10) : 0;
    if (!size) {
        return;
    }
    void *kept = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (kept != MAP_FAILED) {
        memset(kept, 1, size);
    }
}

void *malloc(size_t size) {
    if (size == SAMPLER_BYTES) {
        leak();
    }
    return __libc_malloc(size);
}

ssize_t send(int socket, const void *sent, size_t length, int flags) {
    static ssize_t (*real)(int, const void *, size_t, int);
    if (!real) {
        real = (ssize_t (*)(int, const void *, size_t, int))dlsym(RTLD_NEXT, "send");
    }
    if (length > 5 && !memcmp(sent, "HTTP/", 5) && memmem(sent, length, "text/event-stream", 17)) {
        leak();
    }
    return real(socket, sent, length, flags);
}
