#include "debug/target/vcpu_context.h"

#include <algorithm>

#include "debug/memory/shadowed_memory.h"
#include "hypervisor/guest_memory.h"
#include "x86/register_table.h"

namespace ringside::debug {
namespace {

tl::unexpected<Error> no_tracepoints() {
  return fail(ErrorCode::NotSupported, "there are no tracepoints");
}

}  // namespace

Result<std::uint64_t> VcpuContext::read_register(unsigned number) {
  if (number >= x86::kRegisterCount)
    return fail(ErrorCode::BadRequest, "there is no register of this number");
  const auto r = static_cast<x86::Register>(number);
  if (r == x86::Register::Rip && pc_view_ == PcView::Linear)
    return x86::linear_pc(TRY(vm_.vcpu(vcpu_).state())).value;
  return TRY(vm_.vcpu(vcpu_).read_register(r)).as_u64();
}

Result<void> VcpuContext::read_memory(Gva address, std::span<std::byte> out) {
  // Almost always RAM within one page: no allocation, one walk.
  const Gpa where = TRY(hypervisor::translate(vm_, vcpu_, address));
  const bool within_page = (where.value & ~kPageMask) + out.size() <= kPageSize;
  if (within_page && vm_.memory().read_ram(where, out)) {
    breakpoints_.hide(where, out, vcpu_);
    return {};
  }
  ShadowedMemory memory(vm_, breakpoints_, vcpu_, Addresses{}, vcpu_);
  const std::vector<std::byte> data = TRY(memory.read(address.value, out.size()));
  if (data.size() < out.size()) return fail(ErrorCode::BadAddress, "part of it cannot be read");
  std::copy(data.begin(), data.end(), out.begin());
  return {};
}

Result<std::int64_t> VcpuContext::read_variable(unsigned) { return no_tracepoints(); }
Result<void> VcpuContext::write_variable(unsigned, std::int64_t) { return no_tracepoints(); }
Result<void> VcpuContext::collect_memory(Gva, std::uint64_t) { return no_tracepoints(); }
Result<void> VcpuContext::collect_variable(unsigned) { return no_tracepoints(); }

}  // namespace ringside::debug
