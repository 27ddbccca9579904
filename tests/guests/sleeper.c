/* A guest that sleeps (ACPI S3) and wakes: first by its clock's alarm after three seconds, then by
   the power button, and then it switches itself off. It says what has woken it, and whether all is
   as ACPI has it: memory and the clock's memory are kept, COM1's scratch register and the other
   processors are not. It goes on where every application processor begins (boot64.inc), at `main`.
 */
#include "guest.h"

enum {
  kStatus = 0x600,
  kEnable = 0x602,
  kControl = 0x604, /* PM1 */
  kButton = 1 << 8,
  kAlarm = 1 << 10,
  kWoken = 1 << 15,
  kS3 = 1 << 10 | 1 << 13,
  kS5 = 5 << 10 | 1 << 13,
  kTrampoline = 0x8000,
  kScratch = 0x3ff,
  kMostVcpus = 16
};

unsigned sleeps;
static volatile uint8_t arrived[kMostVcpus];
static uint8_t kept[4096];

static uint8_t cmos(uint8_t index) {
  out8(0x70, index);
  return in8(0x71);
}
static void set_cmos(uint8_t index, uint8_t value) {
  out8(0x70, index);
  out8(0x71, value);
}

/* The root is where loaders leave it, the FADT is the first table. */
static uint32_t* waking_vector(void) {
  const uint8_t* rsdt = (const uint8_t*)(uintptr_t) * (const uint32_t*)0xe0010;
  const uint8_t* fadt = (const uint8_t*)(uintptr_t) * (const uint32_t*)(rsdt + 36);
  const uint8_t* facs = (const uint8_t*)(uintptr_t) * (const uint32_t*)(fadt + 36);
  return (uint32_t*)(facs + 12);
}

static void set_alarm(void) {
  set_cmos(0x0b, 0x06); /* binary, 24 hours */
  set_cmos(0x01, (uint8_t)((cmos(0x00) + 3) % 60));
  set_cmos(0x03, 0xff); /* any */
  set_cmos(0x05, 0xff);
  (void)cmos(0x0c);
  set_cmos(0x0b, 0x26); /* and the alarm interrupts */
  out16(kEnable, kAlarm);
}

static void say_what_is_so(void) {
  const uint16_t status = in16(kStatus);
  int same = cmos(0x40) == 0x77;
  for (unsigned i = 0; i < sizeof kept; ++i)
    same &= kept[i] == (uint8_t)(i * 7);
  print((status & kWoken) != 0 ? "awake" : "begins again");
  print((status & kAlarm) != 0 ? ", by the alarm" : "");
  print((status & kButton) != 0 ? ", by the button" : "");
  print(same ? ", memory kept" : ", memory lost");
  print(in8(kScratch) == 0 ? ", devices reset\n" : ", devices as before\n");
}

static void sleep(void) {
  ++sleeps;
  for (unsigned i = 0; i < kMostVcpus; ++i)
    arrived[i] = 0;
  out8(kScratch, 0x5a);
  out16(kStatus, 0xffff);
  *waking_vector() = kTrampoline;
  out16(kControl, kS3);
  print("and does not sleep\n");
}

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0) {
    arrived[vcpu] = 1;
    for (;;)
      __asm__ volatile("hlt");
  }
#ifdef VCPUS
  for (unsigned i = 1; i < VCPUS; ++i)
    while (!arrived[i])
      __asm__ volatile("pause");
  print("all here\n");
#endif
  switch (sleeps) {
    case 0:
      for (unsigned i = 0; i < sizeof kept; ++i)
        kept[i] = (uint8_t)(i * 7);
      set_cmos(0x40, 0x77);
      set_alarm();
      sleep();
      break;
    case 1:
      say_what_is_so();
      set_cmos(0x0b, 0x06);
      sleep();
      break;
    default:
      say_what_is_so();
      out16(kControl, kS5);
  }
}
