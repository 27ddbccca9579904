// What the software CPU says about itself. CPUID describes exactly what is implemented.
//
// Identity: "GenuineIntel", family 6, model 1CH (Bonnell), with a brand string of our own. Bonnell
// is Intel's in-order core without speculation, and so is an interpreter: Linux then applies no
// mitigation of speculation (page-table isolation and retpolines would only slow the guest down)
// and tells the truth in its vulnerability files. Intel, because Linux takes the TSC frequency from
// leaf 15H only there, and so boots without calibrating against the PIT. The features are not
// Bonnell's but ours: those of the Processor, and what kernels like to have.
#pragma once

#include <cstdint>

namespace ringside::soft {

class Cpu;

inline constexpr std::uint32_t kProcessorSignature =
    0x000106ca;  // family 6, model 1CH, stepping 10
// 1 TiB, as QEMU's emulator has it: UEFI firmware maps all of it in pieces of 2 MiB, before it says
// a word.
inline constexpr unsigned kPhysicalAddressBits = 40;
inline constexpr unsigned kLinearAddressBits = 57;  // LA57 is announced
// Canonical for the widest linear address that is announced, whatever CR4.LA57 says now: this is
// what loading an address into a register checks (bases of tables and segments, MSRs), and INVPCID.
// To use one is another matter: Cpu::canonical.
constexpr bool canonical_to_load(std::uint64_t address) {
  const auto value = static_cast<std::int64_t>(address << (64 - kLinearAddressBits));
  return static_cast<std::uint64_t>(value >> (64 - kLinearAddressBits)) == address;
}
// The TSC counts virtual nanoseconds.
inline constexpr std::uint32_t kTscHz = 1'000'000'000;

struct CpuidLeaf {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};
CpuidLeaf cpuid(Cpu& cpu, std::uint32_t leaf, std::uint32_t subleaf);

}  // namespace ringside::soft
