// Protection keys of user pages, by Linux's system calls: what a key forbids is SIGSEGV with
// SEGV_PKUERR, and each thread and process has rights of its own. Says "keys: ok".
//   keys         tries them all
//   keys locked  says where a page is and what is in it, locks it, and goes round until it is
//   killed
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exercise.h"

static volatile long* page;
static int key;
static sigjmp_buf back;
static volatile siginfo_t last;
static volatile int rights_of_handler;

static void escape(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)context;
  last = *info;
  rights_of_handler = pkey_get(key);
  siglongjmp(back, 1);
}

static void set_rights(int rights) { CHECK(pkey_set(key, (unsigned)rights) == 0); }

// What an access comes to: 0, or the signal's code, which names the key. A handler has the rights
// that Linux gives a new program: none.
static int code_of(int writes) {
  const int rights = pkey_get(key);
  if (sigsetjmp(back, 1) == 0) {
    if (writes) {
      page[1] = 7;
    } else {
      (void)page[0];
    }
    return 0;
  }
  CHECK_EQUAL(last.si_signo, SIGSEGV);
  CHECK(last.si_addr == page + (writes ? 1 : 0));
  if (last.si_code == SEGV_PKUERR) CHECK_EQUAL(last.si_pkey, key);
  CHECK_EQUAL(rights_of_handler, PKEY_DISABLE_ACCESS);
  set_rights(rights);
  return last.si_code;
}

static void accesses(void) {
  for (int round = 0; round < 100; ++round) {
    set_rights(0);
    CHECK_EQUAL(code_of(1), 0);
    CHECK_EQUAL(code_of(0), 0);
    set_rights(PKEY_DISABLE_WRITE);
    CHECK_EQUAL(code_of(0), 0);
    CHECK_EQUAL(code_of(1), SEGV_PKUERR);
    set_rights(PKEY_DISABLE_ACCESS);
    CHECK_EQUAL(code_of(0), SEGV_PKUERR);
    CHECK_EQUAL(code_of(1), SEGV_PKUERR);
  }
  set_rights(0);
  CHECK(mprotect((void*)page, 4096, PROT_READ) == 0);
  CHECK_EQUAL(code_of(1), SEGV_ACCERR);
  CHECK(pkey_mprotect((void*)page, 4096, PROT_READ | PROT_WRITE, key) == 0);
}

// The kernel looks at a program's rights when it copies for it.
static void copies(void) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  set_rights(PKEY_DISABLE_ACCESS);
  CHECK(write(ends[1], (void*)page, 8) == -1 && errno == EFAULT);
  set_rights(PKEY_DISABLE_WRITE);
  CHECK(write(ends[1], (void*)page, 8) == 8);
  CHECK(read(ends[0], (void*)page, 8) == -1 && errno == EFAULT);
  set_rights(0);
  CHECK(write(ends[1], (void*)page, 8) == 8);
}

// Two threads and a child with other rights take turns on a processor.
static void* stays_locked(void* nothing) {
  set_rights(PKEY_DISABLE_ACCESS);
  for (int round = 0; round < 200; ++round) {
    sched_yield();
    CHECK_EQUAL(pkey_get(key), PKEY_DISABLE_ACCESS);
  }
  return nothing;
}
static void others(void) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, stays_locked, NULL) == 0);
  const pid_t child = fork();
  if (child == 0) {
    set_rights(PKEY_DISABLE_WRITE);
    for (int round = 0; round < 200; ++round) {
      sched_yield();
      CHECK_EQUAL(code_of(0), 0);
      CHECK_EQUAL(code_of(1), SEGV_PKUERR);
    }
    _exit(0);
  }
  for (int round = 0; round < 200; ++round) {
    sched_yield();
    CHECK_EQUAL(code_of(1), 0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK_EQUAL(status, 0);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK_EQUAL(pkey_get(key), 0);
}

int main(int argc, char** argv) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = escape;
  action.sa_flags = SA_SIGINFO;
  CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  page[0] = 0x676e697274735f61;
  key = pkey_alloc(0, 0);
  if (key < 0) {
    puts("keys: there are none");
    return 0;
  }
  CHECK(pkey_mprotect((void*)page, 4096, PROT_READ | PROT_WRITE, key) == 0);
  if (argc == 2 && strcmp(argv[1], "locked") == 0) {
    set_rights(PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE);
    printf("key %d, page %#lx\n", key, (unsigned long)page);
    fflush(stdout);
    for (;;)
      __asm__ volatile("");
  }
  accesses();
  copies();
  others();
  CHECK(pkey_free(key) == 0);
  puts("keys: ok");
  return 0;
}
