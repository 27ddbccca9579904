#include "engine/soft/state/fault.h"

namespace ringside::soft {

void raise(x86::Vector vector) { throw GuestFault{{vector, std::nullopt, 0}}; }

void raise(x86::Vector vector, std::uint32_t error_code) {
  throw GuestFault{{vector, error_code, 0}};
}

void raise_page_fault(std::uint64_t linear, std::uint32_t error_code) {
  throw GuestFault{{x86::Vector::PageFault, error_code, linear}};
}

}  // namespace ringside::soft
