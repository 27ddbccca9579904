// Where a 64-bit Linux kernel's image is, from page tables and registers alone.
//
// On the thread that may use the Vm, while every vCPU is out of the guest.
#pragma once

#include <cstdint>
#include <optional>

#include "ringside/vm.h"

namespace ringside::guests {

// Where a kernel maps its image (Documentation/arch/x86/x86_64/mm.rst; __START_KERNEL_map).
inline constexpr Gva kImageMap{0xffffffff80000000};
// CONFIG_PHYSICAL_START, as all distributions have it.
inline constexpr std::uint64_t kLinkedAt = 0x1000000;

struct KernelImage {
  Gpa page_table;                   // that a vCPU in the kernel uses now
  std::uint64_t physical_base = 0;  // phys_base: what is at kImageMap + N lies at phys_base + N
  std::uint64_t moved_by = 0;       // from where it was linked to be, by KASLR
  bool five_levels = false;
  VcpuId vcpu;  // which told
};

// Of a kernel that a vCPU is in, or was when it left for a program: its interrupt descriptor table
// leads to it. A kernel that was configured with another CONFIG_PHYSICAL_START than 16 MiB seems to
// be moved by the difference.
std::optional<KernelImage> find_kernel_image(hypervisor::Vm& vm);

}  // namespace ringside::guests
