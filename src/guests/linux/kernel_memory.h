// A Linux kernel's memory, as the kernel itself addresses it: RAM only, by the kernel's own page
// tables, in words of its own width. A pointer that a guest gives may lead anywhere; here it never
// reaches a device.
//
// A plain value over a Vm, which outlives it; on a thread that may read guest memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "guests/linux/kernel_image.h"
#include "hypervisor/guest_memory.h"
#include "ringside/vm.h"

namespace ringside::guests {

class KernelMemory {
 public:
  // By the page table at `cr3`, in the mode that this vCPU is in.
  static Result<KernelMemory> of(hypervisor::Vm& vm, VcpuId vcpu, std::uint64_t cr3, Word word);

  Word word() const { return word_; }
  // All of `out`, or false. Addresses of a 32-bit kernel are taken modulo 4 GiB, as by itself.
  bool read(Gva address, std::span<std::byte> out) const;
  // `size` bytes, or nothing where one of them is not there.
  std::optional<std::vector<std::byte>> read(Gva address, std::uint64_t size) const;
  template <typename T>
  std::optional<T> get(Gva address) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    if (!read(address, std::as_writable_bytes(std::span(&value, 1)))) return std::nullopt;
    return value;
  }
  // A word, and a word that is an address.
  std::optional<std::uint64_t> number(Gva address) const;
  std::optional<Gva> pointer(Gva address) const {
    const auto value = number(address);
    if (!value) return std::nullopt;
    return Gva{*value};
  }
  // The words of an array, or false.
  bool numbers(Gva address, std::span<std::uint64_t> out) const;
  // Up to a NUL, at most so long; what is not printable is shown as '?'. Nothing where the first
  // byte is not there.
  std::optional<std::string> text(Gva address, std::size_t most) const;

 private:
  KernelMemory(hypervisor::Memory& memory, hypervisor::LinearMap map, Word word)
      : memory_(&memory), map_(map), word_(word) {}
  hypervisor::Memory* memory_;
  hypervisor::LinearMap map_;
  Word word_;
};

// The words of that width that these bytes are; a last one that is not whole is left out.
std::vector<std::uint64_t> words_in(std::span<const std::byte> bytes, Word word);

// A text of the guest's for a debugger's screen: what is not printable becomes '?'.
std::string printable(std::string_view text);

}  // namespace ringside::guests
