// Which processor a software CPU is to its guest: what CPUID announces, and so which instructions
// there are. What is not announced is refused, or means what it means on processors without it.
#pragma once

#include <cstdint>
#include <string_view>

namespace ringside::hypervisor {

enum class Processor : std::uint8_t {
  V2,  // x86-64-v2, with AES, SHA and PCLMULQDQ
  V3,  // x86-64-v3: AVX2, FMA, BMI and XSAVE too, and ADX
};

// As --cpu and a journal have it.
constexpr std::string_view name_of(Processor processor) {
  return processor == Processor::V2 ? "v2" : "v3";
}

}  // namespace ringside::hypervisor
