// What speaks through an endpoint beside the debug server: the bridge to a stub inside the guest,
// COM1. Each is a handler for transport::SingleClient; owned by the program's wiring, main thread
// except where noted.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "ringside/admission.h"
#include "transport/poller.h"
#include "transport/single_client.h"

namespace ringside::cli {

// An endpoint that is ready, and who can use it. stderr has a line about each.
struct Listening {
  std::string_view name;
  std::string where;
  bool reachable_from_outside = false;
  Allow allow = Allow::SameUser;
  std::string token;  // that other hosts have to say; empty: there is none
};
void say_where(const Listening& endpoint);

// Bytes from a device to whoever is connected. send() may be called on the thread that runs a vCPU.
class DeviceOutput {
 public:
  explicit DeviceOutput(const transport::Poller& poller) : poller_(poller) {}

  void send(std::span<const std::byte> bytes);
  void set_open(bool open);
  // Takes over what send() brought since the last call.
  void collect();
  std::string_view pending() const { return pending_; }
  void wrote(std::size_t count) { pending_.erase(0, count); }

 private:
  // A client that does not read loses the newest output rather than stopping the guest.
  static constexpr std::size_t kLimit = 256u << 10;

  const transport::Poller& poller_;
  std::mutex lock_;
  bool open_ = false;
  std::string sent_;
  std::string pending_;
};

// A byte stream between a device's endpoint and the guest.
class DeviceClient final : public transport::ClientHandler {
 public:
  struct Device {
    std::function<std::size_t()> room;
    std::function<void(std::span<const std::byte>)> receive;
    std::function<void(bool connected)> connected;
  };
  DeviceClient(DeviceOutput& bytes, Device device) : bytes_(bytes), device_(std::move(device)) {}

  void on_connected() override;
  void on_bytes(std::span<const std::byte> bytes) override { device_.receive(bytes); }
  void on_disconnected() override;
  std::string_view output() const override { return bytes_.pending(); }
  void wrote(std::size_t count) override { bytes_.wrote(count); }
  std::size_t room() const override { return device_.room(); }

 private:
  DeviceOutput& bytes_;
  Device device_;
};

}  // namespace ringside::cli
