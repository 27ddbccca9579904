// QTFrame, and what a selected frame answers: recorded registers and memory instead of the
// machine's, which it never touches.
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/hex.h"
#include "debug/packets/debugger.h"
#include "debug/packets/stops.h"
#include "debug/target/traced_vcpu.h"
#include "rsp/framing.h"
#include "x86/register_table.h"

namespace ringside::debug {
namespace {

std::size_t offset_of(x86::Register r) {
  std::size_t offset = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(r); ++i)
    offset += x86::kRegisters[i].size();
  return offset;
}

// The one place of the frame's tracepoint, if it has one place and was not recorded by a step:
// GDB's server guesses so too.
std::optional<std::uint64_t> place_of(const trace::Tracing& tracing, const trace::Frame& frame) {
  std::optional<std::uint64_t> place;
  for (const trace::Tracepoint& tracepoint : tracing.tracepoints()) {
    if (tracepoint.number != frame.tracepoint) continue;
    if (place || tracepoint.steps > 0) return std::nullopt;
    place = tracepoint.address.value;
  }
  return place;
}

std::optional<std::uint64_t> pc_of(const trace::Tracing& tracing, const trace::Frame& frame) {
  const trace::FrameReader reader = tracing.reader(frame);
  if (reader.registers().empty()) return place_of(tracing, frame);
  std::uint64_t pc = 0;
  std::memcpy(&pc, &reader.registers()[offset_of(x86::Register::Rip)], sizeof pc);
  return pc;
}

bool matches(const trace::Tracing& tracing, const trace::Frame& frame,
             const rsp::SelectFrame& request) {
  using By = rsp::SelectFrame::By;
  if (request.by == By::Number) return true;
  if (request.by == By::Tracepoint) return frame.tracepoint == request.number;
  const std::optional<std::uint64_t> pc = pc_of(tracing, frame);
  if (!pc) return false;
  const bool within = *pc >= request.first.value && *pc <= request.last.value;
  return within != (request.by == By::Outside);
}

}  // namespace

Debugger::Answer Debugger::serve(const rsp::SelectFrame& request) {
  const trace::Tracing& tracing = target_.tracing();
  const trace::TraceBuffer& buffer = tracing.buffer();
  const std::uint64_t oldest = buffer.oldest();
  std::uint64_t sequence = oldest;
  if (request.by == rsp::SelectFrame::By::Number) {
    if (!request.number) {
      session_.frame.reset();
      return rsp::reply::ok();
    }
    if (*request.number >= buffer.count()) return "F-1";
    sequence += *request.number;
  } else if (session_.frame) {
    sequence = std::max(oldest, *session_.frame + 1);
  }
  for (; const std::optional<trace::Frame> frame = buffer.frame(sequence); ++sequence) {
    if (!matches(tracing, *frame, request)) continue;
    session_.frame = sequence;
    return fmt::format("F{:x}T{:x}", sequence - oldest, frame->tracepoint);
  }
  return "F-1";
}

Result<trace::Frame> Debugger::selected_frame() const {
  const auto frame =
      session_.frame ? target_.tracing().buffer().frame(*session_.frame) : std::nullopt;
  if (!frame) return fail(ErrorCode::NotFound, "no frame is selected, or it has gone meanwhile");
  return *frame;
}

// What is not recorded is x, as from GDB's server.
Debugger::Answer Debugger::frame_registers(const trace::Frame& frame,
                                           std::optional<std::uint64_t> number) {
  const trace::Tracing& tracing = target_.tracing();
  const trace::FrameReader reader = tracing.reader(frame);
  const std::size_t table =
      session_.full_registers ? x86::kRegisterCount : x86::kModelRegisterCount;
  if (number && *number >= x86::kRegisterCount) {
    const hypervisor::ExtraRegister* const extra = find_extra_register(*number);
    if (extra == nullptr)
      return refuse(ErrorCode::BadRequest, "there is no register of this number");
    return std::string(extra->bits / 4, 'x');
  }
  const std::size_t first = number.value_or(0), end = number ? *number + 1 : table;
  std::size_t offset = offset_of(static_cast<x86::Register>(first));
  std::string reply;
  for (std::size_t i = first; i < end; ++i) {
    const std::size_t size = x86::kRegisters[i].size();
    if (!reader.registers().empty()) {
      append_hex(reply, reader.registers().subspan(offset, size));
    } else if (const auto pc = place_of(tracing, frame);
               pc && i == static_cast<std::size_t>(x86::Register::Rip)) {
      append_hex(reply, std::as_bytes(std::span(&*pc, 1)));
    } else {
      reply.append(2 * size, 'x');
    }
    offset += size;
  }
  return reply;
}

// Nothing: it is read from the machine, because it does not change and was not recorded. That is a
// program's code, mostly.
std::optional<Debugger::Answer> Debugger::frame_memory(const trace::Frame& frame,
                                                       const rsp::ReadMemory& request) {
  constexpr std::uint64_t kLongest = rsp::kPacketSize / 2;
  const trace::Tracing& tracing = target_.tracing();
  const std::vector<std::byte> data =
      tracing.reader(frame).read(request.address, std::min(request.length, kLongest));
  if (data.empty() && request.length != 0) {
    if (tracing.is_read_only(request.address, request.length)) return std::nullopt;
    return refuse(ErrorCode::BadAddress, "the frame does not have this memory");
  }
  return request.encoding == rsp::MemoryEncoding::Binary ? rsp::reply::binary(data)
                                                         : rsp::reply::hex(data);
}

Debugger::Answer Debugger::frame_info(const rsp::ReadTransfer& request) {
  if (!request.annex.empty()) return refuse(ErrorCode::NotFound, "there is no such annex");
  const Result<trace::Frame> frame = selected_frame();
  if (!frame) return refuse(frame);
  return rsp::reply::transfer(target_.tracing().reader(*frame).describe(), request.offset,
                              request.length);
}

std::optional<Debugger::Answer> Debugger::answer_from_frame(const rsp::Request& request) {
  const auto is = [&]<typename... R>(std::variant<R...>*) {
    return (std::holds_alternative<R>(request) || ...);
  };
  using Writes = std::variant<rsp::WriteRegisters, rsp::WriteRegister, rsp::WriteMemory>;
  using Searches = std::variant<rsp::SearchMemory, rsp::ChecksumMemory, rsp::DescribeMemory>;
  using Resumes = std::variant<rsp::Resume, rsp::ResumeThreads, rsp::ResumeBackward, rsp::Run,
                               rsp::Restart, rsp::Detach, rsp::Kill, rsp::KillProcess>;
  if (is(static_cast<Writes*>(nullptr)))
    return refuse(ErrorCode::NotSupported, "a recorded frame is selected; it cannot be changed");
  if (is(static_cast<Searches*>(nullptr)))
    return refuse(ErrorCode::NotSupported, "a recorded frame is selected; it is not searched");
  const auto* const threads = std::get_if<rsp::ResumeThreads>(&request);
  const bool stays = threads != nullptr && only_stops(*threads);
  if (is(static_cast<Resumes*>(nullptr)) && !stays) session_.frame.reset();
  const auto* const one = std::get_if<rsp::ReadRegister>(&request);
  const auto* const memory = std::get_if<rsp::ReadMemory>(&request);
  const bool all = std::holds_alternative<rsp::ReadRegisters>(request);
  if (one == nullptr && memory == nullptr && !all) {
    const auto* const variable = std::get_if<rsp::ReadTraceVariable>(&request);
    if (variable == nullptr) return std::nullopt;
    const Result<trace::Frame> frame = selected_frame();
    if (!frame) return refuse(frame);
    const auto value =
        target_.tracing().reader(*frame).variable(static_cast<std::uint32_t>(variable->number));
    return value ? fmt::format("V{:x}", static_cast<std::uint64_t>(*value)) : "U";
  }
  const Result<trace::Frame> frame = selected_frame();
  if (!frame) return refuse(frame);
  if (memory != nullptr) return frame_memory(*frame, *memory);
  return frame_registers(*frame, one != nullptr ? std::optional(one->number) : std::nullopt);
}

Debugger::Answer Debugger::serve(const rsp::ReadTraceVariable& request) {
  const Result<std::int64_t> value = target_.tracing().read_variable(request.number);
  return value ? fmt::format("V{:x}", static_cast<std::uint64_t>(*value)) : "U";
}

}  // namespace ringside::debug
