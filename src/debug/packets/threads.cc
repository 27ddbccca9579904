// H T qC qfThreadInfo qsThreadInfo qThreadExtraInfo: vCPUs as threads. A thread's id is its vCPU's
// number plus one, in the one process 1 where processes are spoken of.
#include <fmt/core.h>

#include "base/xml.h"
#include "debug/packets/debugger.h"
#include "debug/target/vcpu_words.h"

namespace ringside::debug {
std::optional<std::uint64_t> Debugger::process() const {
  if (!session_.multiprocess) return std::nullopt;
  return kProcess;
}

std::optional<VcpuId> Debugger::find_thread(const rsp::ThreadId& id) const {
  if (id.process && id.process->is_number() && id.process->number() != kProcess)
    return std::nullopt;
  if (!id.thread.is_number()) return target_.first_active();
  const std::uint64_t index = id.thread.number() - 1;
  if (!target_.is_active(index)) return std::nullopt;
  return VcpuId{static_cast<std::uint32_t>(index)};
}

Debugger::Answer Debugger::serve(const rsp::SelectThread& request) {
  const std::optional<VcpuId> vcpu = find_thread(request.thread);
  if (!vcpu) return refuse(ErrorCode::BadRequest, "there is no such thread");
  if (request.use == rsp::ThreadUse::General) {
    session_.current = *vcpu;
    session_.has_chosen = true;
    return rsp::reply::ok();
  }
  const bool anyone = !request.thread.thread.is_number();
  session_.resumed = anyone ? std::nullopt : vcpu;
  if (!session_.has_chosen) session_.current = *vcpu;
  if (session_.names_threads()) {
    session_.back = anyone ? Session::Back::Reported : Session::Back::Chosen;
    session_.chosen = *vcpu;
  }
  return rsp::reply::ok();
}

Debugger::Answer Debugger::serve(const rsp::IsThreadAlive& request) {
  if (!find_thread(request.thread)) return refuse(ErrorCode::BadRequest, "there is no such thread");
  return rsp::reply::ok();
}

Debugger::Answer Debugger::serve(const rsp::CurrentThread&) {
  std::string reply = "QC";
  rsp::append_thread_id(reply, process(), session_.current.value + 1u);
  return reply;
}

Debugger::Answer Debugger::serve(const rsp::FirstThreads&) {
  if (!session_.attached) return "l";
  std::string reply = "m";
  for (std::uint32_t i = 0; i < target_.vm().vcpu_count(); ++i) {
    if (!target_.is_active(i)) continue;
    if (reply.size() > 1) reply += ',';
    rsp::append_thread_id(reply, process(), i + 1u);
  }
  if (reply.size() == 1) return refuse(ErrorCode::BadRequest, "no vCPU has started");
  return reply;
}

Debugger::Answer Debugger::serve(const rsp::MoreThreads&) { return "l"; }

std::string Debugger::thread_name(VcpuId vcpu) const {
  const std::string name = target_.vm().vcpu(vcpu).name();
  return name.empty() ? fmt::format("vCPU {}", vcpu.value) : name;
}

// For qXfer:threads. Stock GDB shows the text of an element in brackets after the name.
std::string Debugger::thread_list() const {
  std::string xml = "<?xml version=\"1.0\"?>\n<threads>\n";
  for (std::uint32_t i = 0; i < target_.vm().vcpu_count(); ++i) {
    if (!target_.is_active(i)) continue;
    std::string id;
    rsp::append_thread_id(id, process(), i + 1u);
    xml += fmt::format("<thread id=\"{}\" core=\"{}\" name=\"{}\">{}</thread>\n", id, i,
                       xml_text(thread_name({i})), xml_text(describe(target_.vm().vcpu({i}))));
  }
  return xml + "</threads>\n";
}

Debugger::Answer Debugger::serve(const rsp::ThreadDescription& request) {
  const std::optional<VcpuId> vcpu = find_thread(request.thread);
  if (!vcpu) return refuse(ErrorCode::BadRequest, "there is no such thread");
  std::string text = thread_name(*vcpu);
  // A client as simple as the model's gets what the model says (docs/model.md, row 16).
  if (session_.names_threads()) text += ": " + describe(target_.vm().vcpu(*vcpu));
  return rsp::reply::hex(text);
}

}  // namespace ringside::debug
