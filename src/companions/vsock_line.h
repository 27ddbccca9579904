// What goes back and forth between the guest's socket device and the process at its other end.
// Where the one forgets all connections, what the other has sent before it heard of that is of
// none. Where there is no process (any more), the guest is refused whatever it sends.
//
// send() and is_full() may be called on the thread that runs a vCPU; everything else is the main
// thread's.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "base/fd.h"
#include "ringside/admission.h"
#include "transport/message_channel.h"
#include "transport/refusals.h"
#include "vsock/line.h"
#include "vsock/resets.h"

namespace ringside::companions {

class VsockLine {
 public:
  struct Guest {
    std::function<bool()> has_room;  // for one more packet
    // A packet, or nothing: there are no connections any more.
    std::function<void(std::vector<std::byte>)> receive;
    std::function<void()> has_room_again;   // is_full() was true and is no longer
    std::function<void()> process_is_gone;  // and the guest has not heard of it yet
  };

  // `socket`: with the process; none: there has never been one.
  VsockLine(transport::Poller& poller, Fd socket, Admission admission, Guest guest);
  VsockLine(const VsockLine&) = delete;
  VsockLine& operator=(const VsockLine&) = delete;
  // The machine has ended: the process gets all that was sent, and is told so.
  ~VsockLine();

  // A packet, or nothing: the guest has forgotten all connections. Not while it is full.
  void send(std::span<const std::byte> packet);
  // The other process has not taken enough of what was sent.
  bool is_full();
  // Between slices of the guest.
  void update();
  // The machine goes on from another moment: nobody knows of a connection any more.
  void forget();

 private:
  void take(std::vector<std::byte> message);
  void tell(const vsock::Notice& notice);
  void tell_of_refusal(std::uint32_t user);
  void gone();
  void refuse(std::span<const std::byte> packet);
  void give_resets();
  bool has_room_again();

  transport::Poller& poller_;
  Admission admission_;
  Guest guest_;
  transport::Refusals refusals_{"vsock"};
  std::atomic<unsigned> unanswered_{0};  // forgets; what comes before the last answer is of before
  bool guest_is_to_forget_ = false;
  std::mutex lock_;        // of what follows
  bool was_full_ = false;  // and the guest has not heard that it is no longer
  vsock::Resets resets_;   // of what the guest has sent where there was no process
  transport::MessageChannel channel_;
};

}  // namespace ringside::companions
