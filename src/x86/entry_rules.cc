#include "x86/entry_rules.h"

#include <algorithm>

#include "x86/linear_address.h"

namespace ringside::x86 {
namespace {

bool has(std::uint64_t value, std::uint64_t bit) { return (value & bit) != 0; }
bool protected_mode(const CpuState& s) { return has(s.cr0, cr0::PE); }
bool virtual_8086(const CpuState& s) { return has(s.rflags, rflags::VM); }
const Segment& code(const CpuState& s) { return s.seg(SegmentName::Cs); }

bool is_8086_segment(const Segment& s) {
  return s.base == std::uint64_t{s.selector} << 4 && s.limit == 0xffff &&
         s.attributes == kAttributes8086;
}

struct Rule {
  bool (*broken)(const CpuState&);
  std::string_view words;
};

constexpr Rule kRules[] = {
    {[](const CpuState& s) { return s.cr0 >> 32 != 0; }, "cr0 has no bits above 31"},
    {[](const CpuState& s) { return s.cr4 >> 32 != 0; }, "cr4 has no bits above 31"},
    {[](const CpuState& s) { return s.dr6 >> 32 != 0 || s.dr7 >> 32 != 0; },
     "dr6 and dr7 have no bits above 31"},
    {[](const CpuState& s) { return s.rip >> 32 != 0 && !in_64_bit_mode(s); },
     "rip has no bits above 31 outside of 64-bit code"},
    {[](const CpuState& s) { return has(s.cr0, cr0::PG) && !protected_mode(s); },
     "cr0.PG needs cr0.PE"},
    {[](const CpuState& s) { return has(s.cr0, cr0::NW) && !has(s.cr0, cr0::CD); },
     "cr0.NW needs cr0.CD"},
    {[](const CpuState& s) { return in_long_mode(s) && !has(s.cr4, cr4::PAE); },
     "long mode (efer.LME with cr0.PG) needs cr4.PAE"},
    {[](const CpuState& s) { return has(s.cr4, cr4::PCIDE) && !in_long_mode(s); },
     "cr4.PCIDE needs long mode (efer.LME with cr0.PG)"},
    {[](const CpuState& s) { return in_long_mode(s) && s.cr3 >> 52 != 0; },
     "cr3 has no bits above 51"},
    {[](const CpuState& s) {
       const unsigned type = s.tr.type();
       return in_long_mode(s) && (type == system_type::kTss16 || type == system_type::kTss16Busy);
     },
     "long mode does not go with a 16-bit task in tr"},
    {[](const CpuState& s) { return in_64_bit_mode(s) && code(s).big(); },
     "the code segment has both L and D set, which long mode does not allow"},
    {[](const CpuState& s) { return virtual_8086(s) && (!protected_mode(s) || in_long_mode(s)); },
     "eflags.VM needs cr0.PE, and no long mode"},
    {[](const CpuState& s) {
       return virtual_8086(s) && !std::all_of(s.segment.begin(), s.segment.end(), is_8086_segment);
     },
     "in virtual-8086 mode every base is its selector times 16"},
    {[](const CpuState& s) { return protected_mode(s) && !virtual_8086(s) && !code(s).is_code(); },
     "cs would hold no code segment"},
    {[](const CpuState& s) { return !protected_mode(s) && s.seg(SegmentName::Ss).dpl() != 0; },
     "real mode is at privilege level 0, and ss holds a segment of another"},
};

}  // namespace

void derive_long_mode(CpuState& state) {
  const bool active = has(state.efer, efer::LME) && has(state.cr0, cr0::PG);
  state.efer = active ? state.efer | efer::LMA : state.efer & ~efer::LMA;
}

std::optional<std::string_view> broken_rule(const CpuState& before, const CpuState& after) {
  for (const Rule& rule : kRules) {
    if (rule.broken(after) && !rule.broken(before)) return rule.words;
  }
  // Of a step, not of a state: the code would go on as 32-bit code (SDM 3A 9.8.5.4).
  if (in_long_mode(before) && !in_long_mode(after) && code(after).long_mode())
    return "64-bit code cannot leave long mode: cs has L set";
  return std::nullopt;
}

}  // namespace ringside::x86
