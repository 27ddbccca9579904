// What a tracepoint sees of the vCPU that has come to it: what its expressions see, and all
// registers at once.
//
// A short-lived view, made where a tracepoint is hit, on that thread.
#pragma once

#include <string_view>

#include "debug/target/vcpu_context.h"
#include "debug/trace/tracing.h"

namespace ringside::debug {

class TracedVcpu final : public trace::Guest {
 public:
  TracedVcpu(hypervisor::Vm& vm, VcpuId vcpu, PcView view, VcpuContext& context)
      : vm_(vm), vcpu_(vcpu), view_(view), context_(context) {}

  // Of the whole register table, in its order.
  static std::size_t registers_size();

  Result<std::uint64_t> read_register(unsigned number) override {
    return context_.read_register(number);
  }
  Result<void> read_memory(Gva address, std::span<std::byte> out) override {
    return context_.read_memory(address, out);
  }
  Result<void> read_registers(std::span<std::byte> out) override;
  void print(std::string_view text) override { context_.print(text); }

 private:
  hypervisor::Vm& vm_;
  VcpuId vcpu_;
  PcView view_;
  VcpuContext& context_;
};

}  // namespace ringside::debug
