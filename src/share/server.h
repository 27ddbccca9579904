// A server of 9P2000.L over a directory of the host: a request in, its answer out. It has no
// thread, no socket and no clock of its own; what it keeps is bounded, whatever it is asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/fd.h"

namespace ringside::share {

enum class Access : std::uint8_t { ReadWrite, ReadOnly };

struct Session;
class Writer;

class Server {
 public:
  // `directory` may be one that can be looked for names in and nothing more (O_PATH).
  Server(Fd directory, Access access);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // A whole message, its size and type before it. What goes wrong, and what is no request, is
  // answered with an error; every request has one answer, which comes before the next is looked at
  // and stays until then.
  std::span<const std::byte> answer(std::span<const std::byte> request);

  // Somebody has removed the directory, or its file system has gone: there will be nothing in it
  // any more. Looked for when a request has failed.
  bool has_lost_directory() const { return has_lost_directory_; }

 private:
  std::unique_ptr<Session> session_;
  std::unique_ptr<Writer> answer_;
  bool has_lost_directory_ = false;
};

}  // namespace ringside::share
