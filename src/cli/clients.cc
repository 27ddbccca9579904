#include "cli/clients.h"

#include <utility>

namespace ringside::cli {

void DebugClient::begin(debug::Server& server, time::Timeline& timeline) {
  server_ = &server;
  timeline_ = &timeline;
  if (greeter_) server_->take_over(*std::exchange(greeter_, std::nullopt));
}

// A debugger that comes while the guest sleeps finds virtual time where it should be.
void DebugClient::on_connected() {
  if (server_ == nullptr) {
    greeter_.emplace();
    return;
  }
  timeline_->end_wait(time::Timeline::Clock::now());
  server_->on_connected();
}
void DebugClient::on_bytes(std::span<const std::byte> bytes) {
  if (server_ == nullptr) {
    greeter_->on_bytes(bytes);
    return;
  }
  last_heard_ = time::Timeline::Clock::now();
  timeline_->end_wait(last_heard_);
  server_->on_bytes(bytes);
}
void DebugClient::on_disconnected() {
  greeter_.reset();
  if (server_ == nullptr) return;
  timeline_->end_wait(time::Timeline::Clock::now());
  server_->on_disconnected();
}
std::string_view DebugClient::output() const {
  if (server_ != nullptr) return server_->output();
  return greeter_ ? greeter_->output() : std::string_view();
}
void DebugClient::wrote(std::size_t count) {
  if (server_ != nullptr) {
    server_->wrote(count);
  } else if (greeter_) {
    greeter_->wrote(count);
  }
}
std::size_t DebugClient::room() const {
  const bool wants =
      server_ != nullptr ? server_->wants_input() : !greeter_ || greeter_->wants_input();
  return wants ? ~std::size_t{0} : 0;
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
