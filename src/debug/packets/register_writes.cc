#include "debug/packets/register_writes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "hypervisor/guest_memory.h"
#include "x86/entry_rules.h"
#include "x86/register_table.h"
#include "x86/selector_load.h"

namespace ringside::debug {
namespace {

using x86::CpuState;
using x86::Register;
using x86::SegmentName;

// In the order in which they are loaded: selectors may name the local table, and the privilege
// level comes with CS.
constexpr std::pair<Register, SegmentName> kSegments[] = {
    {Register::Cs, SegmentName::Cs}, {Register::Ss, SegmentName::Ss},
    {Register::Ds, SegmentName::Ds}, {Register::Es, SegmentName::Es},
    {Register::Fs, SegmentName::Fs}, {Register::Gs, SegmentName::Gs}};

bool is_selector(Register r) {
  return (r >= Register::Cs && r <= Register::Gs) || r == Register::Ldtr || r == Register::Tr;
}
// A part of a segment register that is hidden from the guest.
bool is_base(Register r) {
  return r == Register::FsBase || r == Register::GsBase || r == Register::LdtrBase ||
         r == Register::TrBase || (r >= Register::CsBase && r <= Register::EsBase);
}

// Through the page tables, as they will be.
class Tables final : public x86::DescriptorReader {
 public:
  Tables(hypervisor::Vm& vm, VcpuId vcpu, std::uint64_t cr3) : vm_(vm), vcpu_(vcpu), cr3_(cr3) {}

  Result<std::uint64_t> read_descriptor(Gva address) override {
    std::array<std::byte, 8> bytes{};
    std::span<std::byte> left(bytes);
    while (!left.empty()) {
      const std::size_t part =
          std::min<std::size_t>(left.size(), kPageSize - (address.value & ~kPageMask));
      const Gpa where = TRY(hypervisor::translate_with_cr3(vm_, vcpu_, cr3_, address));
      TRY(vm_.memory().read_ram(where, left.first(part)));
      address = address + part;
      left = left.subspan(part);
    }
    std::uint64_t entry = 0;
    std::memcpy(&entry, bytes.data(), sizeof entry);
    return entry;
  }

 private:
  hypervisor::Vm& vm_;
  VcpuId vcpu_;
  std::uint64_t cr3_;
};

class Writes {
 public:
  Writes(CpuState& state, const std::vector<RegisterWrite>& writes, Tables& tables)
      : state_(state), before_(state), writes_(writes), tables_(tables) {}

  Result<void> apply() {
    for (const RegisterWrite& write : writes_) {
      if (!is_selector(write.name) && !is_base(write.name))
        x86::set_register(state_, write.name, write.value);
    }
    x86::derive_long_mode(state_);
    const bool entered = ((state_.rflags & ~before_.rflags) & x86::rflags::VM) != 0;
    if (entered) x86::make_paragraphs(state_);
    TRY(load_system_segments());
    TRY(load_segments());
    // A base that is written beside its selector is what counts.
    for (const RegisterWrite& write : writes_) {
      if (is_base(write.name)) x86::set_register(state_, write.name, write.value);
    }
    if (const auto rule = x86::broken_rule(before_, state_))
      return fail(ErrorCode::BadRequest, std::string(*rule));
    return {};
  }

 private:
  // The selector that is written to `r`, if any.
  Result<std::optional<std::uint16_t>> written(Register r) const {
    for (const RegisterWrite& write : writes_) {
      if (write.name != r) continue;
      const std::uint64_t value = write.value.as_u64();
      if (value > 0xffff)
        return fail(ErrorCode::BadRequest,
                    fmt::format("{} {:#x}: a selector has 16 bits", x86::info(r).name, value));
      return std::optional(static_cast<std::uint16_t>(value));
    }
    return std::optional<std::uint16_t>();
  }

  static Result<void> named(Register r, std::uint16_t selector, Result<void> done) {
    if (done) return done;
    return fail(done.error().code(),
                fmt::format("{} {:#x}: {}", x86::info(r).name, selector, done.error().text()));
  }

  Result<void> load_system_segments() {
    if (const auto selector = TRY(written(Register::Ldtr)))
      TRY(named(Register::Ldtr, *selector, x86::load_local_table(state_, *selector, tables_)));
    if (const auto selector = TRY(written(Register::Tr)))
      TRY(named(Register::Tr, *selector, x86::load_task(state_, *selector, tables_)));
    return {};
  }

  Result<void> load_segments() {
    unsigned cpl = x86::privilege_level(state_);
    const auto code = TRY(written(Register::Cs));
    const auto stack = TRY(written(Register::Ss));
    const bool paragraphs = x86::has_paragraphs(state_);
    if (code && !paragraphs) {
      const unsigned level = *code & 3u;
      if (level != cpl && !stack) {
        return fail(ErrorCode::BadRequest,
                    fmt::format("cs {:#x}: it is for privilege level {}, and ss is at {}; written "
                                "together (G) they may change it",
                                *code, level, cpl));
      }
      cpl = level;
    }
    for (const auto& [r, name] : kSegments) {
      const auto selector = TRY(written(r));
      if (!selector) continue;
      TRY(named(r, *selector, x86::load_selector(state_, name, *selector, cpl, tables_)));
    }
    return {};
  }

  CpuState& state_;
  const CpuState before_;
  const std::vector<RegisterWrite>& writes_;
  Tables& tables_;
};

bool is_same(const CpuState& state, const RegisterWrite& write) {
  return x86::get_register(state, write.name).bytes == write.value.bytes;
}

}  // namespace

bool has_consequences(Register r) {
  switch (r) {
    case Register::Eflags:
    case Register::Rip:
    case Register::Dr6:
    case Register::Dr7:
    case Register::Cr0:
    case Register::Cr3:
    case Register::Cr4:
    case Register::Efer:
      return true;
    default:
      return is_selector(r) || is_base(r);
  }
}

Result<void> apply_writes(hypervisor::Vm& vm, VcpuId vcpu, CpuState& state,
                          const std::vector<RegisterWrite>& writes) {
  std::vector<RegisterWrite> changes;
  std::uint64_t cr3 = state.cr3;
  for (const RegisterWrite& write : writes) {
    if (is_same(state, write)) continue;
    changes.push_back(write);
    if (write.name == Register::Cr3) cr3 = write.value.as_u64();
  }
  if (changes.empty()) return {};
  Tables tables(vm, vcpu, cr3);
  return Writes(state, changes, tables).apply();
}

}  // namespace ringside::debug
