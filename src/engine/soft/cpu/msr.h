// Model-specific registers of the software CPU: RDMSR and WRMSR, and the ones that are pure
// storage. Used by the system instructions and, through Vcpu::read_msr and write_msr, by the
// debugger; on the thread that runs the CPU.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/state_visitor.h"

namespace ringside::soft {

class Cpu;

// Memory-type range registers (SDM 3A 11.11). Kept for software that reads back what it wrote:
// memory types have no effect here. They start as firmware leaves them, enabled and all write-back,
// because kernels are entered without firmware and would give up PAT over disabled MTRRs.
struct Mtrrs {
  static constexpr unsigned kVariable = 8;
  static constexpr std::uint64_t kWriteBack = 6, kAllWriteBack = 0x0606060606060606;
  static constexpr std::uint64_t kFixedEnable = 1u << 10, kEnable = 1u << 11;

  std::uint64_t default_type = kEnable | kFixedEnable | kWriteBack;
  std::array<std::uint64_t, 2 * kVariable> variable{};  // base, mask, base, mask…
  std::array<std::uint64_t, 11> fixed{kAllWriteBack, kAllWriteBack, kAllWriteBack, kAllWriteBack,
                                      kAllWriteBack, kAllWriteBack, kAllWriteBack, kAllWriteBack,
                                      kAllWriteBack, kAllWriteBack, kAllWriteBack};

  void visit_state(StateVisitor& visitor) { visitor.fields(default_type, variable, fixed); }
};

// IA32_MISC_ENABLE (SDM 4 table 2-2): what software may set of what there is.
namespace misc_enable {
inline constexpr std::uint64_t kFastStrings = 1u << 0, kBranchTraceUnavailable = 1u << 11,
                               kPebsUnavailable = 1u << 12, kLimitCpuid = 1u << 22,
                               kExecuteDisableOff = std::uint64_t{1} << 34;
inline constexpr std::uint64_t kReset = kFastStrings | kBranchTraceUnavailable | kPebsUnavailable;
inline constexpr std::uint64_t kWritable = kFastStrings | kLimitCpuid | kExecuteDisableOff;
}  // namespace misc_enable

// Nothing, or false: RDMSR or WRMSR raises #GP(0), because there is no such register or (for
// writes) the value has a reserved bit or a non-canonical address.
std::optional<std::uint64_t> read_msr(Cpu& cpu, std::uint32_t number);
bool write_msr(Cpu& cpu, std::uint32_t number, std::uint64_t value);

}  // namespace ringside::soft
