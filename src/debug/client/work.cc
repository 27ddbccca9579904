#include "debug/client/work.h"

#include "rsp/reply.h"

namespace ringside::debug {

std::optional<Result<std::string>> MonitorTask::advance() {
  const std::optional<std::string> text = work_->advance();
  if (!text) return std::nullopt;
  return reply_(*text);
}

SignOfLife MonitorTask::sign_of_life() {
  const bool line = ++signs_ % kSignsPerLine == 0;
  return {SignOfLife::Kind::Packet,
          rsp::reply::console_output(line ? work_->progress() + "\n" : std::string())};
}

}  // namespace ringside::debug
