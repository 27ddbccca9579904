/* Has the high-precision event timer (IA-PC HPET specification 1.0a) interrupt it in each of the
   ways that there are, and says which have: by edges of a line of its own, again and again; by a
   line's level; in the place of the 8254, which is silent then; and the 8254 itself again. It
   sleeps until they come. Then it switches the machine off. */
#include "interrupts.h"

enum { kTimerPin = 2, kOwnPin = 11, kLevelPin = 10, kEnable = 1, kLegacy = 2 };
enum {
  kLevelTriggered = 1 << 1,
  kInterrupts = 1 << 2,
  kPeriodic = 1 << 3,
  kSetsMatch = 1 << 6,
  k32Bits = 1 << 8
};
enum { kMillisecond = 100000, kPeriod = 4 * kMillisecond }; /* of 10 ns */

static volatile unsigned interrupts;

static volatile uint32_t* hpet(unsigned offset) {
  return (volatile uint32_t*)(0xfed00000ul + offset);
}
static volatile uint32_t* control(unsigned timer) { return hpet(0x100 + 0x20 * timer); }
static volatile uint32_t* comparator(unsigned timer) { return hpet(0x108 + 0x20 * timer); }

void on_interrupt(void) {
  *hpet(0x20) = *hpet(0x20); /* a level goes down */
  ++interrupts;
}

static void await(unsigned count, const char* what) {
  for (interrupts = 0; interrupts < count;)
    sleep();
  print(what);
}

static void repeat(unsigned timer, uint32_t route) {
  *control(timer) = kInterrupts | kPeriodic | kSetsMatch | k32Bits | route << 9;
  *comparator(timer) = *hpet(0xf0) + kPeriod;
  *comparator(timer) = kPeriod;
}

/* What is still on its way comes here. */
static void end(unsigned timer, unsigned pin) {
  *control(timer) = 0;
  mask_pin(pin);
  __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
}

static void start_8254(void) {
  out8(0x43, 0x34); /* channel 0, mode 2 */
  out8(0x40, 4773 & 0xff);
  out8(0x40, 4773 >> 8); /* every 4 ms */
}

/* Interrupts may come, and none does. */
static void await_nothing(const char* what) {
  interrupts = 0;
  const uint32_t start = *hpet(0xf0);
  __asm__ volatile("sti" : : : "memory");
  while (*hpet(0xf0) - start < 3 * kPeriod)
    __asm__ volatile("pause");
  __asm__ volatile("cli" : : : "memory");
  print(interrupts == 0 ? what : "an interrupt of nobody\n");
}

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0) return;
  *hpet(0x10) = kEnable;
  route_pin(kOwnPin, kEdge);
  repeat(2, kOwnPin);
  await(3, "edges\n");
  end(2, kOwnPin);

  route_pin(kLevelPin, kLevel);
  *control(1) = kInterrupts | kLevelTriggered | k32Bits | kLevelPin << 9;
  *comparator(1) = *hpet(0xf0) + kPeriod;
  await(1, "a level\n");
  end(1, kLevelPin);

  start_8254();
  *hpet(0x10) = kEnable | kLegacy;
  route_pin(kTimerPin, kEdge);
  await_nothing("silence\n");
  repeat(0, 0);
  await(3, "in the 8254's place\n");
  end(0, kTimerPin);
  *hpet(0x10) = kEnable;
  route_pin(kTimerPin, kEdge);
  await(3, "the 8254\n");
  out16(0x604, 0x3400); /* S5 */
}
