/* Queues of a device on the PCI bus, with the registers where they are in our machines, and its
   messages (MSI-X; virtio 1.2, 4.1). */
#pragma once

#include "interrupts.h"
#include "queues.h"

enum { kSpecific = 0x2000, kNotify = 0x3000, kNotifyStride = 4, kNoMessage = 0xffff };

struct device {
  unsigned number; /* on the bus; 0: it is not there */
  uint64_t registers, vectors;
};

static uint32_t read_configuration(unsigned number, unsigned offset) {
  out32(0xcf8, 0x80000000u | number << 11 | offset);
  return in32(0xcfc);
}
static void write_configuration(unsigned number, unsigned offset, uint32_t value) {
  out32(0xcf8, 0x80000000u | number << 11 | offset);
  out32(0xcfc, value);
}

static volatile uint8_t* byte_at(const struct device* device, unsigned offset) {
  return (volatile uint8_t*)(device->registers + offset);
}
static volatile uint16_t* word_at(const struct device* device, unsigned offset) {
  return (volatile uint16_t*)(device->registers + offset);
}
static volatile uint32_t* long_at(const struct device* device, unsigned offset) {
  return (volatile uint32_t*)(device->registers + offset);
}

/* As a master of the bus, with messages on. */
static struct device find(uint32_t id) {
  enum { kMemoryAndMaster = 6, kMessages = 0x11 };
  for (unsigned i = 1; i < 32; ++i) {
    if (read_configuration(i, 0) != ((0x1040 + id) << 16 | 0x1af4)) continue;
    write_configuration(i, 4, kMemoryAndMaster);
    unsigned at = read_configuration(i, 0x34) & 0xff;
    while (at != 0 && (read_configuration(i, at) & 0xff) != kMessages)
      at = read_configuration(i, at) >> 8 & 0xff;
    if (at == 0) break;
    write_configuration(i, at, read_configuration(i, at) | 0x80000000u);
    return (struct device){i, read_configuration(i, 0x10) & ~15u,
                           read_configuration(i, 0x14) & ~15u};
  }
  return (struct device){0, 0, 0};
}

/* The table's entry of that number interrupts the first vCPU. */
static void set_message(const struct device* device, unsigned entry) {
  volatile uint32_t* words = (volatile uint32_t*)(device->vectors + 16 * entry);
  words[0] = LOCAL_APIC;
  words[1] = 0;
  words[2] = INTERRUPTS;
  words[3] = 0; /* not masked */
}

static void begin(const struct device* device) {
  *byte_at(device, 0x14) = 0;
  *byte_at(device, 0x14) = 3; /* ACKNOWLEDGE, DRIVER */
  *long_at(device, 0x08) = 1;
  *long_at(device, 0x0c) = 1;  /* VERSION_1 */
  *byte_at(device, 0x14) = 11; /* FEATURES_OK */
}

static void set_queue(const struct device* device, unsigned number, const struct queue* queue,
                      uint16_t message) {
  *word_at(device, 0x16) = (uint16_t)number;
  *word_at(device, 0x18) = kEntries;
  *word_at(device, 0x1a) = message;
  *long_at(device, 0x20) = (uint32_t)(uint64_t)queue->descriptors;
  *long_at(device, 0x24) = 0;
  *long_at(device, 0x28) = (uint32_t)(uint64_t)&queue->available;
  *long_at(device, 0x2c) = 0;
  *long_at(device, 0x30) = (uint32_t)(uint64_t)&queue->used;
  *long_at(device, 0x34) = 0;
  *word_at(device, 0x1c) = 1;
}

static void go(const struct device* device) { *byte_at(device, 0x14) = 15; /* DRIVER_OK */ }

static void notify(const struct device* device, unsigned number) {
  *word_at(device, kNotify + number * kNotifyStride) = (uint16_t)number;
}
