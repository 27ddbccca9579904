// The sockets of a debug server's observers: clients that come while another controls the machine.
// Owned by the endpoint; one thread, the loop's.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>

#include "debug/server/server.h"
#include "ringside/event_loop.h"
#include "transport/connection.h"
#include "transport/descriptor_group.h"

namespace ringside {

class ObserverSeats {
 public:
  // So many at once; more are turned away.
  static constexpr std::size_t kMost = 16;

  // Both outlive it. `acts` is called before a client's doings are dealt with.
  ObserverSeats(EventLoop& loop, debug::Server& server, std::function<void()> acts);
  ~ObserverSeats();
  ObserverSeats(const ObserverSeats&) = delete;
  ObserverSeats& operator=(const ObserverSeats&) = delete;

  // False if there is no seat left; the connection is closed then. `said`: by one that has been
  // served until now, and still has to ask for the machine.
  bool take(transport::Connection connection,
            std::optional<debug::Introduction> said = std::nullopt);
  // Writes what there is to say, and gives up the seats of those who have gone.
  void update();
  // One that wants the machine, while nobody has it: its observer goes on in the server, and its
  // connection is to go on as the client's.
  struct Promoted {
    debug::Observer* observer = nullptr;
    transport::Connection connection;
  };
  std::optional<Promoted> take_promoted();

 private:
  class Seat;
  void remove_gone();

  EventLoop& loop_;
  // Of their sockets: they are looked at after each slice of the guest, and there may be many. Null
  // where the system has no more descriptors; then each is in the loop.
  std::unique_ptr<transport::DescriptorGroup> group_;
  debug::Server& server_;
  std::function<void()> acts_;
  std::list<Seat> seats_;
};

}  // namespace ringside
