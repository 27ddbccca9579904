// Where a Linux kernel's image is, and how wide its words are, from page tables and registers
// alone.
//
// On the thread that may use the Vm, while every vCPU is out of the guest.
#pragma once

#include <cstdint>
#include <optional>

#include "ringside/vm.h"

namespace ringside::guests {

// Where a 64-bit kernel maps its image (Documentation/arch/x86/x86_64/mm.rst; __START_KERNEL_map).
inline constexpr Gva kImageMap{0xffffffff80000000};
// CONFIG_PHYSICAL_START, as all distributions have it.
inline constexpr std::uint64_t kLinkedAt = 0x1000000;

// Of a kernel's pointers, registers and lists: what C calls a long there. The value is the size.
enum class Word : std::uint8_t { Bits32 = 4, Bits64 = 8 };
constexpr unsigned size_of(Word word) { return static_cast<unsigned>(word); }

// What every reader of a kernel's memory has to know of it.
struct KernelSpace {
  Word word = Word::Bits64;
  // From where on the image may be: kImageMap, or PAGE_OFFSET of a 32-bit kernel, which maps all
  // low memory from there on and its image among it.
  Gva image_map = kImageMap;

  friend bool operator==(const KernelSpace&, const KernelSpace&) = default;
};

struct KernelImage {
  KernelSpace space;
  Gpa page_table;                   // that a vCPU in the kernel uses now
  std::uint64_t physical_base = 0;  // phys_base: what is at image_map + N lies at phys_base + N
  // The image's first byte. Page tables do not tell it of a 32-bit kernel: there it is the 16 MiB
  // in which its code is, and the image may begin before.
  Gva first;
  std::uint64_t moved_by = 0;  // from where it was linked to be, by KASLR; 64-bit kernels only
  bool five_levels = false;
  VcpuId vcpu;  // which told
};

// Of a kernel that a vCPU is in, or was when it left for a program: its system calls, or its
// interrupt descriptor table, lead to it. A 64-bit kernel that was configured with another
// CONFIG_PHYSICAL_START than 16 MiB seems to be moved by the difference.
std::optional<KernelImage> find_kernel_image(hypervisor::Vm& vm);

// No image is taken to be larger, in bytes.
inline constexpr std::uint64_t kLargestImage = 128u << 20;
// From the image's first byte to the last one that its page table maps to where the image lies.
// Between them may be holes: Linux frees what it needs no more. kLargestImage for 32-bit kernels,
// which map all memory so.
std::uint64_t mapped_size(hypervisor::Vm& vm, const KernelImage& image);

}  // namespace ringside::guests
