// The real program with a guest in it. Owned by one test; ends with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/child_process.h"
#include "support/debug_client.h"
#include "support/guest_image.h"

namespace ringside::testing {

struct GuestOptions {
  unsigned cpus = 1;
  enum class Start {
    Held,         // -G w…: before the first instruction
    Running,      // -G …
    WithoutDebug  // no -G
  } start = Start::Held;
  std::vector<std::string> arguments = {};  // more of the command line
  bool firmware = false;                    // GUEST.bin, from the reset vector
  const char* on_engine = nullptr;          // null: engine()
  const char* virtio = "mmio";              // for which most of our images have a driver
};

// The engine under test: RINGSIDE_ENGINE, or soft.
std::string engine();

class GuestProcess {
 public:
  explicit GuestProcess(std::string_view guest, const GuestOptions& options = {});

  const GuestImage& image() const { return image_; }
  std::uint64_t operator[](const char* symbol) const { return image_[symbol]; }
  std::uint16_t port() const { return port_; }
  // A new debugger. It has asked `?` and the guest is stopped.
  DebugClient attach();
  // A new connection that has said nothing.
  DebugClient connect() { return DebugClient(port_); }

  ChildProcess& process() { return process_; }
  bool running() { return process_.running(); }
  // Waits for the guest to have said each of these characters on COM1 (in any order).
  void await_said(std::string_view characters);
  void await_said_numbers(unsigned vcpus);  // "0123…", as guests do for each vCPU

 private:
  GuestImage image_;
  ChildProcess process_;
  std::uint16_t port_ = 0;
};

// Lets the detached guest run until the 64-bit word at `address` has changed from `before`; gives
// its new value. It attaches and detaches to look.
std::uint64_t await_change(GuestProcess& guest, std::uint64_t address, std::uint64_t before);

}  // namespace ringside::testing
