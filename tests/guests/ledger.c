/* Keeps a list of accounts, and books on them for ever: each round by one more transfer, every few
   of them written to the disk and read back, every byte from COM1 an entry of its own. The others
   count, and sleep now and then. One round damages the list, by a store through a pointer that is
   too far along: `broken` then says which round has found it. */
#include "virtio.h"

extern volatile uint64_t timer_ticks;

struct account {
  struct account* next;
  uint64_t balance;
};

enum { kAccounts = 16, kRounds = 200, kWrite = 1, kRead = 0 };

/* The names lie right before the accounts: one character more ends in the first one's link. */
struct {
  char names[kAccounts][16];
  struct account accounts[kAccounts];
} book;
volatile uint64_t rounds, received, broken, counted[64];
static char sector[512] __attribute__((aligned(512)));

__attribute__((noinline)) static void disk_request(uint32_t type, uint64_t number) {
  request.type = type;
  request.sector = number;
  describe(0, &request, sizeof request, 1);
  describe(1, sector, sizeof sector, type == kRead ? 3 : 1);
  describe(2, &status, 1, 2);
  send_request();
  while (!is_answered()) {
  }
}

/* One byte too many for the last name, when the length is a full one. */
__attribute__((noinline)) void set_name(unsigned account, const char* name, unsigned length) {
  char* const to = book.names[account];
  for (unsigned i = 0; i < length; ++i)
    to[i] = name[i];
  to[length] = 0x55;
}

__attribute__((noinline)) uint64_t add_up(void) {
  uint64_t sum = 0;
  unsigned found = 0;
  for (const struct account* at = &book.accounts[0]; at != 0 && found <= kAccounts; at = at->next) {
    if (at < book.accounts || at >= book.accounts + kAccounts) return ~0ul;
    sum += at->balance;
    ++found;
  }
  return found == kAccounts ? sum : ~0ul;
}

static void keep_books(void) {
  for (unsigned i = 0; i < kAccounts; ++i) {
    book.accounts[i].next = i + 1 < kAccounts ? &book.accounts[i + 1] : 0;
    book.accounts[i].balance = 100;
  }
  start_device(0);
  print("r");
  for (;; ++rounds) {
    struct account* from = &book.accounts[rounds % kAccounts];
    struct account* to = &book.accounts[rounds * 7 % kAccounts];
    from->balance -= 1;
    to->balance += 1;
    if ((in8(0x3fd) & 1) != 0) received = received * 31 + in8(0x3f8);
    if (rounds % 8 == 0) {
      for (unsigned i = 0; i < sizeof sector; ++i)
        sector[i] = (char)(rounds + i);
      disk_request(kWrite, rounds / 8 % 16);
      disk_request(kRead, rounds / 8 * 5 % 16);
      __asm__ volatile("hlt"); /* until the timer comes */
    }
    set_name(rounds % kAccounts, "an account, rich", rounds == kRounds ? 16 : rounds % 15);
    if (rounds == kRounds) set_name(kAccounts - 1, "an account, rich", 16);
    if (broken == 0 && add_up() != kAccounts * 100) {
      broken = rounds;
      print("the list is broken\n");
    }
  }
}

void vcpu_main(unsigned vcpu) {
  if (vcpu == 0) keep_books();
  for (;;) {
    for (unsigned i = 0; i < 100 * (vcpu + 1); ++i)
      __atomic_add_fetch(&counted[vcpu % 2], 1, __ATOMIC_SEQ_CST);
    counted[vcpu] += timer_ticks;
    __asm__ volatile("pause");
  }
}
