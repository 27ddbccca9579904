// RAM as one vCPU's present paging state shows it, for the engine's own looks at code, stacks and
// descriptor tables while it steps. As a supervisor, without faults and without accessed bits.
// Short-lived: it remembers some translations, which hold while the vCPU is out of the guest.
#pragma once

#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

#include "platform/guest_ram.h"
#include "ringside/types.h"
#include "x86/paging.h"

namespace ringside::kvm {

class GuestView {
 public:
  GuestView(hypervisor::GuestRam& ram, const x86::PagingState& paging)
      : ram_(ram), paging_(paging) {}

  std::optional<Gpa> translate(Gva address) const;
  // The host's byte at `address`, or null.
  std::uint8_t* byte(Gva address) const;
  // How many bytes from `address` on could be read.
  std::size_t read(Gva address, std::span<std::uint8_t> out) const;
  template <typename T>
  std::optional<T> value(Gva address) const {
    static_assert(std::is_trivially_copyable_v<T>);
    std::uint8_t bytes[sizeof(T)];
    if (read(address, bytes) != sizeof(T)) return std::nullopt;
    T result;
    std::memcpy(&result, bytes, sizeof(T));
    return result;
  }

 private:
  hypervisor::GuestRam& ram_;
  x86::PagingState paging_;
  struct Page {
    std::uint64_t linear = 1;  // no page
    std::uint64_t physical = 0;
  };
  mutable std::array<Page, 4> known_;  // tables and handlers of a step, time and again
};

}  // namespace ringside::kvm
