// What is measured: a guest under some program's debug server. Owned by one run of a measure; its
// end ends the process.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "measure.h"
#include "support/guest_process.h"

namespace ringside::bench {

struct GuestChoice {
  std::string guest;  // of tests/guests
  unsigned cpus = 1;
  std::string memory = "64M";
  // The characters that it says on COM1 when it is at work.
  std::string says = "r";
  // Words of the guest that get another value before it runs. Not on QEMU, which loads it later.
  std::map<std::string, std::uint64_t> words = {};
  // On the host's KVM, instead of ringside's software CPU and QEMU's TCG.
  bool kvm = false;
};

struct Target {
  std::unique_ptr<testing::ChildProcess> process;
  testing::GuestImage image;
  std::uint16_t port = 0;
  std::optional<testing::DebugClient> client;  // attached; the guest is stopped, at work

  std::uint64_t operator[](const char* symbol) const { return image[symbol]; }
};

// ringside with these arguments and those that the user of the benchmarks wants it to have more.
std::vector<std::string> ringside_command(const std::vector<std::string>& arguments);
void set_ringside_arguments(std::vector<std::string> arguments);

// Where a ringside that was started with -G 0 listens.
std::uint16_t port_of(testing::ChildProcess& process);

Target start(Subject subject, const GuestChoice& choice);
// After the client has detached: a new one. The guest is stopped again.
void reattach(Target& target);
// False conditions a second at `tick` of the guest `counters`, evaluated by the server.
double conditions_in_server(Target& target, double seconds);
// Where the server knows how (QEMU 7.2 does not).
void stop_acknowledging(testing::DebugClient& client);

// Whether ringside finds a KVM here.
bool have_kvm();

// GDB's own server with a native process, counters.c here, before its first instruction; attached.
Target start_gdbserver();

}  // namespace ringside::bench
