#include "engine/soft/translate/emitter/host_calls.h"

#include "engine/soft/translate/emitter/host_flags.h"

namespace ringside::soft::host_calls {
namespace {

enum class Position : std::uint8_t { Inside, Last };

template <Position kPosition>
Next execute(Cpu& cpu, const Insn& insn, std::uint32_t place) {
  const std::uint64_t index = place & 0xff, count = place >> 8 & 0xff, offset = place >> 16;
  const std::uint64_t start = cpu.rip();
  cpu.icount = cpu.frame.limit - static_cast<std::uint64_t>(cpu.frame.left) - count + index;
  cpu.insn_rip = start + offset;
  cpu.rip() = cpu.insn_rip + insn.length;
  host_flags::store(cpu.frame.flags, cpu.flags);
  try {
    insn.execute(cpu, insn);
  } catch (const GuestFault& fault) {
    cpu.host_fault = fault;
    cpu.frame.is_exact = true;
    return Next::Leave;
  } catch (...) {
    cpu.host_error = std::current_exception();
    cpu.frame.is_exact = true;
    return Next::Leave;
  }
  bool leaves = cpu.limit != cpu.frame.limit || !cpu.retired;
  if constexpr (kPosition == Position::Last) leaves |= !cpu.code64();
  if (leaves) [[unlikely]] {
    ++cpu.icount;
    cpu.frame.is_exact = true;
    return Next::Leave;
  }
  cpu.frame.flags = host_flags::from(cpu.flags);
  if constexpr (kPosition == Position::Inside) cpu.rip() = start;
  return Next::GoOn;
}

}  // namespace

Next in_block(Cpu& cpu, const Insn& insn, std::uint32_t place) noexcept {
  return execute<Position::Inside>(cpu, insn, place);
}
Next last_in_block(Cpu& cpu, const Insn& insn, std::uint32_t place) noexcept {
  return execute<Position::Last>(cpu, insn, place);
}
Next rest_of_block(Cpu& cpu, const Insn& first, std::uint32_t place) noexcept {
  std::uint32_t index = place & 0xff, offset = place >> 16;
  const std::uint32_t count = place >> 8 & 0xff;
  const Insn* insn = &first;  // they lie in a row
  for (; index + 1 < count; ++index, offset += insn->length, ++insn) {
    if (in_block(cpu, *insn, where(index, count, offset)) == Next::Leave) return Next::Leave;
  }
  return last_in_block(cpu, *insn, where(index, count, offset));
}

}  // namespace ringside::soft::host_calls
