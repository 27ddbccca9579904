#include "companions/device_lines.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "vsock/serve.h"

namespace ringside::companions {
namespace {

// Locally administered, and the one that users of QEMU know.
constexpr machine::MacAddress kAddress{0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

}  // namespace

void add_devices(bool network, const std::vector<SharedFolder>& shares,
                 const std::optional<vsock::VsockOptions>& vsock,
                 machine::MachineOptions& machine) {
  if (network) machine.network = machine::NetworkCard{kAddress, {}};
  for (const SharedFolder& folder : shares)
    machine.shares.push_back({folder.tag, {}});
  if (vsock) machine.vsock = machine::VsockDevice{vsock->cid, {}};
}

DeviceLines::DeviceLines(transport::Poller& poller, Sockets sockets,
                         const std::vector<SharedFolder>& shares, bool has_vsock,
                         const Admission& admission, Guest guest)
    : guest_(std::move(guest)), vsock_door_(std::move(sockets.vsock_door)) {
  if (sockets.network) {
    network_ = std::make_unique<transport::MessageChannel>(
        poller, std::move(sockets.network),
        transport::MessageChannel::Receiver{
            guest_.network_has_room,
            [this](std::vector<std::byte> frame) { guest_.network({std::move(frame)}); },
            [] {
              log::warning("network: the process that runs it is gone, and no frame arrives");
            }});
  }
  for (std::size_t i = 0; i < sockets.shares.size(); ++i) {
    shares_.push_back(std::make_unique<ShareLine>(
        poller, std::move(sockets.shares[i]), fmt::format("{} ({})", shares[i].tag, shares[i].path),
        [this, share = static_cast<unsigned>(i)](std::vector<std::byte> answer) {
          guest_.share({share, std::move(answer)});
        }));
  }
  if (has_vsock) {
    vsock_ = std::make_unique<VsockLine>(poller, std::move(sockets.vsock), admission,
                                         VsockLine::Guest{guest_.vsock_has_room,
                                                          [this](std::vector<std::byte> packet) {
                                                            guest_.vsock({std::move(packet)});
                                                          },
                                                          guest_.output_has_room,
                                                          [this] {
                                                            vsock_listener_.reset();
                                                            guest_.nobody_listens();
                                                          }});
  }
}

// A frame that cannot be sent at once is lost, as on any wire; a request is not, and for a packet
// of a socket the guest waits.
void DeviceLines::connect(machine::MachineOptions& machine) {
  if (network_ && machine.network) {
    machine.network->out = machine::ByteSink([this](std::span<const std::byte> frame) {
      if (!guest_.is_in_past()) (void)network_->send(frame);
    });
  }
  for (std::size_t i = 0; i < shares_.size() && i < machine.shares.size(); ++i) {
    machine.shares[i].requests =
        machine::ByteSink([this, line = shares_[i].get()](std::span<const std::byte> request) {
          if (!guest_.is_in_past()) line->request(request);
        });
  }
  if (vsock_ && machine.vsock) {
    machine.vsock->out = machine::ByteSink(
        [this](std::span<const std::byte> packet) {
          if (!guest_.is_in_past()) vsock_->send(packet);
        },
        [this] { return !guest_.is_in_past() && vsock_->is_full(); });
  }
}

void DeviceLines::update() {
  if (network_) network_->update();
  for (const auto& line : shares_)
    line->update();
  if (vsock_) vsock_->update();
}

// The listener stays here, too, and takes its file along where the process still may.
Result<void> DeviceLines::open_to_programs(const std::string& path) {
  if (!vsock_door_) return {};
  Result<transport::Listener> listener = transport::Listener::open(transport::UnixEndpoint{path});
  if (!listener) return fail(listener.error().code(), "--vsock: " + listener.error().text());
  Fd copy(::fcntl(*listener->descriptor(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail(Error::from_errno("--vsock", errno));
  vsock_listener_.emplace(*std::move(listener));
  if (!vsock::give_listener(std::exchange(vsock_door_, {}), std::move(copy)))
    return fail(ErrorCode::System, "--vsock: the process that serves it has died");
  return {};
}

void DeviceLines::forget_connections() {
  if (vsock_) vsock_->forget();
}

bool DeviceLines::awaits_answer() const {
  return std::any_of(shares_.begin(), shares_.end(),
                     [](const auto& line) { return line->awaits_answer(); });
}

}  // namespace ringside::companions
