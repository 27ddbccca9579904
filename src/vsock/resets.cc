#include "vsock/resets.h"

#include <cstddef>

namespace ringside::vsock {
namespace {

// More than these are not said, and their senders are as patient as they like.
constexpr std::size_t kMost = 256;

}  // namespace

void Resets::answer(const machine::VsockHeader& packet) {
  if (packet.operation == machine::VsockOperation::Reset || waiting_.size() == kMost) return;
  machine::VsockHeader reset;
  reset.source_cid = packet.destination_cid;
  reset.destination_cid = packet.source_cid;
  reset.source_port = packet.destination_port;
  reset.destination_port = packet.source_port;
  reset.type = packet.type;
  reset.operation = machine::VsockOperation::Reset;
  waiting_.push_back(reset);
}

std::optional<machine::VsockHeader> Resets::take() {
  if (waiting_.empty()) return std::nullopt;
  const machine::VsockHeader first = waiting_.front();
  waiting_.pop_front();
  return first;
}

}  // namespace ringside::vsock
