// Waits for clients at an endpoint. Owned by the program's wiring; used on one thread, the
// poller's.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "transport/connection.h"
#include "transport/endpoint.h"

namespace ringside::transport {

class Listener {
 public:
  // Errors are a sentence that names the endpoint.
  static Result<Listener> open(const Endpoint& endpoint);

  Listener(Listener&&) = default;
  Listener& operator=(Listener&&) = delete;
  // Takes a unix socket's file away, if it is still ours.
  ~Listener();

  // Readable when a client waits. None when no more can come: stdio and an inherited
  // connection have one client, there from the first byte it sends.
  std::optional<int> descriptor() const;
  // The client that has waited longest, if any.
  std::optional<Connection> accept();

  // Where it really listens: the port is the one that was chosen.
  const Endpoint& endpoint() const { return endpoint_; }
  // Whether anybody may try: not where the one client is there from the start, by the will of who
  // started this process.
  bool accepts_anybody() const { return !is_client_ && !standard_output_; }
  // The socket for somebody else, who looks after a unix socket's file, too.
  Fd hand_over();
  // Whether machines other than this one can reach it.
  bool reachable_from_outside() const { return outside_; }

 private:
  explicit Listener(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}

  Result<> open_tcp(const TcpEndpoint& wanted);
  Result<> open_unix(const UnixEndpoint& wanted);
  Result<> open_stdio();
  Result<> open_inherited(const FdEndpoint& wanted);

  Endpoint endpoint_;
  Fd socket_;
  Fd standard_output_;      // stdio only
  bool is_client_ = false;  // the inherited socket is a client's
  bool outside_ = false;

  // The file of a unix socket, known by more than its name: another process may have put its own
  // there.
  struct SocketFile {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
  };
  std::optional<SocketFile> file_;
};

}  // namespace ringside::transport
