#include "support/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "transport/unix_address.h"

namespace ringside::testing {
namespace {

std::string checksum(std::string_view payload) {
  unsigned sum = 0;
  for (const char c : payload)
    sum += static_cast<unsigned char>(c);
  char digits[3];
  std::snprintf(digits, sizeof digits, "%02x", sum & 0xff);
  return digits;
}

}  // namespace

RawClient::RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    fail("cannot connect to port " + std::to_string(port) + ": " + std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

RawClient::RawClient(const std::string& path)
    : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const auto address = transport::unix_address(path);
  if (!address) fail(address.error().text());
  if (::connect(fd_.get(), address->any(), address->kSize) != 0)
    fail("cannot connect to " + path + ": " + std::strerror(errno));
}

void RawClient::note(std::string_view direction, std::string_view text) {
  transcript_.push_back(std::string(direction) + std::string(text.substr(0, 200)));
  if (transcript_.size() > 20) transcript_.pop_front();
}

void RawClient::fail(const std::string& what) {
  std::string message = what + "\nthe conversation's end:\n";
  for (const std::string& line : transcript_)
    message += "  " + line + "\n";
  if (!input_.empty()) message += "  unread: " + input_.substr(0, 200) + "\n";
  throw std::runtime_error(message);
}

void RawClient::send_bytes(std::string_view bytes) {
  note("-> ", bytes == "\x03" ? "(interrupt)" : bytes);
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(std::string("send: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string RawClient::frame(std::string_view payload) {
  return "$" + std::string(payload) + "#" + checksum(payload);
}

void RawClient::send(std::string_view payload) {
  send_bytes(frame(payload));
  if (acks_ == Acks::Automatic) {
    if (const char c = receive_byte(); c != '+') fail(std::string("expected '+', got '") + c + "'");
  }
}

bool RawClient::fill(const Deadline& deadline) {
  if (!wait_readable(fd_.get(), deadline)) fail("the server does not answer in time");
  char buffer[65536];
  const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
  if (n < 0 && errno == EINTR) return true;
  if (n <= 0) return false;
  input_.append(buffer, static_cast<std::size_t>(n));
  return true;
}

char RawClient::receive_byte(const Deadline& deadline) {
  while (input_.empty()) {
    if (!fill(deadline)) fail("the server closed the connection");
  }
  const char c = input_.front();
  input_.erase(0, 1);
  return c;
}

std::string RawClient::receive(const Deadline& deadline) {
  // With manual acknowledgements those of the server are skipped here.
  for (;;) {
    const char c = receive_byte(deadline);
    if (c == '$') break;
    if (c == '%') {  // a notification, which whoever does not know it discards
      while (receive_byte(deadline) != '#') {
      }
      for (int digit = 0; digit < 2; ++digit)
        (void)receive_byte(deadline);
      continue;
    }
    if (c != '+' || acks_ != Acks::Manual) fail(std::string("expected a packet, got '") + c + "'");
  }
  std::size_t searched = 0, end;
  while ((end = input_.find('#', searched)) == std::string::npos || input_.size() < end + 3) {
    searched = end == std::string::npos ? input_.size() : end;
    if (!fill(deadline)) fail("the server closed the connection within a packet");
  }
  const std::string_view wire = std::string_view(input_).substr(0, end);
  note("<- ", wire);
  if (input_.compare(end + 1, 2, checksum(wire)) != 0) fail("wrong checksum");
  std::string payload = decode_payload(wire);
  input_.erase(0, end + 3);
  if (acks_ == Acks::Automatic) send_bytes("+");
  return payload;
}

std::string RawClient::request(std::string_view payload, const Deadline& deadline) {
  send(payload);
  return receive(deadline);
}

bool RawClient::silent_for(std::chrono::milliseconds time) {
  if (!input_.empty()) return false;
  pollfd entry{fd_.get(), POLLIN, 0};
  return ::poll(&entry, 1, static_cast<int>(time.count())) == 0;
}

void RawClient::await_close(const Deadline& deadline) {
  while (fill(deadline))
    input_.clear();
}

bool RawClient::closed() {
  char c;
  const ssize_t n = ::recv(fd_.get(), &c, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

void RawClient::reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd_.reset();
}

std::string decode_payload(std::string_view wire) {
  if (wire.find('}') == std::string_view::npos && wire.find('*') == std::string_view::npos)
    return std::string(wire);
  std::string result;
  for (std::size_t i = 0; i < wire.size(); ++i) {
    if (wire[i] == '}' && i + 1 < wire.size()) {
      result += static_cast<char>(wire[++i] ^ 0x20);
    } else if (wire[i] == '*' && i + 1 < wire.size() && !result.empty()) {
      result.append(static_cast<std::size_t>(wire[++i] - 29), result.back());
    } else {
      result += wire[i];
    }
  }
  return result;
}

}  // namespace ringside::testing
