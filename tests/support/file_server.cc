#include "support/file_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

namespace ringside::testing {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

bool send_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

FileServer::FileServer(std::string content)
    : content_(std::move(content)), socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket_, generic, size) != 0 || ::listen(socket_, 4) != 0 ||
      ::getsockname(socket_, generic, &size) != 0)
    throw std::system_error(errno, std::generic_category(), "a server on 127.0.0.1");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

FileServer::~FileServer() {
  ::shutdown(socket_, SHUT_RDWR);
  thread_.join();
  ::close(socket_);
}

void FileServer::serve() const {
  for (;;) {
    const int client = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    std::string request;
    char c = 0;
    while (!request.ends_with("\r\n\r\n") && ::recv(client, &c, 1, 0) == 1)
      request += c;
    const std::string head =
        "HTTP/1.0 200 OK\r\nContent-Length: " + std::to_string(content_.size()) + "\r\n\r\n";
    if (send_all(client, head)) send_all(client, content_);
    ::close(client);
  }
}

}  // namespace ringside::testing
