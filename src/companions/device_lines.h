// The lines between the machine's network card and shared folders and the companions at their other
// ends. Where there is no companion, as in a replay, the devices are there all the same, and what
// they send goes nowhere.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "companions/share_line.h"
#include "companions/start.h"
#include "machine/machine.h"
#include "transport/message_channel.h"

namespace ringside::companions {

// The card and the folders of a machine, without lines.
void add_devices(bool network, const std::vector<SharedFolder>& shares,
                 machine::MachineOptions& machine);

class DeviceLines {
 public:
  struct Guest {
    std::function<bool()> is_in_past;  // what it sends then has been sent before
    std::function<bool()> network_has_room;
    std::function<void(machine::NetworkInput)> network;
    std::function<void(machine::ShareInput)> share;
  };

  DeviceLines(transport::Poller& poller, Sockets sockets, const std::vector<SharedFolder>& shares,
              Guest guest);

  // Of a machine to which the devices have been added. It must not outlive this.
  void connect(machine::MachineOptions& machine);
  // Between slices of the guest: sends and hands on what can be without waiting.
  void update();
  // Of a shared folder.
  bool awaits_answer() const;

 private:
  Guest guest_;
  std::unique_ptr<transport::MessageChannel> network_;  // or null
  std::vector<std::unique_ptr<ShareLine>> shares_;
};

}  // namespace ringside::companions
