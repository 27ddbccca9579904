/* A driver for one virtio block device, one request at a time (virtio 1.2, 4.2.2 for the registers,
   2.7 for the queue, 5.2.6 for the request). */
#pragma once

#include "guest.h"

#define DEVICE 0xd0000000ul
#ifndef RING
#define RING 4 /* entries of the queue */
#endif

static volatile uint32_t* reg(unsigned offset) { return (volatile uint32_t*)(DEVICE + offset); }

struct descriptor {
  uint64_t address;
  uint32_t length;
  uint16_t flags, next;
};
static struct descriptor descriptors[RING] __attribute__((aligned(16)));
static struct { uint16_t flags, index, ring[RING]; } available __attribute__((aligned(2)));
static struct {
  uint16_t flags, index;
  struct {
    uint32_t id, length;
  } ring[RING];
} used __attribute__((aligned(4)));
static struct {
  uint32_t type, reserved;
  uint64_t sector;
} request;

static uint8_t status; /* of the last request; 0 is good */

static void describe(unsigned number, const void* at, uint32_t length, uint16_t flags) {
  descriptors[number].address = (uint64_t)at;
  descriptors[number].length = length;
  descriptors[number].flags = flags;
  descriptors[number].next = (uint16_t)(number + 1);
}

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

/* The request that the descriptors say goes to the device. */
static void send_request(void) {
  available.ring[available.index % RING] = 0;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  available.index += 1;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  *reg(0x50) = 0;
}
static int is_answered(void) {
  const int answered = ((volatile uint16_t*)&used)[1] == available.index;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return answered;
}
