/* What is typed at a virtio console (virtio 1.2, 5.3) comes back from there. Some characters are
   commands: r asks the entropy device (5.4) for eight bytes and says them in hexadecimal, t says
   PAGES pages of lines, and q switches the machine off. Both devices are at the fixed addresses of
   the MMIO transport (4.2.2), and neither has to be there. */
#include "mmio_queues.h"

enum { kConsole = 3, kRandom = 4, kPages = 64, kPage = 4096, kLine = 16 };

static struct queue typed, said, numbers;
static volatile uint32_t *console, *entropy;

NAMED void say(void* text, uint32_t length) {
  offer(console, &said, 1, text, length, 0);
  await(&said);
}

static char page[kPage];
volatile uint64_t pages_said;

NAMED void talk(void) {
  for (unsigned i = 0; i < kPage; ++i)
    page[i] = i % kLine == kLine - 1 ? '\n' : "0123456789abcdef"[i % kLine];
  for (pages_said = 0; pages_said < kPages; ++pages_said)
    say(page, kPage);
}

volatile uint8_t bytes[8];

NAMED void say_number(void) {
  char text[2 * sizeof bytes + 1];
  uint32_t length = 0;
  if (entropy != 0) {
    offer(entropy, &numbers, 0, (void*)bytes, sizeof bytes, 1);
    for (unsigned i = await(&numbers); i-- != 0;) {
      text[length++] = "0123456789abcdef"[bytes[i] >> 4];
      text[length++] = "0123456789abcdef"[bytes[i] & 15];
    }
  }
  text[length++] = '\n';
  say(text, length);
}

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0)
    for (;;)
      __asm__ volatile("hlt");
  console = find(kConsole);
  entropy = find(kRandom);
  if (entropy != 0) start(entropy, (struct queue*[]){&numbers}, 1);
  if (console == 0) {
    print("no console");
    return;
  }
  start(console, (struct queue*[]){&typed, &said}, 2);
  static char key;
  for (;;) {
    offer(console, &typed, 0, &key, 1, 1);
    await(&typed);
    switch (key) {
      case 'r':
        say_number();
        break;
      case 't':
        talk();
        break;
      case 'q':
        out16(0x604, 0x3400); /* S5 */
        break;
      default:
        say(&key, 1);
        break;
    }
  }
}
