// CPUs without an engine: time is what the test says, and everything that devices do is recorded.
// For tests only.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "platform/platform.h"

namespace ringside::machine::testing {

class FakeCpuPort : public hypervisor::CpuPort {
 public:
  VirtualTime time;
  unsigned deadline_moves = 0;
  std::vector<bool> pins = std::vector<bool>(kMaxVcpus, false);
  // "nmi 0", "init 1", "startup 1 8", "retry 0", in order.
  std::vector<std::string> happened;
  std::optional<hypervisor::VmEnd> ended;
  bool a20 = true;
  std::vector<std::pair<Gpa, std::uint64_t>> written;

  VirtualTime now() const override { return time; }
  void deadline_moved() override { ++deadline_moves; }
  void set_interrupt_pin(VcpuId vcpu, bool level) override { pins[vcpu.value] = level; }
  void non_maskable_interrupt(VcpuId vcpu) override { note("nmi", vcpu); }
  void init(VcpuId vcpu) override { note("init", vcpu); }
  void start_up(VcpuId vcpu, std::uint8_t vector) override {
    happened.push_back(fmt::format("startup {} {}", vcpu.value, vector));
  }
  void retry(VcpuId vcpu) override { note("retry", vcpu); }
  void set_a20(bool enabled) override { a20 = enabled; }
  void ram_written(Gpa address, std::uint64_t size) override {
    written.emplace_back(address, size);
  }
  void fall_asleep() override { happened.emplace_back("fall asleep"); }
  void wake(const x86::CpuState& entry) override {
    const x86::Segment& code = entry.seg(x86::SegmentName::Cs);
    happened.push_back(fmt::format("wake {:x}:{:x}", code.selector, entry.rip));
  }
  void end(hypervisor::VmEnd end) override { ended = std::move(end); }

 private:
  void note(const char* what, VcpuId vcpu) {
    happened.push_back(fmt::format("{} {}", what, vcpu.value));
  }
};

}  // namespace ringside::machine::testing
