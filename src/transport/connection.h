// One byte stream to a client: a socket, or a pair of descriptors such as standard input and
// output. Never blocks, never raises a signal. EOF, reset and any error are the same to its user:
// the client is gone. Owned by whoever serves the client; used on one thread, the poller's.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace ringside::transport {

// 0 for a connected stream socket, else the errno that says what it is not. What is none would be a
// client that never speaks and never goes.
int why_no_connection(int socket);

class Connection {
 public:
  // A connected stream socket.
  static Connection over_socket(Fd socket);
  // Reads from one, writes to the other: pipes, terminals, files.
  static Connection over_descriptors(Fd input, Fd output);

  Connection(Connection&&) = default;
  Connection& operator=(Connection&&) = default;
  // What was written still reaches the client.
  ~Connection();

  // How many bytes came: 0 when there are none now, or the client is gone.
  std::size_t read(std::span<char> buffer);
  // From now on descriptors that come with bytes over a unix socket (SCM_RIGHTS, unix(7)) are kept
  // for take_descriptors(); otherwise they are closed.
  void keep_descriptors() { keeps_descriptors_ = true; }
  // Those that came with what read() brought last.
  std::vector<Fd> take_descriptors() { return std::exchange(descriptors_, {}); }
  // What read() will bring, of a socket; it stays there.
  std::size_t peek(std::span<char> buffer);
  // Nothing is read or written any more.
  void give_up() { gone_ = true; }
  // How many bytes went: 0 when there is no room now, or the client is gone.
  std::size_t write(std::string_view bytes);
  bool gone() const { return gone_; }

  // For the poller; the two may be the same.
  int input() const { return input_.get(); }
  int output() const { return output_ ? output_.get() : input_.get(); }

 private:
  Connection(Fd input, Fd output) : input_(std::move(input)), output_(std::move(output)) {}

  bool is_socket() const { return !output_; }
  std::size_t finish(ssize_t result, bool zero_is_end);
  ssize_t receive(std::span<char> buffer);

  Fd input_;
  Fd output_;  // none for a socket
  bool gone_ = false;
  bool keeps_descriptors_ = false;
  std::vector<Fd> descriptors_;
};

}  // namespace ringside::transport
