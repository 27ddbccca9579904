// One stream between a port of the guest and a Unix socket of the host: its bytes, its credit and
// its end (virtio 1.2, 5.10.6). It never waits: what the host's program does not take is kept, up
// to the credit that the guest was given, and what the guest has no credit for is not read.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/fd.h"
#include "machine/vsock/packet.h"
#include "vsock/outbox.h"

namespace ringside::vsock {

using Clock = std::chrono::steady_clock;

// How long the guest may take to answer a request, or to agree to an end. It may be a slow one, and
// a debugger may hold it.
inline constexpr std::chrono::seconds kGuestsTime{60};

struct Ports {
  std::uint32_t guest = 0, host = 0;
  friend auto operator<=>(const Ports&, const Ports&) = default;
};

class Connection {
 public:
  enum class Begun : std::uint8_t { ByGuest, ByHost };

  // `socket` does not block.
  Connection(Begun by, Ports ports, Fd socket, Clock::time_point now);

  // What the guest says in every packet.
  void take_credit(const machine::VsockHeader& header);
  // A packet of the guest's for it. `data` is what came with the header.
  void take(const machine::VsockHeader& header, std::span<const std::byte> data,
            Clock::time_point now);
  // Sends what there is to tell, without the host's data, as far as there is room.
  void tell(std::uint32_t guest_cid, Outbox& out);

  // What to wait for: as poll(2) takes it. The socket is not to be looked at where there is none.
  struct Interest {
    bool exists = false;
    short events = 0;
  };
  // `may_read`: there is room for packets to the guest.
  Interest interest(bool may_read) const;
  // Something of that has come. Data of the host goes out at once, where there is room for it.
  void proceed(short ready, std::uint32_t guest_cid, Outbox& out, Clock::time_point now);

  int socket() const { return socket_.get(); }
  // The guest knows no more of it. What it had sent may still be on its way to the host.
  bool is_over() const { return stage_ == Stage::Over && wishes_ == 0; }
  // When it is to be given up, if the guest has not answered by then.
  std::optional<Clock::time_point> deadline() const;
  void give_up() { reset(); }

  struct Rest {
    Fd socket;
    std::vector<std::byte> bytes;
    std::size_t written = 0;  // of them
    // Without waiting. False: that was all, or the program takes no more.
    bool write();
  };
  // Of one that is over: what the host's program has not taken yet.
  Rest take_rest();

 private:
  enum class Stage : std::uint8_t {
    Requested,  // by the host; the guest has not answered
    Open,
    Ending,  // we have said that nothing goes on any more, and the guest is to agree
    Over,
  };
  enum Wish : unsigned {
    kRequest = 1,
    kResponse = 2,
    kCredit = 4,
    kAskForCredit = 8,
    kShutdown = 16,
    kReset = 32,
  };
  // Of OP_SHUTDOWN (5.10.6.6.1): what its sender does no more.
  enum End : std::uint32_t { kReceives = 1, kSends = 2, kBoth = 3 };

  machine::VsockHeader header(machine::VsockOperation operation, std::uint32_t guest_cid);
  std::uint32_t credit() const;
  bool reads_no_more() const;
  bool can_read() const;
  void reset();
  void answered();
  void take_data(std::span<const std::byte> data);
  void guest_ends(std::uint32_t what);
  void host_ends(std::uint32_t what);
  void host_is_gone();
  void settle_end(Clock::time_point now);
  void write_to_host();
  void read_from_host(std::uint32_t guest_cid, Outbox& out);

  const Ports ports_;
  Fd socket_;
  Stage stage_;
  Clock::time_point deadline_;
  unsigned wishes_;  // what the guest is to be told, by Wish

  // From the guest.
  std::vector<std::byte> kept_;                            // what the host's program has not taken
  std::size_t written_ = 0;                                // of that, and it has
  std::uint32_t received_ = 0, forwarded_ = 0, told_ = 0;  // bytes, and what the guest knows of it
  std::uint32_t guests_end_ = 0;

  // To the guest.
  std::uint32_t room_ = 0, taken_ = 0, sent_ = 0;  // its credit
  std::uint32_t hosts_end_ = 0;
};

}  // namespace ringside::vsock
