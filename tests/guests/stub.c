/* A guest with a debug stub of its own, as kernels had for bhyve's -g: it speaks the GDB remote
   protocol over port 0x224, one byte at a time. It knows ? g m c s D k and answers all else with
   the empty packet. The first vCPU counts in `work`, and calls the debugger once at its start. */
#include "guest.h"

enum { kPort = 0x224, kSignature = 0x4256 };

struct frame {
  uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, vector;
  uint64_t rip, cs, rflags, rsp, ss;
};

static char reply[1024];
static size_t reply_size;

static uint8_t receive(void) {
  uint32_t value;
  do {
    value = in32(kPort);
  } while (value == 0xffffffff);
  return (uint8_t)value;
}

static unsigned digit(uint8_t c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

static void add_byte(uint8_t value) {
  reply[reply_size++] = "0123456789abcdef"[value >> 4];
  reply[reply_size++] = "0123456789abcdef"[value & 15];
}

static void add_register(uint64_t value, int size) {
  for (int i = 0; i < size; ++i)
    add_byte((uint8_t)(value >> (8 * i)));
}

static void add_text(const char* text) {
  while (*text != 0)
    reply[reply_size++] = *text++;
}

static void send_reply(void) {
  do {
    uint8_t sum = 0;
    out32(kPort, '$');
    for (size_t i = 0; i < reply_size; ++i) {
      out32(kPort, (uint8_t)reply[i]);
      sum = (uint8_t)(sum + reply[i]);
    }
    out32(kPort, '#');
    out32(kPort, (uint8_t) "0123456789abcdef"[sum >> 4]);
    out32(kPort, (uint8_t) "0123456789abcdef"[sum & 15]);
  } while (receive() != '+');
}

/* One packet's text, acknowledged, with a zero at its end. */
static void receive_packet(char* text, size_t room) {
  for (;;) {
    while (receive() != '$') {
    }
    uint8_t sum = 0, c;
    size_t size = 0;
    while ((c = receive()) != '#') {
      sum = (uint8_t)(sum + c);
      if (size + 1 < room) text[size++] = (char)c;
    }
    text[size] = 0;
    const unsigned high = digit(receive()), low = digit(receive());
    const int good = sum == high * 16 + low;
    out32(kPort, good ? '+' : '-');
    if (good) return;
  }
}

static uint64_t number(const char** text) {
  uint64_t value = 0;
  while (**text != 0 && **text != ',')
    value = value * 16 + digit((uint8_t) * (*text)++);
  return value;
}

static void add_registers(const struct frame* f) {
  const uint64_t wide[] = {f->rax, f->rbx, f->rcx, f->rdx, f->rsi, f->rdi, f->rbp, f->rsp, f->r8,
                           f->r9,  f->r10, f->r11, f->r12, f->r13, f->r14, f->r15, f->rip};
  for (unsigned i = 0; i < sizeof wide / sizeof wide[0]; ++i)
    add_register(wide[i], 8);
  const uint64_t narrow[] = {f->rflags, f->cs, f->ss, f->ss, f->ss, 0, 0};
  for (unsigned i = 0; i < sizeof narrow / sizeof narrow[0]; ++i)
    add_register(narrow[i], 4);
}

static void add_memory(const char* text) {
  const uint64_t address = number(&text);
  if (*text == ',') ++text;
  uint64_t size = number(&text);
  if (size > 256) size = 256;
  for (uint64_t i = 0; i < size; ++i)
    add_byte(((const volatile uint8_t*)address)[i]);
}

void on_exception(struct frame* frame) {
  const uint64_t kTrapFlag = 0x100;
  int report = (frame->rflags & kTrapFlag) != 0;
  frame->rflags &= ~kTrapFlag;
  for (;;) {
    char text[64];
    reply_size = 0;
    if (report) {
      add_text("S05");
      send_reply();
      reply_size = 0;
      report = 0;
    }
    receive_packet(text, sizeof text);
    switch (text[0]) {
      case '?':
        add_text("S05");
        break;
      case 'g':
        add_registers(frame);
        break;
      case 'm':
        add_memory(text + 1);
        break;
      case 's':
        frame->rflags |= kTrapFlag;
        return;
      case 'c':
      case 'k':
        return;
      case 'D':
        add_text("OK");
        send_reply();
        return;
      default:
        break;
    }
    send_reply();
  }
}

volatile uint64_t work;

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0) return;
  if (in16(kPort) != kSignature) {
    print("no debug port\n");
    return;
  }
  print("r");
  __asm__ volatile("int3");
  for (;;)
    work += 1;
}
