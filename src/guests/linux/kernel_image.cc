#include "guests/linux/kernel_image.h"

#include "hypervisor/guest_memory.h"
#include "x86/linear_address.h"
#include "x86/paging.h"

namespace ringside::guests {
namespace {

// Where the image ends at the latest, and modules begin.
constexpr Gva kImageMapEnd{0xffffffffc0000000};

bool in_image_map(Gva address) { return address >= kImageMap && address < kImageMapEnd; }

// An address in the kernel's code: where the vCPU is, or where its system calls go.
std::optional<Gva> code_address(const x86::CpuState& state) {
  for (const Gva address : {x86::linear_pc(state), Gva{state.lstar}}) {
    if (in_image_map(address)) return address;
  }
  return std::nullopt;
}

}  // namespace

std::optional<KernelImage> find_kernel_image(hypervisor::Vm& vm) {
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    hypervisor::Vcpu& vcpu = vm.vcpu({i});
    if (!vcpu.active()) continue;
    const Result<x86::CpuState> state = vcpu.state();
    if (!state || !x86::in_long_mode(*state)) continue;
    const std::optional<Gva> code = code_address(*state);
    if (!code) continue;
    const Result<hypervisor::LinearMap> map = hypervisor::LinearMap::of(vm, {i});
    if (!map) continue;
    const hypervisor::LinearPiece piece = map->at(*code);
    if (!piece.gpa) continue;
    KernelImage image;
    image.vcpu = {i};
    image.page_table = Gpa{state->cr3 & kPageMask};
    image.five_levels = (state->cr4 & x86::cr4::LA57) != 0;
    image.physical_base = piece.gpa->value - (piece.first.value - kImageMap.value);
    // The kernel takes away what it has mapped below its image before it calls its first C
    // function.
    Gva first = kImageMap;
    while (in_image_map(first)) {
      const hypervisor::LinearPiece at = map->at(first);
      if (at.gpa) break;
      first = at.last + 1;
    }
    if (!in_image_map(first)) continue;
    image.moved_by = first.value - kImageMap.value - kLinkedAt;
    return image;
  }
  return std::nullopt;
}

}  // namespace ringside::guests
