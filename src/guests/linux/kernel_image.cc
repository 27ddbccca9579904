#include "guests/linux/kernel_image.h"

#include <algorithm>
#include <array>

#include "hypervisor/guest_memory.h"
#include "x86/linear_address.h"
#include "x86/paging.h"

namespace ringside::guests {
namespace {

using hypervisor::LinearMap;
using hypervisor::LinearPiece;

// Where a 64-bit image ends at the latest, and modules begin.
constexpr Gva kImageMapEnd{0xffffffffc0000000};
// PAGE_OFFSET of a 32-bit kernel: CONFIG_VMSPLIT_3G as distributions have it, and the others.
constexpr std::array<std::uint64_t, 5> kPageOffsets = {0xc0000000, 0xb0000000, 0x80000000,
                                                       0x78000000, 0x40000000};
constexpr unsigned kPageFault = 14;
// No kernel begins in the first MiB, where the firmware is.
constexpr std::uint64_t kFirstImage = 1u << 20;

bool in_image_map(Gva address) { return address >= kImageMap && address < kImageMapEnd; }

// Where the handler of page faults is, by a 32-bit interrupt descriptor table (SDM 3A 6.11).
std::optional<Gva> page_fault_handler(hypervisor::Vm& vm, const LinearMap& map,
                                      const x86::CpuState& state) {
  const LinearPiece piece = map.at(Gva{state.idtr.base + kPageFault * 8});
  if (!piece.gpa) return std::nullopt;
  const Gpa where = *piece.gpa + (state.idtr.base + kPageFault * 8 - piece.first.value);
  std::array<std::uint16_t, 4> gate{};
  if (!vm.memory().read_ram(where, std::as_writable_bytes(std::span(gate)))) return std::nullopt;
  return Gva{gate[0] | std::uint64_t{gate[3]} << 16};
}

// An address in the kernel's code: where the vCPU is, or where its system calls go.
std::optional<KernelImage> image_of_64_bits(const LinearMap& map, const x86::CpuState& state) {
  const std::array<Gva, 2> known = {x86::linear_pc(state), Gva{state.lstar}};
  const auto code = std::ranges::find_if(known, in_image_map);
  if (code == known.end()) return std::nullopt;
  const LinearPiece piece = map.at(*code);
  if (!piece.gpa) return std::nullopt;
  KernelImage image;
  image.page_table = Gpa{state.cr3 & kPageMask};
  image.five_levels = (state.cr4 & x86::cr4::LA57) != 0;
  image.physical_base = piece.gpa->value - (piece.first.value - kImageMap.value);
  // The kernel takes away what it has mapped below its image before it calls its first C function.
  image.first = kImageMap;
  while (in_image_map(image.first)) {
    const LinearPiece at = map.at(image.first);
    if (at.gpa) break;
    image.first = at.last + 1;
  }
  if (!in_image_map(image.first)) return std::nullopt;
  image.moved_by = image.first.value - kImageMap.value - kLinkedAt;
  return image;
}

std::optional<KernelImage> image_of_32_bits(hypervisor::Vm& vm, const LinearMap& map,
                                            const x86::CpuState& state) {
  if ((state.cr0 & x86::cr0::PG) == 0) return std::nullopt;
  // Where the vCPU is may be in a module, where nothing says where the image is.
  const bool is_privileged = state.seg(x86::SegmentName::Ss).dpl() == 0;
  const std::array<std::optional<Gva>, 3> known = {
      is_privileged ? std::optional(x86::linear_pc(state)) : std::nullopt, Gva{state.sysenter_eip},
      page_fault_handler(vm, map, state)};
  for (const std::optional<Gva>& code : known) {
    const LinearPiece piece = code ? map.at(*code) : LinearPiece{};
    if (!piece.gpa) continue;
    const auto offset = std::ranges::find(kPageOffsets, piece.first.value - piece.gpa->value);
    if (offset == kPageOffsets.end()) continue;
    KernelImage image;
    image.space = {Word::Bits32, Gva{*offset}};
    // The lower bits of CR3 belong to the address where PAE is on (SDM 3A table 4-7).
    constexpr std::uint64_t kTableMask = ~std::uint64_t{31};
    image.page_table = Gpa{state.cr3 & kTableMask};
    const std::uint64_t inside = code->value - *offset;
    if (inside < kFirstImage) continue;
    image.first = Gva{*offset + std::max(inside / kLinkedAt * kLinkedAt, kFirstImage)};
    return image;
  }
  return std::nullopt;
}

}  // namespace

std::uint64_t mapped_size(hypervisor::Vm& vm, const KernelImage& image) {
  if (image.space.word == Word::Bits32) return kLargestImage;
  const Result<LinearMap> map = LinearMap::of(vm, image.vcpu, image.page_table.value);
  std::uint64_t size = 0;
  for (Gva at = image.first; at.value - image.first.value < kLargestImage && in_image_map(at);) {
    const LinearPiece piece = map ? map->at(at) : LinearPiece{at, kImageMapEnd, std::nullopt};
    if (piece.gpa && piece.gpa->value - image.physical_base == piece.first.value - kImageMap.value)
      size = piece.last.value + 1 - image.first.value;
    at = piece.last + 1;
  }
  return std::min(size, kLargestImage);
}

std::optional<KernelImage> find_kernel_image(hypervisor::Vm& vm) {
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    hypervisor::Vcpu& vcpu = vm.vcpu({i});
    if (!vcpu.active()) continue;
    const Result<x86::CpuState> state = vcpu.state();
    if (!state) continue;
    const Result<LinearMap> map = LinearMap::of(vm, {i});
    if (!map) continue;
    std::optional<KernelImage> image = x86::in_long_mode(*state)
                                           ? image_of_64_bits(*map, *state)
                                           : image_of_32_bits(vm, *map, *state);
    if (!image) continue;
    image->vcpu = {i};
    return image;
  }
  return std::nullopt;
}

}  // namespace ringside::guests
