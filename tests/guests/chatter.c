/* Never at a loss for words: lines on COM1 and, in one REP OUTSB, on the debug console. With LINES
   defined it switches the machine off after so many; every line has the time and the timer's
   interrupts in it. Other vCPUs count. */
#include "guest.h"

#ifdef TIMER
extern volatile uint64_t timer_ticks;
#endif

char line[] = "line 0000000000000000 at 0000000000000000 after 0000000000000000 ticks\n";
volatile uint64_t lines, counted;

static void put_hex(char* end, uint64_t value) {
  for (; end[-1] != ' '; value >>= 4)
    *--end = "0123456789abcdef"[value & 15];
}

static uint64_t time_stamp(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (uint64_t)high << 32 | low;
}

static void talk(void) {
  put_hex(line + 21, lines);
#ifdef TIMER
  put_hex(line + 41, time_stamp());
  put_hex(line + 64, timer_ticks);
#else
  (void)time_stamp;
#endif
  print(line);
  const char* at = line;
  uint64_t count = sizeof line - 1;
  __asm__ volatile("rep outsb" : "+S"(at), "+c"(count) : "d"((uint16_t)0xe9) : "memory");
  ++lines;
}

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0) {
    for (;;)
      ++counted;
  }
#ifdef LINES
  while (lines < LINES)
    talk();
  out16(0x604, 0x3400); /* S5 */
#endif
  for (;;)
    talk();
}
