// Memory of a guest, with a driver's view of it. The base of fixtures; for tests only.
#pragma once

#include <cstdint>
#include <cstring>

#include "platform/guest_ram.h"

namespace ringside::machine::testing {

struct GuestMemory {
  hypervisor::GuestRam ram = *hypervisor::GuestRam::create(2 << 20);

  template <typename T>
  void poke(std::uint64_t address, T value) {
    std::memcpy(ram.host({address}, sizeof value), &value, sizeof value);
  }
  template <typename T>
  T peek(std::uint64_t address) {
    T value;
    std::memcpy(&value, ram.host({address}, sizeof value), sizeof value);
    return value;
  }
};

}  // namespace ringside::machine::testing
