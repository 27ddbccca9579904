// An endpoint with at most one client at a time: a second connection is closed at once, or given to
// somebody else, and the first never notices. Moves bytes between the client and a handler; knows
// no protocol.
//
// Owned by whoever serves the endpoint; one thread, the loop's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ringside/event_loop.h"
#include "transport/doorman.h"
#include "transport/listener.h"

namespace ringside::transport {

class ClientHandler {
 public:
  virtual ~ClientHandler() = default;
  virtual void on_connected() = 0;
  virtual void on_bytes(std::span<const std::byte> bytes) = 0;
  virtual void on_disconnected() = 0;
  // What to send; valid until the next call.
  virtual std::string_view output() const = 0;
  virtual void wrote(std::size_t count) = 0;
  // How many bytes may come now; 0 stops reading.
  virtual std::size_t room() const = 0;
  virtual bool wants_close() const { return false; }
  // Whether descriptors are taken that a client sends over a unix socket. on_descriptors() comes
  // before on_bytes() with the bytes that they came with.
  virtual bool wants_descriptors() const { return false; }
  virtual void on_descriptors(std::vector<Fd> /*descriptors*/) {}
};

class SingleClient {
 public:
  // `name` begins the lines in the log. The handler must outlive this.
  static Result<std::unique_ptr<SingleClient>> open(EventLoop& loop, const Endpoint& endpoint,
                                                    std::string name, ClientHandler& handler,
                                                    Admission admission = {});
  // One that listens nowhere: its clients are adopted.
  SingleClient(EventLoop& loop, std::string name, ClientHandler& handler, Admission admission = {});
  ~SingleClient();
  SingleClient(const SingleClient&) = delete;
  SingleClient& operator=(const SingleClient&) = delete;

  // Who comes to the listener, and may, is given to this, which may come() with it. Without it all
  // come at once, and one that begins as a web request does goes again.
  using Receive = std::function<void(Connection, const Peer&)>;
  void set_reception(Receive receive) { receive_ = std::move(receive); }
  void come(Connection client);
  Doorman& doorman() { return doorman_; }

  // Who comes while there is a client is given to this, instead of being turned away. False: there
  // is no room.
  using TakeFurther = std::function<bool(Connection)>;
  void set_further(TakeFurther take) { further_ = std::move(take); }
  // Or stays where it is until the client has gone: the system keeps a few who have connected.
  void let_further_wait() { further_waits_ = true; }
  // The client's connection, for somebody else to go on with: there is no client any more, and the
  // handler is not told. Nothing where there is none.
  std::optional<Connection> release();

  // Writes what can be written and settles what to wait for. After anything that may have changed
  // what the handler has to say.
  void update();
  // One that listens nowhere does from now on. Busy where it listens already.
  Result<void> listen_at(const Endpoint& endpoint);
  // A client that has come in another way. Busy if there is one already, and no further one is
  // taken.
  Result<void> adopt(Connection connection);
  // Where it really listens; null if it does not.
  const Endpoint* endpoint() const { return listener_ ? &listener_->endpoint() : nullptr; }
  bool reachable_from_outside() const { return listener_ && listener_->reachable_from_outside(); }

 private:
  void listen(Listener listener);
  void accept();
  void settle_first();
  void settle_newcomer();
  bool take_further(Connection connection);
  bool has_unread_input() const;
  void connect(Connection connection);
  void disconnect();
  void read();
  bool begins_as_web_request();
  void write();
  void watch();
  void unwatch();
  void watch_listener(Interest interest);

  EventLoop& loop_;
  std::optional<Listener> listener_;
  std::string name_;
  ClientHandler& handler_;
  Doorman doorman_;
  Receive receive_;
  TakeFurther further_;
  bool further_waits_ = false;
  std::optional<Connection> connection_;
  bool is_heard_ = true;                // what the client sent first has been looked at
  std::uint64_t served_ = 0;            // how many there have been, connection_ included
  std::optional<Connection> newcomer_;  // until it is clear that the first stays
};

}  // namespace ringside::transport
