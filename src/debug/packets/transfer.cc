// qXfer.
#include "debug/memory/memory_map.h"
#include "debug/packets/debugger.h"
#include "debug/packets/target_description.h"

namespace ringside::debug {

Debugger::Answer Debugger::serve(const rsp::ReadTransfer& request) {
  if (request.object == "threads" || request.object == "memory-map") {
    if (!request.annex.empty()) return refuse(ErrorCode::NotFound, "there is no such annex");
    if (request.object == "threads") {
      // What a vCPU does may change between two pieces.
      if (request.offset == 0 || threads_.empty()) threads_ = thread_list();
      return rsp::reply::transfer(threads_, request.offset, request.length);
    }
    return rsp::reply::transfer(
        memory_map(session_.addresses.kind, target_.vm().memory().regions()), request.offset,
        request.length);
  }
  if (request.object == "traceframe-info") return frame_info(request);
  if (is_of_guest(request)) return serve_of_guest(request);
  if (request.object != "features") return rsp::reply::empty();
  if (request.annex != "target.xml") return refuse(ErrorCode::NotFound, "there is no such annex");
  session_.full_registers = true;
  return rsp::reply::transfer(target_xml(), request.offset, request.length);
}

const std::string& Debugger::target_xml() {
  hypervisor::ExtraRegisters* const extra = target_.vm().extra_registers();
  using List = std::span<const hypervisor::ExtraRegister>;
  if (description_.empty()) description_ = target_description(extra ? extra->list() : List());
  return description_;
}

}  // namespace ringside::debug
