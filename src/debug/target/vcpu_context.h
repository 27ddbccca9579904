// What an agent expression sees of a vCPU: its registers, and memory as the client sees it.
//
// A short-lived view, made where a breakpoint is hit, on that thread.
#pragma once

#include "debug/agent/bytecode.h"
#include "debug/points/breakpoint_table.h"
#include "debug/target/pc_view.h"
#include "ringside/vm.h"

namespace ringside::debug {

class VcpuContext : public AgentContext {
 public:
  VcpuContext(hypervisor::Vm& vm, BreakpointTable& breakpoints, VcpuId vcpu,
              PcView view = PcView::Offset)
      : vm_(vm), breakpoints_(breakpoints), vcpu_(vcpu), pc_view_(view) {}

  Result<std::uint64_t> read_register(unsigned number) override;
  Result<void> read_memory(Gva address, std::span<std::byte> out) override;
  // There are no tracepoints.
  Result<std::int64_t> read_variable(unsigned number) override;
  Result<void> write_variable(unsigned number, std::int64_t value) override;
  Result<void> collect_memory(Gva address, std::uint64_t size) override;
  Result<void> collect_variable(unsigned number) override;

 private:
  hypervisor::Vm& vm_;
  BreakpointTable& breakpoints_;
  VcpuId vcpu_;
  PcView pc_view_;
};

}  // namespace ringside::debug
