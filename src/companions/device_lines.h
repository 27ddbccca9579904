// The lines between the machine's network card, shared folders and sockets and the companions at
// their other ends. Where there is no companion, as in a replay, the devices are there all the
// same, and what they send goes nowhere.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "companions/share_line.h"
#include "companions/start.h"
#include "companions/vsock_line.h"
#include "machine/machine.h"
#include "transport/listener.h"
#include "transport/message_channel.h"

namespace ringside::companions {

// The card, the folders and the sockets of a machine, without lines.
void add_devices(bool network, const std::vector<SharedFolder>& shares,
                 const std::optional<vsock::VsockOptions>& vsock, machine::MachineOptions& machine);

class DeviceLines {
 public:
  struct Guest {
    std::function<bool()> is_in_past;  // what it sends then has been sent before
    std::function<bool()> network_has_room;
    std::function<void(machine::NetworkInput)> network;
    std::function<void(machine::ShareInput)> share;
    std::function<bool()> vsock_has_room;
    std::function<void(machine::VsockInput)> vsock;
    std::function<void()> output_has_room;
    std::function<void()> nobody_listens;  // for the guest's sockets any more, at their path
  };

  // `has_vsock`: the machine has sockets, perhaps without a process at their other ends.
  // `admission`: of who connects to them.
  DeviceLines(transport::Poller& poller, Sockets sockets, const std::vector<SharedFolder>& shares,
              bool has_vsock, const Admission& admission, Guest guest);

  // Programs of the host connect with the guest's sockets at that path, from now on.
  Result<void> open_to_programs(const std::string& path);
  // Of a machine to which the devices have been added. It must not outlive this.
  void connect(machine::MachineOptions& machine);
  // Between slices of the guest: sends and hands on what can be without waiting.
  void update();
  // Of a shared folder.
  bool awaits_answer() const;
  // The machine goes on from another moment than the present, in which there are no connections.
  void forget_connections();

 private:
  Guest guest_;
  std::unique_ptr<transport::MessageChannel> network_;  // or null
  std::vector<std::unique_ptr<ShareLine>> shares_;
  std::unique_ptr<VsockLine> vsock_;  // or null
  Fd vsock_door_;
  std::optional<transport::Listener> vsock_listener_;  // its file goes with this
};

}  // namespace ringside::companions
