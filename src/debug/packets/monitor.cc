// qRcmd.
#include "debug/monitor/monitor.h"
#include "debug/packets/debugger.h"

namespace ringside::debug {

Debugger::Answer Debugger::serve(const rsp::Monitor& request) {
  Monitor monitor(target_, session_, options_);
  const std::string text = monitor.run(request.command);
  kill_requested_ |= monitor.quit_requested();
  if (std::unique_ptr<MonitorWork> work = monitor.take_work()) {
    const auto reply = [this](std::string_view result) { return monitor_reply(result); };
    scan_ = std::make_unique<MonitorTask>(std::move(work), reply);
    return continue_scan();
  }
  return monitor_reply(text);
}

std::string Debugger::monitor_reply(std::string_view text) {
  // What does not fit in the reply goes before it, to the client's console.
  constexpr std::size_t kMost = rsp::kPacketSize / 2 - 1;
  for (; text.size() > kMost; text.remove_prefix(kMost))
    before_answer_.push_back(rsp::reply::console_output(text.substr(0, kMost)));
  // An empty reply would mean that there are no monitor commands at all.
  return text.empty() ? rsp::reply::ok() : rsp::reply::hex(text);
}

}  // namespace ringside::debug
