/* What tests/guests/counters.S does, as a process of the host's. */
unsigned long counters[1];

__attribute__((noinline)) void tick(void) {
  counters[0] += 1;
  __asm__ volatile("" ::: "memory");
}

int main(void) {
  for (;;)
    tick();
}
