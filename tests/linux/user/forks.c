// A storm of processes over copy-on-write memory, and threads over shared memory.
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exercise.h"

enum { kDepth = 6, kPages = 16, kPage = 4096 };

// Each process changes its own copy and sees no other's; all count in the shared page.
static void grow(unsigned depth, unsigned path, unsigned char* mine, atomic_uint* shared) {
  memset(mine, (int)path, kPages * kPage);
  atomic_fetch_add(shared, 1);
  if (depth > 0) {
    pid_t children[2];
    for (unsigned i = 0; i < 2; ++i) {
      children[i] = fork();
      CHECK(children[i] >= 0);
      if (children[i] == 0) {
        grow(depth - 1, path * 2 + i, mine, shared);
        _exit((int)depth);
      }
    }
    for (unsigned i = 0; i < 2; ++i) {
      int status = -1;
      CHECK(waitpid(children[i], &status, 0) == children[i]);
      CHECK(WIFEXITED(status));
      CHECK_EQUAL(WEXITSTATUS(status), depth);
    }
  }
  for (unsigned i = 0; i < kPages * kPage; i += 97)
    CHECK_EQUAL(mine[i], path & 0xff);
}

void forks(void) {
  atomic_uint* shared =
      mmap(NULL, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  unsigned char* mine =
      mmap(NULL, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED && mine != MAP_FAILED);
  grow(kDepth, 1, mine, shared);
  CHECK_EQUAL(atomic_load(shared), (1u << (kDepth + 1)) - 1);

  // Processes that hand a word round through pipes.
  enum { kRing = 8, kRounds = 50 };
  int pipes[kRing][2];
  for (int i = 0; i < kRing; ++i)
    CHECK(pipe(pipes[i]) == 0);
  for (int i = 1; i < kRing; ++i) {
    if (fork() != 0) continue;
    for (int round = 0; round < kRounds; ++round) {
      uint32_t word;
      CHECK(read(pipes[i - 1][0], &word, sizeof word) == sizeof word);
      ++word;
      CHECK(write(pipes[i][1], &word, sizeof word) == sizeof word);
    }
    _exit(0);
  }
  uint32_t word = 0;
  for (int round = 0; round < kRounds; ++round) {
    CHECK(write(pipes[0][1], &word, sizeof word) == sizeof word);
    CHECK(read(pipes[kRing - 1][0], &word, sizeof word) == sizeof word);
  }
  CHECK_EQUAL(word, (kRing - 1) * kRounds);
  for (int i = 1; i < kRing; ++i) {
    int status = -1;
    CHECK(wait(&status) > 0);
    CHECK_EQUAL(status, 0);
  }
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static unsigned long under_mutex;
static atomic_ulong lock_free;

static void* count(void* argument) {
  const unsigned long seed = (unsigned long)argument;
  pthread_barrier_wait(&barrier);
  for (unsigned i = 0; i < 20000; ++i) {
    unsigned long old = atomic_load(&lock_free);
    while (!atomic_compare_exchange_weak(&lock_free, &old, old + seed)) {
    }
    if (i % 16 == 0) {
      pthread_mutex_lock(&mutex);
      ++under_mutex;
      pthread_mutex_unlock(&mutex);
    }
  }
  return argument;
}

void threads(void) {
  enum { kThreads = 6 };
  pthread_t all[kThreads];
  pthread_barrier_init(&barrier, NULL, kThreads);
  for (unsigned long i = 0; i < kThreads; ++i)
    CHECK(pthread_create(&all[i], NULL, count, (void*)(i + 1)) == 0);
  for (unsigned long i = 0; i < kThreads; ++i) {
    void* result = NULL;
    CHECK(pthread_join(all[i], &result) == 0);
    CHECK_EQUAL((unsigned long)result, i + 1);
  }
  CHECK_EQUAL(atomic_load(&lock_free), 20000ul * (1 + 2 + 3 + 4 + 5 + 6));
  CHECK_EQUAL(under_mutex, kThreads * 20000 / 16);
}
