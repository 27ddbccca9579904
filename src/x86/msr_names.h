// The names of model-specific registers (SDM 4 table 2-2; those of AMD's that are older than that
// by AMD's manual). Data of the architecture; which of them a processor has is another matter.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ringside::x86 {

struct MsrName {
  std::string_view name;
  std::uint32_t number;
};

// All, by number, with IA32_ in front.
std::span<const MsrName> msr_names();
// By its name in any case, also without IA32_, with MSR_ in front as Linux has it, and without
// underscores: EFER, ia32_efer, MSR_EFER.
std::optional<std::uint32_t> msr_by_name(std::string_view name);
// Empty where it has none here.
std::string_view name_of_msr(std::uint32_t number);

}  // namespace ringside::x86
