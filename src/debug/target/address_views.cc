#include "debug/target/address_views.h"

#include <algorithm>

#include "debug/points/address_spaces.h"
#include "hypervisor/guest_memory.h"
#include "ringside/x86/bits.h"

namespace ringside::debug {

AddressViews::AddressViews(hypervisor::Vm& vm) : vm_(vm) {
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    hypervisor::Vcpu& vcpu = vm.vcpu({i});
    if (!vcpu.active()) continue;
    Space space{{i}, std::nullopt};
    const auto cr0 = vcpu.read_register(x86::Register::Cr0);
    const auto cr3 = vcpu.read_register(x86::Register::Cr3);
    if (!cr0 || !cr3) continue;
    if ((cr0->as_u64() & x86::cr0::PG) != 0) space.cr3 = cr3->as_u64() & AddressSpaces::kTable;
    // vCPUs that run the same program need be asked once.
    const auto same = [&](const Space& other) { return other.cr3 == space.cr3; };
    if (std::none_of(spaces_.begin(), spaces_.end(), same)) spaces_.push_back(space);
  }
}

void AddressViews::look_at(std::uint64_t page, std::optional<std::uint64_t> space) {
  if (page_ == page && bound_ == space) return;
  page_ = page;
  bound_ = space;
  looked_by_ = spaces_;
  if (space && !spaces_.empty()) looked_by_ = {{spaces_.front().vcpu, space}};
  extents_.clear();
  for (const Space& by : looked_by_) {
    const auto found = hypervisor::find_extent(vm_, by.vcpu, Gva{page}, space);
    extents_.push_back(found ? std::optional(*found) : std::nullopt);
  }
}

AddressView AddressViews::at(Gva address, std::optional<std::uint64_t> space) {
  look_at(address.value & kPageMask, space);
  AddressView view;
  for (std::size_t i = 0; i < extents_.size(); ++i) {
    view.paging &= looked_by_[i].cr3.has_value();
    const std::optional<hypervisor::Extent>& extent = extents_[i];
    const Gpa where = extent ? extent->gpa + (address.value & ~kPageMask) : Gpa{0};
    const auto kind = extent ? vm_.memory().kind(where) : hypervisor::MemoryKind::Nothing;
    if (kind != hypervisor::MemoryKind::Ram && kind != hypervisor::MemoryKind::Rom) {
      view.everywhere = false;
      continue;
    }
    view.executable |= !extent->no_execute;
    view.user |= extent->user;
    const auto same = [&](const BreakpointTable::Sight& sight) { return sight.where == where; };
    if (std::none_of(view.sights.begin(), view.sights.end(), same))
      view.sights.push_back({where, looked_by_[i].cr3});
  }
  return view;
}

}  // namespace ringside::debug
