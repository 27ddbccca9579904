/* Says what it finds of what a BIOS leaves, as kernels do that look for it: COM1 and the memory
   below 640 KiB in the data area, the processors of the MP table (MultiProcessor Specification 1.4,
   4), which are those that have started, and the table of PCI's interrupts. Then it switches the
   machine off. */
#include "guest.h"

enum { kDataArea = 0x400, kExtendedArea = 0x40e, kBaseMemory = 0x413 };

static volatile unsigned started = 1;

static uint8_t byte_at(uint64_t address) { return *(volatile const uint8_t*)address; }
static uint32_t number_at(uint64_t address, unsigned bytes) {
  uint32_t value = 0;
  for (unsigned i = 0; i < bytes; ++i)
    value |= (uint32_t)byte_at(address + i) << (8 * i);
  return value;
}
static int adds_up(uint64_t address, unsigned bytes) {
  uint8_t sum = 0;
  for (unsigned i = 0; i < bytes; ++i)
    sum = (uint8_t)(sum + byte_at(address + i));
  return sum == 0;
}

/* On a paragraph of the last 64 KiB below 1 MiB. */
static uint64_t find(const char* signature) {
  for (uint64_t at = 0xf0000; at < 0x100000; at += 16) {
    unsigned same = 0;
    while (same < 4 && byte_at(at + same) == (uint8_t)signature[same])
      ++same;
    if (same == 4) return at;
  }
  return 0;
}

static unsigned processors_in(uint64_t table) {
  enum { kHeader = 44, kProcessor = 0, kProcessorSize = 20, kSize = 8 };
  unsigned count = 0;
  uint64_t at = table + kHeader;
  for (unsigned i = number_at(table + 34, 2); i != 0; --i) {
    count += byte_at(at) == kProcessor;
    at += byte_at(at) == kProcessor ? kProcessorSize : kSize;
  }
  return count;
}

static void look(void) {
  if (number_at(kDataArea, 2) == 0x3f8) print("COM1\n");
  const uint64_t extended = number_at(kExtendedArea, 2) << 4;
  if (extended == number_at(kBaseMemory, 2) << 10) print("base memory\n");
  const uint64_t pointer = find("_MP_");
  const uint64_t table = pointer != 0 ? number_at(pointer + 4, 4) : 0;
  if (table != 0 && adds_up(pointer, 16) && adds_up(table, number_at(table + 4, 2)) &&
      processors_in(table) == started)
    print("processors\n");
  const uint64_t routes = find("$PIR");
  if (routes != 0 && adds_up(routes, number_at(routes + 6, 2))) print("routes\n");
}

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0) {
    __atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);
    return;
  }
  while (started != VCPUS)
    __asm__ volatile("pause");
  look();
  out16(0x604, 0x3400); /* S5 */
}
