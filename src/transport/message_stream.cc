#include "transport/message_stream.h"

#include <sys/socket.h>

#include <cerrno>

namespace ringside::transport {
namespace {

using Header = std::byte[kMessageHeader];

void encode(std::uint32_t length, std::byte* header) {
  for (unsigned i = 0; i < kMessageHeader; ++i)
    header[i] = static_cast<std::byte>(length >> (8 * i));
}

std::uint32_t decode(const std::byte* header) {
  std::uint32_t length = 0;
  for (unsigned i = 0; i < kMessageHeader; ++i)
    length |= std::to_integer<std::uint32_t>(header[i]) << (8 * i);
  return length;
}

bool send_all(int socket, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

bool receive_all(int socket, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = ::recv(socket, bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

}  // namespace

std::vector<std::byte> framed(std::span<const std::byte> message) {
  std::vector<std::byte> bytes(kMessageHeader);
  encode(static_cast<std::uint32_t>(message.size()), bytes.data());
  bytes.insert(bytes.end(), message.begin(), message.end());
  return bytes;
}

bool send_message(int socket, std::span<const std::byte> message) {
  return message.size() <= kMaxMessage && send_all(socket, framed(message));
}

std::optional<std::vector<std::byte>> receive_message(int socket) {
  Header header;
  if (!receive_all(socket, header) || decode(header) > kMaxMessage) return std::nullopt;
  std::vector<std::byte> message(decode(header));
  if (!receive_all(socket, message)) return std::nullopt;
  return message;
}

void MessageReader::append(std::span<const std::byte> bytes) {
  if (begin_ != 0) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

std::uint32_t MessageReader::length() const { return decode(bytes_.data() + begin_); }

bool MessageReader::has_message() const {
  return rest() >= kMessageHeader && !is_broken() && rest() - kMessageHeader >= length();
}

bool MessageReader::is_broken() const { return rest() >= kMessageHeader && length() > kMaxMessage; }

std::optional<std::vector<std::byte>> MessageReader::next() {
  if (!has_message()) return std::nullopt;
  const auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(begin_ + kMessageHeader);
  std::vector<std::byte> message(from, from + length());
  begin_ += kMessageHeader + message.size();
  return message;
}

}  // namespace ringside::transport
