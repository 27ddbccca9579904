// Descriptor-table registers, LDTR and TR, and the instructions that ask about selectors (SDM
// 2A/2B; 3A 5.10 for LAR, LSL, VERR, VERW, ARPL).
#include "engine/soft/cpu/cpuid.h"
#include "engine/soft/cpu/segments.h"
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/instructions/system/system_family.h"

namespace ringside::soft {
namespace {

using x86::Vector;
namespace type = x86::system_type;

constexpr std::uint64_t kBusyBit = 1ull << 41;

// ---- GDTR and IDTR

enum class Table : std::uint8_t { Gdt, Idt };
template <Table kTable>
x86::TableRegister& table_register(Cpu& cpu) {
  return kTable == Table::Gdt ? cpu.gdtr : cpu.idtr;
}

template <Table kTable>
void load_table(Cpu& cpu, const Insn& insn) {
  require_ring0(cpu);
  const unsigned size = cpu.code64() ? 10 : 6;
  const std::uint64_t at = cpu.linear(insn, size, AccessKind::Read);
  const auto limit = cpu.load<std::uint16_t>(at);
  const std::uint64_t base =
      cpu.code64() ? cpu.load<std::uint64_t>(at + 2) : cpu.load<std::uint32_t>(at + 2);
  if (cpu.code64()) {
    if (!canonical_to_load(base)) raise(Vector::GeneralProtection, 0);
    table_register<kTable>(cpu) = {base, limit};
  } else {
    // A 16-bit operand takes 24 bits of the base.
    const bool narrow = insn.operand_width == Width::Bits16;
    table_register<kTable>(cpu) = {narrow ? base & 0xffffff : base, limit};
  }
}

template <Table kTable>
void store_table(Cpu& cpu, const Insn& insn) {
  require_umip_allows(cpu);
  const x86::TableRegister& table = table_register<kTable>(cpu);
  const unsigned size = cpu.code64() ? 10 : 6;
  const std::uint64_t at = cpu.linear(insn, size, AccessKind::Write);
  cpu.check_write(at, size);
  cpu.store<std::uint16_t>(at, table.limit);
  if (cpu.code64()) {
    cpu.store<std::uint64_t>(at + 2, table.base);
  } else {
    cpu.store<std::uint32_t>(at + 2, static_cast<std::uint32_t>(table.base));
  }
}

// ---- LDTR and TR

// A system descriptor in the GDT; in IA-32e mode with the high half of its base.
Descriptor read_system_segment(Cpu& cpu, std::uint16_t selector) {
  const std::uint32_t error = selector_error(selector);
  if ((selector & 4) != 0) raise(Vector::GeneralProtection, error);
  Descriptor d = read_descriptor(cpu, selector);
  if (cpu.long_mode()) {
    const std::uint64_t high = read_descriptor_high(cpu, d);
    if ((high >> 40 & 31) != 0) raise(Vector::GeneralProtection, error);
    d.segment.base |= high << 32;
  }
  return d;
}

void check_system_segment(const Cpu& cpu, const Descriptor& d, bool right_type) {
  const std::uint32_t error = selector_error(d.selector);
  if (!right_type) raise(Vector::GeneralProtection, error);
  if (!d.segment.present()) raise(Vector::SegmentNotPresent, error);
  if (cpu.long_mode() && !canonical_to_load(d.segment.base))
    raise(Vector::GeneralProtection, error);
}

template <bool kMemory>
void lldt(Cpu& cpu, const Insn& insn) {
  require_selectors(cpu);
  require_ring0(cpu);
  const auto selector = read_rm<std::uint16_t, kMemory>(cpu, insn);
  if (is_null(selector)) {
    cpu.ldtr = null_segment(selector);
    return;
  }
  const Descriptor d = read_system_segment(cpu, selector);
  check_system_segment(cpu, d, d.is_system(type::kLdt));
  cpu.ldtr = d.segment;
}

template <bool kMemory>
void ltr(Cpu& cpu, const Insn& insn) {
  require_selectors(cpu);
  require_ring0(cpu);
  const auto selector = read_rm<std::uint16_t, kMemory>(cpu, insn);
  if (is_null(selector)) raise(Vector::GeneralProtection, 0);
  Descriptor d = read_system_segment(cpu, selector);
  check_system_segment(cpu, d,
                       d.is_system(type::kTss) || (!cpu.long_mode() && d.is_system(type::kTss16)));
  cpu.store_system<std::uint8_t>(d.linear + 5, static_cast<std::uint8_t>((d.low | kBusyBit) >> 40));
  d.segment.attributes |= 2;
  cpu.tr = d.segment;
}

enum class Selector : std::uint8_t { Ldtr, Tr };
template <Selector kWhich>
std::uint16_t stored_selector(const Cpu& cpu) {
  require_selectors(cpu);
  require_umip_allows(cpu);
  return kWhich == Selector::Ldtr ? cpu.ldtr.selector : cpu.tr.selector;
}
template <Selector kWhich>
void store_selector_m(Cpu& cpu, const Insn& insn) {
  const std::uint16_t selector = stored_selector<kWhich>(cpu);
  store_operand<std::uint16_t>(cpu, insn, selector);
}
template <Selector kWhich, typename T>
void store_selector_r(Cpu& cpu, const Insn& insn) {
  cpu.set<T>(insn.rm, stored_selector<kWhich>(cpu));
}

// ---- LAR LSL VERR VERW ARPL

// Visible at CPL and RPL: conforming code always, others by DPL.
bool is_visible(const Cpu& cpu, const Descriptor& d) {
  if (d.segment.conforming()) return true;
  return cpu.cpl() <= d.segment.dpl() && rpl_of(d.selector) <= d.segment.dpl();
}

// The system types that LAR and LSL accept (SDM 2A tables 3-53 and 3-54).
bool has_access_rights(const Cpu& cpu, const x86::Segment& s) {
  if (s.is_code_or_data()) return true;
  switch (s.type()) {
    case type::kLdt:
    case type::kTss:
    case type::kTssBusy:
    case type::kCallGate:
      return true;
    case type::kTss16:
    case type::kTss16Busy:
    case type::kCallGate16:
    case type::kTaskGate:
      return !cpu.long_mode();
    default:
      return false;
  }
}
bool has_limit(const Cpu& cpu, const x86::Segment& s) {
  return has_access_rights(cpu, s) &&
         (s.is_code_or_data() || (s.type() != type::kCallGate && s.type() != type::kCallGate16 &&
                                  s.type() != type::kTaskGate));
}

std::optional<Descriptor> visible_descriptor(Cpu& cpu, std::uint16_t selector) {
  if (is_null(selector)) return std::nullopt;
  const std::optional<Descriptor> d = find_descriptor(cpu, selector);
  if (!d || !is_visible(cpu, *d)) return std::nullopt;
  return d;
}

template <typename T, bool kMemory>
void lar(Cpu& cpu, const Insn& insn) {
  require_selectors(cpu);
  const auto d = visible_descriptor(cpu, read_rm<std::uint16_t, kMemory>(cpu, insn));
  const bool fine = d && has_access_rights(cpu, d->segment);
  cpu.flags.set_zf(fine);
  if (fine) cpu.set<T>(insn.reg, static_cast<T>(d->low >> 32 & 0x00f0ff00));
}

template <typename T, bool kMemory>
void lsl(Cpu& cpu, const Insn& insn) {
  require_selectors(cpu);
  const auto d = visible_descriptor(cpu, read_rm<std::uint16_t, kMemory>(cpu, insn));
  const bool fine = d && has_limit(cpu, d->segment);
  cpu.flags.set_zf(fine);
  if (fine) cpu.set<T>(insn.reg, static_cast<T>(d->segment.limit));
}

template <bool kWrite, bool kMemory>
void verify(Cpu& cpu, const Insn& insn) {
  require_selectors(cpu);
  const auto d = visible_descriptor(cpu, read_rm<std::uint16_t, kMemory>(cpu, insn));
  const bool fine =
      d && d->segment.is_code_or_data() && (kWrite ? d->segment.writable() : d->segment.readable());
  cpu.flags.set_zf(fine);
}

template <bool kMemory>
void arpl(Cpu& cpu, const Insn& insn) {
  require_selectors(cpu);
  const unsigned wanted = rpl_of(cpu.get<std::uint16_t>(insn.reg));
  bool raised = false;
  update_rm<std::uint16_t, kMemory>(cpu, insn, [&](std::uint16_t selector) {
    raised = rpl_of(selector) < wanted;
    return raised ? with_rpl(selector, wanted) : selector;
  });
  cpu.flags.set_zf(raised);
}

// ---- Lowering

template <Handler kHandler>
bool lower_memory_only(const Decoded& decoded, Insn& insn) {
  if (!decoded.is_memory(0)) return false;
  lower_memory(decoded, 0, insn);
  insn.execute = kHandler;
  return true;
}

template <Handler kMemory, Handler kRegister>
bool lower_selector(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  insn.execute = decoded.is_memory(0) ? kMemory : kRegister;
  return true;
}

template <Selector kWhich>
bool lower_store_selector(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  insn.execute = decoded.is_memory(0) ? store_selector_m<kWhich>
                                      : by_word_width(decoded.width(0), [](auto t) -> Handler {
                                          return store_selector_r<kWhich, decltype(t)>;
                                        });
  return true;
}

bool lower_lar(const Decoded& decoded, Insn& insn) {
  lower_load_form(decoded, insn);
  insn.execute = by_word_width_and_form(
      decoded.width(0), decoded.is_memory(1),
      [](auto t, auto memory) -> Handler { return lar<decltype(t), decltype(memory)::value>; });
  return true;
}
bool lower_lsl(const Decoded& decoded, Insn& insn) {
  lower_load_form(decoded, insn);
  insn.execute = by_word_width_and_form(
      decoded.width(0), decoded.is_memory(1),
      [](auto t, auto memory) -> Handler { return lsl<decltype(t), decltype(memory)::value>; });
  return true;
}

bool lower_arpl(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  insn.reg = decoded.reg(1);
  insn.execute = decoded.is_memory(0) ? arpl<true> : arpl<false>;
  return true;
}

}  // namespace

void register_tables(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_LGDT, lower_memory_only<load_table<Table::Gdt>>);
  table.add(ZYDIS_MNEMONIC_LIDT, lower_memory_only<load_table<Table::Idt>>);
  table.add(ZYDIS_MNEMONIC_SGDT, lower_memory_only<store_table<Table::Gdt>>);
  table.add(ZYDIS_MNEMONIC_SIDT, lower_memory_only<store_table<Table::Idt>>);
  table.add(ZYDIS_MNEMONIC_LLDT, lower_selector<lldt<true>, lldt<false>>);
  table.add(ZYDIS_MNEMONIC_LTR, lower_selector<ltr<true>, ltr<false>>);
  table.add(ZYDIS_MNEMONIC_SLDT, lower_store_selector<Selector::Ldtr>);
  table.add(ZYDIS_MNEMONIC_STR, lower_store_selector<Selector::Tr>);
  table.add(ZYDIS_MNEMONIC_LAR, lower_lar);
  table.add(ZYDIS_MNEMONIC_LSL, lower_lsl);
  table.add(ZYDIS_MNEMONIC_VERR, lower_selector<verify<false, true>, verify<false, false>>);
  table.add(ZYDIS_MNEMONIC_VERW, lower_selector<verify<true, true>, verify<true, false>>);
  table.add(ZYDIS_MNEMONIC_ARPL, lower_arpl);
}

}  // namespace ringside::soft
