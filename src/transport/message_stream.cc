#include "transport/message_stream.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

namespace ringside::transport {
namespace {

using Header = std::byte[kMessageHeader];

// How much of a stream is read with one call.
constexpr std::size_t kAtOnce = 256 << 10;

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

bool send_message(int socket, std::span<const std::byte> message) {
  if (message.size() > kMaxMessage) return false;
  Header header;
  encode(static_cast<std::uint32_t>(message.size()), header);
  std::span<const std::byte> first = header, second = message;
  while (!first.empty() || !second.empty()) {
    iovec parts[] = {{const_cast<std::byte*>(first.data()), first.size()},
                     {const_cast<std::byte*>(second.data()), second.size()}};
    msghdr both{};
    both.msg_iov = parts;
    both.msg_iovlen = std::size(parts);
    const ssize_t sent = ::sendmsg(socket, &both, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    const auto of_first = std::min(first.size(), static_cast<std::size_t>(sent));
    first = first.subspan(of_first);
    second = second.subspan(static_cast<std::size_t>(sent) - of_first);
  }
  return true;
}

std::optional<std::vector<std::byte>> receive_message(int socket) {
  Header header;
  if (!receive_all(socket, header) || decode(header) > kMaxMessage) return std::nullopt;
  std::vector<std::byte> message(decode(header));
  if (!receive_all(socket, message)) return std::nullopt;
  return message;
}

// Behind what is there: so much, or whatever more there is.
std::span<std::byte> MessageReader::room(std::size_t least) {
  if (begin_ != 0) {
    std::memmove(bytes_.data(), bytes_.data() + begin_, rest());
    end_ -= begin_;
    begin_ = 0;
  }
  if (bytes_.size() - end_ < least) bytes_.resize(end_ + least);
  return std::span(bytes_).subspan(end_);
}

MessageReader::Received MessageReader::receive(int socket, Waiting waiting) {
  const std::span<std::byte> into = room(kAtOnce);
  for (;;) {
    const ssize_t count =
        ::recv(socket, into.data(), into.size(), waiting == Waiting::Yes ? 0 : MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Received::Nothing;
    if (count <= 0) return Received::End;
    end_ += static_cast<std::size_t>(count);
    return static_cast<std::size_t>(count) == into.size() ? Received::Part : Received::All;
  }
}

void MessageReader::append(std::span<const std::byte> bytes) {
  std::copy(bytes.begin(), bytes.end(), room(bytes.size()).begin());
  end_ += bytes.size();
}

std::uint32_t MessageReader::length() const { return decode(bytes_.data() + begin_); }

bool MessageReader::has_message() const {
  return rest() >= kMessageHeader && !is_broken() && rest() - kMessageHeader >= length();
}

bool MessageReader::is_broken() const { return rest() >= kMessageHeader && length() > kMaxMessage; }

std::optional<std::span<const std::byte>> MessageReader::next() {
  if (!has_message()) return std::nullopt;
  const auto message =
      std::span<const std::byte>(bytes_).subspan(begin_ + kMessageHeader, length());
  begin_ += kMessageHeader + message.size();
  return message;
}

std::optional<std::span<const std::byte>> MessageReader::await(int socket) {
  while (!has_message())
    if (is_broken() || receive(socket, Waiting::Yes) == Received::End) return std::nullopt;
  return next();
}

bool MessageWriter::add(std::span<const std::byte> message) {
  if (message.size() > kMaxMessage || size() + kMessageHeader + message.size() > room_)
    return false;
  // Not each time, so that much is not moved for each little that is sent.
  if (sent_ > room_ / 2) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(sent_));
    sent_ = 0;
  }
  Header header;
  encode(static_cast<std::uint32_t>(message.size()), header);
  bytes_.insert(bytes_.end(), std::begin(header), std::end(header));
  bytes_.insert(bytes_.end(), message.begin(), message.end());
  return true;
}

bool MessageWriter::flush(int socket) {
  while (!empty()) {
    const ssize_t count =
        ::send(socket, bytes_.data() + sent_, size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    sent_ += static_cast<std::size_t>(count);
  }
  clear();
  return true;
}

void MessageWriter::clear() {
  bytes_.clear();
  sent_ = 0;
}

}  // namespace ringside::transport
