/* Asks a virtio block device for the whole disk as often as its queue has entries, with one
   notification. Then it ends the machine by way of the debug-exit port, or counts where there is
   none. The data of all requests go to the same 16 MiB. */
#define RING 256
#include "virtio.h"

enum { kNext = 1, kWrite = 2, kIndirect = 4 };
enum { kSegment = 16 << 20, kMostSegments = 64 };
static struct descriptor table[kMostSegments + 2];
volatile uint64_t rounds;
/* For who looks: where the device tells how many requests are answered, 16 bits. */
void* const answered = &used.index;

static unsigned add(unsigned number, uint64_t address, uint32_t length, uint16_t flags) {
  table[number].address = address;
  table[number].length = length;
  table[number].flags = flags;
  table[number].next = (uint16_t)(number + 1);
  return number + 1;
}

__attribute__((noinline)) void ask_device(void) { send_request(); }

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0)
    for (;;)
      __asm__ volatile("hlt");
  start_device(1u << 28); /* INDIRECT_DESC */
  uint64_t left = ((uint64_t)*reg(0x104) << 32 | *reg(0x100)) * 512;
  unsigned count = add(0, (uint64_t)&request, sizeof request, kNext);
  while (left != 0 && count <= kMostSegments) {
    const uint32_t length = left < kSegment ? (uint32_t)left : kSegment;
    count = add(count, 8ul << 20, length, kNext | kWrite);
    left -= length;
  }
  count = add(count, (uint64_t)&status, 1, kWrite);
  for (unsigned i = 0; i < RING; ++i) {
    describe(i, table, count * sizeof table[0], kIndirect);
    available.ring[i] = (uint16_t)i;
  }
  available.index = RING - 1; /* the last one is the first one again */
  print("r");
  ask_device();
  while (!is_answered()) {
  }
  print(status == 0 ? "d" : "!");
  out8(0xf4, 0);
  for (;;)
    rounds += 1;
}
