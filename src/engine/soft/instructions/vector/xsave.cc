// XSAVE, XSAVEOPT, XSAVEC, XRSTOR (SDM 1 chapter 13), XGETBV and XSETBV. There are four components:
// x87, SSE, the upper halves of the YMM registers, which stand at the same place in the standard
// and in the compacted form, and PKRU.
#include "engine/soft/instructions/vector/fxsave_image.h"
#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {
namespace {

using namespace fxsave_image;
using std::uint64_t;

using xstate::kHeader, xstate::kYmm;
constexpr unsigned kCompactBitmap = kHeader + 8;  // XCOMP_BV, after XSTATE_BV
constexpr uint64_t kCompacted = uint64_t{1} << 63;
constexpr std::uint8_t kRax = 0, kRcx = 1, kRdx = 2;

[[noreturn]] void refuse() { raise(x86::Vector::GeneralProtection, 0); }
void check_enabled(const Cpu& cpu) {
  if ((cpu.cr4 & x86::cr4::OSXSAVE) == 0) raise(x86::Vector::InvalidOpcode);
}
uint64_t pair(const Cpu& cpu) {
  return uint64_t{cpu.get<std::uint32_t>(kRdx)} << 32 | cpu.get<std::uint32_t>(kRax);
}
unsigned register_count(const Cpu& cpu) { return cpu.code64() ? 16 : 8; }

bool is_zero(const std::array<Xmm, 16>& registers) {
  for (const Xmm& value : registers) {
    const auto x = lanes<uint64_t>(value);
    if ((x[0] | x[1]) != 0) return false;
  }
  return true;
}
// XINUSE: components that are not as they are after reset (SDM 1 13.6).
uint64_t in_use(const Cpu& cpu) {
  const Fpu& fpu = cpu.fpu;
  static const Area kFresh = of<Pointers::Offset32WithSelector>(Fpu{});
  const Area now = of<Pointers::Offset32WithSelector>(fpu);
  const bool x87 = std::memcmp(now.data(), kFresh.data(), kMxcsr) != 0 ||
                   std::memcmp(now.data() + kX87Registers, kFresh.data() + kX87Registers,
                               kXmmRegisters - kX87Registers) != 0 ||
                   (fpu.instruction_pointer | fpu.data_pointer) >> 32 != 0;
  return (x87 ? xstate::kX87 : 0) | (is_zero(fpu.xmm) ? 0 : xstate::kSse) |
         (is_zero(fpu.ymm_high) ? 0 : xstate::kAvx) | (cpu.pkru == 0 ? 0 : xstate::kPkru);
}

// The linear address of an area of so many bytes, which is aligned.
uint64_t area_of(Cpu& cpu, const Insn& insn, unsigned size, AccessKind kind) {
  const uint64_t linear = cpu.linear(insn, size, kind);
  if ((linear & 63) != 0) refuse();
  if (kind == AccessKind::Write) cpu.check_write(linear, size);
  return linear;
}
void check_available(const Cpu& cpu) {
  check_enabled(cpu);
  if ((cpu.cr0 & x86::cr0::TS) != 0) raise(x86::Vector::DeviceNotAvailable);
}

enum class Form {
  Standard,   // XSAVE
  Optimised,  // XSAVEOPT: components that are as after reset are left out
  Compacted,  // XSAVEC
};

template <Form kForm, Pointers kPointers>
void xsave(Cpu& cpu, const Insn& insn) {
  check_available(cpu);
  const Fpu& fpu = cpu.fpu;
  const uint64_t wanted = pair(cpu) & cpu.xcr0;
  const unsigned size =
      kForm == Form::Compacted ? xstate::compacted_size(wanted) : xstate::standard_size(wanted);
  const uint64_t linear = area_of(cpu, insn, size, AccessKind::Write);
  uint64_t used = in_use(cpu);
  // The compacted form has MXCSR as part of SSE (SDM 1 13.10).
  if (kForm == Form::Compacted && fpu.mxcsr != x86::kMxcsrReset) used |= xstate::kSse;
  const uint64_t written = kForm == Form::Standard ? wanted : wanted & used;

  const Area area = of<kPointers>(fpu);
  const auto copy = [&](unsigned from, unsigned end) {
    for (unsigned at = from; at < end; at += 8)
      cpu.store(linear + at, take<uint64_t>(area, at));
  };
  if ((written & xstate::kX87) != 0) {
    copy(0, kMxcsr);
    copy(kX87Registers, kXmmRegisters);
  }
  const bool has_control = kForm == Form::Compacted ? (written & xstate::kSse) != 0
                                                    : (wanted & (xstate::kSse | xstate::kAvx)) != 0;
  if (has_control) copy(kMxcsr, kX87Registers);
  if ((written & xstate::kSse) != 0) copy(kXmmRegisters, kXmmRegisters + 16 * register_count(cpu));
  if ((written & xstate::kAvx) != 0) {
    for (unsigned i = 0; i < register_count(cpu); ++i)
      cpu.store(linear + kYmm + 16 * i, fpu.ymm_high[i]);
  }
  if ((written & xstate::kPkru) != 0) {
    const unsigned place =
        kForm == Form::Compacted ? xstate::compacted_pkru(wanted) : xstate::kPkruPlace;
    cpu.store(linear + place, uint64_t{cpu.pkru});
  }
  if constexpr (kForm == Form::Compacted) {
    cpu.store(linear + kHeader, wanted & used);
    cpu.store(linear + kCompactBitmap, wanted | kCompacted);
  } else {
    const auto before = cpu.load<uint64_t>(linear + kHeader);
    cpu.store(linear + kHeader, (before & ~wanted) | (wanted & used));
  }
}

// What the header says, or #GP (SDM 1 13.8).
struct Header {
  uint64_t present = 0;  // XSTATE_BV
  bool compacted = false;
  uint64_t there = 0;  // with compacted: components that have a place
};
Header read_header(Cpu& cpu, uint64_t linear) {
  std::array<uint64_t, 8> words;
  for (unsigned i = 0; i < 8; ++i)
    words[i] = cpu.load<uint64_t>(linear + kHeader + 8 * i);
  const Header header{words[0], (words[1] & kCompacted) != 0, words[1] & ~kCompacted};
  uint64_t reserved = words[2];
  if (header.compacted) {
    reserved |= (header.there & ~cpu.xcr0) | (header.present & ~header.there);
    for (unsigned i = 3; i < 8; ++i)
      reserved |= words[i];
  } else {
    reserved |= words[1] | (header.present & ~cpu.xcr0);
  }
  if (reserved != 0) refuse();
  return header;
}

template <Pointers kPointers>
void xrstor(Cpu& cpu, const Insn& insn) {
  check_available(cpu);
  const uint64_t wanted = pair(cpu) & cpu.xcr0;
  const uint64_t linear = area_of(cpu, insn, xstate::kExtended, AccessKind::Read);
  const Header header = read_header(cpu, linear);
  const uint64_t loaded = wanted & header.present, reset = wanted & ~header.present;
  const unsigned count = register_count(cpu);

  // The segment has all of what is read. In the compacted form PKRU is behind the places of others,
  // whether they are loaded or not.
  const uint64_t places = (loaded & xstate::kPkru) != 0 ? header.there : loaded;
  area_of(cpu, insn,
          header.compacted ? xstate::compacted_size(places) : xstate::standard_size(loaded),
          AccessKind::Read);
  // All is read before anything changes.
  Area area{};
  const auto read = [&](unsigned from, unsigned end) {
    for (unsigned at = from; at < end; at += 8)
      put(area, at, cpu.load<uint64_t>(linear + at));
  };
  if ((loaded & xstate::kX87) != 0) read(0, kXmmRegisters);
  const bool has_control = header.compacted ? (loaded & xstate::kSse) != 0
                                            : (wanted & (xstate::kSse | xstate::kAvx)) != 0;
  if (has_control) read(kMxcsr, kX87Registers);
  if ((loaded & xstate::kSse) != 0) read(kXmmRegisters, kXmmEnd);
  std::array<Xmm, 16> high{};
  if ((loaded & xstate::kAvx) != 0) {
    for (unsigned i = 0; i < count; ++i)
      high[i] = cpu.load<Xmm>(linear + kYmm + 16 * i);
  }
  std::uint32_t pkru = 0;
  if ((loaded & xstate::kPkru) != 0) {
    const unsigned place =
        header.compacted ? xstate::compacted_pkru(header.there) : xstate::kPkruPlace;
    pkru = static_cast<std::uint32_t>(cpu.load<uint64_t>(linear + place));
  }
  const auto mxcsr = take<std::uint32_t>(area, kMxcsr);
  if (has_control && (mxcsr & ~kMxcsrMask) != 0) refuse();

  Fpu& fpu = cpu.fpu;
  if ((loaded & xstate::kX87) != 0) {
    restore_x87<kPointers>(fpu, area);
  } else if ((reset & xstate::kX87) != 0) {
    restore_x87<Pointers::Offset64>(fpu, of<Pointers::Offset64>(Fpu{}));
  }
  if (has_control) {
    fpu.mxcsr = mxcsr;
  } else if (header.compacted && (reset & xstate::kSse) != 0) {
    fpu.mxcsr = x86::kMxcsrReset;
  }
  if ((wanted & xstate::kSse) != 0) restore_xmm(fpu, area, count);  // zeros, unless it was read
  if ((wanted & xstate::kAvx) != 0) std::copy_n(high.begin(), count, fpu.ymm_high.begin());
  if ((wanted & xstate::kPkru) != 0) cpu.set_pkru(pkru);
}

void xgetbv(Cpu& cpu, const Insn&) {
  check_enabled(cpu);
  const auto number = cpu.get<std::uint32_t>(kRcx);
  if (number > 1) refuse();
  const uint64_t value = number == 0 ? cpu.xcr0 : cpu.xcr0 & in_use(cpu);
  cpu.set<std::uint32_t>(kRax, static_cast<std::uint32_t>(value));
  cpu.set<std::uint32_t>(kRdx, static_cast<std::uint32_t>(value >> 32));
}
void xsetbv(Cpu& cpu, const Insn&) {
  check_enabled(cpu);
  if (cpu.cpl() != 0 || cpu.get<std::uint32_t>(kRcx) != 0) refuse();
  const uint64_t value = pair(cpu);
  if (!xstate::is_valid(value)) refuse();
  cpu.xcr0 = value;
}

template <Handler kHandler>
bool lower_area(const Decoded& decoded, Insn& insn) {
  insn.execute = kHandler;
  lower_memory(decoded, 0, insn);
  return true;
}
template <Handler kHandler>
bool lower_plain(const Decoded&, Insn& insn) {
  insn.execute = kHandler;
  return true;
}

}  // namespace

void register_xsave(LowerTable& table) {
  constexpr auto kLegacy = Pointers::Offset32WithSelector;
  constexpr auto kWide = Pointers::Offset64;
  table.add(ZYDIS_MNEMONIC_XSAVE, lower_area<xsave<Form::Standard, kLegacy>>);
  table.add(ZYDIS_MNEMONIC_XSAVE64, lower_area<xsave<Form::Standard, kWide>>);
  table.add(ZYDIS_MNEMONIC_XSAVEOPT, lower_area<xsave<Form::Optimised, kLegacy>>);
  table.add(ZYDIS_MNEMONIC_XSAVEOPT64, lower_area<xsave<Form::Optimised, kWide>>);
  table.add(ZYDIS_MNEMONIC_XSAVEC, lower_area<xsave<Form::Compacted, kLegacy>>);
  table.add(ZYDIS_MNEMONIC_XSAVEC64, lower_area<xsave<Form::Compacted, kWide>>);
  table.add(ZYDIS_MNEMONIC_XRSTOR, lower_area<xrstor<kLegacy>>);
  table.add(ZYDIS_MNEMONIC_XRSTOR64, lower_area<xrstor<kWide>>);
  table.add(ZYDIS_MNEMONIC_XGETBV, lower_plain<xgetbv>);
  table.add(ZYDIS_MNEMONIC_XSETBV, lower_plain<xsetbv>);
}

}  // namespace ringside::soft
