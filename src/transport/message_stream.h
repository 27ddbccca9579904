// Messages over a stream socket between two processes of ours: the length in four bytes, the least
// significant first, and then so many bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ringside::transport {

inline constexpr std::uint32_t kMaxMessage = 1 << 20;
inline constexpr std::size_t kMessageHeader = 4;

// The message as it is sent; it is not too long.
std::vector<std::byte> framed(std::span<const std::byte> message);

// Both wait as long as it takes. False: the other side is gone, or the message is longer than any
// may be.
bool send_message(int socket, std::span<const std::byte> message);
// Nothing: the other side is gone, or has said what is no message.
std::optional<std::vector<std::byte>> receive_message(int socket);

// Cuts what has been read of a stream into its messages.
class MessageReader {
 public:
  void append(std::span<const std::byte> bytes);
  std::optional<std::vector<std::byte>> next();
  // There is a whole message that next() would give.
  bool has_message() const;
  // What follows is longer than any message may be: the stream cannot be read on.
  bool is_broken() const;

 private:
  std::size_t rest() const { return bytes_.size() - begin_; }
  std::uint32_t length() const;  // of the message that comes next; its header is there

  std::vector<std::byte> bytes_;
  std::size_t begin_ = 0;  // of what has not been taken
};

}  // namespace ringside::transport
