// The CpuPort that devices hold. The engine comes after the machine is built; until connect() time
// stands at zero and nothing reaches a CPU.
#pragma once

#include "platform/platform.h"

namespace ringside::machine {

class CpuLink final : public hypervisor::CpuPort {
 public:
  void connect(hypervisor::CpuPort& cpus) { cpus_ = &cpus; }

  VirtualTime now() const override { return cpus_ ? cpus_->now() : VirtualTime{}; }
  void deadline_moved() override {
    if (cpus_) cpus_->deadline_moved();
  }
  void set_interrupt_pin(VcpuId vcpu, bool level) override {
    if (cpus_) cpus_->set_interrupt_pin(vcpu, level);
  }
  void non_maskable_interrupt(VcpuId vcpu) override {
    if (cpus_) cpus_->non_maskable_interrupt(vcpu);
  }
  void init(VcpuId vcpu) override {
    if (cpus_) cpus_->init(vcpu);
  }
  void start_up(VcpuId vcpu, std::uint8_t vector) override {
    if (cpus_) cpus_->start_up(vcpu, vector);
  }
  void retry(VcpuId vcpu) override {
    if (cpus_) cpus_->retry(vcpu);
  }
  void set_a20(bool enabled) override {
    if (cpus_) cpus_->set_a20(enabled);
  }
  void ram_about_to_change(Gpa address, std::uint64_t size) override {
    if (cpus_) cpus_->ram_about_to_change(address, size);
  }
  void ram_written(Gpa address, std::uint64_t size) override {
    if (cpus_) cpus_->ram_written(address, size);
  }
  void guest_panicked(VcpuId vcpu, const char* reason) override {
    if (cpus_) cpus_->guest_panicked(vcpu, reason);
  }
  void fall_asleep() override {
    if (cpus_) cpus_->fall_asleep();
  }
  void wake(const x86::CpuState& entry) override {
    if (cpus_) cpus_->wake(entry);
  }
  void replace_timer(bool on) override {
    if (cpus_) cpus_->replace_timer(on);
  }
  void end(hypervisor::VmEnd end) override {
    if (cpus_) cpus_->end(std::move(end));
  }
  bool interrupt_line(unsigned line, bool asserted) override {
    return cpus_ && cpus_->interrupt_line(line, asserted);
  }
  bool interrupt_message(std::uint64_t address, std::uint32_t data) override {
    return cpus_ && cpus_->interrupt_message(address, data);
  }

 private:
  hypervisor::CpuPort* cpus_ = nullptr;
};

}  // namespace ringside::machine
