// qXfer.
#include "debug/debugger.h"
#include "debug/target_description.h"

namespace ringside::debug {

Debugger::Answer Debugger::serve(const rsp::ReadTransfer& request) {
  if (request.object == "threads") {
    if (!request.annex.empty()) return refuse(ErrorCode::NotFound, "there is no such annex");
    return rsp::reply::transfer(thread_list(), request.offset, request.length);
  }
  if (request.object != "features") return rsp::reply::empty();
  if (request.annex != "target.xml") return refuse(ErrorCode::NotFound, "there is no such annex");
  session_.full_registers = true;
  return rsp::reply::transfer(target_description(), request.offset, request.length);
}

}  // namespace ringside::debug
