/* The queue of a virtio block device, for one request at a time (virtio 1.2, 2.7 for the queue,
   5.2.6 for the request). */
#pragma once

#include "guest.h"

#ifndef RING
#define RING 4 /* entries of the queue */
#endif

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

/* The device may see the request that the descriptors say once it is notified. */
static void publish_request(void) {
  available.ring[available.index % RING] = 0;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  available.index += 1;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
static int is_answered(void) {
  const int answered = ((volatile uint16_t*)&used)[1] == available.index;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return answered;
}
