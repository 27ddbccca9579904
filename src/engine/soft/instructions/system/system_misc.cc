// Port I/O, MSRs, time, CPUID, FS and GS bases, protection keys.
#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/catches.h"
#include "engine/soft/cpu/control.h"
#include "engine/soft/cpu/cpuid.h"
#include "engine/soft/cpu/msr.h"
#include "engine/soft/cpu/port_access.h"
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/instructions/system/system_family.h"

namespace ringside::soft {
namespace {

using x86::Gpr;
using x86::SegmentName;
using x86::Vector;

constexpr std::uint8_t kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3;

void set_pair(Cpu& cpu, std::uint64_t value) {
  cpu.set<std::uint32_t>(kRax, static_cast<std::uint32_t>(value));
  cpu.set<std::uint32_t>(kRdx, static_cast<std::uint32_t>(value >> 32));
}

// ---- IN and OUT

template <bool kFromDx>
std::uint16_t port_of(const Cpu& cpu, const Insn& insn) {
  return kFromDx ? cpu.get<std::uint16_t>(kRdx) : static_cast<std::uint8_t>(insn.immediate);
}

template <typename T, bool kFromDx>
void in(Cpu& cpu, const Insn& insn) {
  const std::uint16_t port = port_of<kFromDx>(cpu, insn);
  check_port_access(cpu, port, sizeof(T));
  cpu.set<T>(kRax, static_cast<T>(port_in(cpu, port, sizeof(T))));
}

template <typename T, bool kFromDx>
void out(Cpu& cpu, const Insn& insn) {
  const std::uint16_t port = port_of<kFromDx>(cpu, insn);
  check_port_access(cpu, port, sizeof(T));
  check_output(cpu, port, sizeof(T));
  port_out(cpu, port, sizeof(T), cpu.get<T>(kRax));
}

template <bool kFromDx>
Handler in_handler(Width width) {
  return by_width(width, [](auto t) -> Handler {
    using T = std::conditional_t<sizeof(t) == 8, std::uint32_t, decltype(t)>;
    return in<T, kFromDx>;
  });
}
template <bool kFromDx>
Handler out_handler(Width width) {
  return by_width(width, [](auto t) -> Handler {
    using T = std::conditional_t<sizeof(t) == 8, std::uint32_t, decltype(t)>;
    return out<T, kFromDx>;
  });
}

bool lower_in(const Decoded& decoded, Insn& insn) {
  const Width width = decoded.width(0);
  insn.execute = decoded.is_immediate(1) ? in_handler<false>(width) : in_handler<true>(width);
  return true;
}
bool lower_out(const Decoded& decoded, Insn& insn) {
  const Width width = decoded.width(1);
  insn.execute = decoded.is_immediate(0) ? out_handler<false>(width) : out_handler<true>(width);
  return true;
}

// ---- MSRs, time, identity

void note_msr(Cpu& cpu, bool is_write, std::uint64_t value) {
  hypervisor::exit::Caught access;
  access.kind = hypervisor::CatchKind::Msr;
  access.number = cpu.get<std::uint32_t>(kRcx);
  access.is_write = is_write;
  access.value = value;
  note_caught(cpu, access);
}

void rdmsr(Cpu& cpu, const Insn&) {
  require_ring0(cpu);
  const auto value = read_msr(cpu, cpu.get<std::uint32_t>(kRcx));
  if (!value) raise(Vector::GeneralProtection, 0);
  set_pair(cpu, *value);
  note_msr(cpu, false, *value);
}

void wrmsr(Cpu& cpu, const Insn&) {
  require_ring0(cpu);
  const std::uint64_t value =
      cpu.get<std::uint32_t>(kRax) | static_cast<std::uint64_t>(cpu.get<std::uint32_t>(kRdx)) << 32;
  if (!write_msr(cpu, cpu.get<std::uint32_t>(kRcx), value)) raise(Vector::GeneralProtection, 0);
  note_msr(cpu, true, value);
  cpu.leave_soon();
}

void require_time_allowed(const Cpu& cpu) {
  if ((cpu.cr4 & x86::cr4::TSD) != 0) require_ring0(cpu);
}
void rdtsc(Cpu& cpu, const Insn&) {
  require_time_allowed(cpu);
  set_pair(cpu, time_stamp(cpu));
}
void rdtscp(Cpu& cpu, const Insn&) {
  require_time_allowed(cpu);
  set_pair(cpu, time_stamp(cpu));
  cpu.set<std::uint32_t>(kRcx, static_cast<std::uint32_t>(cpu.tsc_aux));
}
void rdpid(Cpu& cpu, const Insn& insn) { cpu.gpr[insn.rm] = cpu.tsc_aux; }

// The next of a sequence that depends on the seed alone: a Weyl sequence through a mix of
// multiplications. Nothing here comes from outside the machine.
std::uint64_t next_random(Board& board) {
  std::uint64_t value = board.entropy += 0x9e3779b97f4a7c15;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

// CF says that the value is valid, as it always is; the other flags are cleared (SDM 2B, RDRAND).
template <typename T>
void rdrand(Cpu& cpu, const Insn& insn) {
  cpu.set<T>(insn.rm, static_cast<T>(next_random(cpu.board())));
  cpu.flags.set_arithmetic(x86::rflags::CF);
}
bool lower_rdrand(const Decoded& decoded, Insn& insn) {
  insn.rm = decoded.reg(0);
  insn.execute =
      by_word_width(decoded.width(0), [](auto t) -> Handler { return rdrand<decltype(t)>; });
  return true;
}

// There are no performance counters, so no counter number is right (SDM 2B, RDPMC).
void rdpmc(Cpu&, const Insn&) { raise(Vector::GeneralProtection, 0); }

void cpuid_handler(Cpu& cpu, const Insn&) {
  const CpuidLeaf leaf = cpuid(cpu, cpu.get<std::uint32_t>(kRax), cpu.get<std::uint32_t>(kRcx));
  cpu.set<std::uint32_t>(kRax, leaf.eax);
  cpu.set<std::uint32_t>(kRbx, leaf.ebx);
  cpu.set<std::uint32_t>(kRcx, leaf.ecx);
  cpu.set<std::uint32_t>(kRdx, leaf.edx);
}

// ---- FS and GS

void swapgs(Cpu& cpu, const Insn&) {
  require_ring0(cpu);
  std::swap(cpu.seg(SegmentName::Gs).base, cpu.kernel_gs_base);
}

void require_fsgsbase(const Cpu& cpu) {
  if ((cpu.cr4 & x86::cr4::FSGSBASE) == 0) raise(Vector::InvalidOpcode);
}
template <typename T, SegmentName kName>
void read_base(Cpu& cpu, const Insn& insn) {
  require_fsgsbase(cpu);
  cpu.set<T>(insn.rm, static_cast<T>(cpu.seg(kName).base));
}
template <typename T, SegmentName kName>
void write_base(Cpu& cpu, const Insn& insn) {
  require_fsgsbase(cpu);
  const std::uint64_t base = cpu.get<T>(insn.rm);
  if (!canonical_to_load(base)) raise(Vector::GeneralProtection, 0);
  cpu.seg(kName).base = base;
}
template <SegmentName kName, bool kWrite>
bool lower_base(const Decoded& decoded, Insn& insn) {
  insn.rm = decoded.reg(0);
  insn.execute = by_word_width(decoded.width(0), [](auto t) -> Handler {
    using T = decltype(t);
    if constexpr (kWrite) {
      return write_base<T, kName>;
    } else {
      return read_base<T, kName>;
    }
  });
  return true;
}

// ---- PKRU, at every privilege (SDM 2B, RDPKRU; 2D, WRPKRU)

void require_protection_keys(const Cpu& cpu, std::uint32_t zero) {
  if ((cpu.cr4 & x86::cr4::PKE) == 0) raise(Vector::InvalidOpcode);
  if (zero != 0) raise(Vector::GeneralProtection, 0);
}
void rdpkru(Cpu& cpu, const Insn&) {
  require_protection_keys(cpu, cpu.get<std::uint32_t>(kRcx));
  set_pair(cpu, cpu.pkru);
}
void wrpkru(Cpu& cpu, const Insn&) {
  require_protection_keys(cpu, cpu.get<std::uint32_t>(kRcx) | cpu.get<std::uint32_t>(kRdx));
  cpu.set_pkru(cpu.get<std::uint32_t>(kRax));
}

bool lower_rdpid(const Decoded& decoded, Insn& insn) {
  insn.rm = decoded.reg(0);
  insn.execute = rdpid;
  return true;
}

}  // namespace

void register_misc_system(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_IN, lower_in);
  table.add(ZYDIS_MNEMONIC_OUT, lower_out);
  table.add(ZYDIS_MNEMONIC_RDMSR, lower_plain<rdmsr>);
  table.add(ZYDIS_MNEMONIC_WRMSR, lower_plain<wrmsr>);
  table.add(ZYDIS_MNEMONIC_RDTSC, lower_plain<rdtsc>);
  table.add(ZYDIS_MNEMONIC_RDTSCP, lower_plain<rdtscp>);
  table.add(ZYDIS_MNEMONIC_RDPID, lower_rdpid);
  table.add(ZYDIS_MNEMONIC_RDRAND, lower_rdrand);
  table.add(ZYDIS_MNEMONIC_RDPMC, lower_plain<rdpmc>);
  table.add(ZYDIS_MNEMONIC_CPUID, lower_plain<cpuid_handler>);
  table.add(ZYDIS_MNEMONIC_RDPKRU, lower_plain<rdpkru>);
  table.add(ZYDIS_MNEMONIC_WRPKRU, lower_plain<wrpkru>);
  table.add(ZYDIS_MNEMONIC_SWAPGS, lower_plain<swapgs>);
  table.add(ZYDIS_MNEMONIC_RDFSBASE, lower_base<SegmentName::Fs, false>);
  table.add(ZYDIS_MNEMONIC_RDGSBASE, lower_base<SegmentName::Gs, false>);
  table.add(ZYDIS_MNEMONIC_WRFSBASE, lower_base<SegmentName::Fs, true>);
  table.add(ZYDIS_MNEMONIC_WRGSBASE, lower_base<SegmentName::Gs, true>);
}

}  // namespace ringside::soft
