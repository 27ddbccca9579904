/* Whoever connects to a port by the virtio socket device (virtio 1.2, 5.10) gets back what it says,
   a connection at a time. Some first characters are commands: c has the guest connect to port 7000
   of the host, and say "hello" there if it may; q switches the machine off; s sends 192 KiB, a
   kilobyte of each letter in turn, and switches it off at once. COM1 says when the guest is ready
   (!), was refused (x), and hears that all connections are forgotten (f), whereupon it connects as
   by c. The device is at the fixed addresses of the MMIO transport (4.2.2). */
#include "mmio_queues.h"

enum { kSockets = 19, kData = 4096, kPortOfHost = 7000, kPort = 9 };
enum { kRequest = 1, kResponse, kReset, kShutdown, kWords, kCreditUpdate, kCreditRequest };

struct packet {
  uint64_t source_cid, destination_cid;
  uint32_t source_port, destination_port, length;
  uint16_t type, operation;
  uint32_t flags, room, taken;
  uint8_t data[kData];
} __attribute__((packed));

static struct queue receive, transmit, events;
static volatile uint32_t* device;
static struct packet come, goes;
static uint32_t event, taken;

static void send(uint16_t operation, uint32_t from, uint32_t to, uint32_t length) {
  goes.source_cid = device[0x100 / 4];
  goes.destination_cid = 2;
  goes.source_port = from;
  goes.destination_port = to;
  goes.length = length;
  goes.type = 1;
  goes.operation = operation;
  goes.flags = operation == kShutdown ? 3 : 0;
  goes.room = 1 << 16;
  goes.taken = taken;
  offer(device, &transmit, 1, &goes, sizeof goes - kData + length, 0);
  await(&transmit);
}

static void answer(uint16_t operation, uint32_t length) {
  send(operation, come.destination_port, come.source_port, length);
}

static void switch_off(void) { out16(0x604, 0x3400); /* S5 */ }

static void send_much(void) {
  for (unsigned i = 0; i < 192; ++i) {
    for (unsigned at = 0; at < 1024; ++at)
      goes.data[at] = (uint8_t)('a' + i % 26);
    answer(kWords, 1024);
  }
}

static void call(void) {
  taken = 0;
  send(kRequest, kPort, kPortOfHost, 0);
}

static void take_words(void) {
  taken += come.length;
  if (come.data[0] == 's') send_much();
  if (come.data[0] == 's' || come.data[0] == 'q') switch_off();
  for (uint32_t i = 0; i < come.length; ++i)
    goes.data[i] = come.data[i];
  answer(kWords, come.length);
  if (come.data[0] == 'c') call();
}

static void take(void) {
  switch (come.operation) {
    case kRequest:
      taken = 0;
      answer(kResponse, 0);
      break;
    case kResponse:
      for (unsigned i = 0; i < 5; ++i)
        goes.data[i] = (uint8_t) "hello"[i];
      answer(kWords, 5);
      answer(kShutdown, 0);
      break;
    case kReset:
      if (come.destination_port == kPort) print("x");
      break;
    case kShutdown:
      answer(come.flags == 3 ? kReset : kShutdown, 0);
      break;
    case kWords:
      take_words();
      break;
    case kCreditRequest:
      answer(kCreditUpdate, 0);
      break;
    default:
      break;
  }
}

static int has_come(struct queue* queue) {
  return ((volatile uint16_t*)&queue->used)[1] == queue->available.index;
}

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0)
    for (;;)
      __asm__ volatile("hlt");
  device = find(kSockets);
  if (device == 0) {
    print("no sockets");
    return;
  }
  start(device, (struct queue*[]){&receive, &transmit, &events}, 3);
  offer(device, &events, 2, &event, sizeof event, 1);
  offer(device, &receive, 0, &come, sizeof come, 1);
  print("!");
  for (;;) {
    if (has_come(&receive)) {
      await(&receive);
      take();
      offer(device, &receive, 0, &come, sizeof come, 1);
    }
    if (has_come(&events)) {
      await(&events);
      print("f");
      offer(device, &events, 2, &event, sizeof event, 1);
      call();
    }
    __asm__ volatile("pause");
  }
}
