/* Finds a virtio block device on the PCI bus and reads its first sector. That it is there is told
   by a message (MSI-X, vector 0x51), which is seen in the local APIC, with interrupts off. Says the
   sector's first eight bytes and "message", or what is missing (virtio 1.2, 4.1). */
#include "virtio_ring.h"

enum { kCommon = 0, kNotify = 0x3000 };
enum { kVector = 0x51, kMaster = 6 };
#define LOCAL_APIC 0xfee00000ul

static uint32_t read_configuration(unsigned offset) {
  out32(0xcf8, 0x80000800u | offset); /* device 1 */
  return in32(0xcfc);
}
static void write_configuration(unsigned offset, uint32_t value) {
  out32(0xcf8, 0x80000800u | offset);
  out32(0xcfc, value);
}

static uint64_t registers, vectors;
static volatile uint8_t* byte_at(unsigned offset) {
  return (volatile uint8_t*)(registers + offset);
}
static volatile uint16_t* word_at(unsigned offset) {
  return (volatile uint16_t*)(registers + offset);
}
static volatile uint32_t* long_at(unsigned offset) {
  return (volatile uint32_t*)(registers + offset);
}
static volatile uint32_t* local_apic(unsigned offset) {
  return (volatile uint32_t*)(LOCAL_APIC + offset);
}

static char data[513];

static void fail(const char* what) {
  print(what);
  for (;;)
    __asm__ volatile("hlt");
}

static void start_device(void) {
  *byte_at(kCommon + 0x14) = 0;
  *byte_at(kCommon + 0x14) = 3;
  *long_at(kCommon + 0x08) = 1;
  *long_at(kCommon + 0x0c) = 1; /* VERSION_1 */
  *byte_at(kCommon + 0x14) = 11;
  *word_at(kCommon + 0x16) = 0;
  *word_at(kCommon + 0x18) = RING;
  *word_at(kCommon + 0x1a) = 1; /* the table's second vector */
  *long_at(kCommon + 0x20) = (uint32_t)(uint64_t)descriptors;
  *long_at(kCommon + 0x28) = (uint32_t)(uint64_t)&available;
  *long_at(kCommon + 0x30) = (uint32_t)(uint64_t)&used;
  *word_at(kCommon + 0x1c) = 1;
  *byte_at(kCommon + 0x14) = 15;
}

static void use_messages(void) {
  unsigned at = read_configuration(0x34) & 0xff;
  while (at != 0 && (read_configuration(at) & 0xff) != 0x11)
    at = read_configuration(at) >> 8 & 0xff;
  if (at == 0) fail("no MSI-X");
  volatile uint32_t* entry = (volatile uint32_t*)(vectors + 16);
  entry[0] = LOCAL_APIC;
  entry[1] = 0;
  entry[2] = kVector;
  entry[3] = 0;
  write_configuration(at, read_configuration(at) | 0x80000000u);
}

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0) return;
  if (read_configuration(0) != 0x10421af4) fail("no disk");
  registers = read_configuration(0x10) & ~15u;
  vectors = read_configuration(0x14) & ~15u;
  write_configuration(4, kMaster);
  *local_apic(0xf0) = 0x1ff;
  use_messages();
  start_device();
  describe(0, &request, sizeof request, 1);
  describe(1, data, 512, 3);
  describe(2, &status, 1, 2);
  status = 0xff;
  publish_request();
  *word_at(kNotify) = 0;
  while ((*local_apic(0x200 + kVector / 32 * 16) >> kVector % 32 & 1) == 0) {
  }
  if (!is_answered() || status != 0) fail("no sector");
  data[8] = 0;
  print(data);
  print(" message\n");
}
