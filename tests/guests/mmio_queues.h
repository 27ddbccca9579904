/* Queues of devices at the fixed addresses of the MMIO transport (virtio 1.2, 4.2.2). */
#pragma once

#include "queues.h"

#define FIRST_DEVICE 0xd0000000ul
#define DEVICE_STRIDE 0x1000

static volatile uint32_t* find(uint32_t id) {
  for (unsigned i = 0; i < 8; ++i) {
    volatile uint32_t* device = (volatile uint32_t*)(FIRST_DEVICE + i * DEVICE_STRIDE);
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

static void notify(volatile uint32_t* device, unsigned number) { device[0x50 / 4] = number; }

/* One buffer: 1 is what the device writes. */
static inline void offer(volatile uint32_t* device, struct queue* queue, unsigned number, void* at,
                         uint32_t length, int writes) {
  describe(queue, 0, at, length, writes ? kDeviceWrites : 0);
  publish(queue);
  notify(device, number);
}
