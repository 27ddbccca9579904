// A server of one file, for a guest whose network leads to this host's loopback interface. Until
// its end.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

namespace ringside::testing {

sockaddr_in loopback(std::uint16_t port);

// Whoever connects says something up to an empty line, and gets the file as HTTP has it.
class FileServer {
 public:
  explicit FileServer(std::string content);
  ~FileServer();
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;

  // As the guest of a user-mode network sees it.
  std::string url() const { return "http://10.0.2.2:" + std::to_string(port_) + "/"; }

 private:
  void serve() const;

  const std::string content_;
  const int socket_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

// False: who is at the other end has gone.
bool send_all(int socket, std::string_view text);

}  // namespace ringside::testing
