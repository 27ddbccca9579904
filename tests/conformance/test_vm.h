// A guest of tests/guests on an engine, without a program around it: RAM, machine and engine,
// driven by the test in place of the main loop, on its one thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "conformance/engines.h"
#include "support/deadline.h"
#include "support/guest_image.h"

namespace ringside::testing {

class TestVm {
 public:
  // All vCPUs are out of the guest, before the first instruction.
  TestVm(const EngineKind& kind, std::string_view guest, unsigned vcpus = 1);

  hypervisor::Engine& engine() { return *engine_; }
  hypervisor::Vcpu& vcpu(std::uint32_t number = 0) { return engine_->vcpu({number}); }
  std::uint64_t operator[](const char* symbol) const { return image_[symbol]; }
  const GuestImage& image() const { return image_; }
  std::string said() const;          // on COM1
  std::string debug_output() const;  // on port 0xe9
  void type(char c);
  // All interrupt controllers, as the debugger is shown them.
  std::string controllers() const;
  // As the program does it at a monitor command, all vCPUs being out of the guest.
  void reset();
  // Called within each access to port 0xe9, on the thread that runs the vCPU. Before it is resumed.
  void when_in_debug_port(std::function<void()> then) { in_debug_port_ = std::move(then); }

  void resume(std::uint32_t number = 0) { engine_->resume({number}); }
  // Runs what is resumed until something happens; throws at the deadline. Nothing: the machine
  // ended.
  std::optional<hypervisor::VcpuEvent> next_event(const Deadline& deadline = Deadline());
  // The same; it must be of this kind and vCPU.
  template <typename Exit>
  Exit expect(std::uint32_t number = 0);
  // Runs until the guest has said each of the characters. vCPUs that start are resumed.
  void run_until_said(std::string_view characters);
  // Runs until the vCPU comes to `address`, by single steps; throws after too many of them.
  void step_to(std::uint64_t address, std::uint32_t number = 0);
  void step(std::uint32_t number = 0);
  // Takes every vCPU out of the guest and discards the events of that.
  void suspend_all();
  // Runs for some slices without an event; false if there was one.
  bool runs_quietly(int slices = 200);
  // Runs without an event until `condition` holds; false at an event or the deadline.
  bool runs_until(const std::function<bool()>& condition);

  std::uint64_t read(x86::Register name, std::uint32_t number = 0);
  void write(x86::Register name, std::uint64_t value, std::uint32_t number = 0);
  std::uint64_t rip(std::uint32_t number = 0) { return read(x86::Register::Rip, number); }
  std::uint64_t memory_u64(std::uint64_t address, std::uint32_t number = 0);
  // By physical address, which needs no vCPU that is out of the guest.
  std::uint64_t physical_u64(std::uint64_t address);
  std::string memory(std::uint64_t address, std::size_t size, std::uint32_t number = 0);

 private:
  [[noreturn]] void unexpected(const std::optional<hypervisor::VcpuEvent>& event);
  // One turn of the main loop; false when nothing can happen without outside input.
  bool turn(const Deadline& deadline);

  x86::CpuState load();
  void hear(std::string& ear, std::span<const std::byte> bytes);

  GuestImage image_;
  const unsigned vcpus_;
  // The guest speaks on the thread of its vCPU.
  mutable std::mutex said_lock_;
  std::string said_, debug_output_;
  std::function<void()> in_debug_port_;
  Fd spoken_;  // readable when said_ has grown
  std::optional<hypervisor::GuestRam> ram_;
  std::optional<machine::Machine> machine_;
  std::unique_ptr<hypervisor::Engine> engine_;
};

// In words, for messages.
std::string describe(const std::optional<hypervisor::VcpuEvent>& event);

template <typename Exit>
Exit TestVm::expect(std::uint32_t number) {
  const auto event = next_event();
  if (!event || event->vcpu.value != number || !std::holds_alternative<Exit>(event->exit))
    unexpected(event);
  return std::get<Exit>(event->exit);
}

}  // namespace ringside::testing
