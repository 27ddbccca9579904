// The registers of one CPU as rows of numbers with names: what QEMU prints of its CPU before each
// instruction, and the same of ours, so that both can be laid side by side. Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "ringside/x86/cpu_state.h"

namespace ringside::testing {

// A row is a register: one number, two of a table or vector register, or the four of a segment
// (selector, base, limit, attributes).
namespace row {
enum Row : std::size_t {
  kGpr = 0,  // by x86::Gpr
  kRip = 16,
  kRflags,
  kSegment,  // by x86::SegmentName
  kLdt = kSegment + 6,
  kTr,
  kGdt,
  kIdt,
  kCr0,
  kCr2,
  kCr3,
  kCr4,
  kDr0,
  kDr6 = kDr0 + 4,
  kDr7,
  kEfer,
  kFpuControl,
  kFpuStatus,
  kFpuTags,  // a one for each register in use
  kMxcsr,
  kFpr,             // by physical register: significand, sign and exponent
  kXmm = kFpr + 8,  // high half, low half, and the same of the upper half of YMM
  kCount = kXmm + 16
};
}

struct Fields {
  std::array<std::array<std::uint64_t, 4>, row::kCount> rows{};
  bool wide = false;  // 64-bit code: R8.. and XMM8.. mean something
  std::uint64_t rip() const { return rows[row::kRip][0]; }
};

std::string_view name_of(std::size_t row);
// By QEMU's name; both EAX and RAX, both XMM00 and YMM00.
std::optional<std::size_t> row_by_name(std::string_view name);

Fields fields_of(const x86::CpuState& state);
// Puts one row into a state.
void copy_row(const Fields& from, std::size_t row, x86::CpuState& to);
// Equal as far as the architecture can tell.
bool same(const Fields& a, const Fields& b, std::size_t row);

}  // namespace ringside::testing
