#include "engine/soft/cpu/cpuid.h"

#include <bit>
#include <cstring>
#include <string_view>

#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/state/xstate.h"
#include "x86/apic_registers.h"
#include "x86/msr_numbers.h"

namespace ringside::soft {
namespace {

constexpr std::uint32_t bit(unsigned n) { return 1u << n; }

// SDM 2A, CPUID, table 3-10 (leaf 1 ECX).
namespace leaf1_ecx {
constexpr std::uint32_t kSse3 = bit(0), kPclmulqdq = bit(1), kSsse3 = bit(9), kCx16 = bit(13),
                        kPcid = bit(17), kSse41 = bit(19), kSse42 = bit(20), kX2Apic = bit(21),
                        kMovbe = bit(22), kPopcnt = bit(23), kTscDeadline = bit(24), kAes = bit(25),
                        kRdrand = bit(30), kHypervisor = bit(31);
constexpr std::uint32_t kFma = bit(12), kXsave = bit(26), kOsxsave = bit(27), kAvx = bit(28),
                        kF16c = bit(29);  // of x86-64-v3
}  // namespace leaf1_ecx
// Table 3-11 (leaf 1 EDX).
namespace leaf1_edx {
constexpr std::uint32_t kFpu = bit(0), kDe = bit(2), kPse = bit(3), kTsc = bit(4), kMsr = bit(5),
                        kPae = bit(6), kMce = bit(7), kCx8 = bit(8), kApic = bit(9), kSep = bit(11),
                        kMtrr = bit(12), kPge = bit(13), kMca = bit(14), kCmov = bit(15),
                        kPat = bit(16), kPse36 = bit(17), kClfsh = bit(19), kMmx = bit(23),
                        kFxsr = bit(24), kSse = bit(25), kSse2 = bit(26), kHtt = bit(28);
}
namespace leaf7 {
constexpr std::uint32_t kFsgsbase = bit(0), kTscAdjust = bit(1), kSmep = bit(7), kErms = bit(9),
                        kInvpcid = bit(10), kSmap = bit(20), kSha = bit(29);             // EBX
constexpr std::uint32_t kBmi1 = bit(3), kAvx2 = bit(5), kBmi2 = bit(8), kAdx = bit(19);  // EBX, v3
constexpr std::uint32_t kUmip = bit(2), kLa57 = bit(16), kRdpid = bit(22);               // ECX
constexpr std::uint32_t kPku = bit(3), kOspke = bit(4);                                  // ECX, v3
constexpr std::uint32_t kFsrm = bit(4);                                                  // EDX
}  // namespace leaf7

constexpr std::string_view kVendor = "GenuineIntel";
constexpr std::string_view kBrand = "ringside software CPU @ 1.00GHz";
constexpr std::string_view kHypervisorSignature = "ringside VMM";
constexpr std::uint32_t kMaxBasic = 0x16, kMaxExtended = 0x80000008, kMaxHypervisor = 0x40000010;

std::uint32_t word(std::string_view text, unsigned index) {
  char bytes[4] = {};
  for (unsigned i = 0; i < 4 && index * 4 + i < text.size(); ++i)
    bytes[i] = text[index * 4 + i];
  std::uint32_t value;
  std::memcpy(&value, bytes, 4);
  return value;
}

std::uint32_t vcpus(Cpu& cpu) {
  return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(cpu.board().cpus.size()));
}
// Bits of the APIC id that number the cores of the one package.
std::uint32_t core_bits(Cpu& cpu) {
  return static_cast<std::uint32_t>(std::bit_width(vcpus(cpu) - 1));
}

bool has_v3(Cpu& cpu) { return cpu.board().processor == Processor::V3; }

CpuidLeaf features(Cpu& cpu) {
  CpuidLeaf leaf;
  leaf.eax = kProcessorSignature;
  leaf.ebx = cpu.id().value << 24 | (1u << core_bits(cpu)) << 16 | 8u << 8;  // CLFLUSH: 64 bytes
  {
    using namespace leaf1_ecx;
    leaf.ecx = kSse3 | kSsse3 | kCx16 | kPcid | kSse41 | kSse42 | kX2Apic | kMovbe | kPopcnt |
               kTscDeadline | kRdrand | kHypervisor | kPclmulqdq | kAes;
    if (has_v3(cpu)) leaf.ecx |= kFma | kXsave | kAvx | kF16c;
    if ((cpu.cr4 & x86::cr4::OSXSAVE) != 0) leaf.ecx |= kOsxsave;
  }
  {
    using namespace leaf1_edx;
    leaf.edx = kFpu | kDe | kPse | kTsc | kMsr | kPae | kMce | kCx8 | kSep | kMtrr | kPge | kMca |
               kCmov | kPat | kPse36 | kClfsh | kMmx | kFxsr | kSse | kSse2;
    // Bit 9 follows IA32_APIC_BASE.EN (SDM 3A 10.4.3).
    std::uint64_t apic_base = 0;
    cpu.board().platform.apic_msr_read(cpu.id(), x86::msr::kApicBase, apic_base);
    if ((apic_base & x86::apic::kBaseEnable) != 0) leaf.edx |= kApic;
    if (vcpus(cpu) > 1) leaf.edx |= kHtt;
  }
  return leaf;
}

// Deterministic cache parameters: what software sizes its copies by. The caches do not exist.
CpuidLeaf cache(Cpu& cpu, std::uint32_t subleaf) {
  struct Cache {
    std::uint32_t type, level, ways, sets;
    bool shared;
  };
  constexpr Cache kCaches[] = {{1, 1, 8, 64, false},     // 32 KiB data
                               {2, 1, 8, 64, false},     // 32 KiB instructions
                               {3, 2, 8, 1024, false},   // 512 KiB
                               {3, 3, 16, 4096, true}};  // 4 MiB
  if (subleaf >= std::size(kCaches)) return {};
  const Cache& c = kCaches[subleaf];
  const std::uint32_t ids = 1u << core_bits(cpu);
  const std::uint32_t sharing = c.shared ? ids - 1 : 0;
  return {(ids - 1) << 26 | sharing << 14 | bit(8) | c.level << 5 | c.type, (c.ways - 1) << 22 | 63,
          c.sets - 1, 0};
}

// Extended topology: one thread per core, all cores in one package.
CpuidLeaf topology(Cpu& cpu, std::uint32_t subleaf) {
  const std::uint32_t id = cpu.id().value;
  switch (subleaf) {
    case 0:
      return {0, 1, 1u << 8 | 0, id};
    case 1:
      return {core_bits(cpu), vcpus(cpu), 2u << 8 | 1, id};
    default:
      return {0, 0, subleaf & 0xff, id};
  }
}

CpuidLeaf structured_features(Cpu& cpu, std::uint32_t subleaf) {
  if (subleaf != 0) return {};
  using namespace leaf7;
  CpuidLeaf leaf{0, kFsgsbase | kTscAdjust | kSmep | kErms | kInvpcid | kSmap | kSha,
                 kUmip | kLa57 | kRdpid, kFsrm};
  if (has_v3(cpu)) {
    leaf.ebx |= kBmi1 | kAvx2 | kBmi2 | kAdx;
    leaf.ecx |= kPku;
  }
  if ((cpu.cr4 & x86::cr4::PKE) != 0) leaf.ecx |= kOspke;
  return leaf;
}

// The state that XSAVE keeps (SDM 1 13.2).
CpuidLeaf extended_state(Cpu& cpu, std::uint32_t subleaf) {
  constexpr std::uint32_t kXsaveopt = bit(0), kXsavec = bit(1), kXgetbv1 = bit(2);
  if (!has_v3(cpu)) return {};
  switch (subleaf) {
    case 0:
      return {xstate::kAll, xstate::standard_size(cpu.xcr0), xstate::standard_size(xstate::kAll),
              0};
    case 1:
      return {kXsaveopt | kXsavec | kXgetbv1, xstate::compacted_size(cpu.xcr0), 0, 0};
    // Size and place in the standard form. None begins at a multiple of 64 in the compacted one.
    case 2:
      return {xstate::kYmmSize, xstate::kYmm, 0, 0};
    case 9:
      return {xstate::kPkruSize, xstate::kPkruPlace, 0, 0};
    default:
      return {};
  }
}

CpuidLeaf extended(Cpu& cpu, std::uint32_t leaf) {
  switch (leaf) {
    case 0x80000000:
      return {kMaxExtended, 0, 0, 0};
    case 0x80000001: {
      // ECX: LAHF in 64-bit mode, LZCNT, PREFETCHW. EDX: SYSCALL (only reported in 64-bit mode),
      // NX, 1 GiB pages, RDTSCP, long mode.
      const std::uint32_t syscall = cpu.code64() ? bit(11) : 0;
      const bool no_execute = (cpu.misc_enable & misc_enable::kExecuteDisableOff) == 0;
      const std::uint32_t nx = no_execute ? bit(20) : 0;
      const std::uint32_t lzcnt = has_v3(cpu) ? bit(5) : 0;
      return {0, 0, bit(0) | lzcnt | bit(8), syscall | nx | bit(26) | bit(27) | bit(29)};
    }
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const unsigned first = (leaf - 0x80000002) * 4;
      return {word(kBrand, first), word(kBrand, first + 1), word(kBrand, first + 2),
              word(kBrand, first + 3)};
    }
    case 0x80000006:
      return {0, 0, 512u << 16 | 6u << 12 | 64, 0};  // L2 as in leaf 4
    case 0x80000007:
      return {0, 0, 0, bit(8)};  // invariant TSC
    case 0x80000008:
      return {kLinearAddressBits << 8 | kPhysicalAddressBits, 0, 0, 0};
    default:
      return {};
  }
}

}  // namespace

CpuidLeaf cpuid(Cpu& cpu, std::uint32_t leaf, std::uint32_t subleaf) {
  if (leaf >= 0x80000000) {
    if (leaf <= kMaxExtended) return extended(cpu, leaf);
    leaf = kMaxBasic;
  }
  switch (leaf) {
    case 0: {
      const bool limited = (cpu.misc_enable & misc_enable::kLimitCpuid) != 0;
      return {limited ? 2 : kMaxBasic, word(kVendor, 0), word(kVendor, 2), word(kVendor, 1)};
    }
    case 1:
      return features(cpu);
    case 2:
      return {0x00ff0001, 0, 0, 0};  // descriptor FFH: see leaf 4
    case 4:
      return cache(cpu, subleaf);
    case 7:
      return structured_features(cpu, subleaf);
    case 0xd:
      return extended_state(cpu, subleaf);
    case 0xb:
      return topology(cpu, subleaf);
    case 0x15:
      return {1, 1, kTscHz, 0};  // TSC / crystal = 1 / 1, and the crystal's frequency
    case 0x16:
      return {kTscHz / 1'000'000, kTscHz / 1'000'000, 100, 0};
    // Leaves 40000000H.. belong to hypervisors. 40000010H as several have it: TSC and APIC timer in
    // kHz.
    case 0x40000000:
      return {kMaxHypervisor, word(kHypervisorSignature, 0), word(kHypervisorSignature, 1),
              word(kHypervisorSignature, 2)};
    case 0x40000010:
      return {kTscHz / 1000, kTscHz / 1000, 0, 0};
    default:
      break;
  }
  const bool hypervisor = leaf >= 0x40000000 && leaf <= 0x400000ff;
  // Above the highest basic leaf Intel answers with that leaf (SDM 2A, CPUID).
  if (leaf > kMaxBasic && !hypervisor) return cpuid(cpu, kMaxBasic, subleaf);
  return {};
}

}  // namespace ringside::soft
