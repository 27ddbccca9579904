/* Virtqueues of devices at the fixed addresses of the MMIO transport (virtio 1.2, 4.2.2), one
   buffer at a time in each. */
#pragma once

#include "guest.h"

enum { kEntries = 4 };

struct queue {
  struct {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
  } descriptors[kEntries] __attribute__((aligned(16)));
  struct {
    uint16_t flags, index, ring[kEntries];
  } available;
  struct {
    uint16_t flags, index;
    struct {
      uint32_t id, length;
    } ring[kEntries];
  } used __attribute__((aligned(4)));
};

static volatile uint32_t* find(uint32_t id) {
  for (unsigned i = 0; i < 8; ++i) {
    volatile uint32_t* device = (volatile uint32_t*)(0xd0000000ul + i * 0x1000);
    if (device[0] == 0x74726976 && device[2] == id) return device;
  }
  return 0;
}

static void set_address(volatile uint32_t* device, unsigned at, const void* what) {
  device[at] = (uint32_t)(uint64_t)what;
  device[at + 1] = 0;
}

static void start(volatile uint32_t* device, struct queue** queues, unsigned count) {
  device[0x70 / 4] = 0;
  device[0x70 / 4] = 3; /* ACKNOWLEDGE, DRIVER */
  device[0x24 / 4] = 1;
  device[0x20 / 4] = 1;  /* VERSION_1 */
  device[0x70 / 4] = 11; /* FEATURES_OK */
  for (unsigned i = 0; i < count; ++i) {
    device[0x30 / 4] = i;
    device[0x38 / 4] = kEntries;
    set_address(device, 0x80 / 4, queues[i]->descriptors);
    set_address(device, 0x90 / 4, &queues[i]->available);
    set_address(device, 0xa0 / 4, &queues[i]->used);
    device[0x44 / 4] = 1;
  }
  device[0x70 / 4] = 15; /* DRIVER_OK */
}

/* One buffer: 1 is what the device writes. How much it has written. */
static void offer(volatile uint32_t* device, struct queue* queue, unsigned number, void* at,
                  uint32_t length, int writes) {
  queue->descriptors[0].address = (uint64_t)at;
  queue->descriptors[0].length = length;
  queue->descriptors[0].flags = writes ? 2 : 0;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  queue->available.index += 1;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  device[0x50 / 4] = number;
}
#define NAMED __attribute__((noinline)) /* for debuggers */

NAMED uint32_t await(struct queue* queue) {
  while (((volatile uint16_t*)&queue->used)[1] != queue->available.index)
    __asm__ volatile("pause");
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return queue->used.ring[(queue->used.index - 1) % kEntries].length;
}
