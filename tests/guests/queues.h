/* Split virtqueues in memory (virtio 1.2, 2.7), one request at a time in each. */
#pragma once

#include "guest.h"

enum { kEntries = 4, kNextFollows = 1, kDeviceWrites = 2 };

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

static void describe(struct queue* queue, unsigned number, const void* at, uint32_t length,
                     uint16_t flags) {
  queue->descriptors[number].address = (uint64_t)at;
  queue->descriptors[number].length = length;
  queue->descriptors[number].flags = flags;
  queue->descriptors[number].next = (uint16_t)(number + 1);
}

/* The device may see the request that the descriptors say once it is notified. */
static void publish(struct queue* queue) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  queue->available.index += 1;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static int is_used(struct queue* queue) {
  const int used = ((volatile uint16_t*)&queue->used)[1] == queue->available.index;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return used;
}

/* How much the device has written into the last request. */
static uint32_t length_used(const struct queue* queue) {
  return queue->used.ring[(queue->used.index - 1) % kEntries].length;
}

#define NAMED __attribute__((noinline)) /* for debuggers */

NAMED uint32_t await(struct queue* queue) {
  while (!is_used(queue))
    __asm__ volatile("pause");
  return length_used(queue);
}
