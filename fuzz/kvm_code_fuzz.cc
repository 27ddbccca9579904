// Bytes as a guest's instruction, as the KVM engine looks at it before a step: the decoder, what
// the instruction would access, whether it is an INT3. Needs no /dev/kvm.
//
// The first byte is the size of code, then registers; the rest is code.
#include <linux/kvm.h>

#include <cstdint>

#include "choices.h"
#include "engine/kvm/code/accesses.h"
#include "engine/kvm/code/disassembly.h"
#include "engine/kvm/code/instruction.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringside;
  using fuzz::check;
  fuzz::Choices choices(data, size);
  const auto code_size = static_cast<kvm::CodeSize>(choices.below(3));
  kvm_regs general{};
  kvm_sregs system{};
  const std::uint64_t values[] = {0, 1, 0x1000, ~0ull, 0x7fffffff, 1ull << 63};
  for (auto* reg : {&general.rax, &general.rcx, &general.rsi, &general.rdi, &general.rsp,
                    &general.rbp, &general.rip, &general.r9})
    *reg = choices.one_of(values);
  system.ds.base = choices.one_of(values);
  system.fs.base = choices.one_of(values);
  const auto code = choices.rest();

  const kvm::Instruction insn = kvm::examine(code, code_size);
  const std::vector<kvm::MemoryAccess> accesses = kvm::accesses(code, code_size, general, system);
  const std::uint8_t int3 = kvm::int3_length(code, code_size);
  constexpr std::size_t kLongest = 15;
  check(insn.length <= std::min(code.size(), kLongest) && int3 <= kLongest);
  check((insn.kind == kvm::Instruction::Kind::Unknown) == (insn.length == 0));
  if (insn.kind == kvm::Instruction::Kind::Unknown) check(accesses.empty() && insn.may_fault);
  if (int3 != 0) {
    check(insn.kind == kvm::Instruction::Kind::Breakpoint && insn.length == int3);
  }
  // No instruction has more than a few operands in memory, and each is bounded.
  constexpr std::size_t kMostAccesses = 8, kMostBytes = 1u << 16;
  check(accesses.size() <= kMostAccesses);
  for (const kvm::MemoryAccess& access : accesses)
    check((access.reads || access.writes) && access.size <= kMostBytes);
  // What comes behind does not matter.
  const kvm::Instruction alone = kvm::examine(code.first(insn.length), code_size);
  check(alone.kind == insn.kind && alone.length == insn.length);
  return 0;
}
