// qHostInfo qProcessInfo qGDBServerVersion qWatchpointSupportInfo QThreadSuffixSupported
// QListThreadsInStopReply QEnableErrorStrings qThreadStopInfo jThreadsInfo QSaveRegisterState
// QRestoreRegisterState _M _m MultiMemRead jMultiBreakpoint, and what LLDB has added to stop
// replies (docs/decisions/0047-lldb-at-home.md).
#include <fmt/core.h>

#include <algorithm>

#include "base/hex.h"
#include "debug/client/changes.h"
#include "debug/packets/debugger.h"
#include "debug/packets/stops.h"
#include "debug/run/stop_causes.h"
#include "rsp/framing.h"
#include "x86/register_table.h"

namespace ringside::debug {
namespace {

// What is described is the processor, whatever runs on it: registers have 64 bits in every mode.
constexpr std::string_view kTriple = "x86_64-unknown-none-elf";

// The eldest makes room: an expression that is over may not have restored what it saved.
constexpr std::size_t kMostSaved = 64;

// No engine has a limit that it could name; LLDB asks whether there are any.
constexpr unsigned kWatchpoints = 1024;

constexpr std::uint8_t kSigtrap = 5;

std::string machine_words() {
  return fmt::format("triple:{};endian:little;ptrsize:8;", to_hex(kTriple));
}

// Within quotes. Names of vCPUs are whatever the machine's owner calls them.
std::string json_text(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c < ' ' || c > '~' ? '?' : c;
  }
  return result + '"';
}

// LLDB's name for why a thread has stopped. Nothing: there is none, or another field says it.
std::string_view reason_word(StopCause cause) {
  if (is_breakpoint(cause)) return "breakpoint";
  if (cause == StopCause::Step) return "trace";
  return has_words(cause) ? "exception" : "";
}

}  // namespace

// LLDB would take a watchpoint's stop for one before the access on some processors. Backwards it is
// before it, which LLDB sees by itself.
Debugger::Answer Debugger::serve(const rsp::QueryHost&) {
  return machine_words() + "vm-page-size:4096;watchpoint_exceptions_received:after;";
}

Debugger::Answer Debugger::serve(const rsp::QueryProcess&) {
  return fmt::format("pid:{:x};", kProcess) + machine_words();
}

Debugger::Answer Debugger::serve(const rsp::QueryServerVersion&) {
  return "name:ringside;version:" RINGSIDE_VERSION ";";
}

Debugger::Answer Debugger::serve(const rsp::QueryWatchpointSupport&) {
  return fmt::format("num:{};", target_.vm().watchpoints() != nullptr ? kWatchpoints : 0);
}

// The suffix is understood in any case; this lets the client use it.
Debugger::Answer Debugger::serve(const rsp::EnableThreadSuffix&) { return rsp::reply::ok(); }

Debugger::Answer Debugger::serve(const rsp::EnableThreadList&) {
  session_.lists_threads = true;
  return rsp::reply::ok();
}

Debugger::Answer Debugger::serve(const rsp::EnableErrorStrings&) {
  session_.error_style = rsp::ErrorStyle::Both;
  return rsp::reply::ok();
}

// In a stop reply: who there is, and where, so that LLDB need not ask each.
void Debugger::add_threads(rsp::StopReply& reply) const {
  if (!session_.lists_threads || is_non_stop()) return;
  std::string threads, pcs;
  for (std::uint32_t i = 0; i < target_.vm().vcpu_count(); ++i) {
    if (!target_.is_active(i) || target_.vm().vcpu({i}).in_guest()) continue;
    const Result<x86::RegisterValue> pc = show_register({i}, x86::Register::Rip);
    if (!pc) continue;
    if (!threads.empty()) threads += ',', pcs += ',';
    rsp::append_thread_id(threads, process(), i + 1u);
    pcs += fmt::format("{:x}", pc->as_u64());
  }
  if (!threads.empty()) reply.pair("threads", threads).pair("thread-pcs", pcs);
}

// A client that gets this knows what it means, so it gets words as well.
void Debugger::add_reason(rsp::StopReply& reply, VcpuId vcpu, const StopEvent& event) const {
  const std::string_view word = reason_word(event.cause);
  if (!session_.lists_threads || word.empty()) return;
  reply.pair("reason", word);
  if (has_words(event.cause)) reply.description(target_.words_of(vcpu));
}

// What there is to say of one thread after the client was told of a stop. A vCPU whose event was
// not reported yet has none to the client: it is reported by a resume of its own, and LLDB would
// count its breakpoint twice.
Debugger::ToldStop Debugger::told_stop(VcpuId vcpu) const {
  const RunControl& control = target_.control();
  const StopEvent* const event = control.event_of(vcpu);
  if (is_non_stop() && !looks()) return {signal_of(event), event};
  const std::optional<VcpuId> stopped = control.stopped_vcpu();
  if (looks()) {
    const bool named = vcpu == stopped.value_or(session_.current);
    return {named ? kSigtrap : std::uint8_t{0}, nullptr};
  }
  if (!stopped) return {vcpu == session_.reported ? session_.signal : std::uint8_t{0}, nullptr};
  if (vcpu != *stopped) return {};
  return {signal_of(event), event};
}

Debugger::Answer Debugger::serve(const rsp::QueryThreadStop& request) {
  const std::optional<VcpuId> vcpu = find_thread(request.thread);
  if (!vcpu) return refuse(ErrorCode::BadRequest, "there is no such thread");
  if (is_non_stop() && !looks() && !target_.control().held(*vcpu))
    return refuse(ErrorCode::Busy, "the thread is running");
  const ToldStop told = told_stop(*vcpu);
  return stop_reply(*vcpu, told.signal, told.event);
}

// Registers by their decimal numbers, those that a backtrace and most of what is shown need.
std::string Debugger::stop_in_json(VcpuId vcpu) const {
  const ToldStop told = told_stop(vcpu);
  std::string json =
      fmt::format(R"({{"tid":{},"name":{})", vcpu.value + 1u, json_text(thread_name(vcpu)));
  if (told.signal != 0) json += fmt::format(R"(,"signal":{})", told.signal);
  if (told.event != nullptr) {
    if (told.event->cause == StopCause::Watchpoint) {
      json += fmt::format(R"(,"reason":"watchpoint","description":"{}")", told.event->address);
    } else if (const std::string_view word = reason_word(told.event->cause); !word.empty()) {
      json += fmt::format(R"(,"reason":"{}")", word);
      if (has_words(told.event->cause))
        json += fmt::format(R"(,"description":{})", json_text(target_.words_of(vcpu)));
    }
  }
  const hypervisor::Vcpu& cpu = target_.vm().vcpu(vcpu);
  Result<x86::CpuState> state = session_.full_registers && !cpu.in_guest()
                                    ? target_.vm().vcpu(vcpu).state()
                                    : fail(ErrorCode::Busy, "");
  if (!state) return json + '}';
  state->rip = shown_pc(*state, session_.pc_view());
  json += R"(,"registers":{)";
  for (std::size_t i = 0; i < x86::kModelRegisterCount; ++i) {
    const auto r = static_cast<x86::Register>(i);
    const x86::RegisterValue value = x86::get_register(*state, r);
    json += fmt::format(R"({}"{}":"{}")", i == 0 ? "" : ",", i,
                        to_hex(std::as_bytes(std::span(value.bytes)).first(x86::info(r).size())));
  }
  return json + "}}";
}

Debugger::Answer Debugger::serve(const rsp::QueryThreadStops&) {
  std::string json = "[";
  for (std::uint32_t i = 0; i < target_.vm().vcpu_count(); ++i) {
    if (!target_.is_active(i)) continue;
    if (is_non_stop() && !looks() && !target_.control().held({i})) continue;
    if (json.size() > 1) json += ',';
    json += stop_in_json({i});
  }
  return json + ']';
}

Debugger::Answer Debugger::serve(const rsp::SaveRegisters&) {
  const Result<x86::CpuState> state = current().state();
  if (!state) return refuse(state);
  if (session_.saved.size() == kMostSaved) session_.saved.erase(session_.saved.begin());
  if (++session_.last_saved == 0) ++session_.last_saved;
  session_.saved.push_back({session_.last_saved, session_.current, *state});
  return fmt::format("{}", session_.last_saved);
}

// Once: it is gone then.
Debugger::Answer Debugger::serve(const rsp::RestoreRegisters& request) {
  if (const Result<void> may = may_change(options_); !may) return refuse(may);
  const auto found =
      std::find_if(session_.saved.begin(), session_.saved.end(), [&](const auto& saved) {
        return saved.number == request.number && saved.vcpu == session_.current;
      });
  if (found == session_.saved.end())
    return refuse(ErrorCode::NotFound, "no registers of this thread are saved under this number");
  const Result<Gva> before = target_.linear_pc(session_.current);
  const Result<void> written = current().set_state(found->state);
  session_.saved.erase(found);
  if (!written) return refuse(written);
  const Result<Gva> now = target_.linear_pc(session_.current);
  if (!before || !now || *now != *before) target_.control().moved(session_.current);
  return rsp::reply::ok();
}

// An error, not the empty reply, upon which LLDB would call a function of the guest named mmap.
Debugger::Answer Debugger::serve(const rsp::AllocateMemory&) {
  return refuse(ErrorCode::NotSupported, "all memory is the guest's own");
}

// A prefix of each range, in one packet: hex lengths of up to 6 characters each, and bytes of which
// each may be escaped. What cannot be read has the length 0.
Debugger::Answer Debugger::serve(const rsp::ReadMemorySpans& request) {
  std::uint64_t room = (rsp::kPacketSize - 6 * request.spans.size()) / 2;
  std::string lengths, data;
  for (const rsp::MemorySpan& span : request.spans) {
    const std::uint64_t wanted = std::min(span.length, room);
    const Result<std::vector<std::byte>> read =
        wanted == 0 ? Result<std::vector<std::byte>>(std::vector<std::byte>{})
                    : memory().read(span.address.value, wanted);
    const std::size_t size = read ? read->size() : 0;
    if (!lengths.empty()) lengths += ',';
    lengths += fmt::format("{:x}", size);
    if (read) data.append(reinterpret_cast<const char*>(read->data()), size);
    room -= size;
  }
  return lengths + ';' + data;
}

// Each by itself, whatever became of those before it.
Debugger::Answer Debugger::serve(const rsp::ChangeBreakpoints& request) {
  std::string json = R"({"results":[)";
  const rsp::ErrorStyle style = session_.error_style;
  session_.error_style = rsp::ErrorStyle::Number;
  for (const rsp::BreakpointRequest& change : request.requests) {
    std::string result = *std::visit([this](const auto& r) { return serve(r); }, change);
    if (result.empty()) result = rsp::reply::error(rsp::ErrorNumber::NotSupported);
    if (json.back() != '[') json += ',';
    json += json_text(result);
  }
  session_.error_style = style;
  return json + "]}";
}

}  // namespace ringside::debug
