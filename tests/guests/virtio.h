/* A driver for one virtio block device at its fixed address, one request at a time
   (virtio 1.2, 4.2.2 for the registers). */
#pragma once

#include "virtio_ring.h"

#define DEVICE 0xd0000000ul

static volatile uint32_t* reg(unsigned offset) { return (volatile uint32_t*)(DEVICE + offset); }

static void start_device(uint32_t features) {
  *reg(0x70) = 0;
  *reg(0x70) = 1; /* ACKNOWLEDGE */
  *reg(0x70) = 3; /* DRIVER */
  *reg(0x24) = 1;
  *reg(0x20) = 1; /* VERSION_1 */
  *reg(0x24) = 0;
  *reg(0x20) = features;
  *reg(0x70) = 11; /* FEATURES_OK */
  *reg(0x30) = 0;
  *reg(0x38) = RING;
  *reg(0x80) = (uint32_t)(uint64_t)descriptors;
  *reg(0x84) = 0;
  *reg(0x90) = (uint32_t)(uint64_t)&available;
  *reg(0x94) = 0;
  *reg(0xa0) = (uint32_t)(uint64_t)&used;
  *reg(0xa4) = 0;
  *reg(0x44) = 1;
  *reg(0x70) = 15; /* DRIVER_OK */
}

static void send_request(void) {
  publish_request();
  *reg(0x50) = 0;
}
