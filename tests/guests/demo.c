/* The guest of the demonstration: every vCPU is a worker that counts primes, for ever. Nothing in
   it knows of a debugger. */
#include "guest.h"

struct worker {
  const char* name;
  unsigned vcpu;
  uint64_t numbers; /* looked at so far */
  uint64_t primes;  /* found so far */
};

struct worker workers[4] = {
    {"anna", 0, 0, 0}, {"bert", 1, 0, 0}, {"cleo", 2, 0, 0}, {"dora", 3, 0, 0}};
static int workers_ready;

__attribute__((noinline)) int is_prime(uint64_t number) {
  if (number < 2) return 0;
  for (uint64_t divisor = 2; divisor * divisor <= number; ++divisor) {
    if (number % divisor == 0) return 0;
  }
  return 1;
}

__attribute__((noinline)) void look_at(struct worker* worker, uint64_t number) {
  const int found = is_prime(number);
  worker->numbers += 1;
  worker->primes += (uint64_t)found;
}

__attribute__((noinline)) void work(struct worker* worker) {
  for (uint64_t number = 250000 * worker->vcpu;; number += 1)
    look_at(worker, number % 1000000);
}

void vcpu_main(unsigned vcpu) {
  struct worker* worker = &workers[vcpu % 4];
  __atomic_fetch_add(&workers_ready, 1, __ATOMIC_RELAXED);
  print(worker->name);
  print(" is working\n");
  work(worker);
}
