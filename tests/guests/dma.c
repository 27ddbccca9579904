/* Lets a virtio block device write to memory, for ever: each round asks it for the disk's first
   sector. */
#include "virtio.h"

/* What the device writes, on a page of its own. */
char sector[4096] __attribute__((aligned(4096)));
volatile uint64_t requests, answers;

__attribute__((noinline)) void ask_device(void) {
  requests += 1;
  send_request();
}

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0)
    for (;;)
      __asm__ volatile("hlt");
  start_device(0);
  describe(0, &request, sizeof request, 1);
  describe(1, sector, 512, 3);
  describe(2, &status, 1, 2);
  print("r");
  for (;;) {
    ask_device();
    while (!is_answered()) {
    }
    answers += 1;
  }
}
