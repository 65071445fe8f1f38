/* Preloaded into a real runner: leaks LEAK_BYTES of touched memory with each call of a model.
 *
 * llama-server answers each call with one stream, and the headers of a stream are sent once: that send() is the call.
 * The runners before 0.30 are Go, which calls no libc to send. What they do through libc once a call, and at no other
 * time, is to start the sampler of the answer: LEAK_AT names that function's caller by the size that it allocates.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>

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
