/* Reads "question" in the shared folder, says what is in it, and makes "answer" with the same in
   it; by 9P2000.L over virtio (virtio 1.2, 5.11), at the fixed addresses of the MMIO transport. It
   sleeps until the device's line interrupts, by its pin of the I/O APIC. Then it switches the
   machine off. What is refused it says with the error's number. */
#include "interrupts.h"
#include "mmio_queues.h"

enum { kShare = 9, kFirstPin = 16, kMost = 4096, kNoFid = -1, kRoot = 0, kQuestion, kAnswer };
enum { kError = 7, kOpen = 12, kCreate = 14, kVersion = 100, kAttach = 104, kWalk = 110 };
enum { kRead = 116, kWrite = 118, kWriteOnly = 1 };

static struct queue requests;
static volatile uint32_t* device;
static volatile unsigned interrupts;
static uint8_t message[kMost], answer[kMost];
static uint32_t size;

void on_interrupt(void) {
  device[0x64 / 4] = device[0x60 / 4]; /* the line goes down */
  ++interrupts;
}

static void number(uint64_t value, unsigned bytes) {
  for (; bytes != 0; --bytes, value >>= 8)
    message[size++] = (uint8_t)value;
}
static void text(const char* what) {
  uint32_t length = 0;
  while (what[length] != 0)
    ++length;
  number(length, 2);
  for (uint32_t i = 0; i < length; ++i)
    message[size++] = (uint8_t)what[i];
}
static void begin(uint8_t type) {
  size = 4;
  number(type, 1);
  number(0, 2); /* the tag */
}

static void switch_off(void) { out16(0x604, 0x3400); /* S5 */ }

/* Waits for the answer. */
static void send(void) {
  const uint32_t whole = size;
  size = 0;
  number(whole, 4);
  describe(&requests, 0, message, whole, kNextFollows);
  describe(&requests, 1, answer, sizeof answer, kDeviceWrites);
  const unsigned seen = interrupts;
  publish(&requests);
  notify(device, 0);
  while (interrupts == seen)
    sleep();
  if (!is_used(&requests)) print("an interrupt without an answer\n");
  if (answer[4] != kError) return;
  const char said[] = {'e',
                       'r',
                       'r',
                       'o',
                       'r',
                       ' ',
                       (char)('0' + answer[7] / 10 % 10),
                       (char)('0' + answer[7] % 10),
                       '\n',
                       0};
  print(said);
  switch_off();
}

static void walk(uint32_t to, const char* name) {
  begin(kWalk);
  number(kRoot, 4);
  number(to, 4);
  number(name != 0, 2);
  if (name != 0) text(name);
  send();
}

/* After the header come count and data. */
static void say_and_write_what_was_read(void) {
  enum { kHeader = 7, kData = kHeader + 4 };
  const uint32_t count = answer[kHeader];
  begin(kWrite);
  number(kAnswer, 4);
  number(0, 8);
  number(count, 4);
  for (uint32_t i = 0; i < count; ++i) {
    const char one[2] = {(char)answer[kData + i], 0};
    print(one);
    number((uint8_t)one[0], 1);
  }
  send();
}

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0) return;
  device = find(kShare);
  if (device == 0) {
    print("no share\n");
    return;
  }
  route_pin(kFirstPin + (unsigned)(((uint64_t)device - FIRST_DEVICE) / DEVICE_STRIDE), kLevel);
  start(device, (struct queue*[]){&requests}, 1);

  begin(kVersion);
  number(kMost, 4);
  text("9P2000.L");
  send();
  begin(kAttach);
  number(kRoot, 4);
  number((uint32_t)kNoFid, 4);
  text("root");
  text("");
  number((uint32_t)-1, 4);
  send();
  walk(kAnswer, 0);
  begin(kCreate);
  number(kAnswer, 4);
  text("answer");
  number(kWriteOnly, 4);
  number(0644, 4);
  number(0, 4);
  send();
  walk(kQuestion, "question");
  begin(kOpen);
  number(kQuestion, 4);
  number(0, 4);
  send();
  begin(kRead);
  number(kQuestion, 4);
  number(0, 8);
  number(200, 4);
  send();
  say_and_write_what_was_read();
  switch_off();
}
