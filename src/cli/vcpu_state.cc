#include "cli/vcpu_state.h"

#include <string>

#include "cli/terminal/notice.h"
#include "hypervisor/guest_memory.h"

namespace ringside::cli {
namespace {

constexpr std::array<std::string_view, 16> kGprNames = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                                        "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                                        "r12", "r13", "r14", "r15"};
constexpr std::array<std::string_view, 6> kSegmentNames = {"es", "cs", "ss", "ds", "fs", "gs"};

void write_segment(std::string_view name, const x86::Segment& segment) {
  notice("  {:<4} {:04x} base {:016x} limit {:08x} attributes {:04x}", name, segment.selector,
         segment.base, segment.limit, segment.attributes);
}

// The instruction bytes at RIP, as far as they can be read.
std::string code_at(hypervisor::Vm& vm, VcpuId id, Gva address) {
  std::string result;
  for (std::uint64_t i = 0; i < 15; ++i) {
    const auto byte = hypervisor::read_virtual(vm, id, address + i, 1);
    if (!byte || byte->empty()) break;
    result += fmt::format(" {:02x}", std::to_integer<unsigned>(byte->front()));
  }
  return result.empty() ? " not mapped" : result;
}

}  // namespace

void write_vcpu_state(hypervisor::Vm& vm, VcpuId id) {
  const Result<x86::CpuState> read = vm.vcpu(id).state();
  if (!read) {
    notice("vCPU {}: its state cannot be read: {}", id.value, read.error().text());
    return;
  }
  const x86::CpuState& state = *read;
  notice("vCPU {}: rip {:016x} rflags {:08x}, code{}", id.value, state.rip, state.rflags,
         code_at(vm, id, Gva{state.seg(x86::SegmentName::Cs).base} + state.rip));
  for (std::size_t i = 0; i < kGprNames.size(); i += 4) {
    std::string line;
    for (std::size_t k = i; k < i + 4; ++k)
      line += fmt::format("  {:<3} {:016x}", kGprNames[k], state.gpr[k]);
    write_line(line);
  }
  for (std::size_t i = 0; i < kSegmentNames.size(); ++i)
    write_segment(kSegmentNames[i], state.segment[i]);
  write_segment("ldtr", state.ldtr);
  write_segment("tr", state.tr);
  notice("  gdtr base {:016x} limit {:04x}  idtr base {:016x} limit {:04x}", state.gdtr.base,
         state.gdtr.limit, state.idtr.base, state.idtr.limit);
  notice("  cr0 {:08x} cr2 {:016x} cr3 {:016x} cr4 {:08x} efer {:04x}", state.cr0, state.cr2,
         state.cr3, state.cr4, state.efer);
}

}  // namespace ringside::cli
