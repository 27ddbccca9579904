/* For each byte on COM1, writes 64 KiB of the next letter to the virtio block device behind those
   before, has it flush them, and says the letter when the device has answered. */
#include "virtio.h"

enum { kWrite = 1, kFlush = 4, kFeatureFlush = 1 << 9 };
enum { kRound = 65536, kSectors = kRound / 512 };
static char data[kRound];

static void do_request(uint32_t type, uint64_t first) {
  request.type = type;
  request.sector = first;
  describe(0, &request, sizeof request, 1);
  describe(1, data, kRound, 1);
  describe(2, &status, 1, 2);
  if (type == kFlush) descriptors[0].next = 2;
  send_request();
  while (!is_answered()) {
  }
  if (status != 0) {
    print("!");
    for (;;)
      __asm__ volatile("hlt");
  }
}

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0)
    for (;;)
      __asm__ volatile("hlt");
  start_device(kFeatureFlush);
  char text[2] = {'a', 0};
  for (uint64_t round = 0;; ++round) {
    while ((in8(0x3fd) & 1) == 0) {
    }
    in8(0x3f8);
    for (unsigned i = 0; i < kRound; ++i)
      data[i] = text[0];
    do_request(kWrite, round * kSectors);
    do_request(kFlush, 0);
    print(text);
    text[0] = (char)(text[0] + 1);
  }
}
