// A raw client with the requests that tests make all the time, in words. What it cannot parse
// throws.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/raw_client.h"

namespace ringside::testing {

// A stop reply: Sxx, or Txx with its fields.
struct StopReply {
  std::string text;
  unsigned signal = 0;
  std::optional<unsigned> vcpu;  // from `thread:`
  bool swbreak = false;
  // The value of a field such as `watch`; nothing if it is not there.
  std::optional<std::string> field(std::string_view name) const;
};
StopReply parse_stop(std::string_view text);

// The `g` packet of 24 registers (docs/model.md, row 19).
struct Registers {
  std::array<std::uint64_t, 24> values{};
  std::uint64_t operator[](std::size_t number) const { return values[number]; }
  std::uint64_t rip() const { return values[16]; }
};
enum RegisterNumber { kRax, kRbx, kRcx, kRdx, kRsi, kRdi, kRbp, kRsp, kRip = 16, kEflags, kCs };

class DebugClient : public RawClient {
 public:
  using RawClient::RawClient;

  Registers registers();
  std::uint64_t rip() { return registers().rip(); }
  void select(unsigned vcpu);  // Hg

  // The bytes that came, perhaps fewer than asked; throws on an error reply.
  std::string read(std::uint64_t address, std::size_t size);
  std::uint64_t read_u64(std::uint64_t address);
  void write(std::uint64_t address, std::string_view bytes);
  void write_u8(std::uint64_t address, std::uint8_t value);

  void insert(std::uint64_t address);  // Z0, must be OK
  void remove(std::uint64_t address);  // z0

  void resume() { send("c"); }
  StopReply await_stop(const Deadline& deadline = Deadline());
  StopReply step();
  // Interrupts the running guest and takes the one stop reply.
  StopReply stop();
  // `c`, from the breakpoint at `address` where the current vCPU may stand, up to the next stop:
  // the way of stock GDB (remove, step, insert, continue).
  StopReply resume_past(std::uint64_t address);
  // Inserts, continues to, and removes a breakpoint.
  StopReply run_to(std::uint64_t address);

  // All ids from qfThreadInfo and qsThreadInfo, as they were written.
  std::vector<std::string> threads();
  void detach();
};

// A monitor command, and what the console shows: in O packets and in the reply. An O packet may
// have no text, where a command takes long. An error is returned as it is.
std::string monitor(DebugClient& client, std::string_view command);

// Hexadecimal of bytes and back; independent of the server's own.
std::string hex(std::string_view bytes);
std::string unhex(std::string_view digits);
std::string hex_number(std::uint64_t value);
// `size` bytes, least significant first.
std::string little_endian(std::uint64_t value, unsigned size);

}  // namespace ringside::testing
