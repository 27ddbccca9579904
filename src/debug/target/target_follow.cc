// Where the addresses of software breakpoints lead. An engine that looks out for linear addresses
// without end needs none of this but where to install; for others an int3 follows the address at
// each resume, and the few breakpoints by linear address go where an int3 cannot do it.
#include <algorithm>

#include "debug/target/address_views.h"
#include "debug/target/target.h"
#include "hypervisor/guest_memory.h"
#include "ringside/x86/bits.h"

namespace ringside::debug {
namespace {

Target::Need need_of(const AddressView& view, const BreakpointTable::Wish& wish) {
  const AgentProgram& program = wish.program;
  if (view.sights.empty() || !view.executable) return Target::Need::Unreachable;
  if (!wish.wanted || !program.conditions.empty() || !program.commands.empty())
    return Target::Need::None;
  const bool one = view.everywhere && view.sights.size() == 1 && !view.user && view.paging;
  return one ? Target::Need::Stable : Target::Need::Changing;
}

}  // namespace

// Where it leads to, by the table that it is bound to or that this vCPU has.
Result<BreakpointTable::Sight> Target::sight_of(VcpuId via, Gva address) {
  BreakpointTable::Sight sight;
  if (const std::optional<std::uint64_t> bound = spaces_.space_of(address)) {
    sight.where = TRY(hypervisor::translate_with_cr3(vm_, via, *bound, address));
    sight.space = *bound;
    return sight;
  }
  sight.where = TRY(hypervisor::translate(vm_, via, address));
  hypervisor::Vcpu& vcpu = vm_.vcpu(via);
  const std::uint64_t cr0 = TRY(vcpu.read_register(x86::Register::Cr0)).as_u64();
  if ((cr0 & x86::cr0::PG) != 0) {
    sight.space = TRY(vcpu.read_register(x86::Register::Cr3)).as_u64() & AddressSpaces::kTable;
  }
  return sight;
}

void Target::follow_addresses() {
  if (breakpoints_.empty()) return;
  using ByAddress = BreakpointTable::ByAddress;
  hypervisor::SpareBreakpoints* const engine = vm_.spare_breakpoints();
  std::optional<unsigned> spare;
  if (engine != nullptr && !breakpoints_.engine_installs())
    spare = engine->count_spare_breakpoints();
  std::optional<AddressViews> views;
  // Whether places can be added: int3s have to be intercepted. Known once there is one to add.
  std::optional<bool> can_install;
  if (breakpoints_.engine_installs() || breakpoints_.has_bytes()) can_install = true;
  const bool had_bytes = breakpoints_.has_bytes();
  std::vector<std::pair<Need, Gva>> needs;
  for (const auto& [address, wish] : breakpoints_.wishes()) {
    if (wish.by_address == ByAddress::Yes) continue;
    // An engine that would hit twice: at the address, and at the int3 that is there by now.
    if (wish.by_address == ByAddress::Spare && !spare) continue;
    if (!views) views.emplace(vm_);
    const AddressView view = views->at(address, spaces_.space_of(address));
    if (!view.sights.empty() && !can_install) can_install = set_breakpoint_exits(true).has_value();
    if (can_install.value_or(false)) {
      for (const Gpa where : breakpoints_.follow(address, view.sights))
        control_.inserted({StopCause::Breakpoint, where.value, hypervisor::WatchKind::Write});
    }
    needs.emplace_back(need_of(view, wish), address);
  }
  const bool switched_on = !had_bytes && can_install && !breakpoints_.engine_installs();
  if ((had_bytes || switched_on) && !breakpoints_.has_bytes()) (void)set_breakpoint_exits(false);
  if (spare) share_spares(std::move(needs), *spare);
}

void Target::share_spares(std::vector<std::pair<Need, Gva>> needs, std::size_t spare) {
  std::stable_sort(needs.begin(), needs.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto wanted = std::count_if(needs.begin(), needs.end(),
                                    [](const auto& need) { return need.first != Need::None; });
  const auto rest = needs.begin() + std::min(static_cast<std::ptrdiff_t>(spare), wanted);
  for (auto need = rest; need != needs.end(); ++need)
    breakpoints_.drop_linear(need->second);
  for (auto need = needs.begin(); need != rest; ++need) {
    if (!breakpoints_.give_spare(need->second)) return;
  }
}

}  // namespace ringside::debug
