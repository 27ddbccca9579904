#include "cli/terminal/clients.h"

#include <utility>

#include "cli/terminal/notice.h"

namespace ringside::cli {

void say_where(const Listening& endpoint) {
  const auto& [name, where, outside, allow, token] = endpoint;
  if (outside && allow == Allow::SameUser) {
    notice("{}: warning: other hosts can reach {} and are refused; --gdb-allow any admits them",
           name, where);
  } else if (outside && token.empty()) {
    notice("{}: warning: whoever can reach {} controls the guest", name, where);
  } else if (outside) {
    notice("{}: on another host type: target extended-remote, monitor auth {}, attach 1", name,
           token);
  }
  notice("{}: listening on {}", name, where);
}

void DeviceOutput::send(std::span<const std::byte> bytes) {
  const std::lock_guard guard(lock_);
  if (!open_ || sent_.size() + bytes.size() > kLimit) return;
  if (sent_.empty()) poller_.wake();
  sent_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void DeviceOutput::set_open(bool open) {
  const std::lock_guard guard(lock_);
  open_ = open;
  sent_.clear();
  pending_.clear();
}

void DeviceOutput::collect() {
  const std::lock_guard guard(lock_);
  if (sent_.empty() || pending_.size() > kLimit) return;
  pending_ += sent_;
  sent_.clear();
}

void DeviceClient::on_connected() {
  bytes_.set_open(true);
  if (device_.connected) device_.connected(true);
}

void DeviceClient::on_disconnected() {
  bytes_.set_open(false);
  if (device_.connected) device_.connected(false);
}

}  // namespace ringside::cli
