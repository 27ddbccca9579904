/* A text screen as programs without a driver use it (VGA mode 3: 80 by 25 cells at 0xb8000), and a
   keyboard that is polled, or interrupts where INTERRUPTS is defined. Says "text 437" in yellow on
   blue, with two characters beyond ASCII, and puts each scan code that comes on the second row, in
   hexadecimal, with the cursor behind them. Ctrl (0x1d) scrolls by one row as the start address
   does; Escape switches the machine off. */
#ifdef INTERRUPTS
#include "interrupts.h"
#else
#include "guest.h"
#endif

enum { kColumns = 80, kData = 0x60, kStatus = 0x64, kCrtcIndex = 0x3d4, kCrtcData = 0x3d5 };

static volatile uint16_t* const cells = (volatile uint16_t*)0xb8000;
unsigned place = kColumns, start, scan_codes;

static void crtc(uint8_t index, uint8_t value) {
  out8(kCrtcIndex, index);
  out8(kCrtcData, value);
}

static void show_cursor(void) {
  crtc(0x0e, (uint8_t)(place >> 8));
  crtc(0x0f, (uint8_t)place);
}

static void put(uint8_t character) { cells[place++] = (uint16_t)(0x0700 | character); }

static void scroll(void) {
  start += kColumns;
  crtc(0x0c, (uint8_t)(start >> 8));
  crtc(0x0d, (uint8_t)start);
}

#ifdef INTERRUPTS
void on_interrupt(void) {}

static void enable_interrupts(void) {
  enum { kPin = 1, kWriteMode = 0x60, kMode = 0x45 }; /* interrupts, tested, translates */
  out8(kStatus, kWriteMode);
  out8(kData, kMode);
  route_pin(kPin, kEdge);
}
static void wait(void) { sleep(); }
#else
static void enable_interrupts(void) {}
static void wait(void) {}
#endif

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0) {
    for (;;)
      __asm__ volatile("hlt");
  }
  static const char text[] = "text 437 \x01\xdb";
  for (unsigned i = 0; text[i] != 0; ++i)
    cells[i] = (uint16_t)(0x1e00 | (uint8_t)text[i]);
  show_cursor();
  enable_interrupts();
  for (;;) {
    while ((in8(kStatus) & 1) == 0)
      wait();
    const uint8_t code = in8(kData);
    ++scan_codes;
    put((uint8_t) "0123456789abcdef"[code >> 4]);
    put((uint8_t) "0123456789abcdef"[code & 15]);
    put(' ');
    show_cursor();
    if (code == 0x1d) scroll();
    if (code == 0x01) out16(0x604, 0x3400); /* S5 */
  }
}
