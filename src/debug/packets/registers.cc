// g G p P.
#include <cstring>

#include "base/hex.h"
#include "debug/client/changes.h"
#include "debug/packets/debugger.h"
#include "debug/packets/register_writes.h"
#include "ringside/x86/registers.h"
#include "x86/register_table.h"

namespace ringside::debug {
namespace {

using x86::Register;

std::span<const std::byte> wire_bytes(const x86::RegisterValue& value, Register r) {
  return std::as_bytes(std::span(value.bytes)).first(x86::info(r).size());
}

x86::RegisterValue from_wire(std::span<const std::byte> bytes) {
  x86::RegisterValue value;
  std::memcpy(value.bytes.data(), bytes.data(), bytes.size());
  return value;
}

constexpr std::size_t packet_size(std::size_t count) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < count; ++i)
    size += x86::kRegisters[i].size();
  return size;
}
static_assert(packet_size(x86::kModelRegisterCount) == 164);

}  // namespace

// A register as the client sees it.
Result<x86::RegisterValue> Debugger::show_register(VcpuId vcpu, Register r) const {
  if (r != Register::Rip) return target_.vm().vcpu(vcpu).read_register(r);
  return target_.read_pc(vcpu, session_.pc_view());
}

Result<void> Debugger::write_register(Register r, const x86::RegisterValue& value) {
  if (!has_consequences(r)) return current().write_register(r, value);
  x86::CpuState state = TRY(current().state());
  if (r != Register::Rip && x86::get_register(state, r).bytes == value.bytes) return {};
  TRY(apply_writes(target_.vm(), session_.current, state, {{r, value}}));
  // RIP moves the vCPU also with its own value, which a state does not say.
  return r == Register::Rip ? current().write_register(r, value) : current().set_state(state);
}

Debugger::Answer Debugger::serve(const rsp::ReadRegisters&) {
  Result<x86::CpuState> state = current().state();
  if (!state) return refuse(state);
  state->rip = shown_pc(*state, session_.pc_view());
  const std::size_t count =
      session_.full_registers ? x86::kRegisterCount : x86::kModelRegisterCount;
  std::string reply;
  for (std::size_t i = 0; i < count; ++i) {
    const auto r = static_cast<Register>(i);
    append_hex(reply, wire_bytes(x86::get_register(*state, r), r));
  }
  return reply;
}

Debugger::Answer Debugger::serve(const rsp::WriteRegisters& request) {
  if (const Result<void> may = may_change(options_); !may) return refuse(may);
  std::size_t count = 0;
  if (request.data.size() == packet_size(x86::kModelRegisterCount)) {
    count = x86::kModelRegisterCount;
  } else if (request.data.size() == packet_size(x86::kRegisterCount)) {
    count = x86::kRegisterCount;
  } else {
    return refuse(ErrorCode::BadRequest, "G has not the length of g");
  }
  Result<x86::CpuState> state = current().state();
  if (!state) return refuse(state);
  const std::uint64_t rip = state->rip, shown = shown_pc(*state, session_.pc_view());
  const Gva before = x86::linear_pc(*state);
  std::span<const std::byte> data(request.data);
  std::vector<RegisterWrite> writes;
  for (std::size_t i = 0; i < count; ++i) {
    const auto r = static_cast<Register>(i);
    const std::size_t size = x86::info(r).size();
    writes.push_back({r, from_wire(data.first(size))});
    data = data.subspan(size);
  }
  const Result<void> possible = apply_writes(target_.vm(), session_.current, *state, writes);
  if (!possible) return refuse(possible);
  state->rip = state->rip == shown ? rip : rip_shown_as(*state, session_.pc_view(), state->rip);
  const Result<void> written = current().set_state(*state);
  if (!written) return refuse(written);
  // A client that writes everything back has not meant the instruction pointer.
  const Result<Gva> now = target_.linear_pc(session_.current);
  if (!now || *now != before) target_.control().moved(session_.current);
  return rsp::reply::ok();
}

// The engine's own, from the table's end on (ringside/extra_registers.h). Null: there is none of
// this number.
const hypervisor::ExtraRegister* Debugger::find_extra_register(std::uint64_t number) const {
  hypervisor::ExtraRegisters* const extra = target_.vm().extra_registers();
  const std::uint64_t index = number - x86::kRegisterCount;
  return extra != nullptr && index < extra->list().size() ? &extra->list()[index] : nullptr;
}

Debugger::Answer Debugger::read_extra_register(std::uint64_t number) {
  const hypervisor::ExtraRegister* const found = find_extra_register(number);
  if (found == nullptr) return refuse(ErrorCode::BadRequest, "there is no register of this number");
  const Result<x86::RegisterValue> value = target_.vm().extra_registers()->read_extra_register(
      session_.current, number - x86::kRegisterCount);
  if (!value) return refuse(value);
  return rsp::reply::hex(std::as_bytes(std::span(value->bytes)).first(found->bits / 8));
}

Debugger::Answer Debugger::write_extra_register(std::uint64_t number,
                                                std::span<const std::byte> data) {
  const hypervisor::ExtraRegister* const found = find_extra_register(number);
  if (found == nullptr) return refuse(ErrorCode::BadRequest, "there is no register of this number");
  if (data.size() != found->bits / 8)
    return refuse(ErrorCode::BadRequest, "the value has not the register's width");
  const Result<void> written = target_.vm().extra_registers()->write_extra_register(
      session_.current, number - x86::kRegisterCount, from_wire(data));
  return written ? rsp::reply::ok() : refuse(written);
}

Debugger::Answer Debugger::serve(const rsp::ReadRegister& request) {
  if (request.number >= x86::kRegisterCount) return read_extra_register(request.number);
  const auto r = static_cast<Register>(request.number);
  const Result<x86::RegisterValue> value = show_register(session_.current, r);
  if (!value) return refuse(value);
  return rsp::reply::hex(wire_bytes(*value, r));
}

Debugger::Answer Debugger::serve(const rsp::WriteRegister& request) {
  if (const Result<void> may = may_change(options_); !may) return refuse(may);
  if (request.number >= x86::kRegisterCount)
    return write_extra_register(request.number, request.data);
  const auto r = static_cast<Register>(request.number);
  if (request.data.size() != x86::info(r).size())
    return refuse(ErrorCode::BadRequest, "the value has not the register's width");
  x86::RegisterValue value = from_wire(request.data);
  if (r == Register::Rip && session_.pc_view() == PcView::Linear) {
    const Result<x86::CpuState> state = current().state();
    if (!state) return refuse(state);
    value = x86::RegisterValue::from_u64(rip_shown_as(*state, session_.pc_view(), value.as_u64()));
  }
  const Result<Gva> before = target_.linear_pc(session_.current);
  const Result<void> written = write_register(r, value);
  if (!written) return refuse(written);
  // Other registers move it too: a code segment has a base. RIP's own value means "again".
  const Result<Gva> now = target_.linear_pc(session_.current);
  if (r == Register::Rip || !before || !now || *now != *before)
    target_.control().moved(session_.current);
  return rsp::reply::ok();
}

}  // namespace ringside::debug
