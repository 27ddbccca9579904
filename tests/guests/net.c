/* Asks by ARP (RFC 826) for the Ethernet addresses of 10.0.2.2 and 10.0.2.3, and says them, a line
   each. It sleeps until the virtio network card (virtio 1.2, 5.1), which is on the PCI bus, tells
   by a message (MSI-X) that a frame has come. Then it switches the machine off. */
#include "pci_queues.h"

enum { kReceive, kTransmit, kMessage = 1, kNetwork = 1 };
enum { kArp = 0x0806, kEthernet = 1, kIpv4 = 0x0800, kRequest = 1, kReply = 2 };

/* Numbers are big-endian. */
struct frame {
  uint8_t header[12]; /* the card's; nothing is asked of it */
  uint8_t to[6], from[6], type[2];
  uint8_t hardware[2], protocol[2], sizes[2], operation[2];
  uint8_t sender[6], sender_ip[4], target[6], target_ip[4];
} __attribute__((packed));

static struct device card;
static struct queue receive, transmit;
static union {
  struct frame frame;
  uint8_t room[2048];
} come;
static struct frame goes;
static volatile unsigned messages;

void on_interrupt(void) { ++messages; }

static void set(uint8_t* field, uint16_t value) {
  field[0] = (uint8_t)(value >> 8);
  field[1] = (uint8_t)value;
}
static uint16_t get(const uint8_t* field) { return (uint16_t)(field[0] << 8 | field[1]); }

static void offer_buffer(void) {
  describe(&receive, 0, &come, sizeof come, kDeviceWrites);
  publish(&receive);
  notify(&card, kReceive);
}

static void ask(uint8_t last_of_ip) {
  static const uint8_t ip[4] = {10, 0, 2, 15};
  for (unsigned i = 0; i < 6; ++i) {
    goes.to[i] = 0xff;
    goes.from[i] = goes.sender[i] = *byte_at(&card, kSpecific + i);
  }
  set(goes.type, kArp);
  set(goes.hardware, kEthernet);
  set(goes.protocol, kIpv4);
  goes.sizes[0] = 6;
  goes.sizes[1] = 4;
  set(goes.operation, kRequest);
  for (unsigned i = 0; i < 4; ++i)
    goes.sender_ip[i] = goes.target_ip[i] = ip[i];
  goes.target_ip[3] = last_of_ip;
  describe(&transmit, 0, &goes, sizeof goes, 0);
  publish(&transmit);
  notify(&card, kTransmit);
  await(&transmit);
}

static void await_frame(void) {
  static unsigned seen;
  while (messages == seen)
    sleep();
  ++seen;
  if (!is_used(&receive)) print("a message without a frame\n");
}

static void say_who_has(uint8_t last_of_ip) {
  ask(last_of_ip);
  for (;;) {
    await_frame();
    const struct frame* frame = &come.frame;
    if (get(frame->type) == kArp && get(frame->operation) == kReply &&
        frame->sender_ip[3] == last_of_ip)
      break;
    offer_buffer(); /* somebody else's business */
  }
  for (unsigned i = 0; i < 6; ++i) {
    char text[4] = "00:";
    text[0] = "0123456789abcdef"[come.frame.sender[i] >> 4];
    text[1] = "0123456789abcdef"[come.frame.sender[i] & 15];
    text[2] = i == 5 ? '\n' : ':';
    print(text);
  }
  offer_buffer();
}

void vcpu_main(unsigned vcpu) {
  if (vcpu != 0) return;
  card = find(kNetwork);
  if (card.number == 0) {
    print("no network\n");
    return;
  }
  set_message(&card, kMessage);
  begin(&card);
  set_queue(&card, kReceive, &receive, kMessage);
  set_queue(&card, kTransmit, &transmit, kNoMessage);
  go(&card);
  offer_buffer();
  say_who_has(2);
  say_who_has(3);
  out16(0x604, 0x3400); /* S5 */
}
