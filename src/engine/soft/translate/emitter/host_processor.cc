#include "engine/soft/translate/emitter/host_processor.h"

#include <cpuid.h>

namespace ringside::soft::host_processor {

std::uint32_t extended_features() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) != 0 ? ecx : 0;
}

Result<void> suffices(std::uint32_t extended_features) {
  if ((extended_features & 1) != 0) return {};
  return fail(ErrorCode::NotSupported, "the host's processor has no LAHF in 64-bit mode");
}

}  // namespace ringside::soft::host_processor
