#include "engine/kvm/step/trap_flag.h"

#include "x86/msr_numbers.h"

namespace ringside::kvm {
namespace {

using Kind = Instruction::Kind;
using x86::rflags::TF;

}  // namespace

void TrapFlag::note_start() {
  start_rip_ = registers_.general().rip;
  guests_ = (registers_.general().rflags & TF) != 0;
}

void TrapFlag::note_loaded(const Instruction& instruction) {
  // What the stack has for the flags is gone once the instruction has been executed.
  const bool returns = instruction.kind == Kind::InterruptReturn;
  const std::uint64_t skip = returns ? 2u * instruction.operand_size : 0;
  if (instruction.kind == Kind::PopFlags || returns) {
    const auto flags = core_.view().value<std::uint16_t>(core_.stack(skip));
    loaded_ = flags && (*flags & TF) != 0;
  } else if (instruction.kind == Kind::SystemReturn) {
    loaded_ = (registers_.general().r11 & TF) != 0;
  }
}

void TrapFlag::put_back() {
  if (guests_) set();
}

void TrapFlag::set() {
  if (!registers_.load(RegisterFile::kGeneral)) return;
  registers_.general().rflags |= TF;
  registers_.changed(RegisterFile::kGeneral);
}

void TrapFlag::settle_completion(const Instruction& instruction) {
  bool flag = guests_;
  switch (instruction.kind) {
    case Kind::PushFlags:
      if (!guests_) clear_at(core_.stack(0));
      break;
    case Kind::PopFlags:
    case Kind::InterruptReturn:
    case Kind::SystemReturn:
      flag = loaded_;
      break;
    case Kind::SystemCall:
      flag = settle_system_call();
      break;
    default:
      break;
  }
  if (flag) set();
  trap_due_ = guests_;
}

void TrapFlag::settle_arrival(const Instruction& instruction, const std::vector<EntryPoint>& points,
                              bool delivering) {
  if (points.front().kind == EntryPoint::Kind::Handler) {
    // An entry through a gate clears TF; the frame has the guest's own.
    if (!guests_ && !delivering) clean_frame(instruction, points);
    return;
  }
  bool flag = guests_;
  if (instruction.kind == Kind::SystemCall) flag = settle_system_call();
  if (instruction.kind == Kind::SystemReturn) flag = loaded_;
  if (flag) set();
}

// The guest's own TF afterwards.
bool TrapFlag::settle_system_call() {
  if (guests_) {
    const auto mask = get_msr(core_.file.fd(), x86::msr::kSfmask);
    return mask && (*mask & TF) == 0;
  }
  registers_.general().r11 &= ~TF;
  registers_.changed(RegisterFile::kGeneral);
  return false;
}

// Which of the vectors that share the handler it was shows in the frame: it has the address of this
// instruction or of the next.
void TrapFlag::clean_frame(const Instruction& instruction, const std::vector<EntryPoint>& points) {
  for (const EntryPoint& point : points) {
    const unsigned skip = point.error_code ? point.slot_size : 0;
    const std::uint64_t mask =
        point.slot_size == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << 8 * point.slot_size) - 1;
    const auto rip = core_.view().value<std::uint64_t>(core_.stack(skip));
    const std::uint64_t here = start_rip_ & mask;
    if (!rip || ((*rip & mask) != here && (*rip & mask) != ((here + instruction.length) & mask)))
      continue;
    clear_at(core_.stack(skip + 2u * point.slot_size));
    return;
  }
}

void TrapFlag::clear_at(Gva flags) {
  if (std::uint8_t* byte = core_.view().byte(flags + 1)) *byte &= static_cast<std::uint8_t>(~1u);
}

}  // namespace ringside::kvm
