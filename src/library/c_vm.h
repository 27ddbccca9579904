// A virtual machine behind the callbacks of the C interface. Owned by its endpoint; used on the
// endpoint's thread. An ability whose callbacks are null is not there.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "library/c_state.h"
#include "ringside/vm.h"

namespace ringside::c {

// A VMM of the embedder's: its callbacks, and what they are to be called with.
struct Machine {
  ringside_vm_callbacks calls{};
  void* user = nullptr;
};

// What is wrong with a table of callbacks; nothing if it can be used.
std::optional<Error> find_fault(const Machine& machine);

class CVcpu final : public hypervisor::Vcpu {
 public:
  CVcpu(const Machine& machine, VcpuId id) : machine_(machine), id_(id.value) {}

  bool in_guest() const override;
  Result<x86::CpuState> state() override;
  Result<void> set_state(const x86::CpuState& state) override;
  bool active() const override;
  bool halted() const override;
  std::string name() const override;
  Result<std::uint64_t> read_msr(std::uint32_t number) override;
  Result<void> write_msr(std::uint32_t number, std::uint64_t value) override;
  bool offers(hypervisor::Capability capability) const override;
  Result<void> set_capability(hypervisor::Capability capability, bool on) override;
  Result<void> inject_exception(const x86::Exception& exception) override;
  Result<void> set_entry_insn_length(std::uint8_t length) override;
  Result<std::uint8_t> entry_insn_length() override { return entry_length_; }

 private:
  const Machine& machine_;
  std::uint32_t id_;
  std::uint8_t entry_length_ = 1;  // for the next exception
};

class CVm final : public hypervisor::Vm,
                  private hypervisor::Memory,
                  private hypervisor::Breakpoints,
                  private hypervisor::Watchpoints {
 public:
  // The machine has no fault (find_fault).
  explicit CVm(const Machine& machine);
  CVm(const CVm&) = delete;
  CVm& operator=(const CVm&) = delete;

  unsigned vcpu_count() const override { return static_cast<unsigned>(vcpus_.size()); }
  hypervisor::Vcpu& vcpu(VcpuId id) override { return vcpus_[id.value]; }
  hypervisor::Memory& memory() override { return *this; }
  void suspend(VcpuId id) override;
  void resume(VcpuId id) override;
  std::optional<hypervisor::VcpuEvent> take_event() override;
  int event_fd() const override { return event_fd_; }
  const std::optional<hypervisor::VmEnd>& ended() const override;
  void stop_instead_of_death(bool on) override;
  hypervisor::Breakpoints* breakpoints() override;
  hypervisor::Watchpoints* watchpoints() override;

 private:
  Result<void> read_ram(Gpa address, std::span<std::byte> out) override;
  Result<void> write_ram(Gpa address, std::span<const std::byte> data) override;
  Result<void> insert_breakpoint(Gva address) override;
  Result<void> remove_breakpoint(Gva address) override;
  Result<void> insert_watchpoint(Gva address, std::uint64_t size,
                                 hypervisor::WatchKind kind) override;
  Result<void> remove_watchpoint(Gva address, std::uint64_t size,
                                 hypervisor::WatchKind kind) override;

  const Machine machine_;
  std::vector<CVcpu> vcpus_;
  const int event_fd_;
  mutable std::optional<hypervisor::VmEnd> end_;  // once it has been told
};

}  // namespace ringside::c
