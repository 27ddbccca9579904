/* Prints four numbers of RDRAND, a line each, and switches the machine off. */
#include "guest.h"

static uint64_t next(void) {
  uint64_t value;
  uint8_t valid;
  do
    __asm__ volatile("rdrand %0\n\tsetc %1" : "=r"(value), "=qm"(valid) : : "cc");
  while (!valid);
  return value;
}

static void print_hex(uint64_t value) {
  char text[18];
  for (unsigned i = 0; i < 16; ++i)
    text[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
  text[16] = '\n';
  text[17] = 0;
  print(text);
}

void vcpu_main(unsigned vcpu) {
  for (unsigned i = 0; vcpu == 0 && i < 4; ++i)
    print_hex(next());
  out16(0x604, 0x3400); /* S5 */
  for (;;)
    __asm__ volatile("hlt");
}
